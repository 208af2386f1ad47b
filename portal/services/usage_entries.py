"""The ledger of a period, entry by entry, each with what it adds and what pays for it: together the bill."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.models import Resolution, UsageEntry
from portal.services import credit_covers, subscriptions, units, usage
from portal.services.credit_covers import NOTHING, Cover, Pack
from portal.services.usage import Period
from portal.services.usage_prices import RESOLUTION, UsagePrice

PAGE = 2_000
METERED = "meter"

Unit = tuple[str, int]


@dataclass(frozen=True)
class Booked:
    """An entry, the unit that it is about, and the minor units that it adds; of a banded price the marginal.

    ``conversation_id`` and ``episode`` are of resolutions only. ``pack`` pays for it, or has it back; where
    none does, all of ``amount`` is ``to_pay``.
    """

    entry: UsageEntry
    conversation_id: str | None
    episode: int | None
    amount: int
    to_pay: int
    pack: Pack | None = None


@dataclass
class _Sums:
    """Running sums of what is charged: units, and those of them that are paid by use."""

    units: int = 0
    by_use: int = 0


@dataclass(frozen=True)
class Entries:
    """One kind of usage in one period; ``price`` None: not known any more, and every amount is 0."""

    workspace_id: int
    period: Period
    key: str
    currency: str
    price: UsagePrice | None
    cover: Cover = field(default=NOTHING)

    def pages(self, *, size: int = PAGE) -> Iterator[list[Booked]]:
        """All entries in the order of their being written, some at a time, each in a unit of work of its own.

        An amount is what the running total costs more, so that all of them sum to what is billed for the
        period, whatever is rounded on the way; and what is to be paid of them to that without credits.
        """
        last, sums = 0, _Sums()
        while True:
            with unit_of_work(self.workspace_id) as session:
                entries = _after(session, self.period.starts_at, self.key, last, size)
                places = self._places(session, entries)
            if entries:
                yield [self._booked(entry, sums, places) for entry in entries]
            if len(entries) < size:
                return
            last = entries[-1].id

    def _booked(self, entry: UsageEntry, sums: _Sums, places: Mapping[Unit, datetime]) -> Booked:
        conversation, episode = units.unit_of(entry.source) if self.key == RESOLUTION else (None, None)
        charged = entry.charge == METERED
        pack = self._pack(entry, sums, places) if charged else None
        more = entry.quantity if charged else 0
        before = self._amount(sums.units), self._to_pay(sums)
        sums.units += more
        sums.by_use += 0 if pack else more
        amount, to_pay = self._amount(sums.units) - before[0], self._to_pay(sums) - before[1]
        return Booked(entry, conversation, episode, amount, to_pay, pack)

    def _pack(self, entry: UsageEntry, sums: _Sums, places: Mapping[Unit, datetime]) -> Pack | None:
        if not self.cover.tells:
            return self.cover.at(sums.units + max(entry.quantity, 0))
        if not self.cover.ends:
            return self.cover.rest
        unit = units.unit_of(entry.source)
        return self.cover.of((places[unit], *unit)) if unit in places else self.cover.rest

    def _places(self, session: Session, entries: Sequence[UsageEntry]) -> dict[Unit, datetime]:
        """When the units of some entries were counted, of those that stand in this period."""
        if not self.cover.ends:
            return {}
        wanted = {units.unit_of(entry.source) for entry in entries}
        rows = session.execute(
            select(Resolution.conversation_id, Resolution.episode, Resolution.counted_at).where(
                tuple_(Resolution.conversation_id, Resolution.episode).in_(wanted),
                Resolution.period_start == self.period.starts_at,
                Resolution.counted_at.is_not(None),
            )
        )
        return {(conversation, episode): at for conversation, episode, at in rows if at is not None}

    def _amount(self, units: int) -> int:
        """What a period with so many units costs; less than none, after reversals, costs nothing."""
        if self.price is None:
            return 0
        return pricing.rate(max(units, 0), self.price.bands, included=self.price.included).amount

    def _to_pay(self, sums: _Sums) -> int:
        return self._amount(sums.units) - self._amount(sums.units - sums.by_use)


def of_period(session: Session, period: Period, key: str) -> Entries:
    """The ledger of ``key`` in ``period``, at the price of its invoice, else of the subscription."""
    subscription = subscriptions.current(session)
    return Entries(
        session.info["workspace_id"],
        period,
        key,
        usage.currency_of(subscription),
        usage.price_in(session, subscription, period, key),
        credit_covers.of_month(session, period.starts_at) if key == RESOLUTION else NOTHING,
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
