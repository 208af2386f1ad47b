"""Annual credits as they are held now, read from our own ledger: each lot, and every entry."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.models import CreditEntry, CreditLot, CreditPurchase, CreditSum, UsagePeriod
from portal.pricing.money import round_half_up
from portal.services.credit_lots import BOUGHT, DRAWN, GIVEN_BACK, LAPSED, OF_UNIT, ORDER, RETURNED
from portal.services.credit_purchase_kinds import SWAP
from portal.services.usage_periods import OPEN

FILE_PAGE = 1000
USABLE, USED_UP, ENDED = "usable", "used_up", "ended"


@dataclass(frozen=True)
class Held:
    """One lot; its units are ``billed`` + ``open`` + ``lapsed`` + ``returned`` + ``left``, always.

    ``billed`` were used in months whose invoices are final, ``open`` in months that are not billed yet.
    Amounts are minor units of ``currency``; ``paid`` is the price of the pack before tax.
    """

    lot: CreditLot
    kind: str
    paid: int
    currency: str
    paid_at: datetime | None
    renews: bool  # another pack is bought when it ends
    invoice_id: str | None
    quote_id: str | None
    billed: int
    open: int
    lapsed: int
    returned: int
    left: int

    @property
    def came_from_seats(self) -> bool:
        """Whether it was bought by a swap, whose page is that of a change."""
        return self.kind == SWAP

    @property
    def bought_at(self) -> datetime:
        """When it was paid."""
        return self.paid_at or self.lot.created_at

    @property
    def used(self) -> int:
        """All that it has covered."""
        return self.billed + self.open

    @property
    def worth(self) -> int:
        """What the units that are left would cost if they were paid by use."""
        numerator, denominator = self.lot.unit_amount.as_integer_ratio()
        return round_half_up(self.left * numerator, denominator)

    @property
    def at_stake(self) -> int:
        """What was paid for the units that are left."""
        return round_half_up(self.paid * self.left, self.lot.units)

    @property
    def state(self) -> str:
        """Whether it pays for what is used now."""
        if self.left:
            return USABLE
        return ENDED if self.lapsed or self.returned else USED_UP


@dataclass(frozen=True)
class Balance:
    """All lots of a workspace ``now``, the one that is drawn first standing first, ended ones last."""

    lots: Sequence[Held]
    now: datetime

    @property
    def usable(self) -> list[Held]:
        """Lots with something left."""
        return [each for each in self.lots if each.left]

    @property
    def left(self) -> int:
        """The units that are left."""
        return sum(each.left for each in self.lots)

    @property
    def worth(self) -> int:
        """What they would cost if they were paid by use, in minor units."""
        return sum(each.worth for each in self.lots)

    @property
    def currency(self) -> str | None:
        """Of the packs; a customer has one."""
        return self.lots[0].currency if self.lots else None


_LOTS = (
    select(CreditLot, CreditPurchase)
    .join(CreditPurchase, CreditPurchase.id == CreditLot.purchase_id)
    .order_by(*ORDER)
)
_OPEN_MONTHS = select(UsagePeriod.starts_at).where(UsagePeriod.state == OPEN)
_UNBILLED = CreditSum.kind.in_((DRAWN, GIVEN_BACK)) & CreditSum.period_start.in_(_OPEN_MONTHS)
_KIND = case((_UNBILLED, OPEN), else_=CreditSum.kind)
_SUMS = select(CreditSum.lot_id, _KIND, func.sum(CreditSum.quantity)).group_by(CreditSum.lot_id, _KIND)


def read(session: Session, now: datetime) -> Balance:
    """The entered workspace's credits; what is left of a lot whose time is over counts as lapsed at once."""
    rows = session.execute(_LOTS).all()
    sums = _sums(session) if rows else {}
    held = [_held(lot, purchase, sums.get(lot.id, {}), now) for lot, purchase in rows]
    return Balance(sorted(held, key=lambda each: each.state != USABLE), now)


def _sums(session: Session) -> dict[str, dict[str, int]]:
    """Of each lot: kind → sum of its entries; ``open`` is what unbilled months have of it."""
    found: dict[str, dict[str, int]] = {}
    for lot_id, name, total in session.execute(_SUMS):
        found.setdefault(lot_id, {})[name] = int(total)
    return found


def _held(lot: CreditLot, purchase: CreditPurchase, sums: dict[str, int], now: datetime) -> Held:
    left = sum(sums.values())
    over = left if lot.expires_at <= now else 0
    return Held(
        lot=lot,
        kind=purchase.kind,
        paid=purchase.amount,
        currency=purchase.currency,
        paid_at=purchase.paid_at,
        renews=purchase.renews,
        invoice_id=purchase.stripe_invoice_id,
        quote_id=purchase.quote_id,
        billed=-(sums.get(DRAWN, 0) + sums.get(GIVEN_BACK, 0)),
        open=-sums.get(OPEN, 0),
        lapsed=-sums.get(LAPSED, 0) + over,
        returned=-sums.get(RETURNED, 0),
        left=left - over,
    )


def entries(session: Session, *, limit: int, before: int | None = None) -> Sequence[CreditEntry]:
    """Entries of all lots, the newest first; ``before``: those that are older than the entry of that id."""
    statement = select(CreditEntry).order_by(CreditEntry.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(CreditEntry.id < before)
    return session.scalars(statement).all()


def every_entry(workspace_id: int, *, size: int = FILE_PAGE) -> Iterator[Sequence[CreditEntry]]:
    """All entries, the oldest first, a page at a time; each page in a transaction of its own."""
    last = 0
    while True:
        with unit_of_work(workspace_id) as session:
            statement = select(CreditEntry).where(CreditEntry.id > last)
            page = session.scalars(statement.order_by(CreditEntry.id).limit(size)).all()
        if page:
            yield page
        if len(page) < size:
            return
        last = page[-1].id


def left_at(session: Session, moments: Sequence[datetime]) -> list[int]:
    """What was left at the end of each month that ended at one of ``moments``."""
    months = (CreditSum.kind.in_((DRAWN, GIVEN_BACK)), ~CreditSum.of_unit)
    used = select(CreditSum.period_start, func.sum(CreditSum.quantity)).where(*months)
    # few rows beside those of usage; a billed unit that came back was used until then
    lots = session.scalars(select(CreditLot.id)).all()
    came_back = (CreditEntry.kind == GIVEN_BACK) & CreditEntry.source.startswith(OF_UNIT)
    others = select(CreditEntry.at, func.sum(CreditEntry.quantity)).where(
        CreditEntry.lot_id.in_(lots), CreditEntry.kind.in_((BOUGHT, LAPSED, RETURNED)) | came_back
    )
    known = [
        (at, int(total))
        for statement in (used.group_by(CreditSum.period_start), others.group_by(CreditEntry.at))
        for at, total in session.execute(statement)
    ]
    return [sum(total for at, total in known if at < moment) for moment in moments]
