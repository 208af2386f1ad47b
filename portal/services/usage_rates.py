"""What usage costs changes only between two months of usage, so that each month has one price per kind.

A change of what is held leaves the metered items as they are until the open month of usage ends: nothing is
counted twice or lost, what is charged now stays exact, and bands and included units begin anew with a month.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from portal.models import PlannedChange


@dataclass(frozen=True)
class NextRates:
    """The metered prices from a month of usage on, whole: line key → Stripe's price id."""

    at: datetime
    prices: Mapping[str, str]


def until_then(held: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """The metered prices for the rest of the month: those that are counted by, and what is new."""
    return {**wanted, **held}


def following(
    held: Mapping[str, str], wanted: Mapping[str, str], ends_at: datetime | None
) -> NextRates | None:
    """What is left for the end of the month of usage; nothing where all is as wanted already."""
    if ends_at is None or until_then(held, wanted) == dict(wanted):
        return None
    return NextRates(ends_at, dict(wanted))


def of(row: PlannedChange | None) -> NextRates | None:
    """What ``row`` plans for the end of a month of usage, if anything."""
    if row is None or row.rates is None or row.rates_at is None:
        return None
    return NextRates(row.rates_at, {str(key): str(price) for key, price in row.rates.items()})
