"""Getting an invoice paid on request: with a method, out of band, or by sending it."""

from __future__ import annotations

from typing import Any

from portal.sandbox import dunning, invoices, payments
from portal.sandbox.confirmation import Outcome
from portal.sandbox.errors import StripeError, state_error
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

ACTION_REQUIRED = (
    "Payment for this invoice requires additional user action before it can be completed "
    "successfully. Payment can "
    "be completed using the PaymentIntent associated with the invoice. For more details see: "
    "https://stripe.com/docs/billing/subscriptions/overview#requires-action"
)


def pay(sandbox: Sandbox, invoice: Document, params: dict[str, Any]) -> Document:
    """Pay a draft (made final first) or open invoice; raises 402 when the payment does not go through."""
    if invoice["status"] == "paid":
        raise state_error("Invoice is already paid")
    if invoice["status"] == "void":
        raise state_error("This invoice can no longer be paid: it is void.")
    if invoice["status"] == "draft":
        invoice["auto_advance"] = False
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
    """Try to take what is due now, outside the timetable of retries; the invoice as it then is, or a 402."""
    sandbox.store.put(invoices.KIND, invoice)
    outcome = payments.pay_invoice(sandbox, invoice, off_session=off_session, payment_method=payment_method)
    if outcome.error:
        raise outcome.error
    if outcome.status == "requires_action":
        raise StripeError(
            402, "card_error", ACTION_REQUIRED, code="invoice_payment_intent_requires_action", keep=True
        )
    return sandbox.store.get(invoices.KIND, invoice["id"]) or invoice


def _attempt(sandbox: Sandbox, invoice: Document) -> Outcome:
    """One attempt of the timetable's, counted on the invoice."""
    sandbox.store.put(invoices.KIND, {**invoice, "_collecting": True})
    outcome = payments.pay_invoice(sandbox, invoice, off_session=True)
    after = sandbox.store.get(invoices.KIND, invoice["id"])
    assert after
    sandbox.store.put(invoices.KIND, {**after, "_collecting": False})
    return outcome


def advance(sandbox: Sandbox, id: str) -> None:
    """What the clock does with an automatic invoice: make the draft final, then charge; later, try again."""
    invoice = sandbox.store.get(invoices.KIND, id)
    assert invoice
    if invoice["status"] == "draft":
        invoice = _finalize(sandbox, invoice)
    if invoice["status"] == "open" and invoice["collection_method"] == "charge_automatically":
        _retry(sandbox, invoice)


def _finalize(sandbox: Sandbox, invoice: Document) -> Document:
    """Make it final; a missing place for its taxes leaves it a draft and says so."""
    try:
        with sandbox.store.transaction():
            invoice = invoices.finalize(sandbox, invoice)
    except StripeError as error:
        invoice = sandbox.store.get(invoices.KIND, invoice["id"]) or invoice
        invoice["automatically_finalizes_at"] = invoice["next_payment_attempt"] = None
        invoice["last_finalization_error"] = error.body()
        invoice["automatic_tax"]["disabled_reason"] = "finalization_requires_location_inputs"
        sandbox.store.put(invoices.KIND, invoice)
        sandbox.emit("invoice.finalization_failed", invoice)
        return invoice
    if invoice["status"] == "open" and invoice["collection_method"] == "send_invoice":
        sandbox.emit("invoice.sent", invoice)
    return invoice


def _retry(sandbox: Sandbox, invoice: Document) -> None:
    """Charge off session; having no usable method, or none but a hopeless one, counts as a failed attempt."""
    try:
        if payments.default_method(sandbox, invoice) and not dunning.refused_for_good(sandbox, invoice):
            _attempt(sandbox, invoice)
            return
    except StripeError:  # the default method was detached
        pass
    sandbox.store.put(invoices.KIND, {**invoice, "_collecting": True})
    invoices.payment_failed(sandbox, invoice["id"])


def send(sandbox: Sandbox, invoice: Document) -> Document:
    """Send the invoice by mail (no mail leaves the sandbox); a draft is made final first."""
    if invoice["status"] == "draft":
        invoice = invoices.finalize(sandbox, invoice)
    if invoice["status"] == "open":
        sandbox.emit("invoice.sent", invoice)
    return invoice
