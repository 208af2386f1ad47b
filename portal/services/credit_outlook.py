"""What becomes of the credits that are left: the day they run out, or what lapses of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from portal.models import Subscription
from portal.pricing import advice
from portal.pricing import credits as rules
from portal.pricing import periods as calendar
from portal.services import credit_advice, credits, subscriptions, usage
from portal.services.credits import Balance

DAY = timedelta(days=1)
# from the first lot's first month to the last one's end
MOST_MONTHS = 26


@dataclass(frozen=True)
class Month:
    """A month of usage with the units that are left at its end, or now in the present one."""

    starts_at: datetime
    ends_at: datetime
    left: int
    expected: bool


@dataclass(frozen=True)
class Lapsing:
    """So many units of a lot are expected to be left when it ends, for which ``amount`` was paid."""

    lot_id: str
    units: int
    amount: int
    at: datetime


@dataclass(frozen=True)
class Outlook:
    """``runs_out``: the day on which nothing is expected to be left; None if that is not foreseen.

    ``monthly``: the units that a coming month is expected to have; None while nothing can be said.
    ``ends_at``: when the subscription ends or has ended, if that is before a lot does: what is left then pays
    for nothing.
    """

    months: Sequence[Month]
    monthly: int | None
    runs_out: datetime | None
    lapsing: Sequence[Lapsing]
    ends_at: datetime | None = None


def read(session: Session, balance: Balance) -> Outlook | None:
    """What is foreseen for the entered workspace's lots; None where none is usable or nothing is billed."""
    subscription = subscriptions.current(session) if balance.usable else None
    if subscription is None:
        return None
    start = min(each.lot.starts_at for each in balance.usable)
    end = max(each.lot.expires_at for each in balance.usable)
    months = list(_months(subscriptions.anchor_of(subscription), start, end))
    now = balance.now
    known = [each for each in months if each[0] <= now][-MOST_MONTHS:]
    ends_at = _ends_before(subscription, end)
    coming = [each for each in months if each[1] > now and each[0] < (ends_at or end)][:MOST_MONTHS]
    lefts = credits.left_at(session, [ends_at for _starts_at, ends_at in known])
    # the present month's bar is what is left now: what lapses later has not
    past = [Month(*span, max(left, 0), False) for span, left in zip(known, lefts, strict=True)]
    expected = _expected(session, now, len(coming)) if coming else []
    if not expected:
        return Outlook(past, None, None, (), ends_at)
    uses = list(_by_day(coming, expected, now))
    return replace(_foreseen(balance, past, coming, uses, _monthly(expected)), ends_at=ends_at)


def _ends_before(subscription: Subscription, end: datetime) -> datetime | None:
    ends_at = subscription.ended_at or subscription.cancel_at
    return ends_at if ends_at is not None and ends_at < end else None


def _months(anchor: int, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    at = _seconds(start)
    while at < _seconds(end):
        first, last = calendar.containing(anchor, "month", at)
        yield datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
        at = last


def _expected(session: Session, now: datetime, count: int) -> list[int]:
    """Units still to come in the present month, and in those after it; nothing if nothing can be said."""
    found = usage.read(session, now)
    if found is None or not found.is_current:
        return []
    so_far = max(found.resolutions.count.charged, 0)
    known = advice.since_first_use([month.units for month in credit_advice.history(session, now)])
    forecast = found.resolutions.forecast
    if len(known) >= advice.MIN_MONTHS and any(known):
        year = advice.expect(known).expected
        months = [year[number % len(year)] for number in range(count)]
    elif forecast is not None:
        months = [forecast.units.expected] * count
    else:
        return []
    months[0] = max((forecast.units.expected if forecast else months[0]) - so_far, 0)
    return months


def _monthly(expected: Sequence[int]) -> int:
    """What a whole month is expected to have; of the present one only a part is still to come."""
    whole = expected[1:] or expected
    return sum(whole) // len(whole)


def _by_day(
    months: Sequence[tuple[datetime, datetime]], expected: Sequence[int], now: datetime
) -> Iterator[rules.Use]:
    """The units of each month spread evenly over its days."""
    for (starts_at, ends_at), units in zip(months, expected, strict=True):
        first = max(starts_at, now)
        days = max(-(-(ends_at - first) // DAY), 1)
        for day in range(days):
            share = units * (day + 1) // days - units * day // days
            if share:
                yield rules.Use(_seconds(first + day * DAY), share)


def _foreseen(
    balance: Balance,
    past: Sequence[Month],
    coming: Sequence[tuple[datetime, datetime]],
    uses: Sequence[rules.Use],
    monthly: int,
) -> Outlook:
    usable = {each.lot.id: each for each in balance.usable}
    lots = [
        rules.Lot(
            lot_id, each.left, int(each.lot.expires_at.timestamp()), int(each.lot.starts_at.timestamp())
        )
        for lot_id, each in usable.items()
    ]
    end = max(each.expires_at for each in lots)
    drawn = rules.draw(lots, uses, now=end)
    after = [Month(*span, _left_after(lots, drawn, _seconds(span[1])), True) for span in coming[1:]]
    out = next((use.at for use in drawn.uses if use.by.uncovered), None)
    lapsing = [
        Lapsing(
            each.id,
            each.lapsed,
            usable[each.id].at_stake * each.lapsed // usable[each.id].left,
            usable[each.id].lot.expires_at,
        )
        for each in drawn.lots
        if each.lapsed
    ]
    return Outlook([*past, *after], monthly, datetime.fromtimestamp(out, UTC) if out else None, lapsing)


def _left_after(lots: Sequence[rules.Lot], drawn: rules.DrawDown, end: int) -> int:
    """What is left just before a month's end."""
    used = {each.lot: each.units for each in drawn.between(0, end).lots}
    return sum(lot.units - used.get(lot.id, 0) for lot in lots if lot.expires_at >= end)


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
