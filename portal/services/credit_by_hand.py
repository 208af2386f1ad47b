"""Money for a pack that was given back in Stripe's dashboard: its credits follow, or a person decides.

Where all that was paid came back, what is left of the pack goes, as with a refund of ours. A part says
nothing about units, and a swap's invoice pays for seats too: support is told how to settle it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_
from portal.gateways import Gateways
from portal.models import Adjustment, CreditEntry, CreditLot, CreditPurchase, CreditRefund, Invoice
from portal.services import adjustments, credit_refunds, incidents, turns
from portal.services import credit_purchase_states as states
from portal.services.adjustments import CREDIT_NOTE, NOT_REFUNDED, REFUND, VOID
from portal.services.credit_lots import RETURNED
from portal.services.credit_purchase_kinds import SWAP
from portal.services.credit_refunds import NotRefundableError

log = structlog.get_logger()

BATCH = 100
# what was read longer ago has been told to a person
HEARD_FOR = timedelta(days=3)
# what a credit note of ours is for, by what is noted with it
OURS = ("refund", "unit", "correction")


def follow(gateways: Gateways, workspace_id: int, invoice_id: str) -> None:
    """Let the pack that an invoice pays follow what came back of it by hand; doing it again changes nothing.

    The adjustments of the invoice were just read.
    """
    with unit_of_work(workspace_id) as session:
        purchase = states.of_invoice(session, invoice_id)
        if purchase is None or purchase.state not in states.HELD or not _unsettled(session, invoice_id):
            return
    # a refund is heard of before the credit note that it is a part of
    notes = gateways.stripe.invoices.credit_notes(invoice_id)
    told = {each for note in notes for each in _refunds(note.details)}
    begun = None
    with unit_of_work(workspace_id) as session:
        purchase = states.of_invoice(session, invoice_id)
        given = [each for each in _unsettled(session, invoice_id) if each.stripe_id not in told]
        if purchase is None or purchase.state not in states.HELD or not given:
            return
        if _is_all(session, purchase, given):
            begun = credit_refunds.begin_by_hand(
                session, gateways, purchase.id, given, units=None, reason=None
            )
        else:
            _tell(session, gateways, purchase, given)
    if begun is not None:
        credit_refunds.carry_out(gateways, workspace_id, begun.id)


def settle(
    gateways: Gateways, workspace_id: int, purchase_id: str, *, units: int, reason: str
) -> CreditRefund:
    """Take so many units off a pack for what was given back by hand, the oldest first: support's decision.

    Raises NotRefundableError where nothing was, or for more than are left.
    """
    with unit_of_work(workspace_id) as session:
        purchase = states.locked(session, purchase_id)
        given = _unsettled(session, str(purchase.stripe_invoice_id))
        if purchase.state not in states.HELD or not given:
            raise NotRefundableError(N_("Nothing of this pack was given back by hand that is not settled."))
        begun = credit_refunds.begin_by_hand(
            session, gateways, purchase_id, given[:1], units=units, reason=reason
        )
    return credit_refunds.carry_out(gateways, workspace_id, begun.id)


def take_up(gateways: Gateways, workspace_id: int, refund_id: str) -> CreditRefund:
    """Go on with a refund that is stuck; what was given back by hand since is not given back again."""
    with unit_of_work(workspace_id) as session:
        row = session.scalars(select(CreditRefund).where(CreditRefund.id == refund_id)).one()
        purchase = states.get(session, row.purchase_id)
    # it may have been given back a moment ago
    adjustments.refresh_given_back(gateways, str(purchase.stripe_invoice_id))
    with unit_of_work(workspace_id) as session:
        begun = select(CreditEntry.at).where(CreditEntry.kind == RETURNED, CreditEntry.source == refund_id)
        # Stripe tells seconds
        since = session.scalars(begun).one().replace(microsecond=0)
        found = _unsettled(session, str(purchase.stripe_invoice_id))
        credit_refunds.take_up(session, refund_id, [each for each in found if each.occurred_at >= since])
    return credit_refunds.carry_out(gateways, workspace_id, refund_id)


def _unsettled(session: Session, invoice_id: str) -> Sequence[Adjustment]:
    """What came off the invoice and is neither ours nor settled, oldest first."""
    found = adjustments.of_invoice(session, invoice_id)
    notes = [each for each in found if each.kind == CREDIT_NOTE and each.status != VOID]
    by_hand = [each for each in notes if not any(each.details.get(name) for name in OURS)]
    refunds = [each for each in adjustments.refunded_apart(found) if each.status not in NOT_REFUNDED]
    settled = set(session.scalars(select(CreditRefund.credit_note_id)))
    wanted = [each for each in found if each in by_hand or each in refunds]
    return [each for each in wanted if settled.isdisjoint((each.stripe_id, *_refunds(each.details)))]


def _refunds(details: Mapping[str, object]) -> Sequence[str]:
    """The refunds that a credit note is carried out by."""
    found = details.get("refunds")
    return [str(each) for each in found] if isinstance(found, list) else []


def _is_all(session: Session, purchase: CreditPurchase, given: Sequence[Adjustment]) -> bool:
    total = session.scalar(select(Invoice.total).where(Invoice.stripe_id == purchase.stripe_invoice_id))
    return purchase.kind != SWAP and bool(total) and sum(each.amount for each in given) >= int(total or 0)


def _tell(
    session: Session, gateways: Gateways, purchase: CreditPurchase, given: Sequence[Adjustment]
) -> None:
    for each in given:
        settle = f"flask support purchase settle {purchase.workspace_id} {purchase.id} --units N --reason …"
        incidents.report(
            session,
            gateways,
            "credit_refund_by_hand",
            dedupe_key=f"credit_refund_by_hand:{each.stripe_id}",
            workspace_id=purchase.workspace_id,
            summary=f"Money for purchase {purchase.id} was given back at Stripe by hand; its credits stand",
            details={
                "purchase": purchase.id,
                each.kind: each.stripe_id,
                "amount": each.amount,
                "currency": each.currency,
                # of a swap's invoice only the pack's part, if any, is about units
                "units_of_that_price": _worth(purchase, each),
                "settle": settle,
            },
        )


def _worth(purchase: CreditPurchase, given: Adjustment) -> int:
    """How many units the amount had paid for, before tax."""
    amount = given.amount - int(str(given.details.get("tax") or 0))
    return min(amount * purchase.units // purchase.amount, purchase.units) if purchase.amount else 0


def sweep(gateways: Gateways) -> int:
    """Look again at packs that count though something came off their invoices; it may be heard of first."""
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(CreditPurchase.workspace_id, Adjustment.stripe_invoice_id)
            .distinct()
            .join(
                Adjustment,
                (Adjustment.workspace_id == CreditPurchase.workspace_id)
                & (Adjustment.stripe_invoice_id == CreditPurchase.stripe_invoice_id),
            )
            .join(
                CreditLot,
                (CreditLot.workspace_id == CreditPurchase.workspace_id)
                & (CreditLot.purchase_id == CreditPurchase.id),
            )
            .where(
                CreditPurchase.state.in_(states.HELD),
                Adjustment.kind.in_((CREDIT_NOTE, REFUND)),
                Adjustment.synced_at > func.clock_timestamp() - HEARD_FOR,
            )
            .limit(BATCH)
        ).all()
    return turns.give(due, partial(follow, gateways), waits="refund_by_hand_waits")
