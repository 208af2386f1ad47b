"""Customers: who pays, where they are taxed, and with what they pay by default."""

from __future__ import annotations

import re
import string
from typing import Any

from stripe.params import (
    CustomerCreateParams,
    CustomerDeleteParams,
    CustomerListParams,
    CustomerRetrieveParams,
    CustomerUpdateParams,
)

from portal.sandbox import customer_location, customer_payment, lists, tax_ids
from portal.sandbox.customer_balance import adjust
from portal.sandbox.dispatch import route
from portal.sandbox.documents import assign, in_body, in_path, merged_metadata
from portal.sandbox.errors import invalid, missing
from portal.sandbox.state import TEST_CLOCK, Sandbox, random_text
from portal.sandbox.store import Document

KIND = "customer"
ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")
PLAIN = ("business_name", "description", "email", "individual_name", "name", "phone", "preferred_locales")
SUPPORTED: tuple[str, ...] = (*PLAIN, "address", "balance", "invoice_prefix", "invoice_settings", "metadata")
SUPPORTED += ("next_invoice_sequence", "shipping", "tax", "tax_exempt")
PREFIX_LENGTH = 8
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PREFIX = re.compile(r"[A-Z0-9]{3,12}")


@route(
    "POST",
    "/v1/customers",
    params=CustomerCreateParams,
    supports=(*SUPPORTED, "payment_method", "tax_id_data", "test_clock"),
)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if params.get("test_clock"):
        in_body(sandbox, TEST_CLOCK, params["test_clock"], "test_clock")
    customer = _blank(sandbox, params.get("test_clock") or None)
    sandbox.store.put(KIND, customer)
    if params.get("payment_method"):
        customer_payment.attach(sandbox, customer, params["payment_method"])
    customer = _changed(sandbox, customer, params)
    sandbox.store.put(KIND, customer)
    if params.get("balance"):
        customer = adjust(sandbox, customer, params["balance"], "initial", quiet=True)
    sandbox.emit("customer.created", customer)
    for index, row in enumerate(params.get("tax_id_data", [])):
        tax_ids.add(sandbox, customer, row, f"tax_id_data[{index}]")
    return customer


def _blank(sandbox: Sandbox, test_clock: str | None) -> Document:
    return {
        "id": sandbox.new_id("cus", 14),
        "object": KIND,
        "address": None,
        "balance": 0,
        "created": sandbox.now({"test_clock": test_clock}),
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": random_text(PREFIX_LENGTH, string.ascii_uppercase + string.digits),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": test_clock,
    }


def _changed(sandbox: Sandbox, before: Document, params: dict[str, Any]) -> Document:
    """The customer with the parameters taken over and checked, not yet stored."""
    customer = {**before, "metadata": merged_metadata(before["metadata"], params.get("metadata"))}
    if params.get("email") and not _EMAIL.fullmatch(params["email"]):
        raise invalid(f"Invalid email address: {params['email']}", "email", code="email_invalid")
    assign(customer, params, PLAIN)
    customer["preferred_locales"] = customer["preferred_locales"] or []
    if "tax_exempt" in params:
        customer["tax_exempt"] = params["tax_exempt"] or "none"
    if "address" in params:
        customer["address"] = _address(params["address"])
    if "shipping" in params:
        customer["shipping"] = _shipping(params["shipping"])
    _take_numbering(sandbox, customer, params)
    if "invoice_settings" in params:
        settings = dict(customer["invoice_settings"])
        assign(settings, params["invoice_settings"], settings)
        customer_payment.check_default(sandbox, customer, settings["default_payment_method"])
        customer["invoice_settings"] = settings
    customer_location.check(sandbox, customer, params.get("tax", {}))
    return customer


def _address(given: dict[str, Any] | str | None) -> Document | None:
    if not isinstance(given, dict):
        return None
    country = given.get("country") or ""
    if country and not re.fullmatch("[A-Za-z]{2}", country):
        message = (
            f"Country '{country}' is unknown. Try using a 2-character alphanumeric country code instead, "
        )
        raise invalid(
            message + "such as 'US', 'EG', or 'GB'.", "address[country]", code="country_code_invalid"
        )
    return {name: given.get(name) or None for name in ADDRESS}


def _shipping(given: dict[str, Any] | str | None) -> Document | None:
    if not isinstance(given, dict):
        return None
    return {"address": _address(given["address"]), "name": given["name"], "phone": given.get("phone")}


def _take_numbering(sandbox: Sandbox, customer: Document, params: dict[str, Any]) -> None:
    prefix = params.get("invoice_prefix")
    if prefix:
        if not _PREFIX.fullmatch(prefix):
            raise invalid("An invoice prefix has 3 to 12 uppercase letters or digits.", "invoice_prefix")
        if any(held["id"] != customer["id"] for held in sandbox.store.walk(KIND, invoice_prefix=prefix)):
            raise invalid(f"The invoice prefix {prefix} is already in use.", "invoice_prefix")
        customer["invoice_prefix"] = prefix
    sequence = params.get("next_invoice_sequence")
    if sequence is not None:
        if sequence < customer["next_invoice_sequence"]:
            raise invalid("`next_invoice_sequence` can only grow.", "next_invoice_sequence")
        customer["next_invoice_sequence"] = sequence


@route("GET", "/v1/customers/{customer}", params=CustomerRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], customer: str) -> Document:
    return in_path(sandbox, KIND, customer)


@route("POST", "/v1/customers/{customer}", params=CustomerUpdateParams, supports=SUPPORTED)
def update(sandbox: Sandbox, params: dict[str, Any], customer: str) -> Document:
    before = live(sandbox, customer)
    after = _changed(sandbox, before, params)
    sandbox.store.put(KIND, after)
    if "balance" in params and params["balance"] != before["balance"]:
        change = params["balance"] - before["balance"]
        after = adjust(sandbox, after, change, "adjustment", quiet=True)
    sandbox.emit("customer.updated", after, before)
    return after


def live(sandbox: Sandbox, id: str, param: str = "id") -> Document:
    """The customer that the path names; 404 when there is none or it was deleted."""
    customer = in_path(sandbox, KIND, id, param)
    if customer.get("deleted"):
        raise missing(KIND, id, param)
    return customer


@route("DELETE", "/v1/customers/{customer}", params=CustomerDeleteParams)
def delete(sandbox: Sandbox, params: dict[str, Any], customer: str) -> Document:
    last = live(sandbox, customer)
    customer_payment.end_subscriptions(sandbox, customer)
    customer_payment.detach_all(sandbox, customer)
    stub = {"id": customer, "object": KIND, "deleted": True}
    sandbox.emit("customer.deleted", last)
    sandbox.store.put(KIND, stub)
    return stub


@route("GET", "/v1/customers", params=CustomerListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    clock, email = params.get("test_clock"), params.get("email")

    def wanted(customer: Document) -> bool:
        return customer["test_clock"] == clock and (email is None or customer["email"] == email)

    return lists.page(sandbox, KIND, params, "/v1/customers", wanted)
