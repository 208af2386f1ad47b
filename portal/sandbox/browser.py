"""What a browser may do with a publishable key and an intent's client secret, and what it is shown."""

from __future__ import annotations

from typing import Any

from portal.sandbox import link, methods, wallets
from portal.sandbox.errors import invalid, missing, missing_param
from portal.sandbox.payment_methods import usable
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

# Besides the SDK's parameters: what Stripe.js sends, and the options with which the Elements were made.
CONFIRM_PARAMS = ("client_secret", "payment_method_data", "expected", "link", "link_signup", "wallet")
# A browser could get round 3-D Secure with this.
SERVER_ONLY = frozenset({"off_session"})
# docs.stripe.com/api: the members that are present when retrieved with a publishable key.
PAYMENT_INTENT_MEMBERS = (
    "id",
    "object",
    "amount",
    "amount_details",
    "automatic_payment_methods",
    "canceled_at",
    "cancellation_reason",
    "capture_method",
    "client_secret",
    "confirmation_method",
    "created",
    "currency",
    "description",
    "last_payment_error",
    "livemode",
    "next_action",
    "payment_method",
    "payment_method_types",
    "processing",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "source",
    "status",
)
SETUP_INTENT_MEMBERS = (
    "id",
    "object",
    "automatic_payment_methods",
    "cancellation_reason",
    "client_secret",
    "created",
    "description",
    "last_setup_error",
    "livemode",
    "next_action",
    "payment_method",
    "payment_method_types",
    "status",
    "usage",
)
MEMBERS = {"payment_intent": PAYMENT_INTENT_MEMBERS, "setup_intent": SETUP_INTENT_MEMBERS}
# Stripe.js knows two ways of capturing only; the third differs on the server alone.
SHOWN_CAPTURE = {"automatic_async": "automatic"}


def check_secret(sandbox: Sandbox, params: dict[str, Any], intent: Document) -> None:
    """With a publishable key the client secret is the permission; a wrong one is as good as no intent."""
    given = params.get("client_secret")
    if sandbox.request.publishable:
        if not given:
            raise missing_param("client_secret")
        for name in SERVER_ONLY & params.keys():
            raise invalid(f"{name} can only be set with a secret API key.", name)
    if given is not None and given != intent["client_secret"]:
        raise missing(intent["object"], intent["id"], "intent")


def shown(sandbox: Sandbox, intent: Document) -> Document:
    """The intent as the asking key may see it."""
    if not sandbox.request.publishable:
        return intent
    seen = {name: intent.get(name) for name in MEMBERS[intent["object"]]}
    if "capture_method" in seen:
        seen["capture_method"] = SHOWN_CAPTURE.get(seen["capture_method"], seen["capture_method"])
    return seen


def hide_secrets(error_members: dict[str, Any], sandbox: Sandbox) -> None:
    """Errors embed whole intents; a browser gets its own view of them."""
    for name in ("payment_intent", "setup_intent"):
        if sandbox.request.publishable and name in error_members:
            error_members[name] = shown(sandbox, error_members[name])


def chosen_method(sandbox: Sandbox, params: dict[str, Any], customer: str | None) -> Document | None:
    """The payment method that a request names or describes, None when it does neither."""
    if id := params.get("payment_method"):
        return usable(sandbox, id, customer)
    return method_from(sandbox, params)


def method_from(sandbox: Sandbox, params: dict[str, Any]) -> Document | None:
    """The payment method that the Element collected: card fields, a bank account, a wallet, or a Link
    sign-in.
    """
    if session := params.get("link"):
        return link.method_from(sandbox, session)
    if session := params.get("wallet"):
        return wallets.method_from(sandbox, session)
    raw = params.get("payment_method_data")
    if raw is None:
        return None
    if not sandbox.request.publishable:
        return methods.from_data(sandbox, raw, "payment_method_data")
    return methods.from_data(sandbox, methods.typed(raw), "payment_method_data")


def check_expected(params: dict[str, Any], intent: Document) -> None:
    """Elements made without an intent must have been told the amount, currency and use that the intent has.

    Wording: real Stripe's for `setup_future_usage`; the others follow its pattern.
    """
    expected = params.get("expected")
    if not isinstance(expected, dict):
        return
    for name, given in expected.items():
        actual = intent.get(name)
        actual = "null" if actual is None else str(actual)
        if given != actual:
            raise invalid(
                f"The provided {name} ({actual}) does not match the expected {name} ({given}). Try "
                "confirming with "
                f"a Payment Intent that is configured to use the same parameters as Stripe Elements."
            )


def join_link(sandbox: Sandbox, params: dict[str, Any], intent: Document) -> None:
    """The customer ticked "save my information": Link remembers the card that was just used."""
    wanted = params.get("link_signup")
    method = sandbox.store.get(methods.KIND, intent["payment_method"] or "")
    if isinstance(wanted, dict) and method and wanted.get("email"):
        link.remember(sandbox, wanted["email"], wanted.get("phone"), method)
