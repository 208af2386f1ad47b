"""`/v1/payment_methods`: create, attach, detach, change and list the ways in which a customer can pay."""

from __future__ import annotations

from typing import Any

from stripe.params import (
    CustomerListPaymentMethodsParams,
    CustomerRetrievePaymentMethodParams,
    PaymentMethodAttachParams,
    PaymentMethodCreateParams,
    PaymentMethodDetachParams,
    PaymentMethodListParams,
    PaymentMethodRetrieveParams,
    PaymentMethodUpdateParams,
)

from portal.sandbox import lists, methods
from portal.sandbox.declines import card_error
from portal.sandbox.dispatch import route
from portal.sandbox.errors import invalid, missing, missing_param, unsupported
from portal.sandbox.methods import KIND
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

CREATED_FROM = {
    "type",
    "card",
    "us_bank_account",
    "amazon_pay",
    "billing_details",
    "metadata",
    "allow_redisplay",
}
USED_BEFORE = (
    "This PaymentMethod was previously used without being attached to a Customer or was detached from a "
    "Customer, "
    "and may not be used again."
)


@route("POST", "/v1/payment_methods", params=PaymentMethodCreateParams)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    for name in params:
        if name not in CREATED_FROM:
            raise unsupported(name)
    return methods.from_data(sandbox, params)


@route("GET", "/v1/payment_methods/{id}", params=PaymentMethodRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return _in_path(sandbox, id)


@route("GET", "/v1/payment_methods", params=PaymentMethodListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if "customer_account" in params:
        raise unsupported("customer_account")
    if "customer" in params:
        owner(sandbox, params["customer"])
    return _page(sandbox, params, "/v1/payment_methods", params.get("customer", ""))


@route("GET", "/v1/customers/{customer}/payment_methods", params=CustomerListPaymentMethodsParams)
def listing_of_customer(sandbox: Sandbox, params: dict[str, Any], customer: str) -> Document:
    owner(sandbox, customer, status=404)
    return _page(sandbox, params, f"/v1/customers/{customer}/payment_methods", customer)


@route("GET", "/v1/customers/{customer}/payment_methods/{id}", params=CustomerRetrievePaymentMethodParams)
def retrieve_of_customer(sandbox: Sandbox, params: dict[str, Any], customer: str, id: str) -> Document:
    owner(sandbox, customer, status=404)
    method = _in_path(sandbox, id)
    if method["customer"] != customer:
        raise missing("PaymentMethod", id, "payment_method")
    return method


@route("POST", "/v1/payment_methods/{id}", params=PaymentMethodUpdateParams)
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    before = _in_path(sandbox, id)
    if not before["customer"]:
        raise invalid("You must save this PaymentMethod to a customer before you can update it.")
    method = {**before}
    if "billing_details" in params:
        known = before["billing_details"]
        given = params["billing_details"]
        address = {**known["address"], **(given.get("address") or {})}
        method["billing_details"] = methods.billing_details({**known, **given, "address": address})
    if "card" in params:
        method["card"] = {**before["card"], **_expiry(params["card"])}
    if "us_bank_account" in params:
        method["us_bank_account"] = {**before["us_bank_account"], **params["us_bank_account"]}
    if "allow_redisplay" in params:
        method["allow_redisplay"] = params["allow_redisplay"]
    if "metadata" in params:
        method["metadata"] = merged_metadata(before["metadata"], params["metadata"])
    sandbox.store.put(KIND, method)
    sandbox.emit("payment_method.updated", method, before)
    return method


def _expiry(given: Document) -> Document:
    for name in given:
        if name not in ("exp_month", "exp_year"):
            raise unsupported(f"card[{name}]")
    return given


def merged_metadata(known: dict[str, str], given: dict[str, str] | str) -> dict[str, str]:
    """Stripe merges metadata key by key; an empty value unsets its key, an empty string all of them."""
    if given == "" or isinstance(given, str):
        return {}
    return {key: value for key, value in {**known, **given}.items() if value != ""}


@route("POST", "/v1/payment_methods/{id}/attach", params=PaymentMethodAttachParams)
def attach_by_request(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    if "customer_account" in params:
        raise unsupported("customer_account")
    if "customer" not in params:
        raise missing_param("customer")
    owner(sandbox, params["customer"])
    method = methods.from_token(sandbox, id) or _in_path(sandbox, id)
    card = methods.test_card(method)
    if card and card.decline:
        error = card_error(card.decline, "")
        error.keep = False
        raise error
    return attach(sandbox, method, params["customer"])


@route("POST", "/v1/payment_methods/{id}/detach", params=PaymentMethodDetachParams)
def detach(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    before = _in_path(sandbox, id)
    customer = before["customer"]
    if not customer:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible."
        )
    method = {**before, "customer": None, "_spent": True}
    sandbox.store.put(KIND, method)
    _forget_default(sandbox, customer, id)
    sandbox.emit("payment_method.detached", method, before)
    return method


def _forget_default(sandbox: Sandbox, customer: str, method: str) -> None:
    before = sandbox.store.get("customer", customer)
    if before and (before.get("invoice_settings") or {}).get("default_payment_method") == method:
        settings = {**before["invoice_settings"], "default_payment_method": None}
        after = {**before, "invoice_settings": settings}
        sandbox.store.put("customer", after)
        sandbox.emit("customer.updated", after, before)


def attach(sandbox: Sandbox, method: Document, customer: str) -> Document:
    """Attach a method to a customer; again to the same one changes nothing. Raises for one that is taken."""
    if method["customer"] == customer:
        return method
    if method["customer"]:
        raise invalid("The payment method you provided has already been attached to a customer.")
    if method.get("_spent"):
        raise invalid(USED_BEFORE)
    after = {**method, "customer": customer}
    if card := methods.test_card(method):
        after = with_checks(after, card.cvc_check)
    sandbox.store.put(KIND, after)
    sandbox.emit("payment_method.attached", after)
    return after


def with_checks(method: Document, cvc_check: str) -> Document:
    """The card's checks once the issuer was asked: `unchecked` becomes `pass` or `fail`."""
    if method["type"] != "card":
        return method
    card = method["card"]
    checks = dict(card["checks"])
    if checks["cvc_check"] == "unchecked":
        checks["cvc_check"] = cvc_check
    if checks["address_postal_code_check"] == "unchecked":
        checks["address_postal_code_check"] = "pass"
    return {**method, "card": {**card, "checks": checks}}


def usable(sandbox: Sandbox, id: str, customer: str | None, param: str = "payment_method") -> Document:
    """The method that a payment names, a fresh one for a test id such as `pm_card_visa`.

    Raises Stripe's errors for an unknown method, one of another customer, or one that was detached.
    """
    method = methods.from_token(sandbox, id) or sandbox.store.get(KIND, id)
    if not method:
        raise missing("PaymentMethod", id, param, 400)
    if method["customer"] and method["customer"] != customer:
        if customer:
            raise invalid(
                "The customer associated with this PaymentIntent does not own the PaymentMethod that was "
                "provided."
            )
        raise invalid(
            f"The provided PaymentMethod ({id}) is attached to a customer: "
            f"provide customer={method['customer']} as well.",
            param,
        )
    if method.get("_spent") and not method["customer"]:
        raise invalid(USED_BEFORE)
    return method


def owner(sandbox: Sandbox, id: str, *, status: int = 400) -> Document:
    """The customer of a request; a deleted one is as good as none."""
    customer = sandbox.store.get("customer", id)
    if not customer or customer.get("deleted"):
        raise missing("customer", id, "customer", status)
    return customer


def _in_path(sandbox: Sandbox, id: str) -> Document:
    method = sandbox.store.get(KIND, id)
    if not method:
        raise missing("PaymentMethod", id, "payment_method")
    return method


def _page(sandbox: Sandbox, params: dict[str, Any], url: str, customer: str) -> Document:
    # Without a customer Stripe lists Treasury's own methods, which no sandbox account has.
    return lists.page(
        sandbox,
        KIND,
        params,
        url,
        lambda method: method["customer"] == customer,
        type=params.get("type"),
        allow_redisplay=params.get("allow_redisplay"),
    )
