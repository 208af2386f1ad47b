"""Which pack suits the entered workspace: its own months of usage, played once more with each of them.

Nothing is bought or asked of Stripe here; ``portal.pricing.advice`` does the sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.models import UsageDay, UsagePeriod
from portal.pricing import advice, packs
from portal.pricing import periods as calendar
from portal.services import credit_purchases, credits
from portal.services.usage_prices import RESOLUTION

# a month that was cut short by the end of its subscription says nothing about a whole one
SHORTEST_MONTH = timedelta(days=28)
SUGGESTED_UNITS = 600


@dataclass(frozen=True)
class UsedMonth:
    """A whole month of usage, [starts_at, ends_at), with the resolutions that were charged in it."""

    starts_at: datetime
    ends_at: datetime
    units: int


@dataclass(frozen=True)
class Advised:
    """What the ``months``, the oldest first, say about packs at the price ``unit_amount`` (minor units).

    ``enough_at``: when so many months are complete that something can be advised, None if they are, or if no
    month is open.
    """

    months: Sequence[UsedMonth]
    found: advice.Advice
    currency: str
    unit_amount: Decimal
    least: int
    enough_at: datetime | None

    @property
    def suggested(self) -> int:
        """How many units to begin with where nobody has said how many."""
        best = self.found.recommended
        return best.pack.units if best and best.pack else max(self.least, SUGGESTED_UNITS)


def advise(session: Session, gateways: Gateways) -> Advised:
    """What packs would come to for the entered workspace, at its own price and with its own history.

    Raises NoSubscriptionForCreditsError, SubscriptionEndsError, NoPacksError.
    """
    held = credit_purchases.buyer(session)
    now = gateways.clock.now()
    months = history(session, now)
    found = advice.advise(
        [month.units for month in months],
        catalog=held.catalog,
        unit_amount=held.unit_amount,
        held=credits.read(session, now).left,
    )
    sold = held.catalog.credits
    return Advised(
        months,
        found,
        held.currency,
        held.unit_amount,
        sold.minimum if sold else 0,
        _enough_at(session, now, found.months),
    )


def price(session: Session, units: int) -> packs.Offer:
    """What so many units cost the entered workspace, and a larger pack if that costs no more.

    Raises pricing.PricingError (param ``units``) and what ``advise`` raises.
    """
    return credit_purchases.buyer(session).offer(units)


def history(session: Session, now: datetime) -> list[UsedMonth]:
    """The last whole months that follow each other without a gap, the oldest first; none of a trial."""
    periods = session.scalars(
        select(UsagePeriod)
        .where(UsagePeriod.ends_at <= now, ~UsagePeriod.trial)
        .order_by(UsagePeriod.starts_at.desc())
        .limit(advice.RECENT_MONTHS)
    ).all()
    row: list[UsagePeriod] = []
    for period in periods:
        gap = bool(row) and period.ends_at != row[-1].starts_at
        if gap or period.ends_at - period.starts_at < SHORTEST_MONTH:
            break
        row.append(period)
    used = _charged(session, [period.starts_at for period in row])
    # what is taken back later may leave a month with less than nothing
    return [
        UsedMonth(each.starts_at, each.ends_at, max(used.get(each.starts_at, 0), 0)) for each in reversed(row)
    ]


def _charged(session: Session, starts: Sequence[datetime]) -> dict[datetime, int]:
    """The resolutions of each period that cost something or a credit, from the ledger's rollup."""
    rows = session.execute(
        select(UsageDay.period_start, func.sum(UsageDay.charged))
        .where(UsageDay.period_start.in_(starts), UsageDay.key == RESOLUTION)
        .group_by(UsageDay.period_start)
    )
    return {start: int(units) for start, units in rows}


def _enough_at(session: Session, now: datetime, known: int) -> datetime | None:
    missing = advice.MIN_MONTHS - known
    if missing <= 0:
        return None
    opened = session.execute(
        select(UsagePeriod.starts_at, UsagePeriod.ends_at)
        .where(UsagePeriod.ends_at > now, ~UsagePeriod.trial)
        .order_by(UsagePeriod.starts_at)
    ).first()
    if opened is None:
        return None
    start = int(opened.starts_at.timestamp())
    return datetime.fromtimestamp(calendar.after(start, "month", missing), UTC)
