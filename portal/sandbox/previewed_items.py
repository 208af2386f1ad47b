"""`invoice_items` of a preview: charges and credits that are not there yet, or pending ones as they would be.

Called inside a transaction that the preview undoes: it really stores them.
"""

from __future__ import annotations

from typing import Any

from portal.sandbox import invoice_item_routes, invoice_items, invoices, lines, ordering
from portal.sandbox.documents import in_body
from portal.sandbox.errors import invalid
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

PARAM = "invoice_items"
MAX_PREVIEWED = 250  # InvoiceCreatePreviewParams.invoice_items
CHANGED = ("amount", "description", "discountable", "discounts", "metadata", "period", "price", "quantity")
CHANGED += ("tax_behavior", "tax_rates", "unit_amount", "unit_amount_decimal")
SUPPORTED = tuple(f"{PARAM}.{name}" for name in (*CHANGED, "currency", "invoiceitem", "price_data"))


def add_to(sandbox: Sandbox, draft: Document, given: list[Document]) -> Document:
    """The draft with a line more for every new item."""
    rows = _read(sandbox, draft["customer"], draft["currency"], given)
    for row in rows:
        sandbox.store.put(invoice_items.KIND, row)
    if rows:
        added = [invoice_items.line_of(sandbox, row) for row in rows]
        invoices.write(sandbox, draft, [*lines.of_invoice(sandbox, draft), *added])
    return draft


def let_wait(sandbox: Sandbox, subscription: Document, given: list[Document]) -> None:
    """Let new items wait for the subscription's next invoice, which takes them up in their order."""
    rows = _read(sandbox, subscription["customer"], subscription["currency"], given)
    for row in reversed(rows):  # what waits is taken up newest first
        sandbox.store.put(invoice_items.KIND, {**row, "_subscription": subscription["id"]})


def _read(sandbox: Sandbox, customer_id: str, currency: str, given: list[Document]) -> list[Document]:
    """The new items, not stored yet; pending ones that the request names are changed."""
    if len(given) > MAX_PREVIEWED:
        raise invalid(f"Array {PARAM} exceeded maximum {MAX_PREVIEWED} allowed elements.", PARAM)
    customer = in_body(sandbox, "customer", customer_id, "customer")
    rows = []
    for index, wanted in enumerate(given):
        at = f"{PARAM}[{index}]"
        if wanted.get("invoiceitem"):
            _change(sandbox, customer, wanted, at)
            continue
        row = invoice_items.build(sandbox, customer, **_priced(sandbox, customer, wanted, currency, at))
        invoice_items.take(sandbox, customer, row, wanted, at)
        rows.append(row)
    return rows


def _change(sandbox: Sandbox, customer: Document, wanted: Document, at: str) -> None:
    """Change a pending item of the customer's as `/v1/invoiceitems/{id}` would."""
    known = in_body(sandbox, invoice_items.KIND, wanted["invoiceitem"], f"{at}[invoiceitem]")
    if known["customer"] != customer["id"] or known["invoice"] is not None:
        raise invalid("Only a pending invoice item of the customer can be changed.", f"{at}[invoiceitem]")
    changes: dict[str, Any] = {name: wanted[name] for name in CHANGED if name in wanted}
    if "price" in changes:
        changes["pricing"] = {"price": changes.pop("price")}
    if "price_data" in wanted:
        changes["price_data"] = wanted["price_data"]
    invoice_item_routes.update(sandbox, changes, known["id"])


def _priced(sandbox: Sandbox, customer: Document, wanted: Document, currency: str, at: str) -> dict[str, Any]:
    """The amount and texts of a new item, in the currency of the invoice that it goes on."""
    quantity = wanted.get("quantity", 1)
    if wanted.get("price"):
        priced = invoice_items.of_price(sandbox, customer, wanted["price"], quantity, f"{at}[price]")
    elif "price_data" in wanted:
        data = wanted["price_data"]
        priced = invoice_items.of_price_data(sandbox, data, quantity, currency, f"{at}[price_data]")
    else:
        priced = invoice_items.of_amount(wanted, wanted.get("currency", currency), at)
    if priced["currency"] != currency:
        raise ordering.other_currency(priced, currency, f"{at}[currency]")
    if "description" in wanted:
        priced["description"] = wanted["description"]
    if "period" in wanted:
        priced["period"] = (wanted["period"]["start"], wanted["period"]["end"])
    return priced
