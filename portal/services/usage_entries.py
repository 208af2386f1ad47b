"""The ledger of a period, entry by entry, each with the amount that it adds: together what is billed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.models import UsageEntry
from portal.services import subscriptions, units, usage
from portal.services.usage import Period
from portal.services.usage_prices import RESOLUTION, UsagePrice

PAGE = 2_000
METERED = "meter"


@dataclass(frozen=True)
class Booked:
    """An entry, the unit that it is about, and the minor units that it adds; of a banded price the marginal.

    ``conversation_id`` and ``episode`` are of resolutions only.
    """

    entry: UsageEntry
    conversation_id: str | None
    episode: int | None
    amount: int


@dataclass(frozen=True)
class Entries:
    """One kind of usage in one period; ``price`` None: not known any more, and every amount is 0."""

    workspace_id: int
    period: Period
    key: str
    currency: str
    price: UsagePrice | None

    def pages(self, *, size: int = PAGE) -> Iterator[list[Booked]]:
        """All entries in the order of their being written, some at a time, each in a unit of work of its own.

        An amount is what the running total costs more, so that all of them sum to what is billed for the
        period, whatever is rounded on the way.
        """
        last, total = 0, 0
        while True:
            with unit_of_work(self.workspace_id) as session:
                entries = _after(session, self.period.starts_at, self.key, last, size)
            booked = []
            for entry in entries:
                more = entry.quantity if entry.charge == METERED else 0
                amount = self._amount(total + more) - self._amount(total)
                total += more
                conversation, episode = (
                    units.unit_of(entry.source) if self.key == RESOLUTION else (None, None)
                )
                booked.append(Booked(entry, conversation, episode, amount))
            if booked:
                yield booked
            if len(entries) < size:
                return
            last = entries[-1].id

    def _amount(self, units: int) -> int:
        """What a period with so many units costs; less than none, after reversals, costs nothing."""
        if self.price is None:
            return 0
        return pricing.rate(max(units, 0), self.price.bands, included=self.price.included).amount


def of_period(session: Session, period: Period, key: str) -> Entries:
    """The ledger of ``key`` in ``period``, at the price of its invoice, else of the subscription."""
    subscription = subscriptions.current(session)
    return Entries(
        session.info["workspace_id"],
        period,
        key,
        usage.currency_of(subscription),
        usage.price_in(session, subscription, period, key),
    )


def any_of(session: Session, period: Period, key: str) -> bool:
    """Whether the ledger has anything of ``key`` in the period."""
    statement = select(UsageEntry.id).where(
        UsageEntry.period_start == period.starts_at, UsageEntry.key == key
    )
    return session.scalars(statement.limit(1)).first() is not None


def _after(session: Session, period_start: datetime, key: str, last: int, size: int) -> Sequence[UsageEntry]:
    statement = (
        select(UsageEntry)
        .where(UsageEntry.period_start == period_start, UsageEntry.id > last, UsageEntry.key == key)
        .order_by(UsageEntry.id)
        .limit(size)
    )
    return session.scalars(statement).all()
