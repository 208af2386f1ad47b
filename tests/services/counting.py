"""Every number that a month of usage shows, and the length of the list that it leads to, under one name."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.models import UsageDay
from portal.services import resolutions, usage
from portal.services.resolutions import Filter
from portal.services.usage import Period
from portal.services.usage_rollup import Count
from tests.services.using import Workspace

# a page that reads few, so that lists have further pages
LIMIT = 7
Names = Counter[tuple[object, ...]]


def shown(acme: Workspace) -> Names:
    """The numbers of all months: in all, by channel and by day; without those that are 0."""
    found: Names = Counter()
    with unit_of_work(acme.workspace_id) as session:
        now = acme.gateways.clock.now()
        for period in usage.periods(session, now):
            read = usage.read(session, now, period.starts_at)
            assert read is not None
            start, count = period.starts_at, read.resolutions.count
            found.update(_named(start, count))
            found[start, "disputed"] = read.disputed
            if read.is_current:
                found["pending",] = read.pending
            for name, each in read.resolutions.channels:
                found.update(_named(start, each, name))
            for day, each in read.resolutions.days.items():
                found.update(_named(start, each, day))
            # so that none is counted where nobody sees it
            assert days_of(session, start) <= set(read.resolutions.days)
    return +found


def days_of(session: Session, start: datetime) -> set[date]:
    """The days on which something was counted in the month that begins then."""
    days = select(UsageDay.day).where(UsageDay.period_start == start, UsageDay.key == "resolution")
    return set(session.scalars(days))


def _named(*of: object) -> dict[tuple[object, ...], int]:
    start, count, *rest = of
    assert isinstance(count, Count)
    return {
        (start, *rest, "confirmed"): count.confirmed,
        (start, *rest, "assumed"): count.assumed,
        (start, *rest, "reversed"): count.reversed,
    }


def listed(acme: Workspace) -> Names:
    """The lengths of the lists that they lead to; without those that are empty."""
    found: Names = Counter()
    with unit_of_work(acme.workspace_id) as session:
        now = acme.gateways.clock.now()
        for period in usage.periods(session, now):
            start = period.starts_at
            for name, wanted in _lists(period):
                found[start, name] = length(session, wanted)
                for channel in ("chat", "email"):
                    found[start, channel, name] = length(session, wanted, channel=channel)
                for day in days_of(session, start):
                    found[start, day, name] = length(session, wanted, day=day)
            found[start, "disputed"] = length(session, Filter(period, "disputed"))
            if period.is_current(now):
                found["pending",] = length(session, Filter(period, "pending"))
    return +found


def _lists(period: Period) -> Iterator[tuple[str, Filter]]:
    yield "confirmed", Filter(period, kind="confirmed")
    yield "assumed", Filter(period, kind="assumed")
    yield "reversed", Filter(period, "reversed")


def length(session: Session, wanted: Filter, *, channel: str = "", day: date | None = None) -> int:
    """How many units all pages of a list have."""
    which = Filter(wanted.period, wanted.state, wanted.kind, channel, day)
    total, after = 0, None
    while True:
        page = resolutions.page(session, which, after=after, limit=LIMIT)
        total, after = total + len(page.units), page.further
        if after is None:
            return total
