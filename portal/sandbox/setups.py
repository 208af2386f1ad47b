"""Setup intents as documents, and what happens when one is confirmed: saved, declined, 3-D Secure,
redirected.
"""

from __future__ import annotations

from typing import Any

from portal.sandbox import mandates, methods, payment_methods
from portal.sandbox.cards import NEVER
from portal.sandbox.confirmation import (
    CARD_NOT_AUTHENTICATED,
    REDIRECT_NOT_AUTHORISED,
    Outcome,
    page_address,
)
from portal.sandbox.declines import card_error
from portal.sandbox.errors import StripeError, invalid, missing
from portal.sandbox.events import public
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "setup_intent"
ATTEMPT = "setup_attempt"
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
AUTHENTICATION_FAILED = "setup_intent_authentication_failure"
PLAIN_CARD = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4")


def create(sandbox: Sandbox, **members: Any) -> Document:
    """Store a setup intent that still needs a payment method, and tell about it.

    The usage is off_session unless told otherwise. Private members (`_subscription`) stay on the document.
    """
    id = sandbox.new_id("seti")
    intent = {
        "id": id,
        "object": "setup_intent",
        "allowed_payment_method_types": None,
        "application": None,
        "attach_to_self": False,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": sandbox.new_id(f"{id}_secret"),
        "created": sandbox.now(members.get("customer")),
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": list(methods.TYPES),
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": "off_session",
        **members,
    }
    sandbox.store.put(KIND, intent)
    sandbox.emit("setup_intent.created", intent)
    return intent


def change(sandbox: Sandbox, intent: Document, event: str | None = None, **members: Any) -> Document:
    """Store changed members; `event` is the kind of news this is, if any."""
    intent = {**intent, **members}
    sandbox.store.put(KIND, intent)
    if event:
        sandbox.emit(f"setup_intent.{event}", intent)
    return intent


def find(sandbox: Sandbox, id: str) -> Document:
    """The setup intent that a path names, or Stripe's 404 (recorded)."""
    intent = sandbox.store.get(KIND, id)
    if not intent:
        raise missing("setupintent", id, "intent")
    return intent


def unexpected_state(intent: Document, message: str) -> StripeError:
    """The intent's status does not allow the request; the error embeds the intent."""
    error = invalid(message, code="setup_intent_unexpected_state")
    error.extra["setup_intent"] = public(intent)
    return error


def confirm(
    sandbox: Sandbox, intent: Document, method: Document, *, dialog: bool, return_url: str | None
) -> Outcome:
    """Try to save a method for later; `dialog` says that 3-D Secure can be shown in place."""
    intent = change(
        sandbox,
        intent,
        payment_method=method["id"],
        last_setup_error=None,
        next_action=None,
        _authenticated=False,
    )
    card = methods.test_card(method)
    if card and card.decline:
        return _fail(sandbox, intent, method, card_error(card.decline))
    if card and card.authentication != NEVER:
        address = page_address(sandbox, "challenge", intent)
        if dialog or not return_url:
            details = {"type": "three_d_secure_redirect", "stripe_js": address}
            return _wait(sandbox, intent, {"type": "use_stripe_sdk", "use_stripe_sdk": details})
        return _wait(sandbox, intent, _leave(return_url, address))
    if method["type"] in methods.REDIRECTING:
        if not return_url:
            message = "You must provide a `return_url` when confirming using this payment method type."
            return Outcome(intent, invalid(message, "return_url"))
        return _wait(sandbox, intent, _leave(return_url, page_address(sandbox, "authorize", intent)))
    return _succeed(sandbox, intent, method)


def _leave(return_url: str, address: str) -> Document:
    return {"redirect_to_url": {"return_url": return_url, "url": address}, "type": "redirect_to_url"}


def _wait(sandbox: Sandbox, intent: Document, action: Document) -> Outcome:
    back = (action.get("redirect_to_url") or {}).get("return_url")
    intent = change(
        sandbox, intent, "requires_action", status="requires_action", next_action=action, _return_url=back
    )
    return Outcome(intent)


def authenticate(sandbox: Sandbox, intent: Document, *, passed: bool) -> Outcome:
    """The customer passed or failed 3-D Secure, or authorised or refused at the redirect method."""
    if intent["status"] != "requires_action":
        raise unexpected_state(
            intent, f"This SetupIntent does not wait for an action: its status is {intent['status']}."
        )
    method = sandbox.store.get(methods.KIND, intent["payment_method"])
    assert method
    if passed:
        intent = change(sandbox, intent, next_action=None, _authenticated=True)
        return _succeed(sandbox, intent, method)
    message = CARD_NOT_AUTHENTICATED if methods.test_card(method) else REDIRECT_NOT_AUTHORISED
    error = invalid(message.replace("PaymentIntent", "SetupIntent"), code=AUTHENTICATION_FAILED)
    return _fail(sandbox, intent, method, error)


def _succeed(sandbox: Sandbox, intent: Document, method: Document) -> Outcome:
    from portal.sandbox import subscriptions

    if method["type"] == "us_bank_account":
        method = mandates.accept(sandbox, method)
    method = {**method, "_set_up": method.get("_set_up") or intent["usage"] == "off_session"}
    sandbox.store.put(methods.KIND, method)
    if intent["customer"]:
        method = payment_methods.attach(sandbox, method, intent["customer"])
    attempt = _attempt(sandbox, intent, method, "succeeded", None)
    intent = change(
        sandbox,
        intent,
        "succeeded",
        status="succeeded",
        latest_attempt=attempt["id"],
        mandate=method.get("_mandate"),
        next_action=None,
    )
    if intent.get("_subscription"):
        subscriptions.setup_succeeded(sandbox, intent)
    return Outcome(intent)


def _fail(sandbox: Sandbox, intent: Document, method: Document, error: StripeError) -> Outcome:
    error.keep = True
    shown = public(method)
    body = {**error.body(), "payment_method": shown}
    attempt = _attempt(sandbox, intent, method, "failed", body)
    intent = change(
        sandbox,
        intent,
        "setup_failed",
        status="requires_payment_method",
        latest_attempt=attempt["id"],
        payment_method=None,
        next_action=None,
        last_setup_error=body,
    )
    error.extra.update(setup_intent=public(intent), payment_method=shown)
    return Outcome(intent, error)


def _attempt(
    sandbox: Sandbox, intent: Document, method: Document, status: str, error: Document | None
) -> Document:
    details: Document = {}
    if method["type"] == "card":
        card = method["card"]
        secure = {"result": "authenticated", "version": "2.2.0", "authentication_flow": "challenge"}
        details = {
            **{name: card[name] for name in PLAIN_CARD},
            "network": card["brand"],
            "three_d_secure": secure if intent.get("_authenticated") else None,
            "wallet": None,
        }
    attempt = {
        "id": sandbox.new_id("setatt"),
        "object": "setup_attempt",
        "application": None,
        "attach_to_self": False,
        "created": sandbox.now(intent["customer"]),
        "customer": intent["customer"],
        "customer_account": None,
        "flow_directions": None,
        "livemode": False,
        "on_behalf_of": None,
        "payment_method": method["id"],
        "payment_method_details": {"type": method["type"], method["type"]: details},
        "setup_error": error,
        "setup_intent": intent["id"],
        "status": status,
        "usage": intent["usage"],
    }
    sandbox.store.put(ATTEMPT, attempt)
    return attempt
