"""Invoice items: amounts that wait for the customer's next invoice, or were put on a certain one."""

from __future__ import annotations

from typing import Any

from portal.sandbox import amounts, discount_objects, lines
from portal.sandbox.documents import in_body
from portal.sandbox.errors import invalid, missing_param
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "invoiceitem"
UNSET = ("customer_account", "invoice", "parent", "_line_parent", "_subscription", "_tax_behavior")
EMPTY = ("discounts", "frozen_fields", "invoicing_rules", "tax_rates")


def build(
    sandbox: Sandbox,
    customer: Document,
    *,
    amount: int,
    currency: str,
    description: str | None,
    quantity: int = 1,
    period: tuple[int, int] | None = None,
    pricing: Document | None = None,
    **members: Any,
) -> Document:
    """An item that is not stored yet; `amount` in minor units, `members` override single fields."""
    now = sandbox.now(customer)
    start, end = period or (now, now)
    return {
        "id": sandbox.new_id("ii"),
        "object": KIND,
        **dict.fromkeys(UNSET),
        **{name: [] for name in EMPTY},
        "amount": amount,
        "currency": currency,
        "customer": customer["id"],
        "date": now,
        "description": description,
        "discountable": True,
        "livemode": False,
        "metadata": {},
        "net_amount": amount,
        "period": {"start": start, "end": end},
        "pricing": pricing or lines.pricing_of_amount(str(amount)),
        "proration": False,
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "test_clock": customer.get("test_clock"),
        **members,
    }


def line_of(sandbox: Sandbox, item: Document) -> Document:
    """The invoice line that the item becomes."""
    parent = item["_line_parent"] or lines.of_invoice_item(
        item["id"], proration=item["proration"], subscription=item["_subscription"]
    )
    line = lines.build(
        sandbox,
        amount=item["amount"],
        currency=item["currency"],
        description=item["description"],
        period=(item["period"]["start"], item["period"]["end"]),
        quantity=item["quantity"],
        parent=parent,
        pricing=item["pricing"],
        discountable=item["discountable"],
        discounts=item["discounts"],
        metadata=item["metadata"],
        subscription=item["_subscription"],
        tax_behavior=item["_tax_behavior"],
        tax_rates=item["tax_rates"],
    )
    line["quantity_decimal"] = item["quantity_decimal"]
    if item.get("_usage"):
        line["_usage"] = item["_usage"]
    return line


def of_price(sandbox: Sandbox, customer: Document, id: str, quantity: int, param: str) -> dict[str, Any]:
    """The amount, texts and pricing of a one-time price, as arguments for `build`."""
    price = in_body(sandbox, "price", id, param)
    if price["type"] != "one_time":
        raise invalid(
            "The price specified is set to `type=recurring` but this field only accepts prices with "
            "`type=one_time`.",
            param,
        )
    product = sandbox.store.get("product", lines.product_id(price)) or {"name": ""}
    return {
        "amount": amounts.whole(amounts.for_quantity(price, quantity)),
        "currency": price["currency"],
        "description": product["name"],
        "quantity": quantity,
        "pricing": lines.pricing_of(price),
        "_tax_behavior": price.get("tax_behavior"),
    }


def add_to_subscription(sandbox: Sandbox, subscription: Document, given: list[Document]) -> list[Document]:
    """Store what a request adds to a subscription's invoice and return the lines; one-time prices only."""
    rows = of_request(sandbox, subscription, given)
    for item in rows:
        sandbox.store.put(KIND, {**item, "invoice": subscription["latest_invoice"]})
    return [line_of(sandbox, item) for item in rows]


def of_request(sandbox: Sandbox, subscription: Document, given: list[Document]) -> list[Document]:
    """The items, not stored yet, that a request adds to a subscription: `add_invoice_items`."""
    customer = in_body(sandbox, "customer", subscription["customer"], "customer")
    rows = []
    for index, wanted in enumerate(given):
        at = f"add_invoice_items[{index}]"
        if not wanted.get("price"):
            raise missing_param(f"{at}[price]")
        priced = of_price(sandbox, customer, wanted["price"], wanted.get("quantity", 1), f"{at}[price]")
        item = build(sandbox, customer, **priced)
        coupons = discount_objects.coupons_of(sandbox, wanted.get("discounts"), f"{at}[discounts]", customer)
        item["discounts"] = discount_objects.attach(
            sandbox, coupons, customer, subscription["currency"], invoice_item=item["id"]
        )
        item.update(
            _subscription=subscription["id"],
            discountable=wanted.get("discountable", True),
            metadata=wanted.get("metadata") or {},
        )
        rows.append(item)
    return rows
