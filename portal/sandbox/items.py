"""Subscription items: one price of a subscription, its quantity and its own period."""

from __future__ import annotations

from collections.abc import Iterable

from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "subscription_item"
PLAN_FIELDS = (
    "active",
    "billing_scheme",
    "created",
    "currency",
    "livemode",
    "metadata",
    "nickname",
    "product",
    "tiers_mode",
)


def build(
    sandbox: Sandbox,
    subscription: str,
    price: Document,
    quantity: int | None,
    period: tuple[int, int],
    *,
    created: int,
    metadata: Document | None = None,
    discounts: Iterable[str] = (),
) -> Document:
    """An item that is not stored yet; `quantity` is None for a metered price."""
    item = {
        "id": sandbox.new_id("si", 14),
        "object": KIND,
        "billing_thresholds": None,
        "created": created,
        "current_period_end": period[1],
        "current_period_start": period[0],
        "discounts": list(discounts),
        "metadata": dict(metadata or {}),
        "subscription": subscription,
        "tax_rates": [],
        "_billed": [],
    }
    set_price(item, price, quantity)
    return item


def set_price(item: Document, price: Document, quantity: int | None) -> None:
    """Sell another price or quantity, in place."""
    item["price"] = price
    item["plan"] = plan_of(price)
    item.pop("quantity", None)
    if quantity is not None:
        item["quantity"] = quantity


def plan_of(price: Document) -> Document:
    """The price in the older form that Stripe still echoes."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        **{name: price.get(name) for name in PLAN_FIELDS},
        "amount": price.get("unit_amount"),
        "amount_decimal": price.get("unit_amount_decimal"),
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "meter": recurring.get("meter"),
        "transform_usage": price.get("transform_quantity"),
        "trial_period_days": None,
        "usage_type": recurring["usage_type"],
    }


def is_metered(item: Document) -> bool:
    """Whether the item bills what was used instead of a quantity."""
    return has_meter(item["price"])


def has_meter(price: Document) -> bool:
    """Whether a price is for what a meter counts."""
    return price["recurring"] is not None and price["recurring"]["usage_type"] == "metered"


def of_subscription(sandbox: Sandbox, subscription: Document) -> list[Document]:
    """Copies of the subscription's items, in its order."""
    found = (sandbox.store.get(KIND, id) for id in subscription["_items"])
    return [item for item in found if item is not None]


def place(sandbox: Sandbox, subscription: Document, rows: list[Document]) -> None:
    """Make these the subscription's items, in this order, in place; others are forgotten."""
    kept = {item["id"] for item in rows}
    for id in subscription["_items"]:
        if id not in kept:
            sandbox.store.delete(KIND, id)
    for item in rows:
        sandbox.store.put(KIND, item)
    subscription["_items"] = [item["id"] for item in rows]
    subscription["items"] = {
        "object": "list",
        "data": rows,
        "has_more": False,
        "total_count": len(rows),
        "url": f"/v1/subscription_items?subscription={subscription['id']}",
    }
