"""Invoice items: amounts that wait for the customer's next invoice, or were put on a certain one."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from portal.sandbox import amounts, discount_objects, lines, prices, tax_rates
from portal.sandbox.currencies import checked_currency
from portal.sandbox.documents import assign, in_body, merged_metadata
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
    if not price["active"]:
        raise invalid("The price specified is inactive. This field only accepts active prices.", param)
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


def of_amount(wanted: Document, currency: str, at: str = "") -> dict[str, Any]:
    """As `of_price`, for a unit amount times a quantity, or a plain amount."""
    quantity = wanted.get("quantity", 1)
    unit = wanted.get("unit_amount_decimal", wanted.get("unit_amount"))
    if unit is not None:
        amount = amounts.whole(Fraction(unit) * quantity)
    elif "amount" in wanted:
        unit = amount = wanted["amount"]
        quantity = 1
    else:
        raise missing_param(member(at, "amount"))
    pricing = lines.pricing_of_amount(str(unit))
    bare = {"amount": amount, "currency": currency, "description": None}
    return {**bare, "quantity": quantity, "pricing": pricing}


def of_price_data(
    sandbox: Sandbox, given: Document, quantity: int, currency: str | None, at: str
) -> dict[str, Any]:
    """As `of_price`, for a price that the request describes; in this `currency` where that is settled."""
    amount = prices.amount_pair(given, "unit_amount", signed=True)["unit_amount_decimal"]
    if amount is None:
        raise missing_param(f"{at}[unit_amount]")
    wanted = checked_currency(given["currency"], f"{at}[currency]")
    if currency and wanted != currency:
        raise invalid(
            f"The currency must be `{currency}`, that of what it is billed with.", f"{at}[currency]"
        )
    product = in_body(sandbox, "product", given["product"], f"{at}[product]")
    # Stripe makes an inactive price of it, which nothing here asks for again
    details = {"price": sandbox.new_id("price"), "product": product["id"]}
    return {
        "amount": amounts.whole(Fraction(amount) * quantity),
        "currency": wanted,
        "description": product["name"],
        "quantity": quantity,
        "pricing": {**lines.pricing_of_amount(amount), "price_details": details},
        "_tax_behavior": given.get("tax_behavior"),
    }


def take(sandbox: Sandbox, customer: Document, item: Document, wanted: Document, at: str = "") -> None:
    """Take over what a request says of an item besides its amount, in place."""
    assign(item, wanted, ("discountable",))
    item["metadata"] = merged_metadata(item["metadata"], wanted.get("metadata"))
    if "tax_behavior" in wanted:
        item["_tax_behavior"] = wanted["tax_behavior"]
    if "tax_rates" in wanted:
        item["tax_rates"] = tax_rates.named(sandbox, wanted["tax_rates"], member(at, "tax_rates"))
    if "discounts" in wanted:
        coupons = discount_objects.coupons_of(sandbox, wanted["discounts"], member(at, "discounts"), customer)
        item["discounts"] = discount_objects.attach(
            sandbox, coupons, customer, item["currency"], invoice_item=item["id"]
        )


def member(at: str, name: str) -> str:
    """The name of a parameter that stands in the object `at`, or on its own."""
    return f"{at}[{name}]" if at else name
