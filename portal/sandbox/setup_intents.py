"""`/v1/setup_intents`: save a payment method without a payment."""

from __future__ import annotations

from typing import Any

from stripe.params import (
    SetupAttemptListParams,
    SetupIntentCancelParams,
    SetupIntentConfirmParams,
    SetupIntentCreateParams,
    SetupIntentListParams,
    SetupIntentRetrieveParams,
    SetupIntentUpdateParams,
)

from portal.sandbox import browser, lists, methods, setups
from portal.sandbox.dispatch import route
from portal.sandbox.errors import invalid
from portal.sandbox.payment_intents import NEEDS_RETURN_URL
from portal.sandbox.payment_methods import merged_metadata, owner, usable
from portal.sandbox.setups import ATTEMPT, KIND, OPEN
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

CREATED_FROM = (
    "automatic_payment_methods", "confirm", "customer", "description", "metadata", "payment_method",
    "payment_method_data", "return_url", "usage", "use_stripe_sdk", "mandate_data",
)  # fmt: skip
CONFIRMED_WITH = ("mandate_data", "payment_method", "payment_method_data", "return_url", "use_stripe_sdk")


@route("POST", "/v1/setup_intents", params=SetupIntentCreateParams, supports=CREATED_FROM)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    customer = params.get("customer")
    if customer:
        owner(sandbox, customer)
    automatic = methods.automatic(params)
    intent = setups.create(
        sandbox,
        automatic_payment_methods=automatic,
        payment_method_types=methods.taken(methods.TYPES, automatic),
        customer=customer,
        description=params.get("description"),
        metadata=params.get("metadata") or {},
        # Recorded: a bare setup intent says off_session, also where on_session was sent.
        usage="off_session",
    )
    if method := browser.chosen_method(sandbox, params, customer):
        intent = setups.change(sandbox, intent, payment_method=method["id"], status="requires_confirmation")
    if params.get("confirm"):
        return _confirm(sandbox, intent, params)
    return intent


@route("GET", "/v1/setup_intents/{id}", params=SetupIntentRetrieveParams, publishable=True)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    intent = setups.find(sandbox, id)
    browser.check_secret(sandbox, params, intent)
    return browser.shown(sandbox, intent)


@route(
    "GET",
    "/v1/setup_intents",
    params=SetupIntentListParams,
    supports=("created", "customer", "ending_before", "limit", "payment_method", "starting_after"),
)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    filters = {name: params.get(name) for name in ("customer", "payment_method")}
    return lists.page(sandbox, KIND, params, "/v1/setup_intents", **filters)


@route("POST", "/v1/setup_intents/{id}", params=SetupIntentUpdateParams, supports=(
    "customer", "description", "metadata", "payment_method"
))  # fmt: skip
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    intent = setups.find(sandbox, id)
    if params.keys() - {"metadata", "description"} and intent["status"] not in OPEN:
        raise setups.unexpected_state(
            intent, f"You cannot update this SetupIntent because it has a status of {intent['status']}."
        )
    if "customer" in params:
        owner(sandbox, params["customer"])
    changes = dict(params)
    if "metadata" in params:
        changes["metadata"] = merged_metadata(intent["metadata"], params["metadata"])
    if "payment_method" in params:
        method = usable(sandbox, params["payment_method"], changes.get("customer", intent["customer"]))
        changes |= {"payment_method": method["id"], "status": "requires_confirmation"}
    return setups.change(sandbox, intent, **changes)


@route(
    "POST",
    "/v1/setup_intents/{id}/confirm",
    params=SetupIntentConfirmParams,
    supports=(*CONFIRMED_WITH, *browser.CONFIRM_PARAMS),
    publishable=True,
    browser_params=browser.CONFIRM_PARAMS,
)
def confirm(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    intent = setups.find(sandbox, id)
    browser.check_secret(sandbox, params, intent)
    if intent["status"] not in OPEN:
        reason = "it has already succeeded" if intent["status"] == "succeeded" else "it has been canceled"
        error = setups.unexpected_state(intent, f"You cannot confirm this SetupIntent because {reason}.")
        browser.hide_secrets(error.extra, sandbox)
        raise error
    browser.check_expected(params, intent)
    if method := browser.chosen_method(sandbox, params, intent["customer"]):
        intent = setups.change(sandbox, intent, payment_method=method["id"], status="requires_confirmation")
    return _confirm(sandbox, intent, params)


def _confirm(sandbox: Sandbox, intent: Document, params: dict[str, Any]) -> Document:
    if not intent["payment_method"]:
        raise setups.unexpected_state(
            intent,
            "You cannot confirm this SetupIntent because it's missing a payment method. You can either "
            "update the "
            "SetupIntent with a payment method and then confirm it again, or confirm it again directly "
            "with a "
            "payment method or ConfirmationToken.",
        )
    method = sandbox.store.get(methods.KIND, intent["payment_method"])
    assert method
    methods.check_taken(intent, method)
    dialog = sandbox.request.publishable or bool(params.get("use_stripe_sdk"))
    automatic = intent["automatic_payment_methods"] or {}
    return_url = params.get("return_url")
    redirects = automatic.get("enabled") and automatic.get("allow_redirects") == "always"
    if redirects and method["type"] in methods.REDIRECTING and not return_url:
        raise invalid(NEEDS_RETURN_URL, "return_url")
    outcome = setups.confirm(sandbox, intent, method, dialog=dialog, return_url=return_url)
    if outcome.error:
        browser.hide_secrets(outcome.error.extra, sandbox)
        raise outcome.error
    browser.join_link(sandbox, params, outcome.intent)
    return browser.shown(sandbox, outcome.intent)


@route("POST", "/v1/setup_intents/{id}/cancel", params=SetupIntentCancelParams)
def cancel(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    intent = setups.find(sandbox, id)
    if intent["status"] not in OPEN:
        raise setups.unexpected_state(
            intent,
            f"You cannot cancel this SetupIntent because it has a status of {intent['status']}. Only a "
            "SetupIntent "
            f"with one of the following statuses may be canceled: {', '.join(OPEN)}.",
        )
    reason = params.get("cancellation_reason")
    return setups.change(
        sandbox, intent, "canceled", status="canceled", cancellation_reason=reason, next_action=None
    )


@route("GET", "/v1/setup_attempts", params=SetupAttemptListParams)
def attempts(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    return lists.page(sandbox, ATTEMPT, params, "/v1/setup_attempts", setup_intent=params["setup_intent"])
