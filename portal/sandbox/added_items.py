"""`add_invoice_items`: charges of one time that a request adds to what a subscription is billed next."""

from __future__ import annotations

from typing import Any

from portal.sandbox import invoice_items, items, ordering
from portal.sandbox.documents import in_body
from portal.sandbox.errors import invalid, missing_param
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

PARAM = "add_invoice_items"
MAX_ADDED = 20  # SubscriptionUpdateParams.add_invoice_items


def lines_of(sandbox: Sandbox, subscription: Document, given: list[Document]) -> list[Document]:
    """Store what a request adds to a subscription's first invoice and return the lines."""
    rows = of_request(sandbox, subscription, items.of_subscription(sandbox, subscription), given)
    for row in rows:
        sandbox.store.put(invoice_items.KIND, {**row, "invoice": subscription["latest_invoice"]})
    return [invoice_items.line_of(sandbox, row) for row in rows]


def of_request(
    sandbox: Sandbox, subscription: Document, beside: list[Document], given: list[Document]
) -> list[Document]:
    """The invoice items, not stored yet, that a request adds; `beside` are the subscription's items then."""
    if len(given) > MAX_ADDED:
        raise invalid(f"Array {PARAM} exceeded maximum {MAX_ADDED} allowed elements.", PARAM)
    customer = in_body(sandbox, "customer", subscription["customer"], "customer")
    rows = []
    for index, wanted in enumerate(given):
        at = f"{PARAM}[{index}]"
        priced = _priced(sandbox, subscription, customer, wanted, at)
        period = _period(sandbox.now(customer), beside, wanted.get("period") or {}, f"{at}[period]")
        row = invoice_items.build(sandbox, customer, period=period, **priced)
        row["_subscription"] = subscription["id"]
        invoice_items.take(sandbox, customer, row, wanted, at)
        rows.append(row)
    return rows


def _priced(
    sandbox: Sandbox, subscription: Document, customer: Document, wanted: Document, at: str
) -> dict[str, Any]:
    """The amount from a one-time price or from a price's data, in the subscription's currency."""
    quantity, currency = wanted.get("quantity", 1), subscription["currency"]
    if quantity < 0:
        raise invalid("This value must be greater than or equal to 0.", f"{at}[quantity]")
    if wanted.get("price") and "price_data" in wanted:
        raise invalid("You may only specify one of these parameters: price, price_data.", f"{at}[price]")
    if "price_data" in wanted:
        data = wanted["price_data"]
        return invoice_items.of_price_data(sandbox, data, quantity, currency, f"{at}[price_data]")
    if not wanted.get("price"):
        raise missing_param(f"{at}[price]")
    priced = invoice_items.of_price(sandbox, customer, wanted["price"], quantity, f"{at}[price]")
    if priced["currency"] != currency:
        raise ordering.other_currency(priced, currency, f"{at}[price]")
    return priced


def _period(now: int, beside: list[Document], wanted: Document, at: str) -> tuple[int, int]:
    """The seconds that the charge is for: unless told, those that all the subscription's items share."""
    first = wanted.get("start") or {"type": "max_item_period_start"}
    last = wanted.get("end") or {"type": "min_item_period_end"}
    start = {
        "max_item_period_start": max(row["current_period_start"] for row in beside),
        "now": now,
        "timestamp": first.get("timestamp"),
    }[first["type"]]
    end = {
        "min_item_period_end": min(row["current_period_end"] for row in beside),
        "timestamp": last.get("timestamp"),
    }[last["type"]]
    for name, value in (("start", start), ("end", end)):
        if value is None:
            raise missing_param(f"{at}[{name}][timestamp]")
    if end < start:
        raise invalid("The end of the period must not lie before its start.", f"{at}[end]")
    return start, end
