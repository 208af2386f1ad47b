"""`/v1/invoiceitems`."""

from __future__ import annotations

from typing import Any

from stripe.params import (
    InvoiceItemCreateParams,
    InvoiceItemDeleteParams,
    InvoiceItemListParams,
    InvoiceItemRetrieveParams,
    InvoiceItemUpdateParams,
)

from portal.sandbox import invoice_items, invoices, lines, lists
from portal.sandbox.dispatch import route
from portal.sandbox.documents import assign, in_body
from portal.sandbox.errors import invalid, missing_param, state_error
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = invoice_items.KIND
CHANGED = (
    "amount", "description", "discountable", "discounts", "metadata", "period", "price_data", "pricing.price",
    "quantity",
    "tax_behavior", "tax_rates", "unit_amount_decimal",
)  # fmt: skip
DEAD_INVOICE = "Can't delete an invoice item that is attached to an invoice that is no longer editable"


def _of_path(sandbox: Sandbox, id: str) -> Document:
    item = sandbox.store.get(KIND, id)
    if item is None:
        message = f"No such Invoice Item: '{id}'(livemode=false)"
        raise invalid(message, "id", code="resource_missing", status=404)
    return item


@route(
    "POST",
    "/v1/invoiceitems",
    params=InvoiceItemCreateParams,
    supports=(*CHANGED, "currency", "customer", "invoice", "subscription"),
)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if "customer" not in params:
        raise missing_param("customer")
    customer = in_body(sandbox, "customer", params["customer"], "customer")
    draft = _draft(sandbox, params.get("invoice"))
    item = invoice_items.build(sandbox, customer, **_priced(sandbox, customer, params))
    invoice_items.take(sandbox, customer, item, params)
    if "subscription" in params:
        subscription = in_body(sandbox, "subscription", params["subscription"], "subscription")
        item["_subscription"] = subscription["id"]
        details = {"subscription": subscription["id"], "subscription_item": None}
        item["parent"] = {"subscription_details": details, "type": "subscription_details"}
    sandbox.store.put(KIND, item)
    invoices.stamp_currency(sandbox, customer["id"], item["currency"])
    sandbox.emit("invoiceitem.created", item)
    if draft:
        rows = [*lines.of_invoice(sandbox, draft), invoice_items.line_of(sandbox, item)]
        invoices.write(sandbox, draft, rows)
    return _of_path(sandbox, item["id"])


def _draft(sandbox: Sandbox, id: str | None) -> Document | None:
    if id is None:
        return None
    invoice = in_body(sandbox, invoices.KIND, id, "invoice")
    if invoice["status"] != "draft":
        raise state_error("You can only add invoice items to draft invoices.", "invoice")
    return invoice


def _priced(sandbox: Sandbox, customer: Document, params: dict[str, Any]) -> dict[str, Any]:
    """Amount, currency, quantity and pricing from a price, its data, a unit amount or a plain amount."""
    price = (params.get("pricing") or {}).get("price")
    quantity = params.get("quantity", 1)
    if price:
        priced = invoice_items.of_price(sandbox, customer, price, quantity, "pricing[price]")
    elif "price_data" in params:
        data, known = params["price_data"], params.get("currency")
        priced = invoice_items.of_price_data(sandbox, data, quantity, known, "price_data")
    else:
        currency = params.get("currency") or customer["currency"]
        if not currency:
            raise missing_param("currency")
        priced = invoice_items.of_amount(params, currency)
    return {**priced, **_wanted_texts(params)}


def _wanted_texts(params: dict[str, Any]) -> dict[str, Any]:
    period = params.get("period")
    given = {"description": params["description"]} if "description" in params else {}
    return {**given, **({"period": (period["start"], period["end"])} if period else {})}


@route("GET", "/v1/invoiceitems/{item}", params=InvoiceItemRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], item: str) -> Document:
    return _of_path(sandbox, item)


@route("POST", "/v1/invoiceitems/{item}", params=InvoiceItemUpdateParams, supports=CHANGED)
def update(sandbox: Sandbox, params: dict[str, Any], item: str) -> Document:
    before = _of_path(sandbox, item)
    draft = _editable(sandbox, before, "This invoice item has been deleted.")
    customer = in_body(sandbox, "customer", before["customer"], "customer")
    after = {**before}
    if {"amount", "unit_amount_decimal", "price_data", "pricing", "quantity"} & params.keys():
        known = {"currency": before["currency"], "quantity": before["quantity"], "amount": before["amount"]}
        priced = _priced(sandbox, customer, {**known, **params})
        after.update({name: value for name, value in priced.items() if name != "period"})
        after["net_amount"] = after["amount"]
        after["quantity_decimal"] = str(after["quantity"])
    assign(after, params, ("description", "period"))
    invoice_items.take(sandbox, customer, after, params)
    sandbox.store.put(KIND, after)
    if draft:
        invoices.write(sandbox, draft, _with_changed(sandbox, draft, after))
    return _of_path(sandbox, item)


def _with_changed(sandbox: Sandbox, draft: Document, item: Document) -> list[Document]:
    rows = lines.of_invoice(sandbox, draft)
    changed = invoice_items.line_of(sandbox, item)
    return [{**changed, "id": row["id"]} if lines.invoice_item_of(row) == item["id"] else row for row in rows]


def _editable(sandbox: Sandbox, item: Document, gone: str) -> Document | None:
    """The draft that holds the item, None for a pending one; refused once the invoice is final or deleted."""
    if item["invoice"] is None:
        return None
    invoice = sandbox.store.get(invoices.KIND, item["invoice"])
    if invoice is None:
        raise state_error(gone)
    if invoice["status"] != "draft":
        raise state_error(DEAD_INVOICE)
    return invoice


@route("DELETE", "/v1/invoiceitems/{item}", params=InvoiceItemDeleteParams)
def delete(sandbox: Sandbox, params: dict[str, Any], item: str) -> Document:
    row = _of_path(sandbox, item)
    draft = _editable(sandbox, row, DEAD_INVOICE)
    if draft:
        kept = [line for line in lines.of_invoice(sandbox, draft) if lines.invoice_item_of(line) != item]
        invoices.write(sandbox, draft, kept)
    sandbox.store.delete(KIND, item)
    sandbox.emit("invoiceitem.deleted", row)
    return {"id": item, "object": KIND, "deleted": True}


@route("GET", "/v1/invoiceitems", params=InvoiceItemListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    pending = params.get("pending")

    def wanted(row: Document) -> bool:
        return pending is None or (row["invoice"] is None) == pending

    filters = {name: params.get(name) for name in ("customer", "invoice")}
    created = params.get("created")
    rest = {name: value for name, value in params.items() if name != "created"}
    return lists.page(
        sandbox,
        KIND,
        rest,
        "/v1/invoiceitems",
        where=lambda row: wanted(row) and (created is None or lists.in_range(row["date"], created)),
        **filters,
    )
