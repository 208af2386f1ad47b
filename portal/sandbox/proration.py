"""Proration: the part of a period's price that belongs to the rest of the period, to the second.

Recorded from Stripe: the ratio is an exact rational of seconds, each line is rounded alone to the nearest
minor unit, and a tie goes toward minus infinity (-2.5 becomes -3, +4.5 becomes +4).
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from fractions import Fraction

HALF = Fraction(1, 2)


def nearest(exact: Fraction) -> int:
    """The nearest whole minor unit; a tie goes toward minus infinity."""
    return math.ceil(exact - HALF)


def rest(price: Fraction, *, start: int, end: int, at: int) -> int:
    """The part of `price` (minor units for all of start..end) that covers at..end; below zero for a credit.

    `at` is held inside the period.
    """
    at = min(max(at, start), end)
    return nearest(price * (end - at) / (end - start))


def description(side: str, product: str, quantity: int, at: int) -> str:
    """Stripe's wording; `side` is "Unused" or "Remaining", the day is the UTC day of the change."""
    many = f"{quantity} × " if quantity > 1 else ""
    day = datetime.fromtimestamp(at, UTC).strftime("%d %b %Y")
    return f"{side} time on {many}{product} after {day}"
