"""What the present usage period costs so far: billed, and with what may still be billed."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

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
