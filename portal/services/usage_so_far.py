"""The present period in a few numbers, for pages that only mention it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from portal.models import Subscription, UsageDay
from portal.services import credit_covers, usage, usage_prices
from portal.services.usage import Period
from portal.services.usage_prices import RESOLUTION


@dataclass(frozen=True)
class SoFar:
    """Resolutions, how many of them packs pay for, and what is charged of all usage, in minor units."""

    period: Period
    resolutions: int
    by_packs: int
    to_pay: int


_SUMS = (
    select(UsageDay.key, func.sum(UsageDay.quantity), func.sum(UsageDay.charged))
    .where(UsageDay.period_start == bindparam("month"))
    .group_by(UsageDay.key)
)


def read(session: Session, now: datetime, subscription: Subscription | None) -> SoFar | None:
    """The numbers without days, channels and forecast; None where nothing is counted now."""
    period = usage.find(session, now)
    if period is None or not period.is_current(now):
        return None
    shares = credit_covers.shares(session, [period.starts_at]).get(period.starts_at, [])
    covered = sum(each.units for each in shares)
    to_pay = resolutions = 0
    for key, quantity, charged in session.execute(_SUMS, {"month": period.starts_at}):
        price = usage_prices.of_key(subscription, key)
        paid = covered if key == RESOLUTION else 0
        to_pay += price.beyond(max(int(charged), 0), paid) if price else 0
        resolutions += int(quantity) if key == RESOLUTION else 0
    return SoFar(period, resolutions, covered, to_pay)
