"""Why an invoice is not what the one before was: each part of the difference in words, and its bar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext

from portal import pricing
from portal.pricing.difference import (
    BALANCE,
    CREDITS,
    DISCOUNTS,
    ONE_OFFS,
    REST,
    TAX,
    USAGE,
    Difference,
    Part,
)
from portal.services.comparisons import Comparison
from portal.web.explanations import units


@dataclass(frozen=True)
class Bar:
    """One row of the waterfall: words, the amount (minor units), and where its bar is, 0 to 100.

    ``level`` rows are what is due, the others what made it more or less.
    """

    words: str
    amount: int
    start: float
    length: float
    level: bool = False


def bars(comparison: Comparison, lines: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """From what was due before to what is due now; ``lines`` are this invoice's, for the names."""
    found = comparison.difference
    levels = _levels(found)
    low, high = min(0, *levels), max(0, *levels)
    names = _names([*comparison.previous.lines, *lines])

    def bar(words: str, amount: int, since: int, until: int, *, level: bool = False) -> Bar:
        begin, end = sorted((_at(since, low, high), _at(until, low, high)))
        return Bar(words, amount, begin, round(max(end - begin, 0.4), 2), level)

    number = comparison.previous.number or comparison.previous.stripe_id
    before = gettext("Invoice %(number)s", number=number)
    rows = [bar(before, found.before, 0, found.before, level=True)]
    for part, level in zip(found.parts, levels[1:], strict=True):
        rows.append(bar(_words(part, names), part.amount, level - part.amount, level))
    return [*rows, bar(gettext("This invoice"), found.after, 0, found.after, level=True)]


def _at(amount: int, low: int, high: int) -> float:
    return round(100 * (amount - low) / (high - low), 2) if high > low else 0.0


def _levels(found: Difference) -> list[int]:
    levels = [found.before]
    for part in found.parts:
        levels.append(levels[-1] + part.amount)
    return levels


def _names(lines: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {str(line["key"]): _name(line) for line in lines if line.get("key")}


def _name(line: Mapping[str, Any]) -> str:
    try:
        sold = pricing.catalog(str(line.get("catalog"))).add_ons.get(str(line["key"]))
    except pricing.PricingError:
        sold = None
    return sold.name if sold else str(line["description"])


def _words(part: Part, names: Mapping[str, str]) -> str:
    name = names.get(str(part.key), str(part.key))
    before, after = units(part.before or 0, "seat"), units(part.after or 0, "seat")
    match part.cause:
        case "seats":
            return gettext("From %(before)s to %(after)s", before=before, after=after)
        case "add_ons" if not part.before:
            return gettext("Added: %(name)s", name=name)
        case "add_ons" if not part.after:
            return gettext("No longer there: %(name)s", name=name)
        case "add_ons":
            return gettext("%(name)s: from %(before)s to %(after)s", name=name, before=before, after=after)
        case "prices" if part.key == pricing.SEAT:
            return gettext("Another price of a seat")
        case "prices":
            return gettext("Another price: %(name)s", name=name)
        case _:
            return _plain()[part.cause]


def _plain() -> dict[str, str]:
    return {
        USAGE: gettext("Usage"),
        ONE_OFFS: gettext("Parts of periods, and lines that came once"),
        DISCOUNTS: gettext("Discounts"),
        CREDITS: gettext("Annual credits"),
        TAX: gettext("Tax"),
        BALANCE: gettext("From or to the balance of your account"),
        REST: gettext("Rounding at Stripe"),
    }
