"""Lots of credits: opened once by what was paid, and ended by what was given back."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.models import (
    Allowance,
    CreditEntry,
    CreditGrant,
    CreditLot,
    CreditPurchase,
    CreditSum,
    UsagePeriod,
)
from portal.pricing import periods as calendar
from portal.services import subscriptions, usage_periods
from portal.services.ids import new_id

BOUGHT, DRAWN, GIVEN_BACK, LAPSED, RETURNED = "bought", "drawn", "given_back", "lapsed", "returned"
# begins the source of an entry of a billed unit that came back: what its month's invoice took stays taken
OF_UNIT = "unit:"
# why a lot has ended: its money was given back, or a bank took it
REFUNDED, DISPUTED = "refunded", "disputed"
_NUMBER = (
    select(CreditEntry.id)
    .where(
        CreditEntry.workspace_id == CreditLot.workspace_id,
        CreditEntry.lot_id == CreditLot.id,
        CreditEntry.kind == BOUGHT,
    )
    .correlate(CreditLot)
    .scalar_subquery()
)
# how lots are drawn: the one that ends first, and of two that end together the one that was bought first
ORDER = (CreditLot.expires_at, CreditLot.starts_at, _NUMBER)


def open_lot(session: Session, purchase: CreditPurchase) -> CreditLot:
    """The lot of a paid purchase, made now if it is not there; one whatever repeats it.

    It covers whole months of usage: from the open one at the payment to that which contains the day a year
    later.
    """
    found = of_purchase(session, purchase.id)
    if found is not None:
        return found
    paid_at = purchase.paid_at
    subscription = subscriptions.current(session)
    if paid_at is None or subscription is None:
        raise ValueError(f"purchase {purchase.id} is not paid, or has no subscription to pay for")
    usage_periods.lock_newest(session)
    starts_at, expires_at = span(subscriptions.anchor_of(subscription), paid_at)
    lot = CreditLot(
        id=new_id("T"),
        purchase_id=purchase.id,
        units=purchase.units,
        unit_amount=purchase.unit_amount,
        price_id=purchase.price_id,
        starts_at=starts_at,
        expires_at=expires_at,
    )
    session.add(lot)
    session.flush()
    _enter(session, lot, BOUGHT, lot.units, at=paid_at, source=purchase.id)
    changed(session)
    return lot


class Counting(NamedTuple):
    """What a pack goes by that has not been given back."""

    id: str
    expires_at: datetime
    price_id: str


def counting(session: Session) -> list[Counting]:
    """Every pack of the workspace that has not been given back, also those whose year is over."""
    rows = select(CreditLot.id, CreditLot.expires_at, CreditLot.price_id).where(CreditLot.ended_at.is_(None))
    return [Counting(*row) for row in session.execute(rows)]


def of_purchase(session: Session, purchase_id: str) -> CreditLot | None:
    """The lot of a purchase, if it is paid."""
    return session.scalars(select(CreditLot).where(CreditLot.purchase_id == purchase_id)).first()


def place(session: Session, lot: CreditLot) -> int:
    """How many lots that end together with this one are drawn before it."""
    together = select(CreditLot.id).where(CreditLot.expires_at == lot.expires_at).order_by(*ORDER)
    return list(session.scalars(together)).index(lot.id)


def span(anchor: int, at: datetime) -> tuple[datetime, datetime]:
    """From when to when a pack counts that is paid ``at`` that moment, by months counted from ``anchor``.

    They are whole months of usage, a year and the rest of the last one.
    """
    paid = int(at.timestamp())
    start, _ = calendar.containing(anchor, "month", paid)
    _, end = calendar.containing(anchor, "month", calendar.after(paid, "year", 1))
    return datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)


def left(session: Session, lot: CreditLot) -> int:
    """How many of its units nothing has become of yet."""
    total = select(func.coalesce(func.sum(CreditSum.quantity), 0)).where(CreditSum.lot_id == lot.id)
    return int(session.scalar(total) or 0)


def unbilled(session: Session, lot: CreditLot, since: datetime | None = None) -> int:
    """How many units the lot covers in months whose invoice is not final, of those that start ``since``."""
    still_open = select(UsagePeriod.starts_at).where(UsagePeriod.state == usage_periods.OPEN)
    if since is not None:
        still_open = still_open.where(UsagePeriod.starts_at >= since)
    drawn = select(func.coalesce(func.sum(-CreditSum.quantity), 0)).where(
        CreditSum.lot_id == lot.id,
        CreditSum.kind.in_((DRAWN, GIVEN_BACK)),
        CreditSum.period_start.in_(still_open),
    )
    return int(session.scalar(drawn) or 0)


Prices = Mapping[str, Sequence[tuple[datetime | None, Decimal]]]


def prices(session: Session) -> Prices:
    """Of each lot: from which month on a unit was billed at which price, in minor units, the oldest first."""
    first = select(CreditLot.id, CreditPurchase.unit_amount).join(
        CreditPurchase, CreditPurchase.id == CreditLot.purchase_id
    )
    found: dict[str, list[tuple[datetime | None, Decimal]]] = {
        lot_id: [(None, amount)] for lot_id, amount in session.execute(first)
    }
    later = select(CreditGrant.lot_id, CreditGrant.since, CreditGrant.unit_amount)
    order = (CreditGrant.since, CreditGrant.created_at)
    # one that was dropped has come to nothing before its first month was over
    counts = (CreditGrant.since.is_not(None), CreditGrant.state != "dropped")
    for lot_id, since, amount in session.execute(later.where(*counts).order_by(*order)):
        found[lot_id].append((since, amount))
    return found


def price_in(known: Prices, lot_id: str, month: datetime | None) -> Decimal:
    """At which price a lot's units of the month that starts then were billed, in minor units."""
    return [
        amount for since, amount in known[lot_id] if since is None or (month is not None and since <= month)
    ][-1]


_OF_MONTH = CreditSum.kind.in_((DRAWN, GIVEN_BACK)) & (CreditSum.period_start == bindparam("month"))
_COVERING = (
    select(func.coalesce(func.sum(CreditSum.quantity), 0))
    .join(CreditLot, CreditLot.id == CreditSum.lot_id)
    .where(CreditLot.starts_at <= bindparam("month"), CreditLot.expires_at > bindparam("month"), ~_OF_MONTH)
)


def covering(session: Session, month: datetime | None) -> int:
    """How many units of the month that starts then credits pay at most, with those that they have paid."""
    if month is None:
        return 0
    return max(int(session.scalar(_COVERING, {"month": month}) or 0), 0)


def changed(session: Session) -> None:
    """Whoever asks for a unit next looks anew what a cap in money comes to."""
    session.execute(update(Allowance).values(period_end=None))


def granted(session: Session, lot_id: str, grant_id: str, value: int) -> None:
    """Note Stripe's grant for a lot, and what it is worth in minor units."""
    lot = session.scalars(select(CreditLot).where(CreditLot.id == lot_id).with_for_update()).one()
    lot.stripe_credit_grant_id, lot.grant_value = grant_id, value


def take_back(session: Session, lot: CreditLot, units: int, *, source: str, why: str, at: datetime) -> None:
    """Take units that were not used off a lot, once per ``source``; with nothing left the lot has ended.

    Raises ValueError for more than are left.
    """
    lot = session.scalars(select(CreditLot).where(CreditLot.id == lot.id).with_for_update()).one()
    if units > left(session, lot):
        raise ValueError(f"lot {lot.id} has not so many units left")
    _enter(session, lot, RETURNED, -units, at=at, source=source)
    changed(session)
    if left(session, lot) == 0:
        lot.ended_at, lot.ended_why = lot.ended_at or at, why


def _enter(session: Session, lot: CreditLot, kind: str, quantity: int, *, at: datetime, source: str) -> None:
    session.execute(
        insert(CreditEntry)
        .values(lot_id=lot.id, kind=kind, quantity=quantity, at=at, source=source, period_start=lot.starts_at)
        .on_conflict_do_nothing()
    )
