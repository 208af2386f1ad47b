"""Steps of the control page's clock: a day, a week, a month or a year later, at the same time (UTC)."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta

STEPS = ("hour", "day", "week", "month", "year")
_FIXED = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
_MONTHS = {"month": 1, "year": 12}


def after(now: int, step: str) -> int:
    """The second one step after `now`; a month's last days are kept inside the next month."""
    if step not in STEPS:
        raise ValueError(f"step must be one of {', '.join(STEPS)}")
    start = datetime.fromtimestamp(now, UTC)
    if step in _FIXED:
        return int((start + _FIXED[step]).timestamp())
    months = start.year * 12 + start.month - 1 + _MONTHS[step]
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())
