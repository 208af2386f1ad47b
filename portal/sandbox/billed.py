"""What was really billed for a subscription item's time: the debits that a later credit gives back.

In flexible billing mode a credit goes by what was debited, not by the present price, and time that was billed
in several debits is credited in several lines (docs.stripe.com/billing/subscriptions/billing-mode/compare).
A debit keeps what it took the place of, until it is paid: voiding its invoice brings that back.
"""

from __future__ import annotations

from typing import Any

from portal.sandbox import items, lines
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document


def debit(
    item: Document, amount: int, period: tuple[int, int], *, invoice_item: str | None = None, **members: Any
) -> Document:
    """A debit of `amount` minor units, discounts taken off, for the item's time in `period`."""
    return {
        "amount": amount,
        "start": period[0],
        "end": period[1],
        "price": item["price"],
        "quantity": item.get("quantity") or 0,
        "invoice_item": invoice_item,
        "invoice": None,
        "lines": [],
        "instead_of": [],
        **members,
    }


def of_row(item: Document, row: Document) -> Document:
    """The debit of a proration (an invoice item) for the item's time."""
    period = (row["period"]["start"], row["period"]["end"])
    return debit(item, row["amount"], period, invoice_item=row["id"])


def replace(item: Document, row: Document) -> None:
    """From now on the item's time is billed by this proration, in place."""
    item["_billed"] = [{**of_row(item, row), "instead_of": item["_billed"]}]


def extend(item: Document, row: Document) -> None:
    """This proration bills time that comes after what is billed already, in place."""
    item["_billed"] = [*item["_billed"], of_row(item, row)]


def remember(sandbox: Sandbox, invoice: Document, rows: list[Document]) -> None:
    """Take over into these items, in place, what the invoice's lines bill for them."""
    by_id = {item["id"]: item for item in rows}
    for line in lines.of_invoice(sandbox, invoice):
        details = (line["parent"] or {}).get("subscription_item_details") or {}
        item = by_id.get(details.get("subscription_item"))
        if item is None or items.is_metered(item):
            continue
        if details["proration"]:
            _link(item, invoice, line)
        else:
            item["_billed"] = [_of_line(item, invoice, line)]


def remember_stored(sandbox: Sandbox, invoice: Document) -> None:
    """As `remember`, for the stored items that the invoice bills."""
    rows = _items_on(sandbox, invoice)
    remember(sandbox, invoice, rows)
    for item in rows:
        sandbox.store.put(items.KIND, item)


def _of_line(item: Document, invoice: Document, line: Document) -> Document:
    amount = line["amount"] - sum(row["amount"] for row in line["discount_amounts"])
    period = (line["period"]["start"], line["period"]["end"])
    return debit(item, amount, period, invoice=invoice["id"], lines=[line["id"]])


def _link(item: Document, invoice: Document, line: Document) -> None:
    for known in item["_billed"]:
        if known["invoice_item"] is not None and known["invoice_item"] == lines.invoice_item_of(line):
            known.update(invoice=invoice["id"], lines=[line["id"]])


def _items_on(sandbox: Sandbox, invoice: Document) -> list[Document]:
    ids = {}
    for line in lines.of_invoice(sandbox, invoice):
        details = (line["parent"] or {}).get("subscription_item_details") or {}
        ids[details.get("subscription_item") or ""] = True
    found = (sandbox.store.get(items.KIND, id) for id in ids)
    return [item for item in found if item is not None]


def confirm(sandbox: Sandbox, invoice: Document) -> None:
    """The invoice is paid: its debits stand."""
    for item in _items_on(sandbox, invoice):
        for known in item["_billed"]:
            if known["invoice"] == invoice["id"]:
                known["instead_of"] = []
        sandbox.store.put(items.KIND, item)


def take_back(sandbox: Sandbox, invoice: Document) -> None:
    """The invoice is void: its debits are gone, and what they took the place of is billed again."""
    for item in _items_on(sandbox, invoice):
        kept: list[Document] = []
        for known in item["_billed"]:
            kept += known["instead_of"] if known["invoice"] == invoice["id"] else [known]
        sandbox.store.put(items.KIND, {**item, "_billed": kept})
