"""What a bank's dispute of a payment does to the credits that it paid for."""

from functools import partial

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Adjustment, CreditPurchase
from portal.services import adjustments, credit_refunds, incidents, turns
from portal.services import credit_purchase_states as states

# Stripe's word for an inquiry, which moves no money yet
INQUIRY = "warning_"
WON = "won"
BATCH = 100


def follow(gateways: Gateways, workspace_id: int, invoice_id: str) -> None:
    """Take back what is left of a pack whose payment is disputed, and give it again when that is won.

    The disputes of the invoice were just read. Doing it again changes nothing.
    """
    with unit_of_work(workspace_id) as session:
        purchase = states.of_invoice(session, invoice_id)
        if purchase is None:
            return
        rows = [row for row in adjustments.of_invoice(session, invoice_id) if row.kind == adjustments.DISPUTE]
        won = next((row for row in rows if row.status == WON), None)
        standing = [row for row in rows if row.status != WON and not row.status.startswith(INQUIRY)]
        if won is not None and not standing and purchase.state == states.DISPUTED:
            credit_refunds.give_again(session, gateways, purchase.id, dispute_id=won.stripe_id)
        if standing and purchase.state in states.HELD and won is not None:
            _tell_of_another(session, gateways, purchase, standing[0])
    if standing:
        credit_refunds.charged_back(gateways, workspace_id, invoice_id, reason=standing[0].reason)


def _tell_of_another(
    session: Session, gateways: Gateways, purchase: CreditPurchase, dispute: Adjustment
) -> None:
    """What one dispute took was given again; a second one about the same payment is for a person."""
    incidents.report(
        session,
        gateways,
        "credit_disputed_again",
        dedupe_key=f"credit_disputed_again:{dispute.stripe_id}",
        workspace_id=purchase.workspace_id,
        summary=f"Purchase {purchase.id} is disputed again after a dispute was won; its credits stand",
        details={"purchase": purchase.id, "dispute": dispute.stripe_id},
    )


def sweep(gateways: Gateways) -> int:
    """Look again at packs whose state is not that of the dispute: it may be heard of before the payment."""
    lost = (
        CreditPurchase.state.in_(states.HELD)
        & (Adjustment.status != WON)
        & Adjustment.status.not_like(f"{INQUIRY}%")
    )
    won = (CreditPurchase.state == states.DISPUTED) & (Adjustment.status == WON)
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(CreditPurchase.workspace_id, Adjustment.stripe_invoice_id)
            .distinct()
            .join(
                Adjustment,
                (Adjustment.workspace_id == CreditPurchase.workspace_id)
                & (Adjustment.stripe_invoice_id == CreditPurchase.stripe_invoice_id),
            )
            .where(Adjustment.kind == adjustments.DISPUTE, or_(lost, won))
            .limit(BATCH)
        ).all()
    return turns.give(due, partial(follow, gateways), waits="dispute_waits")
