"""Billing periods: months and years that are counted from an anchor, as Stripe counts them."""

import calendar
from datetime import UTC, datetime

from portal.pricing.catalog import INTERVALS
from portal.pricing.checks import one_of, whole

# Unix seconds of the last moment of the year 9998: a period that begins there still ends in time.
LATEST = 253_370_764_799
MONTHS = {"month": 1, "year": 12}
SHORTEST_MONTH = 28 * 86_400


def after(anchor: int, interval: str, count: int) -> int:
    """Return the moment ``count`` intervals after ``anchor`` (unix seconds; a negative count: before).

    A day that a month does not have is its last one, and the anchor's day comes back afterwards: from
    31 January it is 28 February, then 31 March.
    """
    start = datetime.fromtimestamp(anchor, UTC)
    months = start.year * 12 + start.month - 1 + count * MONTHS[interval]
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def containing(anchor: int, interval: str, at: int) -> tuple[int, int]:
    """Return start and end of the period around ``at``, start ≤ at < end; all unix seconds.

    ``at`` may lie before the anchor: the periods are counted backwards then.
    Raises PricingError (params ``anchor``, ``interval``, ``at``).
    """
    whole(anchor, "anchor", minimum=0, maximum=LATEST)
    whole(at, "at", minimum=0, maximum=LATEST)
    one_of(interval, "interval", INTERVALS)
    count = (at - anchor) // (SHORTEST_MONTH * MONTHS[interval])
    while after(anchor, interval, count) > at:
        count -= 1
    while after(anchor, interval, count + 1) <= at:
        count += 1
    return after(anchor, interval, count), after(anchor, interval, count + 1)
