"""What hangs on a customer: payment methods, the default one, subscriptions."""

from __future__ import annotations

from typing import Any

from portal.sandbox import lists
from portal.sandbox.errors import missing
from portal.sandbox.expansion import expandable
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document


def attach(sandbox: Sandbox, customer: Document, method_id: str) -> None:
    """Attach the payment method given at creation."""
    from portal.sandbox import payment_methods

    method = payment_methods.usable(sandbox, method_id, None)
    payment_methods.attach(sandbox, method, customer["id"])


def check_default(sandbox: Sandbox, customer: Document, method_id: str | None) -> None:
    """Refuse a default payment method that is not attached to this customer."""
    if method_id is None or method_id == customer["invoice_settings"]["default_payment_method"]:
        return
    param = "invoice_settings[default_payment_method]"
    method = sandbox.store.get("payment_method", method_id)
    if method is None:
        raise missing("PaymentMethod", method_id, param, status=400)
    if method["customer"] != customer["id"]:
        error = missing("PaymentMethod", method_id, param, status=400)
        error.message = (
            f"The customer does not have a payment method with the ID {method_id}. "
            "The payment method must be attached to the customer."
        )
        raise error


def end_subscriptions(sandbox: Sandbox, customer: str) -> None:
    """Cancel what the customer subscribes to, as Stripe does when a customer is deleted."""
    from portal.sandbox import ending

    for subscription in sandbox.store.find("subscription", customer=customer):
        if subscription["status"] not in ("canceled", "incomplete_expired"):
            ending.cancel_now(sandbox, subscription)


def detach_all(sandbox: Sandbox, customer: str) -> None:
    """Take the customer's payment methods away; they cannot be used again."""
    for method in sandbox.store.find("payment_method", customer=customer):
        after = {**method, "customer": None, "_spent": True}
        sandbox.store.put("payment_method", after)
        sandbox.emit("payment_method.detached", after, method)


@expandable("customer", "subscriptions")
def subscriptions(sandbox: Sandbox, customer: Document) -> Any:
    """The customer's subscriptions that have not ended."""
    running = sandbox.store.find(
        "subscription",
        lambda row: row["status"] not in ("canceled", "incomplete_expired"),
        customer=customer["id"],
    )
    return lists.embedded(running, f"/v1/customers/{customer['id']}/subscriptions")


@expandable("customer", "sources")
def sources(sandbox: Sandbox, customer: Document) -> Any:
    """Sources are Stripe's old way to keep cards; a customer here has none."""
    return lists.embedded([], f"/v1/customers/{customer['id']}/sources")


@expandable("customer", "invoice_credit_balance")
def credit_balance(sandbox: Sandbox, customer: Document) -> Any:
    """The balance by currency."""
    return {customer["currency"]: customer["balance"]} if customer["currency"] else {}
