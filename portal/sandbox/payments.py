"""Where billing meets payment: the intent of an invoice, collecting it, and calling it off."""

from __future__ import annotations

from portal.sandbox import confirmation, intents, methods, payment_methods
from portal.sandbox.confirmation import Outcome
from portal.sandbox.errors import invalid
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

DESCRIPTIONS = {"subscription_create": "Subscription creation", "subscription_update": "Subscription update"}
NO_METHOD = (
    "There is no `default_payment_method` set on this Customer or Invoice. Please set the appropriate "
    "default "
    "payment method before continuing."
)


def new_invoice_intent(sandbox: Sandbox, invoice: Document) -> Document:
    """The payment intent that collects an invoice's amount due; one of a subscription saves the method for
    later.
    """
    subscription = subscription_of(invoice)
    types = invoice["payment_settings"]["payment_method_types"] or methods.types_for(invoice["currency"])
    return intents.create(
        sandbox,
        invoice["amount_due"],
        invoice["currency"],
        customer=invoice["customer"],
        payment_method_types=types,
        description=DESCRIPTIONS.get(invoice["billing_reason"] or "", "Payment for Invoice"),
        setup_future_usage="off_session" if subscription else None,
        _invoice=invoice["id"],
    )


def subscription_of(invoice: Document) -> str | None:
    """The id of the subscription that the invoice bills."""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    return details.get("subscription")


def pay_invoice(
    sandbox: Sandbox, invoice: Document, *, off_session: bool, payment_method: str | None = None
) -> Outcome:
    """Collect an open invoice with the given or the default method.

    The outcome's intent says what came of it (`succeeded`, `processing`, `requires_action`,
    `requires_payment_method`), its error what to answer with. The invoice is told through
    `invoices.payment_…` before this returns, except when there is no method to try.
    """
    intent = sandbox.store.get(intents.KIND, invoice["_payment_intent"]) or new_invoice_intent(
        sandbox, invoice
    )
    if intent["status"] in ("processing", "succeeded"):
        return Outcome(intent)
    chosen = payment_method or default_method(sandbox, invoice)
    if not chosen:
        return Outcome(intent, invalid(NO_METHOD, code="resource_missing"))
    method = payment_methods.usable(sandbox, chosen, invoice["customer"])
    return confirmation.confirm(sandbox, intent, method, on_session=not off_session)


def default_method(sandbox: Sandbox, invoice: Document) -> str | None:
    """The invoice's own method, else the subscription's default, else the customer's."""
    subscription = sandbox.store.get("subscription", subscription_of(invoice) or "") or {}
    customer = sandbox.store.get("customer", invoice["customer"]) or {}
    settings = customer.get("invoice_settings") or {}
    return (
        invoice["default_payment_method"]
        or subscription.get("default_payment_method")
        or settings.get("default_payment_method")
    )


def save_default(sandbox: Sandbox, intent: Document) -> None:
    """Make the method that pays an invoice its subscription's default, where the subscription asks for
    that.
    """
    invoice = sandbox.store.get("invoice", intent["_invoice"])
    before = sandbox.store.get("subscription", subscription_of(invoice) or "") if invoice else None
    settings = (before or {}).get("payment_settings") or {}
    if not before or settings.get("save_default_payment_method") != "on_subscription":
        return
    method = sandbox.store.get(methods.KIND, intent["payment_method"])
    if method and method["customer"] and before["default_payment_method"] != method["id"]:
        subscription = {**before, "default_payment_method": method["id"]}
        sandbox.store.put("subscription", subscription)
        sandbox.emit("customer.subscription.updated", subscription, before)


def cancel_invoice_intent(sandbox: Sandbox, invoice: Document) -> None:
    """Call off the payment of an invoice that was voided."""
    intent = sandbox.store.get(intents.KIND, invoice["_payment_intent"] or "")
    if intent and intent["status"] not in ("succeeded", "canceled"):
        intents.cancel(sandbox, intent, "void_invoice")
