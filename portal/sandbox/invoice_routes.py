"""`/v1/invoices`: made by hand, read, changed while a draft, and moved through their states."""

from __future__ import annotations

from typing import Any

from stripe.params import (
    InvoiceFinalizeInvoiceParams,
    InvoiceListParams,
    InvoiceMarkUncollectibleParams,
    InvoicePayParams,
    InvoiceRetrieveParams,
    InvoiceSendInvoiceParams,
    InvoiceVoidInvoiceParams,
)

from portal.sandbox import collection, invoices, lists
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_path
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document


def of_path(sandbox: Sandbox, id: str, param: str) -> Document:
    """The invoice that the path names; which `param` the 404 carries differs by route (recorded)."""
    return in_path(sandbox, invoices.KIND, id, param)


@route("GET", "/v1/invoices/{invoice}", params=InvoiceRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], invoice: str) -> Document:
    return of_path(sandbox, invoice, "invoice")


@route(
    "GET",
    "/v1/invoices",
    params=InvoiceListParams,
    supports=(
        "collection_method", "created", "customer", "due_date", "ending_before", "limit", "starting_after",
        "status", "subscription",
    ),
)  # fmt: skip
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    filters = {name: params.get(name) for name in ("collection_method", "customer", "status")}
    subscription, due = params.get("subscription"), params.get("due_date")

    def wanted(row: Document) -> bool:
        if subscription and invoices.subscription_of(row) != subscription:
            return False
        return due is None or (row["due_date"] is not None and lists.in_range(row["due_date"], due))

    return lists.page(sandbox, invoices.KIND, params, "/v1/invoices", where=wanted, **filters)


@route("POST", "/v1/invoices/{invoice}/finalize", params=InvoiceFinalizeInvoiceParams)
def finalize(sandbox: Sandbox, params: dict[str, Any], invoice: str) -> Document:
    row = of_path(sandbox, invoice, "id")
    if "auto_advance" in params:
        row["auto_advance"] = params["auto_advance"]
    return invoices.finalize(sandbox, row)


@route(
    "POST",
    "/v1/invoices/{invoice}/pay",
    params=InvoicePayParams,
    supports=("off_session", "paid_out_of_band", "payment_method"),
)
def pay(sandbox: Sandbox, params: dict[str, Any], invoice: str) -> Document:
    return collection.pay(sandbox, of_path(sandbox, invoice, "id"), params)


@route("POST", "/v1/invoices/{invoice}/send", params=InvoiceSendInvoiceParams)
def send(sandbox: Sandbox, params: dict[str, Any], invoice: str) -> Document:
    return collection.send(sandbox, of_path(sandbox, invoice, "invoice"))


@route("POST", "/v1/invoices/{invoice}/void", params=InvoiceVoidInvoiceParams)
def void(sandbox: Sandbox, params: dict[str, Any], invoice: str) -> Document:
    return invoices.void(sandbox, of_path(sandbox, invoice, "id"))


@route("POST", "/v1/invoices/{invoice}/mark_uncollectible", params=InvoiceMarkUncollectibleParams)
def mark_uncollectible(sandbox: Sandbox, params: dict[str, Any], invoice: str) -> Document:
    return invoices.mark_uncollectible(sandbox, of_path(sandbox, invoice, "id"))
