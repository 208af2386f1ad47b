"""What an update does to the items of a subscription, and the prorations that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from portal.sandbox import billed, changes, discount_objects, items, ordering, periods, usage_lines
from portal.sandbox.documents import in_body, merged_metadata
from portal.sandbox.errors import invalid, missing
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document


@dataclass
class ItemChanges:
    """The items as they will be, and those whose billing changes; `changed` holds (before, after)."""

    rows: list[Document]
    removed: list[Document] = field(default_factory=list)
    added: list[Document] = field(default_factory=list)
    changed: list[tuple[Document, Document]] = field(default_factory=list)

    @property
    def bills(self) -> bool:
        """Whether anything that is billed changes."""
        return bool(self.removed or self.added or self.changed)

    @property
    def interval_changes(self) -> bool:
        """Whether an item moves to another interval, which is invoiced at once."""
        return any(_rhythm(before) != _rhythm(after) for before, after in self.changed)


def read(sandbox: Sandbox, subscription: Document, given: list[Document], at: str = "items") -> ItemChanges:
    """The changes that a request asks for; an entry without `id` adds an item, items not named stay."""
    customer = in_body(sandbox, "customer", subscription["customer"], "customer")
    outcome = ItemChanges(items.of_subscription(sandbox, subscription))
    for index, wanted in enumerate(given):
        param = f"{at}[{index}]" if at else ""
        if not wanted.get("id"):
            _add(sandbox, subscription, customer, outcome, wanted, param)
            continue
        item = next((row for row in outcome.rows if row["id"] == wanted["id"]), None)
        if item is None:
            raise missing("subscription_item", wanted["id"], f"{param}[id]", status=400)
        _change(sandbox, subscription, customer, outcome, item, wanted, param)
    if not outcome.rows:
        raise invalid("A subscription must have at least one active plan.", at)
    prices = [row["price"] for row in outcome.rows]
    if len({price["id"] for price in prices}) < len(prices):
        raise invalid("This price is already used on an existing Subscription Item.", "items")
    ordering.check_intervals(prices)
    return outcome


def _add(
    sandbox: Sandbox,
    subscription: Document,
    customer: Document,
    outcome: ItemChanges,
    wanted: Document,
    param: str,
) -> None:
    price = ordering.recurring_price(sandbox, wanted, param)
    now = sandbox.now(customer)
    item = items.build(
        sandbox,
        subscription["id"],
        price,
        ordering.quantity_of(price, wanted, param),
        _period(subscription, price, now),
        created=now,
        metadata=wanted.get("metadata"),
    )
    _take_discounts(sandbox, customer, item, wanted, param)
    outcome.rows.append(item)
    outcome.added.append(item)


def _period(subscription: Document, price: Document, now: int) -> tuple[int, int]:
    """A new item shares the subscription's rhythm (recorded), counted from its anchor."""
    if subscription["status"] == "trialing":
        return now, subscription["trial_end"]
    recurring = price["recurring"]
    anchor = subscription["billing_cycle_anchor"]
    return periods.containing(anchor, recurring["interval"], recurring["interval_count"], now)


def _change(
    sandbox: Sandbox,
    subscription: Document,
    customer: Document,
    outcome: ItemChanges,
    item: Document,
    wanted: Document,
    param: str,
) -> None:
    at = outcome.rows.index(item)
    if wanted.get("deleted"):
        outcome.rows.remove(item)
        outcome.removed.append(item)
        return
    after: dict[str, Any] = {**item}
    if "price" in wanted and wanted["price"] != item["price"]["id"]:
        price = ordering.recurring_price(sandbox, wanted, param)
        items.set_price(after, price, ordering.quantity_of(price, wanted, param))
        after["_usage_from"] = sandbox.now(customer)
    elif "quantity" in wanted:
        items.set_price(after, item["price"], ordering.quantity_of(item["price"], wanted, param))
    if _rhythm(item) != _rhythm(after) and subscription["status"] != "trialing":
        _move_period(sandbox, subscription, after)
    if "metadata" in wanted:
        after["metadata"] = merged_metadata(item["metadata"], wanted["metadata"])
    _take_discounts(sandbox, customer, after, wanted, param)
    outcome.rows[at] = after
    if after["price"]["id"] != item["price"]["id"] or after.get("quantity") != item.get("quantity"):
        outcome.changed.append((item, after))


def _move_period(sandbox: Sandbox, subscription: Document, after: Document) -> None:
    """Give an item of another interval the period around now, in place; the anchor never moves by itself."""
    now = sandbox.now(subscription["customer"])
    start, end = _period(subscription, after["price"], now)
    after["current_period_start"], after["current_period_end"] = start, end


def _take_discounts(
    sandbox: Sandbox, customer: Document, item: Document, wanted: Document, param: str
) -> None:
    if "discounts" not in wanted:
        return
    coupons = discount_objects.coupons_of(sandbox, wanted["discounts"], f"{param}[discounts]", customer)
    item["discounts"] = discount_objects.attach(
        sandbox,
        coupons,
        customer,
        item["price"]["currency"],
        subscription=item["subscription"],
        subscription_item=item["id"],
    )


def _rhythm(item: Document) -> tuple[str, int]:
    recurring = item["price"]["recurring"]
    return recurring["interval"], recurring["interval_count"]


def prorations(sandbox: Sandbox, subscription: Document, outcome: ItemChanges, at: int) -> list[Document]:
    """The items, not stored yet: the whole old one credited, the whole new one debited (recorded).

    What a metered item counted before it went, or got another price, is billed at the price that it had
    (docs.stripe.com/billing/subscriptions/usage-based/manage-billing-setup).

    The changed and added items remember, in place, what is now billed for them.
    """
    rows: list[Document] = []
    for item in outcome.removed:
        rows += _credits(sandbox, subscription, item, at, outcome.rows)
    for before, after in outcome.changed:
        rows += _credits(sandbox, subscription, before, at, outcome.rows)
        rows += _debits(sandbox, subscription, after, at, outcome.rows)
    for item in outcome.added:
        rows += _debits(sandbox, subscription, item, at, outcome.rows)
    return rows


def _credits(
    sandbox: Sandbox, subscription: Document, item: Document, at: int, rows: list[Document]
) -> list[Document]:
    """What the item gives back; a metered one bills what was used up to now (flexible billing mode)."""
    if not items.is_metered(item):
        return changes.credit_items(sandbox, subscription, item, at)
    now = sandbox.now(subscription["customer"])
    meter = item["price"]["recurring"]["meter"]
    # of this second, unless a price of the same meter begins with it
    goes_on = any(row["price"]["recurring"]["meter"] == meter for row in rows)
    return usage_lines.pending(sandbox, subscription, item, now if goes_on else now + 1)


def _debits(
    sandbox: Sandbox, subscription: Document, item: Document, at: int, beside: list[Document]
) -> list[Document]:
    if items.is_metered(item):
        return []
    row = changes.debit_item(sandbox, subscription, item, at, beside)
    billed.replace(item, row)
    return [row]
