"""Undoing a purchase that is not wanted any more, without ever losing a payment.

The invoice is voided first: Stripe refuses that once money has moved, so whoever was faster wins there.
"""

from sqlalchemy import select

from portal.db import unit_of_work
from portal.errors import N_, ConflictError
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError
from portal.gateways.stripe_words import Invoice
from portal.models import Attempt
from portal.services import attempt_states as states
from portal.services import incidents, projections

GIVE_BACK = "give_back"

REASONS = {
    "replaced": N_("You chose something else. Nothing was charged."),
    "expired": N_("This purchase was not completed in time. Nothing was charged."),
    "cancelled": N_("You cancelled this purchase. Nothing was charged."),
}


class PaymentUnderWayError(ConflictError):
    """An earlier purchase is being paid or has been; another cannot be started beside it."""

    code = "payment_under_way"

    def __init__(self) -> None:
        super().__init__(
            N_("A payment for an earlier choice is on its way. Wait for it before you buy again.")
        )


def start(workspace_id: int, attempt_id: str, reason: str) -> None:
    """Decide that a claimed attempt is undone, for one of REASONS; committed before Stripe hears of it."""
    with unit_of_work(workspace_id) as session:
        attempt = states.locked(session, attempt_id)
        if attempt.state == states.PROCESSING:
            raise PaymentUnderWayError
        if attempt.step not in states.UNDOING:
            states.advance(session, attempt, states.VOID)
            attempt.error = {"code": reason, "message": REASONS[reason]}


def undo(gateways: Gateways, workspace_id: int, attempt_id: str) -> None:
    """Carry on with undoing a claimed attempt, from whichever step it had reached.

    Raises PaymentUnderWayError when money has moved; the attempt then goes on as if nothing had been said.
    """
    with unit_of_work(workspace_id) as session:
        attempt = session.scalars(select(Attempt).where(Attempt.id == attempt_id)).one()
    if attempt.step == states.VOID:
        if not _voided(gateways, attempt):
            _resume_collecting(gateways, workspace_id, attempt)
            raise PaymentUnderWayError
        with unit_of_work(workspace_id) as session:
            states.advance(session, states.locked(session, attempt_id), states.CANCEL)
    subscription_id = attempt.stripe_subscription_id
    if attempt.state == states.FAILED and _paid_after_all(gateways, attempt):
        _resume_collecting(gateways, workspace_id, attempt)
        return
    if subscription_id is not None:
        gateways.stripe.cancel_subscription(subscription_id, key=f"{attempt_id}:{states.CANCEL}")
        _give_back(gateways, attempt)
        projections.refresh_subscription(gateways, subscription_id)
    end = states.REFUSED if (attempt.error or {}).get("code") == "mismatch" else states.ABANDONED
    states.close(workspace_id, attempt_id, end if attempt.state in states.LIVE else attempt.state)


def _voided(gateways: Gateways, attempt: Attempt) -> bool:
    """Whether nobody can pay any more: the open invoice is void, or no invoice asks for money."""
    if attempt.collect == "setup" or (attempt.collect is None and attempt.stripe_invoice_id is None):
        return _not_set_up(gateways, attempt)
    if attempt.stripe_invoice_id is None:
        return True
    if attempt.stripe_intent_id and _moving(gateways, attempt.stripe_intent_id):
        return False
    try:
        gateways.stripe.void_invoice(attempt.stripe_invoice_id, key=f"{attempt.id}:{states.VOID}")
    except StripeRefusedError:
        invoice = gateways.stripe.invoice(attempt.stripe_invoice_id)
        return invoice.status in ("void", "uncollectible") or _paid_by_nobody(invoice)
    return True


def _paid_by_nobody(invoice: Invoice) -> bool:
    """Whether it was paid as it was made: it is for nothing, or the balance took all of it."""
    return invoice.status == "paid" and not invoice.amount_due


def _give_back(gateways: Gateways, attempt: Attempt) -> None:
    """Put on the balance again what an invoice took of it that asked for no money: it stays paid for good."""
    if attempt.stripe_invoice_id is None:
        return
    invoice = gateways.stripe.invoice(attempt.stripe_invoice_id)
    if not invoice.total or not _paid_by_nobody(invoice):
        return
    # read first, since this may come after Stripe has forgotten the key
    if gateways.stripe.invoices.credit_notes(invoice.id):
        return
    try:
        gateways.stripe.invoices.credit_to_balance(
            invoice.id,
            {line.id: line.amount for line in invoice.lines if line.amount},
            amount=invoice.total,
            memo="This purchase was not completed",
            metadata={"attempt": attempt.id},
            key=f"{attempt.id}:{GIVE_BACK}",
        )
    except StripeRefusedError as refusal:
        _report_kept(gateways, attempt, invoice, refusal)


def _report_kept(gateways: Gateways, attempt: Attempt, invoice: Invoice, refusal: StripeRefusedError) -> None:
    """A person gives it back instead; the purchase ends all the same, so that another can be made."""
    with unit_of_work(attempt.workspace_id) as session:
        incidents.report(
            session,
            gateways,
            "balance_not_given_back",
            dedupe_key=f"balance_not_given_back:{attempt.id}",
            workspace_id=attempt.workspace_id,
            summary=f"Invoice {invoice.number} of a purchase that was given up keeps what the balance paid",
            details={"attempt": attempt.id, "invoice": invoice.id, "refusal": str(refusal)},
        )


def _moving(gateways: Gateways, intent_id: str) -> bool:
    """Whether money is on its way or has come; Stripe may void an invoice while a debit is on its way."""
    return gateways.stripe.payment_intent(intent_id).status in ("processing", "succeeded")


def _paid_after_all(gateways: Gateways, attempt: Attempt) -> bool:
    """The last look before a subscription is ended for want of payment."""
    invoice_id = attempt.stripe_invoice_id
    return invoice_id is not None and gateways.stripe.invoice(invoice_id).status == "paid"


def _not_set_up(gateways: Gateways, attempt: Attempt) -> bool:
    if attempt.stripe_intent_id is None:
        return True
    return gateways.stripe.setup_intent(attempt.stripe_intent_id).status not in ("succeeded", "processing")


def _resume_collecting(gateways: Gateways, workspace_id: int, attempt: Attempt) -> None:
    with unit_of_work(workspace_id) as session:
        row = states.locked(session, attempt.id)
        row.step, row.error = states.COLLECT, None
        row.state = states.AWAITING_PAYMENT
    if attempt.stripe_subscription_id:
        projections.refresh_subscription(gateways, attempt.stripe_subscription_id)
