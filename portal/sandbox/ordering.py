"""What a request wants to subscribe to, checked before anything is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from portal.sandbox import discount_objects, items, periods
from portal.sandbox.errors import invalid, missing, missing_param, past_time
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

MAX_ITEMS = 20
DAY = 86_400
MAX_TRIAL_DAYS = 730


@dataclass
class OrderedItem:
    """One price with its quantity (None when metered) and the coupons for its line."""

    price: Document
    quantity: int | None
    coupons: list[Document] = field(default_factory=list)
    metadata: Document = field(default_factory=dict)

    @property
    def metered(self) -> bool:
        return self.quantity is None


@dataclass
class Order:
    """A subscription as asked for."""

    customer: Document
    items: list[OrderedItem]
    coupons: list[Document]
    currency: str
    trial_end: int | None


def read(sandbox: Sandbox, customer: Document, params: dict[str, Any], at: str = "") -> Order:
    """The order behind the parameters of a subscription; `at` is their prefix (`subscription_details`).

    Raises Stripe's 400s: missing items, unfit prices, coupons that may not be used, a trial in the past.
    """
    if not params.get("items"):
        raise missing_param(f"{at}[items]" if at else "items")
    if len(params["items"]) > MAX_ITEMS:
        raise invalid(f"A subscription can have at most {MAX_ITEMS} items.", "items")
    rows = [
        _item(sandbox, row, _name(at, f"items[{index}]"), customer)
        for index, row in enumerate(params["items"])
    ]
    _check_together([row.price for row in rows])
    currency = params.get("currency") or rows[0].price["currency"]
    check_currency(sandbox, customer, currency)
    for row in rows:
        if row.price["currency"] != currency:
            raise other_currency(row.price, currency)
    coupons = discount_objects.coupons_of(sandbox, params.get("discounts"), "discounts", customer)
    gross = sum(int(row.price.get("unit_amount") or 0) * (row.quantity or 0) for row in rows)
    discount_objects.check_minimums(coupons, gross, currency)
    return Order(customer, rows, coupons, currency, trial_end(sandbox, customer, params))


def _name(at: str, name: str) -> str:
    if not at:
        return name
    head, bracket, rest = name.partition("[")
    return f"{at}[{head}]{bracket}{rest}"


def _item(sandbox: Sandbox, row: Document, at: str, customer: Document) -> OrderedItem:
    price = recurring_price(sandbox, row, at)
    coupons = discount_objects.coupons_of(sandbox, row.get("discounts"), f"{at}[discounts]", customer)
    return OrderedItem(price, quantity_of(price, row, at), coupons, row.get("metadata") or {})


def recurring_price(sandbox: Sandbox, row: Document, at: str) -> Document:
    """The active recurring price that an item names."""
    id = row.get("price")
    if not id:
        raise missing_param(f"{at}[price]")
    price = sandbox.store.get("price", id)
    if price is None:
        raise missing("price", id, f"{at}[price]", status=400)
    if not price["active"]:
        raise invalid(
            "The price specified is inactive. This field only accepts active prices.", f"{at}[price]"
        )
    if price["type"] != "recurring":
        raise invalid(
            "The price specified is set to `type=one_time` but this field only accepts prices with "
            "`type=recurring`.",
            f"{at}[price]",
        )
    return price


def quantity_of(price: Document, row: Document, at: str) -> int | None:
    """The item's quantity, 1 unless told; a metered price has none."""
    if price["recurring"]["usage_type"] == "metered":
        if "quantity" in row:
            raise invalid("You cannot set the quantity for metered plans.", f"{at}[quantity]")
        return None
    quantity = row.get("quantity", 1)
    if quantity < 0:
        raise invalid("This value must be greater than or equal to 0.", f"{at}[quantity]")
    return quantity


def _check_together(prices: list[Document]) -> None:
    seen: set[str] = set()
    for price in prices:
        if price["id"] in seen:
            raise invalid(
                "Cannot create a Subscription with multiple Subscription Items with the same Price: "
                + price["id"],
                "plan",
            )
        seen.add(price["id"])
    check_intervals(prices)


def check_intervals(prices: list[Document]) -> None:
    """Mixed intervals must be multiples of the shortest one."""
    if not periods.multiples([price["recurring"] for price in prices]):
        raise invalid(
            "Billing intervals on a subscription must be multiples of its shortest interval; weeks "
            "and months "
            "cannot be mixed.",
            "items",
        )


def check_currency(sandbox: Sandbox, customer: Document, currency: str) -> None:
    """One customer pays in one currency as long as it has something running."""
    known = customer.get("currency")
    if known and known != currency and _has_something_running(sandbox, customer["id"]):
        raise invalid(
            "You cannot combine currencies on a single customer. This customer has an active subscription, "
            f"subscription schedule, discount, quote, or invoice item with currency {known}.",
        )


def _has_something_running(sandbox: Sandbox, customer: str) -> bool:
    over = ("canceled", "incomplete_expired")
    running = sandbox.store.walk("subscription", lambda row: row["status"] not in over, customer=customer)
    return next(running, None) is not None


def other_currency(price: Document, currency: str, param: str = "items") -> Exception:
    """The price is in another currency than what it is to be billed with."""
    return invalid(
        f"The price specified only supports `{price['currency']}`. This doesn't match the expected currency: "
        f"`{currency}`.",
        param,
    )


def trial_end(sandbox: Sandbox, customer: Document, params: dict[str, Any]) -> int | None:
    """When the trial ends, or None for a subscription that is paid from its first second."""
    now = sandbox.now(customer)
    given, days = params.get("trial_end"), params.get("trial_period_days")
    if given is not None and days is not None:
        raise invalid("You may only specify one of these parameters: trial_end, trial_period_days.")
    if isinstance(given, int) and given <= now:
        raise past_time("trial_end", given)
    if days is not None and not 0 <= days <= MAX_TRIAL_DAYS:
        raise invalid(f"A trial lasts at most {MAX_TRIAL_DAYS} days.", "trial_period_days")
    if isinstance(given, int):
        return given
    return now + days * DAY if days else None


def build_items(
    sandbox: Sandbox, order: Order, subscription: str, *, anchor: int, start: int
) -> list[Document]:
    """The items of a new subscription; each ends with its own first period, or with the trial."""
    rows = []
    for wanted in order.items:
        end = anchor if anchor > start else periods.first_end(anchor, wanted.price["recurring"])
        row = items.build(
            sandbox,
            subscription,
            wanted.price,
            wanted.quantity,
            (start, end),
            created=start,
            metadata=wanted.metadata,
        )
        row["discounts"] = discount_objects.attach(
            sandbox,
            wanted.coupons,
            order.customer,
            order.currency,
            subscription=subscription,
            subscription_item=row["id"],
        )
        rows.append(row)
    return rows
