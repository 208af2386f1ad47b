"""What a bank's dispute of a payment does to the credits that it paid for."""

from functools import partial

from sqlalchemy import select

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
    """Take back what is left of a pack whose payment is disputed; a dispute that was won is support's.

    The disputes of the invoice were just read. Doing it again changes nothing.
    """
    with unit_of_work(workspace_id) as session:
        purchase = states.of_invoice(session, invoice_id)
        if purchase is None:
            return
        rows = [row for row in adjustments.of_invoice(session, invoice_id) if row.kind == adjustments.DISPUTE]
        won = next((row for row in rows if row.status == WON), None)
        if won is not None and purchase.state == states.DISPUTED:
            incidents.report(
                session,
                gateways,
                "credit_dispute_won",
                dedupe_key=f"credit_dispute_won:{won.stripe_id}",
                workspace_id=workspace_id,
                summary=f"The dispute about purchase {purchase.id} is won; decide about its credits",
                details={"purchase": purchase.id, "dispute": won.stripe_id},
            )
    standing = [row for row in rows if row.status != WON and not row.status.startswith(INQUIRY)]
    if standing:
        credit_refunds.charged_back(gateways, workspace_id, invoice_id, reason=standing[0].reason)


def sweep(gateways: Gateways) -> int:
    """Look again at packs that count though their payment is disputed: the dispute may be heard of first."""
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(CreditPurchase.workspace_id, Adjustment.stripe_invoice_id)
            .distinct()
            .join(
                Adjustment,
                (Adjustment.workspace_id == CreditPurchase.workspace_id)
                & (Adjustment.stripe_invoice_id == CreditPurchase.stripe_invoice_id),
            )
            .where(
                CreditPurchase.state.in_(states.HELD),
                Adjustment.kind == adjustments.DISPUTE,
                Adjustment.status != WON,
                Adjustment.status.not_like(f"{INQUIRY}%"),
            )
            .limit(BATCH)
        ).all()
    return turns.give(due, partial(follow, gateways), waits="dispute_waits")
