"""What the present usage period costs: billed so far, with what may still be billed, and at its end."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.models import Subscription, UsageDay
from portal.pricing.forecast import HOURS
from portal.services import credit_lots, usage, usage_prices
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
    """What a period costs beyond annual credits: all that is metered in it, and its resolutions alone.

    ``free``: resolutions that were above a hard cap, and are the vendor's cost. ``covered``: the units of the
    period that annual credits pay for at most.
    """

    currency: str
    all: Cost
    resolutions: Cost
    free: int
    covered: int = 0


@dataclass(frozen=True)
class Expected:
    """What a period will have at its end: resolutions, and what is charged of all of it in minor units."""

    resolutions: int
    cost: int


def so_far(session: Session, subscription: Subscription | None, state: State) -> Spent:
    """What the period of ``state`` costs, at the customer's own prices; nothing before there is one."""
    sums = (func.sum(UsageDay.charged), func.sum(UsageDay.quantity))
    counted = select(UsageDay.key, *sums).where(UsageDay.period_start == state.starts_at)
    found = {row[0]: (int(row[1]), int(row[2])) for row in session.execute(counted.group_by(UsageDay.key))}
    units = {key: charged for key, (charged, _quantity) in found.items()}
    all_resolutions = found.get(RESOLUTION, (0, 0))[1]
    billed = max(units.pop(RESOLUTION, 0), 0)
    # in a trial nothing is charged, so nothing can accrue
    pending, held = (0, 0) if state.trial else (state.pending, state.held)
    paid = 0 if state.trial else credit_lots.covering(session, state.starts_at)
    price = usage_prices.of_key(subscription, RESOLUTION)
    resolutions = Cost(
        *(price.beyond(billed + more, paid) if price else 0 for more in (0, pending, pending + held))
    )
    others = sum(_cost(subscription, key, quantity) for key, quantity in units.items())
    return Spent(
        currency=subscription.currency if subscription else usage_prices.catalog_of(None).currency,
        all=Cost(others + resolutions.billed, others + resolutions.likely, others + resolutions.accrued),
        resolutions=resolutions,
        free=max(all_resolutions - state.used, 0),
        covered=paid,
    )


def _cost(subscription: Subscription | None, key: str, units: int) -> int:
    price = usage_prices.of_key(subscription, key)
    return price.amount(units) if price else 0


def expected(session: Session, state: State, now: datetime) -> Expected | None:
    """What the present period will have at its end, by the forecast that /usage shows.

    A hard cap keeps the cost below it, too. None before a period, and while no whole day is known: what a few
    hours say alarms without need.
    """
    found = usage.read(session, now)
    if found is None or not found.is_current:
        return None
    seen, capped = found.resolutions.forecast, usage.within(found, state.cap).resolutions.due
    if seen is None or capped is None or seen.basis == HOURS:
        return None
    others = sum(each.due.expected for each in found.others if each.due)
    return Expected(seen.units.expected, capped.expected + others)
