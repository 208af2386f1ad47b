"""Where a purchase of credits stands, for the page that shows its steps: our rows, then, if asked, Stripe."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, NotFoundError
from portal.gateways import Gateways
from portal.models import Attempt, CreditLot, CreditPurchase, CreditRefund, Invoice, Quote
from portal.services import attempts, credit_lots, invoices, quotes, waiting
from portal.services import credit_purchase_states as states

MESSAGES = waiting.MESSAGES | {
    "awaiting_payment": N_("Complete the payment to get the credits."),
    "processing": N_(
        "Your payment is on its way. Your bank needs a few days to send it; the credits are yours then."
    ),
    "done": N_("Your credits are on the balance."),
}


@dataclass(frozen=True)
class PurchaseState:
    """Where a pack stands; ``message`` says ``name`` to the person. ``left``: units of its lot.

    ``asked``: Stripe has just been asked and has answered, so that "not paid" is true and not merely late.
    """

    name: str
    message: str
    quote: Quote
    purchase: CreditPurchase
    attempt: Attempt | None
    invoice: Invoice | None
    lot: CreditLot | None
    left: int
    refunds: tuple[CreditRefund, ...]
    asked: bool = False


def state(gateways: Gateways, workspace_id: int, quote_id: str, *, ask_stripe: bool = False) -> PurchaseState:
    """How the pack of ``quote_id`` stands; with ``ask_stripe`` as Stripe has it, if a webhook is late.

    Raises NotFoundError. A Stripe that does not answer changes nothing: our rows are shown.
    """
    with unit_of_work(workspace_id) as session:
        quotes.load(session, quote_id, kind=quotes.CREDITS)
    asked = ask_stripe and waiting.ask(gateways, workspace_id, quote_id)
    with unit_of_work(workspace_id) as session:
        quote = quotes.load(session, quote_id, kind=quotes.CREDITS)
        attempt = attempts.of_quote(session, quote_id)
        purchase = states.get(session, str((quote.terms or {})["purchase"]))
        lot = credit_lots.of_purchase(session, purchase.id)
        name = _name(gateways, quote, purchase, attempt)
        return PurchaseState(
            name=name,
            message=waiting.message(MESSAGES, name, attempt),
            quote=quote,
            purchase=purchase,
            attempt=attempt,
            invoice=_invoice(session, attempt),
            lot=lot,
            left=credit_lots.left(session, lot) if lot else 0,
            refunds=_refunds(session, purchase),
            asked=asked,
        )


def purchase_of(workspace_id: int, quote_id: str) -> CreditPurchase:
    """The pack that a quote was for, alone or with seats given up for it. Raises NotFoundError."""
    with unit_of_work(workspace_id) as session:
        found = states.of_quote(session, quote_id)
    if found is None:
        raise NotFoundError(N_("There is no such purchase."))
    return found


def _invoice(session: Session, attempt: Attempt | None) -> Invoice | None:
    found = attempt.stripe_invoice_id if attempt else None
    return invoices.stored(session, found) if found else None


def _refunds(session: Session, purchase: CreditPurchase) -> tuple[CreditRefund, ...]:
    statement = select(CreditRefund).where(CreditRefund.purchase_id == purchase.id)
    return tuple(session.scalars(statement.order_by(CreditRefund.created_at)))


def _name(gateways: Gateways, quote: Quote, purchase: CreditPurchase, attempt: Attempt | None) -> str:
    if purchase.paid_at is not None:
        return "done"
    if attempt is None:
        return waiting.without_attempt(gateways, quote)
    return waiting.of_attempt(attempt) or "confirming"
