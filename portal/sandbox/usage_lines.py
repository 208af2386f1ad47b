"""The lines of metered items: what their meter counted in the item's period, at the item's price.

Counted when the invoice is drafted, and once more when it becomes final: usage of the old period that arrives
while it is a draft is still billed, what comes later never is
(docs.stripe.com/billing/subscriptions/usage-based/configure-grace-period). No recording since the API's last
change of lines shows a metered one: `pricing.unit_amount_decimal` of a tier is our reading of the SDK.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby, zip_longest
from typing import Any

from portal.sandbox import invoice_items, items, lines, meter_usage, usage_parts
from portal.sandbox.meters import KIND as METER
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document
from portal.sandbox.usage_parts import Part


def used_from(subscription: Document, item: Document) -> int:
    """The first second whose usage the item bills: not in a trial, nor before it, or its price, was there."""
    known = item.get("_usage_from", item["created"])
    return max(item["current_period_start"], known, subscription["trial_end"] or 0)


def of_period(sandbox: Sandbox, subscription: Document, item: Document) -> list[Document]:
    """The lines for what was used in the item's period that ends; none when it bills no part of that."""
    counted = (used_from(subscription, item), item["current_period_end"])
    return _lines(sandbox, subscription, item, counted)


def up_to_now(sandbox: Sandbox, subscription: Document) -> list[Document]:
    """The lines for what was used since the metered items' periods began, this second included."""
    now = sandbox.now(subscription["customer"])
    return [
        line
        for item in items.of_subscription(sandbox, subscription)
        if items.is_metered(item)
        for line in _lines(
            sandbox,
            subscription,
            {**item, "current_period_end": now},
            (used_from(subscription, item), now + 1),
        )
    ]


def pending(
    sandbox: Sandbox, subscription: Document, item: Document, until: int, *, open_end: bool = False
) -> list[Document]:
    """Invoice items, not stored yet, for what was used before `until`, at the price that the item has now.

    Nothing for nothing. `open_end`: what arrives until their invoice is final counts as well.
    """
    start = used_from(subscription, item)
    period_end = min(until, sandbox.now(subscription["customer"]))
    ended = {**item, "current_period_end": period_end}
    found = _lines(sandbox, subscription, ended, (start, until))
    if not open_end and not any(line["amount"] or line["quantity_decimal"] != "0" for line in found):
        return []
    return [_item_of(sandbox, subscription, item, line, open_end) for line in found]


def recount(sandbox: Sandbox, rows: list[Document]) -> list[Document]:
    """An invoice's lines as they are when it becomes final; lines that stay keep their ids."""
    after: list[Document] = []
    for key, group in groupby(rows, key=lambda line: (line.get("_usage") or {}).get("key")):
        known = list(group)
        after += known if key is None else _recounted(sandbox, known)
    return after


def _recounted(sandbox: Sandbox, known: list[Document]) -> list[Document]:
    first, found = known[0], []
    usage = first["_usage"]
    product = _product(sandbox, usage["price"])
    parts = usage_parts.of(usage["price"], _quantity(sandbox, usage))
    for line, part in zip_longest(known, parts):
        if part is not None:
            row = line or {**first, "id": sandbox.new_id("il")}
            found.append({**row, **_members(usage["price"], product, part)})
    return found


def _lines(
    sandbox: Sandbox, subscription: Document, item: Document, counted: tuple[int, int]
) -> list[Document]:
    """A line for each part of what the item's meter counted in that time, from … to before …."""
    price = item["price"]
    start, end = counted
    if start >= end:
        return []
    usage = {
        "key": f"{item['id']}/{start}/{end}",
        "customer": subscription["customer"],
        "start": start,
        "end": end,
        "price": price,
    }
    product = _product(sandbox, price)
    return [
        _line(sandbox, subscription, item, usage, _members(price, product, part))
        for part in usage_parts.of(price, _quantity(sandbox, usage))
    ]


def _line(
    sandbox: Sandbox, subscription: Document, item: Document, usage: Document, members: dict[str, Any]
) -> Document:
    built = lines.build(
        sandbox,
        amount=0,
        currency=subscription["currency"],
        description=None,
        period=(item["current_period_start"], item["current_period_end"]),
        quantity=0,
        parent=lines.of_subscription_item(item),
        pricing=None,
        discounts=item["discounts"],
        metadata=subscription["metadata"],
        subscription=subscription["id"],
        tax_behavior=item["price"].get("tax_behavior"),
    )
    return {**built, **members, "_usage": usage}


def _members(price: Document, product: Document, part: Part) -> dict[str, Any]:
    """What a line says of its part; `quantity` is cut to a whole number, as the SDK says."""
    pricing = lines.pricing_of(price)
    if part.tier is not None:
        pricing["unit_amount_decimal"] = None if part.flat else part.rate
    return {
        "amount": part.amount,
        "description": part.description(price, product),
        "pricing": pricing,
        "quantity": int(part.quantity),
        "quantity_decimal": usage_parts.text(part.quantity),
        "subtotal": part.amount,
    }


def _quantity(sandbox: Sandbox, usage: Document) -> Decimal:
    meter = sandbox.store.peek(METER, usage["price"]["recurring"]["meter"])
    if meter is None:
        return Decimal(0)
    return meter_usage.aggregated(sandbox, meter, usage["customer"], usage["start"], usage["end"])


def _product(sandbox: Sandbox, price: Document) -> Document:
    return sandbox.store.get("product", lines.product_id(price)) or {"name": "", "unit_label": None}


def _item_of(
    sandbox: Sandbox, subscription: Document, item: Document, line: Document, open_end: bool
) -> Document:
    customer = sandbox.store.get("customer", subscription["customer"]) or {}
    row = invoice_items.build(
        sandbox,
        customer,
        amount=line["amount"],
        currency=line["currency"],
        description=line["description"],
        quantity=line["quantity"],
        period=(line["period"]["start"], line["period"]["end"]),
        pricing=line["pricing"],
        discounts=line["discounts"],
        quantity_decimal=line["quantity_decimal"],
        parent={
            "subscription_details": {"subscription": subscription["id"], "subscription_item": item["id"]},
            "type": "subscription_details",
        },
        _subscription=subscription["id"],
        _tax_behavior=line["_tax_behavior"],
        _usage=line["_usage"] if open_end else None,
    )
    row["_line_parent"] = lines.of_subscription_item(item, invoice_item=row["id"])
    return row
