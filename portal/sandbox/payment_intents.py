"""`/v1/payment_intents`: create, confirm, capture, cancel."""

from __future__ import annotations

from typing import Any

from stripe.params import (
    PaymentIntentCancelParams,
    PaymentIntentCaptureParams,
    PaymentIntentConfirmParams,
    PaymentIntentCreateParams,
    PaymentIntentListParams,
    PaymentIntentRetrieveParams,
    PaymentIntentUpdateParams,
)

from portal.sandbox import browser, charges, confirmation, intents, lists, methods
from portal.sandbox.dispatch import route
from portal.sandbox.errors import StripeError, invalid, state_error, unsupported
from portal.sandbox.intents import KIND, OPEN
from portal.sandbox.payment_methods import merged_metadata, owner, usable
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

# US minimum charges per currency (docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).
MINIMUM = {"usd": 50, "eur": 50, "gbp": 30, "cad": 50, "aud": 50, "chf": 50, "jpy": 50}
DEFAULT_MINIMUM = 50
TOO_SMALL = (
    "The amount must be greater than or equal to the minimum charge amount allowed for your account and "
    "the currency "
    "set (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).  If you want to save a "
    "Payment "
    "Method for future use without an immediate payment, use a Setup Intent instead: "
    "https://docs.stripe.com/payments/setup-intents"
)
NEEDS_RETURN_URL = (
    "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of "
    "these "
    "payment methods might redirect your customer off of your page, you must provide a `return_url`. If "
    "you don't "
    "want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "
    "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents."
)
STORED = ("description", "receipt_email", "shipping", "statement_descriptor", "statement_descriptor_suffix")
CREATED_FROM = (
    "amount",
    "automatic_payment_methods",
    "capture_method",
    "confirm",
    "confirmation_method",
    "currency",
    "customer",
    "mandate_data",
    "metadata",
    "off_session",
    "payment_method",
    "payment_method_data",
    "return_url",
    "setup_future_usage",
    "use_stripe_sdk",
    *STORED,
)
CONFIRMED_WITH = (
    "mandate_data",
    "off_session",
    "payment_method",
    "payment_method_data",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "shipping",
    "use_stripe_sdk",
)
CHANGED_WITH = (
    "amount",
    "currency",
    "customer",
    "metadata",
    "payment_method",
    "setup_future_usage",
    *STORED,
)


@route("POST", "/v1/payment_intents", params=PaymentIntentCreateParams, supports=CREATED_FROM)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    check_amount(params["amount"], params["currency"])
    customer = params.get("customer")
    if customer:
        owner(sandbox, customer)
    if params.get("off_session") and not params.get("confirm"):
        raise invalid("`off_session` cannot be set when `confirm` is not true.", "off_session")
    if params.get("confirmation_method") == "manual":
        raise unsupported("confirmation_method")
    automatic, currency = methods.automatic(params), params["currency"].lower()
    intent = intents.create(
        sandbox,
        params["amount"],
        currency,
        automatic_payment_methods=automatic,
        payment_method_types=methods.taken(methods.types_for(currency), automatic),
        capture_method=params.get("capture_method", "automatic_async"),
        customer=customer,
        metadata=params.get("metadata") or {},
        setup_future_usage=params.get("setup_future_usage"),
        **{name: params.get(name) for name in STORED},
    )
    if method := browser.chosen_method(sandbox, params, customer):
        intent = intents.change(sandbox, intent, payment_method=method["id"], status="requires_confirmation")
    if params.get("confirm"):
        return _confirm(sandbox, intent, params)
    return intent


def check_amount(amount: int, currency: str) -> None:
    """Refuse an amount below Stripe's minimum (the parameters' types have the maximum); recorded for zero."""
    if amount < MINIMUM.get(currency.lower(), DEFAULT_MINIMUM):
        code = "parameter_invalid_integer" if amount < 1 else "amount_too_small"
        raise invalid(TOO_SMALL, "amount", code)


@route("GET", "/v1/payment_intents/{id}", params=PaymentIntentRetrieveParams, publishable=True)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    intent = intents.find(sandbox, id)
    browser.check_secret(sandbox, params, intent)
    return browser.shown(sandbox, intent)


@route("GET", "/v1/payment_intents", params=PaymentIntentListParams, supports=(
    "created", "customer", "ending_before", "limit", "starting_after"
))  # fmt: skip
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    return lists.page(sandbox, KIND, params, "/v1/payment_intents", customer=params.get("customer"))


@route("POST", "/v1/payment_intents/{id}", params=PaymentIntentUpdateParams, supports=CHANGED_WITH)
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    intent = intents.find(sandbox, id)
    amending = params.keys() - {"metadata", "description"}
    if amending and intent["status"] not in OPEN:
        message = (
            f"This PaymentIntent's {min(amending)} could not be updated because it has a status of {{}}."
        )
        raise intents.unexpected_state(sandbox, intent, message.format(intent["status"]))
    if "amount" in params:
        check_amount(params["amount"], params.get("currency", intent["currency"]))
    if "customer" in params:
        owner(sandbox, params["customer"])
    changes = {name: value or None for name, value in params.items() if name in CHANGED_WITH}
    if "metadata" in params:
        changes["metadata"] = merged_metadata(intent["metadata"], params["metadata"])
    if "payment_method" in params:
        method = usable(sandbox, params["payment_method"], changes.get("customer", intent["customer"]))
        changes |= {"payment_method": method["id"], "status": "requires_confirmation"}
    return intents.change(sandbox, intent, **changes)


@route(
    "POST",
    "/v1/payment_intents/{id}/confirm",
    params=PaymentIntentConfirmParams,
    supports=(*CONFIRMED_WITH, *browser.CONFIRM_PARAMS),
    publishable=True,
    browser_params=browser.CONFIRM_PARAMS,
)
def confirm(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    intent = intents.find(sandbox, id)
    browser.check_secret(sandbox, params, intent)
    if intent["status"] not in OPEN:
        message = "This PaymentIntent's payment_method could not be updated because it has a status of {}. {}"
        advice = (
            "You may only update the payment_method of a PaymentIntent with one of the following statuses: "
        )
        raise _not_confirmable(
            sandbox, intent, message.format(intent["status"], advice + ", ".join(OPEN) + ".")
        )
    browser.check_expected(params, intent)
    kept = {
        name: params[name] or None
        for name in ("receipt_email", "shipping", "setup_future_usage")
        if name in params
    }
    if kept:
        intent = intents.change(sandbox, intent, **kept)
    if method := browser.chosen_method(sandbox, params, intent["customer"]):
        intent = intents.change(sandbox, intent, payment_method=method["id"], status="requires_confirmation")
    return _confirm(sandbox, intent, params)


def _not_confirmable(sandbox: Sandbox, intent: Document, message: str) -> StripeError:
    done = {
        "succeeded": "You cannot confirm this PaymentIntent because it has already succeeded after being "
        "previously "
        "confirmed.",
        "canceled": "You cannot confirm this PaymentIntent because it has been canceled.",
        "processing": "You cannot confirm this PaymentIntent because it is being processed.",
    }
    error = intents.unexpected_state(sandbox, intent, done.get(intent["status"], message))
    browser.hide_secrets(error.extra, sandbox)
    return error


def _confirm(sandbox: Sandbox, intent: Document, params: dict[str, Any]) -> Document:
    if not intent["payment_method"]:
        error = intents.unexpected_state(
            sandbox,
            intent,
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either "
            "update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly "
            "with a "
            "payment method or ConfirmationToken.",
        )
        browser.hide_secrets(error.extra, sandbox)
        raise error
    automatic = intent["automatic_payment_methods"] or {}
    off_session = params.get("off_session") not in (None, False)
    redirects = automatic.get("enabled") and automatic.get("allow_redirects") == "always"
    if redirects and not off_session and not params.get("return_url"):
        raise invalid(NEEDS_RETURN_URL, "return_url")
    method = sandbox.store.get(methods.KIND, intent["payment_method"])
    assert method
    methods.check_taken(intent, method)
    # Stripe.js shows 3-D Secure in its dialog; only a redirect method takes the customer away.
    dialog = sandbox.request.publishable or params.get("use_stripe_sdk")
    leaves = method["type"] in methods.REDIRECTING or not dialog
    return_url = params.get("return_url") if leaves else None
    outcome = confirmation.confirm(sandbox, intent, method, on_session=not off_session, return_url=return_url)
    if outcome.error:
        browser.hide_secrets(outcome.error.extra, sandbox)
        raise outcome.error
    browser.join_link(sandbox, params, outcome.intent)
    return browser.shown(sandbox, outcome.intent)


@route(
    "POST",
    "/v1/payment_intents/{id}/capture",
    params=PaymentIntentCaptureParams,
    supports=("amount_to_capture", "metadata"),
)
def capture(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    intent = intents.find(sandbox, id)
    if intent["status"] != "requires_capture":
        raise intents.unexpected_state(
            sandbox,
            intent,
            f"This PaymentIntent could not be captured because it has a status of {intent['status']}. Only a "
            "PaymentIntent with one of the following statuses may be captured: requires_capture.",
        )
    amount = params.get("amount_to_capture", intent["amount_capturable"])
    if not 0 < amount <= intent["amount_capturable"]:
        raise invalid(
            "The amount to capture must be positive and no more than was authorised.", "amount_to_capture"
        )
    charge = charges.in_path(sandbox, intent["latest_charge"])
    charge = charges.book(sandbox, {**charge, "captured": True, "amount_captured": amount})
    sandbox.emit("charge.captured", charge)
    if "metadata" in params:
        intent = intents.change(
            sandbox, intent, metadata=merged_metadata(intent["metadata"], params["metadata"])
        )
    return confirmation.complete(sandbox, intent, charge)


@route("POST", "/v1/payment_intents/{id}/cancel", params=PaymentIntentCancelParams)
def cancel(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    intent = intents.find(sandbox, id)
    if intent.get("_invoice"):
        raise state_error(
            "You cannot cancel this PaymentIntent because it belongs to an invoice: void the invoice instead."
        )
    return intents.cancel(sandbox, intent, params.get("cancellation_reason"))
