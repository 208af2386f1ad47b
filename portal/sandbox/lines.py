"""Invoice lines as documents: built, stored in the order of the invoice, shown as its first page."""

from __future__ import annotations

from collections.abc import Iterable

from portal.sandbox import lists
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "line_item"


def build(
    sandbox: Sandbox,
    *,
    amount: int,
    currency: str,
    description: str | None,
    period: tuple[int, int],
    quantity: int,
    parent: Document | None,
    pricing: Document | None,
    discountable: bool = True,
    discounts: Iterable[str] = (),
    metadata: Document | None = None,
    subscription: str | None = None,
    tax_behavior: str | None = None,
    tax_rates: Iterable[Document] = (),
) -> Document:
    """A line that is on no invoice yet; `amount` in minor units before discounts and exclusive tax."""
    return {
        "id": sandbox.new_id("il"),
        "object": KIND,
        **{name: [] for name in ("discount_amounts", "pretax_credit_amounts", "taxes")},
        "amount": amount,
        "currency": currency,
        "description": description,
        "discountable": discountable,
        "discounts": list(discounts),
        "invoice": None,
        "livemode": False,
        "metadata": dict(metadata or {}),
        "parent": parent,
        "period": {"start": period[0], "end": period[1]},
        "pricing": pricing,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subscription": subscription,
        "subtotal": amount,
        "_tax_behavior": tax_behavior,
        "_tax_rates": list(tax_rates),
    }


def of_subscription_item(
    item: Document,
    *,
    proration: bool = False,
    credited: Document | None = None,
    invoice_item: str | None = None,
) -> Document:
    """The `parent` of a line that a subscription item brings about."""
    return {
        "type": "subscription_item_details",
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": invoice_item,
            "proration": proration,
            "proration_details": {"credited_items": credited},
            "subscription": item["subscription"],
            "subscription_item": item["id"],
        },
    }


def of_invoice_item(
    invoice_item: str, *, proration: bool = False, subscription: str | None = None
) -> Document:
    """The `parent` of a line that an invoice item brings about."""
    return {
        "type": "invoice_item_details",
        "subscription_item_details": None,
        "invoice_item_details": {
            "invoice_item": invoice_item,
            "proration": proration,
            "proration_details": {"credited_items": None},
            "subscription": subscription,
        },
    }


def pricing_of(price: Document, *, with_unit_amount: bool = True) -> Document:
    """The `pricing` of a line or invoice item; a proration names its price but no unit amount (recorded)."""
    return {
        "price_details": {"price": price["id"], "product": product_id(price)},
        "type": "price_details",
        "unit_amount_decimal": unit_amount_decimal(price) if with_unit_amount else None,
    }


def pricing_of_amount(unit_amount_decimal: str) -> Document:
    """The `pricing` of a bare amount."""
    return {"price_details": None, "type": "price_details", "unit_amount_decimal": unit_amount_decimal}


def unit_amount_decimal(price: Document) -> str | None:
    """The unit amount as Stripe writes decimals; None for a tiered price."""
    if price.get("unit_amount_decimal") is not None:
        return str(price["unit_amount_decimal"])
    return str(price["unit_amount"]) if price.get("unit_amount") is not None else None


def product_id(price: Document) -> str:
    """The price's product, whether or not it is expanded."""
    product = price["product"]
    return product["id"] if isinstance(product, dict) else product


def product_of(line: Document) -> str | None:
    """The product a line sells, if it has one."""
    details = (line.get("pricing") or {}).get("price_details") or {}
    return details.get("product")


def is_proration(line: Document) -> bool:
    """Whether the line charges or credits a part of a period."""
    parent = line.get("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    return bool(details.get("proration"))


def of_invoice(sandbox: Sandbox, invoice: Document) -> list[Document]:
    """Copies of all lines of an invoice, in its order."""
    found = (sandbox.store.get(KIND, id) for id in invoice["_lines"])
    return [line for line in found if line is not None]


def invoice_item_of(line: Document) -> str | None:
    """The id of the invoice item that the line came from."""
    parent = line.get("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    return details.get("invoice_item")


def place(sandbox: Sandbox, invoice: Document, rows: list[Document]) -> None:
    """Make these the invoice's lines, in this order; lines that are no longer there are forgotten."""
    kept = {line["id"] for line in rows}
    for id in invoice["_lines"]:
        if id not in kept:
            sandbox.store.delete(KIND, id)
    for line in rows:
        line["invoice"] = invoice["id"]
        sandbox.store.put(KIND, line)
        item = sandbox.store.get("invoiceitem", invoice_item_of(line) or "")
        if item and item["invoice"] != invoice["id"]:
            sandbox.store.put("invoiceitem", {**item, "invoice": invoice["id"]})
    invoice["_lines"] = [line["id"] for line in rows]
    invoice["lines"] = lists.embedded(rows, f"/v1/invoices/{invoice['id']}/lines")
