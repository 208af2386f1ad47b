"""Payment intents as documents: made, changed, and what their errors embed."""

from __future__ import annotations

from typing import Any

from portal.sandbox import methods
from portal.sandbox.errors import StripeError, invalid, missing
from portal.sandbox.events import public
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "payment_intent"
# In the order in which the recorded error names them.
CANCELABLE = (
    "requires_payment_method",
    "requires_capture",
    "requires_reauthorization",
    "requires_confirmation",
    "requires_action",
    "expired",
    "processing",
)
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


UNSET = (
    "allowed_payment_method_types",
    "application",
    "application_fee_amount",
    "automatic_payment_methods",
    "canceled_at",
    "cancellation_reason",
    "customer",
    "customer_account",
    "description",
    "excluded_payment_method_types",
    "last_payment_error",
    "latest_charge",
    "next_action",
    "on_behalf_of",
    "payment_method",
    "payment_method_configuration_details",
    "processing",
    "receipt_email",
    "review",
    "setup_future_usage",
    "shipping",
    "source",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
)


def create(sandbox: Sandbox, amount: int, currency: str, **members: Any) -> Document:
    """Store a payment intent that still needs a payment method, and tell about it."""
    id = sandbox.new_id("pi")
    intent = {
        "id": id,
        "object": "payment_intent",
        "amount": amount,
        "currency": currency,
        **dict.fromkeys(UNSET),
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic",
        "client_secret": sandbox.new_id(f"{id}_secret"),
        "confirmation_method": "automatic",
        "created": sandbox.now(members.get("customer")),
        "livemode": False,
        "metadata": {},
        "payment_method_options": {},
        "payment_method_types": methods.types_for(currency),
        "status": "requires_payment_method",
        **members,
    }
    sandbox.store.put(KIND, intent)
    sandbox.emit("payment_intent.created", intent)
    return intent


def change(sandbox: Sandbox, intent: Document, event: str | None = None, **members: Any) -> Document:
    """Store changed members; `event` is the kind of news this is, if any: `succeeded`, `requires_action` …"""
    intent = {**intent, **members}
    sandbox.store.put(KIND, intent)
    if event:
        sandbox.emit(f"payment_intent.{event}", intent)
    return intent


def find(sandbox: Sandbox, id: str) -> Document:
    """The payment intent that a path names, or Stripe's 404 (recorded)."""
    intent = sandbox.store.get(KIND, id)
    if not intent:
        raise missing("payment_intent", id, "intent")
    return intent


def cancel(sandbox: Sandbox, intent: Document, reason: str | None) -> Document:
    """Cancel an intent that has not succeeded; raises Stripe's recorded error for one that has."""
    if intent["status"] not in CANCELABLE:
        raise unexpected_state(
            sandbox,
            intent,
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a "
            f"PaymentIntent with one of the following statuses may be canceled: {', '.join(CANCELABLE)}.",
        )
    return change(
        sandbox,
        intent,
        "canceled",
        status="canceled",
        canceled_at=sandbox.now(intent["customer"]),
        cancellation_reason=reason,
        amount_capturable=0,
        next_action=None,
    )


def unexpected_state(sandbox: Sandbox, intent: Document, message: str) -> StripeError:
    """The intent's status does not allow the request; the error embeds the intent."""
    error = invalid(message, code="payment_intent_unexpected_state")
    error.extra["payment_intent"] = embedded(sandbox, intent)
    return error


def embedded(sandbox: Sandbox, intent: Document) -> Document:
    """The intent as an error shows it, its payment method (and a failed one) as a whole object."""
    shown = public(intent)
    if intent["payment_method"]:
        shown["payment_method"] = public(sandbox.store.get(methods.KIND, intent["payment_method"]))
    return shown
