"""`/v1/invoices/{invoice}/lines` and the verbs that change the lines of a draft."""

from __future__ import annotations

from typing import Any

from stripe.params import (
    InvoiceAddLinesParams,
    InvoiceLineItemListParams,
    InvoiceLineItemUpdateParams,
    InvoiceRemoveLinesParams,
    InvoiceUpdateLinesParams,
)

from portal.sandbox import discount_objects, invoice_items, invoices, lines, lists
from portal.sandbox.dispatch import route
from portal.sandbox.documents import assign, in_body, merged_metadata
from portal.sandbox.errors import invalid, missing, missing_param, state_error
from portal.sandbox.invoice_routes import of_path
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

CHANGED = ("amount", "description", "discountable", "discounts", "metadata", "period")
ADDED = (
    *(f"lines.{name}" for name in CHANGED),
    "lines.invoice_item",
    "lines.price_data.currency",
    "lines.price_data.product",
    "lines.price_data.tax_behavior",
    "lines.price_data.unit_amount",
    "lines.price_data.unit_amount_decimal",
    "lines.pricing.price",
    "lines.quantity",
)
NOT_A_DRAFT = "You can only change the lines of a draft invoice."


@route("GET", "/v1/invoices/{invoice}/lines", params=InvoiceLineItemListParams)
def listing(sandbox: Sandbox, params: dict[str, Any], invoice: str) -> Document:
    """In the order of the invoice, without a total count (recorded)."""
    row = of_path(sandbox, invoice, "invoice")
    return lists.page(
        sandbox, lines.KIND, params, f"/v1/invoices/{invoice}/lines", oldest_first=True, invoice=row["id"]
    )


def _draft(sandbox: Sandbox, id: str) -> Document:
    invoice = of_path(sandbox, id, "invoice")
    if invoice["status"] != "draft":
        raise state_error(NOT_A_DRAFT)
    return invoice


def _take_metadata(invoice: Document, params: dict[str, Any]) -> None:
    invoice["metadata"] = merged_metadata(invoice["metadata"], params.get("invoice_metadata"))


@route(
    "POST",
    "/v1/invoices/{invoice}/add_lines",
    params=InvoiceAddLinesParams,
    supports=(*ADDED, "invoice_metadata"),
)
def add_lines(sandbox: Sandbox, params: dict[str, Any], invoice: str) -> Document:
    row = _draft(sandbox, invoice)
    _take_metadata(row, params)
    rows = lines.of_invoice(sandbox, row)
    rows += [
        _new_line(sandbox, row, wanted, f"lines[{index}]") for index, wanted in enumerate(params["lines"])
    ]
    invoices.write(sandbox, row, rows)
    return row


def _new_line(sandbox: Sandbox, invoice: Document, wanted: Document, at: str) -> Document:
    if wanted.get("invoice_item"):
        item = in_body(sandbox, invoice_items.KIND, wanted["invoice_item"], f"{at}[invoice_item]")
        if item["invoice"] is not None:
            raise invalid("The invoice item is already attached to an invoice.", f"{at}[invoice_item]")
        return invoice_items.line_of(sandbox, item)
    customer = in_body(sandbox, "customer", invoice["customer"], "customer")
    price = (wanted.get("pricing") or {}).get("price")
    if price:
        quantity = wanted.get("quantity", 1)
        priced = invoice_items.of_price(sandbox, customer, price, quantity, f"{at}[pricing][price]")
    elif "price_data" in wanted:
        priced = invoice_items.of_price_data(
            sandbox, wanted["price_data"], wanted.get("quantity", 1), invoice["currency"], f"{at}[price_data]"
        )
    elif "amount" in wanted:
        priced = {"amount": wanted["amount"], "currency": invoice["currency"], "description": None}
    else:
        raise missing_param(f"{at}[amount]")
    item = invoice_items.build(sandbox, customer, **priced)
    _take(sandbox, invoice, item, {name: value for name, value in wanted.items() if name != "amount"}, at)
    sandbox.store.put(invoice_items.KIND, item)
    return invoice_items.line_of(sandbox, item)


def _take(sandbox: Sandbox, invoice: Document, row: Document, wanted: Document, at: str) -> None:
    """Take over what a request says of a line (or its item), in place."""
    assign(row, wanted, ("amount", "description", "discountable", "period"))
    row["metadata"] = merged_metadata(row["metadata"], wanted.get("metadata"))
    if "amount" in wanted:
        row["pricing"] = lines.pricing_of_amount(str(wanted["amount"]))
        row["subtotal"] = wanted["amount"]
    if "discounts" in wanted:
        customer = in_body(sandbox, "customer", invoice["customer"], "customer")
        coupons = discount_objects.coupons_of(sandbox, wanted["discounts"], f"{at}[discounts]", customer)
        row["discounts"] = discount_objects.attach(
            sandbox, coupons, customer, invoice["currency"], invoice=invoice["id"]
        )


@route(
    "POST",
    "/v1/invoices/{invoice}/update_lines",
    params=InvoiceUpdateLinesParams,
    supports=(*(f"lines.{name}" for name in CHANGED), "lines.id", "invoice_metadata"),
)
def update_lines(sandbox: Sandbox, params: dict[str, Any], invoice: str) -> Document:
    row = _draft(sandbox, invoice)
    _take_metadata(row, params)
    rows = lines.of_invoice(sandbox, row)
    for index, wanted in enumerate(params["lines"]):
        _take(sandbox, row, _line(rows, wanted["id"], f"lines[{index}][id]"), wanted, f"lines[{index}]")
    invoices.write(sandbox, row, rows)
    return row


def _line(rows: list[Document], id: str, param: str, status: int = 400) -> Document:
    line = next((row for row in rows if row["id"] == id), None)
    if line is None:
        raise missing("line item", id, param, status=status)
    return line


@route(
    "POST",
    "/v1/invoices/{invoice}/lines/{line}",
    params=InvoiceLineItemUpdateParams,
    supports=CHANGED,
)
def update_line(sandbox: Sandbox, params: dict[str, Any], invoice: str, line: str) -> Document:
    row = _draft(sandbox, invoice)
    rows = lines.of_invoice(sandbox, row)
    changed = _line(rows, line, "line_item_id", status=404)
    _take(sandbox, row, changed, params, "")
    invoices.write(sandbox, row, rows)
    return sandbox.store.get(lines.KIND, line) or changed


@route(
    "POST",
    "/v1/invoices/{invoice}/remove_lines",
    params=InvoiceRemoveLinesParams,
    supports=("lines", "invoice_metadata"),
)
def remove_lines(sandbox: Sandbox, params: dict[str, Any], invoice: str) -> Document:
    """`delete` forgets the item behind the line, `unassign` lets it wait for another invoice."""
    row = _draft(sandbox, invoice)
    _take_metadata(row, params)
    rows = lines.of_invoice(sandbox, row)
    for index, wanted in enumerate(params["lines"]):
        line = _line(rows, wanted["id"], f"lines[{index}][id]")
        rows.remove(line)
        item = sandbox.store.get(invoice_items.KIND, lines.invoice_item_of(line) or "")
        if item and wanted["behavior"] == "delete":
            sandbox.store.delete(invoice_items.KIND, item["id"])
        elif item:
            sandbox.store.put(invoice_items.KIND, {**item, "invoice": None})
    invoices.write(sandbox, row, rows)
    return row
