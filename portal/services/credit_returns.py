"""Billed units that come back and that annual credits paid: they return to their pack, and count again.

What Stripe took out of a grant for them stays taken, since no credit note gives it back; so there is a grant
of its own for what they cost. Units that come back before it is asked for share it. Of a voided invoice
Stripe puts all that it took back to where it was, also what such a grant stands for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.models import CreditGrant, CreditLot, CreditRefund
from portal.services import audit, credit_further_grants, credit_ledger, credit_lots, credit_repricing
from portal.services.credit_further_grants import DROPPED, EXTENDED, OPEN, REPLACING, RETURNED


@dataclass(frozen=True)
class Back:
    """The lot that units went to, and our row of the grant that pays for them; none where it has ended."""

    lot_id: str
    grant_id: str | None


def take_in(session: Session, gateways: Gateways, month: datetime, units: int, *, of: str) -> Back | None:
    """Return units that the month's invoice billed to their lot, and ask for their grant; once per ``of``.

    In a lot that has ended they end with it. None when no lot paid for them.
    """
    now = gateways.clock.now()
    lot = credit_ledger.take_back(session, month, units, of=of, at=now)
    if lot is None:
        return None
    usable = lot.ended_at is None and now < lot.expires_at
    row = _asked(session, gateways, lot, units, of) if usable else None
    facts: dict[str, object] = {"lot": lot.id, "units": units, "usable": usable}
    audit.record(session, "credit.unit_returned", actor=audit.SYSTEM, after=facts)
    credit_lots.changed(session)
    # what the open months have beyond their packs takes it
    credit_ledger.follow(session, at=now)
    return Back(lot.id, row.id if row else None)


def _asked(session: Session, gateways: Gateways, lot: CreditLot, units: int, of: str) -> CreditGrant:
    """The grant that pays for the units: one that was not asked for yet, or another."""
    waiting = session.scalars(
        select(CreditGrant)
        .where(
            CreditGrant.lot_id == lot.id,
            CreditGrant.state == OPEN,
            CreditGrant.tried_at.is_(None),
            CreditGrant.kind.in_((RETURNED, *REPLACING)),
        )
        .order_by(CreditGrant.created_at.desc())
        .limit(1)
        .with_for_update()
    ).first()
    if waiting is None:
        return credit_further_grants.want(session, gateways, lot, RETURNED, units, source=of)
    if waiting.kind == RETURNED:
        waiting.units += units
    return waiting


def void(session: Session, gateways: Gateways, months: Sequence[datetime], *, invoice_id: str) -> None:
    """Give back what a voided invoice took for these months, and have Stripe's grants come to as much.

    What Stripe puts back is too much where units had come back before, and lost where its grant has ended:
    a lot with other grants than its first one gets one for all that it has.
    """
    now = gateways.clock.now()
    found = [
        lot for month in months for lot in credit_ledger.give_back(session, month, source=invoice_id, at=now)
    ]
    if not found:
        return
    for lot in {lot.id: lot for lot in found}.values():
        if lot.ended_at is None and now < lot.expires_at and not _has_one_grant(session, lot):
            credit_repricing.replace(session, gateways, lot, source=invoice_id)
    credit_lots.changed(session)
    # what the open months have beyond their packs takes it
    credit_ledger.follow(session, at=now)


def _has_one_grant(session: Session, lot: CreditLot) -> bool:
    further = select(CreditGrant.id).where(
        CreditGrant.lot_id == lot.id, CreditGrant.state != DROPPED, CreditGrant.kind != EXTENDED
    )
    refunds = select(CreditRefund.id).where(CreditRefund.purchase_id == lot.purchase_id)
    return all(session.scalar(each.limit(1)) is None for each in (further, refunds))
