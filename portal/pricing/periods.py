"""Billing periods: months and years that are counted from an anchor, as Stripe counts them."""

from portal.pricing.catalog import INTERVALS
from portal.pricing.checks import one_of, whole

# Unix seconds of the last moment of the year 9998: a period that begins there still ends in time.
LATEST = 253_370_764_799
MONTHS = {"month": 1, "year": 12}
DAY = 86_400
SHORTEST_MONTH = 28 * DAY
# 400 years of the calendar, after which it repeats itself, and the days from 1 March of year 0 to 1970
ERA = 146_097
TO_1970 = 719_468


def after(anchor: int, interval: str, count: int) -> int:
    """Return the moment ``count`` intervals after ``anchor`` (unix seconds; a negative count: before).

    A day that a month does not have is its last one, and the anchor's day comes back afterwards: from
    31 January it is 28 February, then 31 March. The time of day (UTC) stays.
    """
    days, time = divmod(anchor, DAY)
    year, month, day = _date(days)
    year, month = divmod(year * 12 + month - 1 + count * MONTHS[interval], 12)
    return _days(year, month + 1, min(day, _length(year, month + 1))) * DAY + time


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


def _length(year: int, month: int) -> int:
    following = (year + 1, 1) if month == 12 else (year, month + 1)
    return _days(*following, 1) - _days(year, month, 1)


def _days(year: int, month: int, day: int) -> int:
    """The number of a day, 1 January 1970 being 0; the year begins in March, so that leap days are last."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * ERA + of_era * 365 + of_era // 4 - of_era // 100 + of_year - TO_1970


def _date(days: int) -> tuple[int, int, int]:
    """Year, month and day of a numbered day."""
    era, of_era = divmod(days + TO_1970, ERA)
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (month <= 2), month, day
