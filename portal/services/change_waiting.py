"""Where a change stands, for the page that waits for it: our rows first, then, if asked, Stripe itself."""

from sqlalchemy import select

from portal.db import unit_of_work
from portal.errors import N_
from portal.gateways import Gateways
from portal.models import Attempt, Quote, Subscription
from portal.services import attempts, invoices, quotes, waiting
from portal.services.waiting import PurchaseState as ChangeState

__all__ = ["ChangeState", "state"]

MESSAGES = waiting.MESSAGES | {
    "awaiting_payment": N_("Complete the payment to make the change."),
    "processing": N_(
        "Your payment is on its way. Your bank needs a few days to send it; the change counts from then on."
    ),
    "confirming": N_("Your change is being made. This page updates by itself."),
    "done": N_("Your change is made."),
    "planned": N_("Your change is planned for the renewal."),
    "abandoned": N_("This change was not completed. Nothing was charged."),
}


def state(gateways: Gateways, workspace_id: int, quote_id: str, *, ask_stripe: bool = False) -> ChangeState:
    """How the change of ``quote_id`` stands; with ``ask_stripe`` as Stripe has it, if a webhook is late.

    Raises NotFoundError. A Stripe that does not answer changes nothing: our rows are shown.
    """
    asked = ask_stripe and waiting.ask(gateways, workspace_id, quote_id)
    with unit_of_work(workspace_id) as session:
        quote = quotes.load(session, quote_id, kind=quotes.CHANGE)
        attempt = attempts.of_quote(session, quote_id)
        subscription_id = str((quote.terms or {}).get("subscription"))
        subscription = session.scalars(
            select(Subscription).where(Subscription.stripe_id == subscription_id)
        ).first()
        invoice = None
        if attempt is not None and attempt.stripe_invoice_id:
            invoice = invoices.stored(session, attempt.stripe_invoice_id)
    name = waiting.without_attempt(gateways, quote) if attempt is None else _with_attempt(attempt, quote)
    words = waiting.message(MESSAGES, name, attempt)
    return ChangeState(name, words, quote, attempt, subscription, invoice, asked)


def _with_attempt(attempt: Attempt, quote: Quote) -> str:
    name = waiting.of_attempt(attempt)
    if name is None:
        return "done" if (quote.terms or {}).get("update") else "planned"
    paid_at_once = attempt.collect == "nothing" and name in ("declined", "awaiting_payment")
    return "confirming" if paid_at_once else name
