"""Prorations of a running subscription, credits of unused time, and what waits for the next invoice."""

from __future__ import annotations

from fractions import Fraction

from portal.sandbox import amounts, discounts, invoice_items, items, lines, proration
from portal.sandbox.discount_objects import lasting, reduction
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document


def full_price(sandbox: Sandbox, subscription: Document, item: Document, beside: list[Document]) -> Fraction:
    """What the item, one of `beside`, costs for a whole period, the discounts that still last taken off.

    A discount of the whole subscription is shared with the items that are billed together with it
    (docs.stripe.com/billing/subscriptions/billing-mode/compare).
    """
    now = sandbox.now(subscription["customer"])
    together = [row for row in beside if row["id"] == item["id"] or _billed_together(row, item)]
    place = [row["id"] for row in together].index(item["id"])
    order = [reduction(sandbox, id) for id in lasting(sandbox, subscription["discounts"], now)]
    taken = discounts.take([_priced(sandbox, row, now) for row in together], order)
    exact = amounts.for_quantity(item["price"], item.get("quantity") or 0)
    return exact - sum(amount for _, amount in taken[place])


def _billed_together(one: Document, other: Document) -> bool:
    intervals = [row["price"]["recurring"] for row in (one, other)]
    same = intervals[0]["interval"] == intervals[1]["interval"]
    return same and not items.is_metered(one) and not items.is_metered(other)


def _priced(sandbox: Sandbox, item: Document, now: int) -> discounts.Row:
    exact = amounts.for_quantity(item["price"], item.get("quantity") or 0)
    own = tuple(reduction(sandbox, id) for id in lasting(sandbox, item["discounts"], now))
    return discounts.Row(amounts.whole(exact), lines.product_id(item["price"]), True, own)


def credit_items(sandbox: Sandbox, subscription: Document, item: Document, at: int) -> list[Document]:
    """The items, not stored yet, that give back the unused time: one for each debit that billed it."""
    return [
        _credit_item(sandbox, subscription, item, debit, at)
        for debit in item["_billed"]
        if debit["amount"] and debit["end"] > at
    ]


def _credit_item(
    sandbox: Sandbox, subscription: Document, item: Document, debit: Document, at: int
) -> Document:
    start, end = debit["start"], debit["end"]
    amount = proration.rest(-Fraction(debit["amount"]), start=start, end=end, at=at)
    invoice = debit["invoice"]
    credited = {"invoice": invoice, "invoice_line_items": debit["lines"]} if invoice else None
    return _proration_item(
        sandbox,
        subscription,
        item,
        debit["price"],
        "Unused",
        amount,
        debit["quantity"],
        (max(at, start), end),
        credited,
    )


def debit_item(
    sandbox: Sandbox, subscription: Document, item: Document, at: int, beside: list[Document]
) -> Document:
    """The pending item that charges the rest of the item's current period, not stored yet."""
    start, end = item["current_period_start"], item["current_period_end"]
    amount = proration.rest(full_price(sandbox, subscription, item, beside), start=start, end=end, at=at)
    quantity = item.get("quantity") or 0
    return _proration_item(
        sandbox, subscription, item, item["price"], "Remaining", amount, quantity, (at, end), None
    )


def _proration_item(
    sandbox: Sandbox,
    subscription: Document,
    item: Document,
    price: Document,
    side: str,
    amount: int,
    quantity: int,
    period: tuple[int, int],
    credited: Document | None,
) -> Document:
    customer = sandbox.store.get("customer", subscription["customer"]) or {}
    product = sandbox.store.get("product", lines.product_id(price)) or {"name": ""}
    row = invoice_items.build(
        sandbox,
        customer,
        amount=amount,
        currency=subscription["currency"],
        description=proration.description(side, product["name"], quantity, period[0]),
        quantity=quantity,
        period=period,
        pricing=lines.pricing_of(price, with_unit_amount=False),
        discountable=False,
        proration=True,
        frozen_fields=["pricing", "quantity", "discounts"],
        parent={
            "subscription_details": {"subscription": subscription["id"], "subscription_item": item["id"]},
            "type": "subscription_details",
        },
        proration_details={"credited_items": _nested(credited), "discount_amounts": []},
        _subscription=subscription["id"],
        _tax_behavior=price.get("tax_behavior"),
    )
    row["_line_parent"] = lines.of_subscription_item(
        item, proration=True, credited=credited, invoice_item=row["id"]
    )
    return row


def _nested(credited: Document | None) -> Document | None:
    return credited and {"invoice_line_item_details": credited, "type": "invoice_line_items"}


def store_pending(sandbox: Sandbox, rows: list[Document]) -> None:
    """Store pending items so that a list, newest first, shows them in the given order (recorded)."""
    for row in reversed(rows):
        sandbox.store.put(invoice_items.KIND, row)
        sandbox.emit("invoiceitem.created", row)


def added_time(
    sandbox: Sandbox, subscription: Document, item: Document, old_end: int, beside: list[Document]
) -> Document:
    """The pending item for the time that a restarted period adds; recorded, also where it comes to 0."""
    start, end = item["current_period_start"], item["current_period_end"]
    full = full_price(sandbox, subscription, item, beside)
    quantity = item.get("quantity") or 0
    amount = proration.rest(full, start=start, end=end, at=old_end)
    return _proration_item(
        sandbox, subscription, item, item["price"], "Remaining", amount, quantity, (old_end, end), None
    )


def credit_unused(sandbox: Sandbox, subscription: Document) -> None:
    """Store a pending credit for every item's unused time: what a cancellation gives back (recorded)."""
    now = sandbox.now(subscription["customer"])
    for item in items.of_subscription(sandbox, subscription):
        for row in credit_items(sandbox, subscription, item, now):
            row["parent"] = None
            del row["proration_details"]
            store_pending(sandbox, [row])


def pending(sandbox: Sandbox, customer: str, subscription: str | None) -> list[Document]:
    """The customer's items that wait for an invoice: the subscription's, or those of none; newest first."""
    return sandbox.store.find(
        invoice_items.KIND,
        lambda row: row["invoice"] is None and row["_subscription"] == subscription,
        customer=customer,
    )


def pending_lines(sandbox: Sandbox, subscription: Document) -> list[Document]:
    """The lines that the subscription's pending items become, newest first (recorded)."""
    rows = pending(sandbox, subscription["customer"], subscription["id"])
    return [invoice_items.line_of(sandbox, row) for row in rows]
