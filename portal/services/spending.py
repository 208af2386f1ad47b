"""What the present usage period costs: billed so far, with what may still be billed, and at its end."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import pricing
from portal.models import Subscription, UsageDay
from portal.services import usage_prices
from portal.services.allowances import State
from portal.services.usage_prices import RESOLUTION


@dataclass(frozen=True)
class Cost:
    """Minor units: ``billed`` so far, ``likely`` with what is pending, ``accrued`` with what is held, too."""

    billed: int
    likely: int
    accrued: int


@dataclass(frozen=True)
class Spent:
    """What a period costs: all that is metered in it, and its resolutions alone."""

    currency: str
    all: Cost
    resolutions: Cost


# how far back the days are looked for that the rest of a period is taken to be like, and their periods
RECENT = timedelta(days=28)
LONGEST_PERIOD = timedelta(days=32)


@dataclass(frozen=True)
class Expected:
    """What a period will have at its end: resolutions, and what all of it costs in minor units."""

    resolutions: int
    cost: int


def so_far(session: Session, subscription: Subscription | None, state: State) -> Spent:
    """What the period of ``state`` costs, at the customer's own prices; nothing before there is one."""
    counted = select(UsageDay.key, func.sum(UsageDay.charged)).where(UsageDay.period_start == state.starts_at)
    units = {key: int(total) for key, total in session.execute(counted.group_by(UsageDay.key))}
    billed = max(units.pop(RESOLUTION, 0), 0)
    # in a trial nothing is charged, so nothing can accrue
    pending, held = (0, 0) if state.trial else (state.pending, state.held)
    resolutions = Cost(
        *(_cost(subscription, RESOLUTION, billed + more) for more in (0, pending, pending + held))
    )
    others = sum(_cost(subscription, key, quantity) for key, quantity in units.items())
    return Spent(
        currency=subscription.currency if subscription else usage_prices.catalog_of(None).currency,
        all=Cost(others + resolutions.billed, others + resolutions.likely, others + resolutions.accrued),
        resolutions=resolutions,
    )


def _cost(subscription: Subscription | None, key: str, units: int) -> int:
    price = usage_prices.of_key(subscription, key)
    return price.amount(units) if price else 0


def expected(
    session: Session, subscription: Subscription | None, state: State, now: datetime
) -> Expected | None:
    """What the period of ``state`` will have at its end, by ``pricing.forecast``; in a trial nothing costs.

    None before a period, and while no whole day is known: what a few hours say alarms without need.
    """
    started = subscription.started_at if subscription else None
    if state.starts_at is None or state.until is None or started is None:
        return None
    today = now.astimezone(UTC).date()
    first = max(started.astimezone(UTC).date() + timedelta(days=1), today - RECENT)
    if first >= today:
        return None
    units, cost = 0, 0
    for key, used, days in _recent(session, state.starts_at, first, today):
        seen = pricing.forecast(
            used,
            days,
            starts_at=int(state.starts_at.timestamp()),
            ends_at=int(state.until.timestamp()),
            now=int(now.timestamp()),
        ).units.expected
        if key == RESOLUTION:
            units = seen
            seen = 0 if state.trial else seen if state.cap is None else min(seen, state.cap)
        cost += _cost(subscription, key, seen)
    return Expected(units, cost)


def _recent(
    session: Session, period_start: datetime, first: date, today: date
) -> list[tuple[str, int, list[int]]]:
    """Of each key: the units of the period so far, and of each whole day from ``first`` to yesterday."""
    rows = session.execute(
        select(UsageDay.key, UsageDay.period_start, UsageDay.day, func.sum(UsageDay.quantity))
        .where(UsageDay.period_start >= period_start - RECENT - LONGEST_PERIOD)
        .group_by(UsageDay.key, UsageDay.period_start, UsageDay.day)
    )
    used: dict[str, int] = defaultdict(int)
    days: dict[str, list[int]] = defaultdict(lambda: [0] * (today - first).days)
    for key, start, day, quantity in rows:
        used[key] += int(quantity) if start == period_start else 0
        if first <= day < today:
            days[key][(day - first).days] += int(quantity)
    return [(key, used[key], days[key]) for key in used]
