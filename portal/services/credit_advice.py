"""Which pack suits the entered workspace: its own months of usage, played once more with each of them.

Nothing is bought or asked of Stripe here; ``portal.pricing.advice`` does the sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from portal.models import UsageDay, UsagePeriod
from portal.pricing import advice
from portal.pricing import periods as calendar
from portal.services import credit_purchases
from portal.services.credit_quotes import Buyer
from portal.services.credits import Balance
from portal.services.usage_prices import RESOLUTION

# a month that was cut short by the end of its subscription says nothing about a whole one
SHORTEST_MONTH = timedelta(days=28)
SUGGESTED_UNITS = 600
SECOND = timedelta(seconds=1)
# a twelfth of a year, in seconds
MONTH = 365 * 24 * 3600 // 12


@dataclass(frozen=True)
class UsedMonth:
    """A whole month of usage, [starts_at, ends_at), with the resolutions that were charged in it."""

    starts_at: datetime
    ends_at: datetime
    units: int


@dataclass(frozen=True)
class Advised:
    """What the ``months``, the oldest first, say about packs at the price that the ``buyer`` has.

    ``enough_at``: when so many months are complete that something can be advised, None if they are, or if no
    month is open.
    """

    months: Sequence[UsedMonth]
    found: advice.Advice
    buyer: Buyer
    least: int
    enough_at: datetime | None

    @property
    def currency(self) -> str:
        """What packs are paid in."""
        return self.buyer.currency

    @property
    def unit_amount(self) -> Decimal:
        """The workspace's own price of a resolution."""
        return self.buyer.unit_amount

    @property
    def suggested(self) -> int:
        """How many units to begin with where nobody has said how many."""
        best = self.found.recommended
        return best.pack.units if best and best.pack else max(self.least, SUGGESTED_UNITS)


def advise(session: Session, balance: Balance) -> Advised:
    """What packs would come to for the entered workspace, at its own price and with its own history.

    Raises NoSubscriptionForCreditsError, SubscriptionEndsError, NoPacksError.
    """
    buyer = credit_purchases.buyer(session)
    months = history(session, balance.now)
    found = advice.advise(
        [month.units for month in months],
        catalog=buyer.catalog,
        unit_amount=buyer.unit_amount,
        held=[
            advice.Left(each.left, Fraction((each.lot.expires_at - balance.now) // SECOND, MONTH))
            for each in balance.usable
        ],
    )
    sold = buyer.catalog.credits
    least = sold.minimum if sold else 0
    return Advised(months, found, buyer, least, _enough_at(session, balance.now, found.months))


_OVER = (
    select(UsagePeriod)
    .where(UsagePeriod.ends_at <= bindparam("now"), ~UsagePeriod.trial)
    .order_by(UsagePeriod.starts_at.desc())
    .limit(advice.RECENT_MONTHS)
)
_RUNNING = (
    select(UsagePeriod.starts_at, UsagePeriod.ends_at)
    .where(UsagePeriod.ends_at > bindparam("now"), ~UsagePeriod.trial)
    .order_by(UsagePeriod.starts_at)
    .limit(1)
)


def history(session: Session, now: datetime) -> list[UsedMonth]:
    """The last whole months that follow each other without a gap, the oldest first; none of a trial."""
    periods = session.scalars(_OVER, {"now": now}).all()
    row: list[UsagePeriod] = []
    for period in periods:
        gap = bool(row) and period.ends_at != row[-1].starts_at
        if gap or period.ends_at - period.starts_at < SHORTEST_MONTH:
            break
        row.append(period)
    used = _charged(session, [period.starts_at for period in row]) if row else {}
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
    opened = session.execute(_RUNNING, {"now": now}).first()
    if opened is None:
        return None
    start = int(opened.starts_at.timestamp())
    return datetime.fromtimestamp(calendar.after(start, "month", missing), UTC)
