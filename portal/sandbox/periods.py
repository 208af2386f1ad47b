"""Billing periods: every period starts on its anchor's day and clock time, counted from the anchor in UTC."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime

SECONDS = {"day": 86_400, "week": 7 * 86_400}
MONTHS = {"month": 1, "year": 12}
_LONGEST_MONTH = 31 * 86_400


def after(anchor: int, interval: str, count: int) -> int:
    """The unix second `count` intervals after `anchor`; a month without that day ends on its last.

    Counting always starts at the anchor, so that 31 January, 28 February, 31 March keeps the 31st.
    """
    if interval in SECONDS:
        return anchor + count * SECONDS[interval]
    start = datetime.fromtimestamp(anchor, UTC)
    months = start.year * 12 + start.month - 1 + count * MONTHS[interval]
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def containing(anchor: int, interval: str, interval_count: int, moment: int) -> tuple[int, int]:
    """The period (start, end) around the moment, start <= moment < end, counted from the anchor."""
    length = SECONDS.get(interval) or MONTHS[interval] * _LONGEST_MONTH
    step = (moment - anchor) // (length * interval_count)
    while after(anchor, interval, (step + 1) * interval_count) <= moment:
        step += 1
    while after(anchor, interval, step * interval_count) > moment:
        step -= 1
    return (
        after(anchor, interval, step * interval_count),
        after(anchor, interval, (step + 1) * interval_count),
    )


def first_end(anchor: int, recurring: dict) -> int:
    """The end of the first period of a price (its `recurring` hash) that starts at the anchor."""
    return after(anchor, recurring["interval"], recurring["interval_count"])


def multiples(recurrings: list[dict]) -> bool:
    """Whether every interval is a multiple of the shortest one, as one subscription requires."""
    weeks = [_in_days(each) for each in recurrings if each["interval"] in SECONDS]
    months = [
        each["interval_count"] * MONTHS[each["interval"]] for each in recurrings if each["interval"] in MONTHS
    ]
    if weeks and months:
        return False
    lengths = weeks or months
    return all(length % min(lengths) == 0 for length in lengths)


def _in_days(recurring: dict) -> int:
    return recurring["interval_count"] * SECONDS[recurring["interval"]] // 86_400
