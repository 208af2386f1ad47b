"""Getting an invoice paid on request: with a method, out of band, or by sending it."""

from __future__ import annotations

from typing import Any

from portal.sandbox import invoices, payments
from portal.sandbox.errors import StripeError, state_error
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

ACTION_REQUIRED = (
    "Payment for this invoice requires additional user action before it can be completed successfully. Payment can "
    "be completed using the PaymentIntent associated with the invoice. For more details see: "
    "https://stripe.com/docs/billing/subscriptions/overview#requires-action"
)


def pay(sandbox: Sandbox, invoice: Document, params: dict[str, Any]) -> Document:
    """Pay a draft (made final first) or open invoice; raises 402 when the payment does not go through."""
    if invoice["status"] == "paid":
        raise state_error("Invoice is already paid")
    if invoice["status"] == "void":
        raise state_error("This invoice can no longer be paid: it is void.")
    invoice["auto_advance"] = False
    if invoice["status"] == "draft":
        invoice = invoices.finalize(sandbox, invoice)
    if invoice["status"] == "paid":
        return invoice
    if params.get("paid_out_of_band"):
        payments.cancel_invoice_intent(sandbox, invoice)
        return invoices.close(sandbox, invoice, amount_paid=invoice["amount_due"], attempted=False)
    return charge(
        sandbox,
        invoice,
        off_session=params.get("off_session", True),
        payment_method=params.get("payment_method"),
    )


def charge(
    sandbox: Sandbox, invoice: Document, *, off_session: bool, payment_method: str | None = None
) -> Document:
    """Try to take what is due now; the invoice as it then is, or Stripe's 402."""
    invoice["_collecting"] = True
    sandbox.store.put(invoices.KIND, invoice)
    outcome = payments.pay_invoice(sandbox, invoice, off_session=off_session, payment_method=payment_method)
    invoice = sandbox.store.get(invoices.KIND, invoice["id"]) or invoice
    invoice["_collecting"] = False
    sandbox.store.put(invoices.KIND, invoice)
    if outcome.error:
        raise outcome.error
    if outcome.status == "requires_action":
        raise StripeError(
            402, "card_error", ACTION_REQUIRED, code="invoice_payment_intent_requires_action", keep=True
        )
    return invoice


def send(sandbox: Sandbox, invoice: Document) -> Document:
    """Send the invoice by mail (no mail leaves the sandbox); a draft is made final first."""
    if invoice["status"] == "draft":
        invoice = invoices.finalize(sandbox, invoice)
    if invoice["status"] == "open":
        sandbox.emit("invoice.sent", invoice)
    return invoice
