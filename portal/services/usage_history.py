"""What was used on each of the days before today, which is what a forecast rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import bindparam, select, text
from sqlalchemy.orm import Session

from portal.models import UsagePeriod
from portal.pricing.forecast import RECENT_DAYS

# of this period and of those that reach into the days that count
DAYS = text("""
SELECT key, day, sum(quantity) FROM usage_day
WHERE workspace_id = :workspace AND period_start = ANY(:periods) AND day >= :since AND day < :today
GROUP BY key, day
""")


@dataclass(frozen=True)
class Past:
    """Units by key and day, of the whole days in [since, today)."""

    since: date
    today: date
    units: dict[tuple[str, date], int]

    def of(self, key: str) -> Sequence[int]:
        """The units of each whole day, the oldest first and yesterday last."""
        days = (self.today - self.since).days
        return [self.units.get((key, self.since + timedelta(days=n)), 0) for n in range(days)]


_STARTS = (
    select(UsagePeriod.starts_at)
    .where(UsagePeriod.starts_at <= bindparam("last"), UsagePeriod.ends_at > bindparam("oldest"))
    .order_by(UsagePeriod.starts_at)
)


def read(session: Session, period_start: datetime, now: datetime) -> Past:
    """The whole days before ``now`` in the period that begins then and in those before it."""
    today = now.astimezone(UTC).date()
    oldest = datetime.combine(today - timedelta(days=RECENT_DAYS), time(), UTC)
    known = session.scalars(_STARTS, {"last": period_start, "oldest": oldest}).all()
    since = min(max(_first_whole_day(known[0]), oldest.date()), today) if known else today
    where = {
        "workspace": session.info["workspace_id"],
        "periods": list(known),
        "since": since,
        "today": today,
    }
    rows = session.execute(DAYS, where)
    return Past(since, today, {(key, day): int(units) for key, day, units in rows})


def _first_whole_day(start: datetime) -> date:
    """The day of a start at midnight, else the next one."""
    at = start.astimezone(UTC)
    return at.date() if at.time() == time() else at.date() + timedelta(days=1)
