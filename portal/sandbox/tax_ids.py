"""A customer's tax ids: the form is checked at once, the registry answers some seconds later."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from stripe.params import (
    CustomerTaxIdCreateParams,
    CustomerTaxIdDeleteParams,
    CustomerTaxIdListParams,
    CustomerTaxIdRetrieveParams,
    TaxIdRetrieveParams,
)

from portal.sandbox import lists, tax_formats
from portal.sandbox.agenda import Moment, Timetable
from portal.sandbox.clock import Action, on_tick
from portal.sandbox.dispatch import route
from portal.sandbox.errors import invalid, missing, unsupported
from portal.sandbox.expansion import expandable
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document, Store

KIND = "tax_id"
MAX_PER_CUSTOMER = 5
SECONDS_TO_VERIFY = 3


def add(sandbox: Sandbox, customer: Document, given: dict[str, Any], at: str = "") -> Document:
    """Give the customer a tax id; 400 `tax_id_invalid` for a wrong form. `at` is its place in the request."""
    type, value = given["type"], given["value"].strip()
    type_param, value_param = (f"{at}[type]", f"{at}[value]") if at else ("type", "value")
    if not tax_formats.known(type):
        raise unsupported(type_param)
    number = tax_formats.read(type, value)
    if number is None:
        raise invalid(f"Invalid value for {type}.", value_param, code="tax_id_invalid")
    if len(sandbox.store.find(KIND, customer=customer["id"])) >= MAX_PER_CUSTOMER:
        raise invalid(f"A customer can have up to {MAX_PER_CUSTOMER} tax IDs.")
    tax_id = _built(sandbox, customer, type, value, number)
    sandbox.store.put(KIND, tax_id)
    sandbox.emit("customer.tax_id.created", tax_id)
    return tax_id


def _built(
    sandbox: Sandbox, customer: Document, type: str, value: str, number: tax_formats.TaxNumber
) -> Document:
    now = sandbox.now(customer)
    has_registry = type in tax_formats.VERIFIED_TYPES
    answer = number.verification if number.verification != "pending" else None
    return {
        "id": sandbox.new_id("txi"),
        "object": KIND,
        "country": number.country or (customer["address"] or {}).get("country"),
        "created": now,
        "customer": customer["id"],
        "customer_account": None,
        "livemode": False,
        "owner": {"type": "customer", "customer": customer["id"], "customer_account": None},
        "type": type,
        "value": value,
        "verification": {
            "status": "pending" if has_registry else "unavailable",
            "verified_address": None,
            "verified_name": None,
        },
        "_answer": answer if has_registry else None,
        "_answer_at": now + SECONDS_TO_VERIFY if has_registry and answer else None,
    }


def _answered_at(_: Store, tax_id: Document) -> Iterator[Moment]:
    if tax_id["_answer_at"]:
        yield tax_id["_answer_at"], 0, "answer"


ANSWERS = Timetable(KIND, _answered_at)


@on_tick
def verify(sandbox: Sandbox, clock_id: str | None, until: int) -> tuple[int, Action] | None:
    """The registry's answer arrives."""
    for entry in sandbox.store.agenda(ANSWERS).until(until):
        tax_id = sandbox.store.get(KIND, entry.document["id"])
        customer = sandbox.store.get("customer", tax_id["customer"]) if tax_id else None
        if tax_id and (customer or {}).get("test_clock") == clock_id:
            return entry.at, partial(_answer, sandbox, tax_id)
    return None


def _answer(sandbox: Sandbox, before: Document) -> None:
    customer = sandbox.store.get("customer", before["customer"]) or {}
    verified = before["_answer"] == "verified"
    verification = {
        "status": before["_answer"],
        "verified_address": None,
        "verified_name": customer.get("name") if verified else None,
    }
    after = {**before, "verification": verification, "_answer": None, "_answer_at": None}
    sandbox.store.put(KIND, after)
    sandbox.emit("customer.tax_id.updated", after, before)


@route("POST", "/v1/customers/{customer}/tax_ids", params=CustomerTaxIdCreateParams)
def create(sandbox: Sandbox, params: dict[str, Any], customer: str) -> Document:
    return add(sandbox, _owner(sandbox, customer), params)


@route("GET", "/v1/customers/{customer}/tax_ids", params=CustomerTaxIdListParams)
def listing(sandbox: Sandbox, params: dict[str, Any], customer: str) -> Document:
    owner = _owner(sandbox, customer)
    return lists.page(sandbox, KIND, params, f"/v1/customers/{customer}/tax_ids", customer=owner["id"])


@route("GET", "/v1/customers/{customer}/tax_ids/{id}", params=CustomerTaxIdRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], customer: str, id: str) -> Document:
    tax_id = sandbox.store.get(KIND, id)
    if tax_id is None or tax_id["customer"] != customer:
        raise missing(KIND, id, "id")
    return tax_id


@route("GET", "/v1/tax_ids/{id}", params=TaxIdRetrieveParams)
def retrieve_by_id(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    tax_id = sandbox.store.get(KIND, id)
    if tax_id is None:
        raise missing(KIND, id, "id")
    return tax_id


@route("DELETE", "/v1/customers/{customer}/tax_ids/{id}", params=CustomerTaxIdDeleteParams)
def delete(sandbox: Sandbox, params: dict[str, Any], customer: str, id: str) -> Document:
    tax_id = retrieve(sandbox, {}, customer, id)
    sandbox.store.delete(KIND, id)
    sandbox.emit("customer.tax_id.deleted", tax_id)
    return {"id": id, "object": KIND, "deleted": True}


@expandable("customer", "tax_ids")
def of_customer(sandbox: Sandbox, customer: Document) -> Document:
    """The `tax_ids` member of a customer."""
    rows = sandbox.store.find(KIND, customer=customer["id"])
    return lists.embedded(rows, f"/v1/customers/{customer['id']}/tax_ids")


def _owner(sandbox: Sandbox, id: str) -> Document:
    owner = sandbox.store.get("customer", id)
    if owner is None or owner.get("deleted"):
        raise missing("customer", id, "customer")
    return owner
