"""The phases that an update of a schedule asks for, checked before anything changes."""

from __future__ import annotations

from typing import Any

from portal.sandbox import discount_objects, items, ordering, periods, schedules
from portal.sandbox.errors import invalid, missing_param
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

MAX_PHASES = 10
PLAIN = ("billing_cycle_anchor", "collection_method", "default_payment_method", "description")


def read(
    sandbox: Sandbox, schedule: Document, subscription: Document, given: list[Document]
) -> list[Document]:
    """The phases from the current one on, as a request states them; earlier ones are kept as they were.

    Raises Stripe's 400s: a moved start, gaps, an end that is past, prices that cannot be used.
    """
    if not given:
        raise invalid("A subscription schedule must have at least one phase.", "phases")
    if len(given) > MAX_PHASES:
        raise invalid(f"A subscription schedule can have at most {MAX_PHASES} current or future phases.")
    now = sandbox.now(schedule["customer"])
    here = schedules.current(schedule, now)
    assert here
    past = [row for row in schedule["phases"] if row["end_date"] <= here["start_date"]]
    rows: list[Document] = []
    start = here["start_date"]
    for index, wanted in enumerate(given):
        at = f"phases[{index}]"
        _check_start(wanted, start, now, at, first=index == 0)
        row = _phase(sandbox, subscription, wanted, start, now, at)
        rows.append(row)
        start = row["end_date"]
    if rows[0]["end_date"] <= now:
        raise invalid("The end date of the current phase must lie in the future.", "phases[0][end_date]")
    return past + rows


def _check_start(wanted: Document, start: int, now: int, at: str, *, first: bool) -> None:
    given = wanted.get("start_date")
    if first and given is None:
        raise missing_param(f"{at}[start_date]")
    if given in (None, start) or (given == "now" and start == now):
        return
    if first:
        raise invalid("You can not modify the start date of the current phase.", f"{at}[start_date]")
    raise invalid("A phase must start when the phase before it ends.", f"{at}[start_date]")


def _phase(
    sandbox: Sandbox, subscription: Document, wanted: Document, start: int, now: int, at: str
) -> Document:
    customer = sandbox.store.get("customer", subscription["customer"]) or {}
    if not wanted.get("items"):
        raise missing_param(f"{at}[items]")
    if wanted.get("currency", subscription["currency"]) != subscription["currency"]:
        raise invalid("The currency of a phase must be that of the subscription.", f"{at}[currency]")
    prices: dict[str, Document] = {}
    rows = [
        _item(sandbox, subscription, customer, row, f"{at}[items][{index}]", prices)
        for index, row in enumerate(wanted["items"])
    ]
    ordering.check_intervals(list(prices.values()))
    tax = wanted.get("automatic_tax")
    return schedules.phase(
        subscription,
        rows,
        start=start,
        end=_end(wanted, start, now, list(prices.values()), at),
        add_invoice_items=[
            _added(row, f"{at}[add_invoice_items]") for row in wanted.get("add_invoice_items") or []
        ],
        automatic_tax=tax and {"disabled_reason": None, "enabled": tax["enabled"], "liability": None},
        discounts=_discounts(sandbox, customer, wanted, at),
        metadata=wanted.get("metadata") or {},
        proration_behavior=wanted.get("proration_behavior", "create_prorations"),
        **{name: wanted[name] or None for name in PLAIN if name in wanted},
    )


def _item(
    sandbox: Sandbox,
    subscription: Document,
    customer: Document,
    wanted: Document,
    at: str,
    prices: dict[str, Document],
) -> Document:
    price = _price(sandbox, subscription, wanted, at)
    if price["id"] in prices:
        raise invalid("A phase cannot have two items with the same price.", f"{at}[price]")
    if price["currency"] != subscription["currency"]:
        raise invalid("The price is in another currency than the subscription.", f"{at}[price]")
    prices[price["id"]] = price
    row = {
        "billing_thresholds": None,
        "discounts": _discounts(sandbox, customer, wanted, at),
        "metadata": wanted.get("metadata") or {},
        "plan": price["id"],
        "price": price["id"],
        "tax_rates": [],
    }
    quantity = ordering.quantity_of(price, wanted, at)
    return row if quantity is None else {**row, "quantity": quantity}


def _price(sandbox: Sandbox, subscription: Document, wanted: Document, at: str) -> Document:
    """A price that can be bought, or one that the subscription has already."""
    kept = [item["price"] for item in items.of_subscription(sandbox, subscription)]
    known = next((price for price in kept if price["id"] == wanted.get("price")), None)
    return known or ordering.recurring_price(sandbox, wanted, at)


def _discounts(sandbox: Sandbox, customer: Document, wanted: Document, at: str) -> list[Document]:
    """The discounts as given, checked for use; they are attached when their phase begins."""
    given = wanted.get("discounts") or []
    discount_objects.coupons_of(sandbox, given, f"{at}[discounts]", customer)
    return [{name: row.get(name) for name in ("coupon", "discount", "promotion_code")} for row in given]


def _end(wanted: Document, start: int, now: int, prices: list[Document], at: str) -> int:
    """The given end, the start and the given duration, or one interval of the shortest price."""
    given, duration = wanted.get("end_date"), wanted.get("duration")
    if given is not None and duration is not None:
        raise invalid("You may only specify one of these parameters: end_date, duration.", f"{at}[end_date]")
    if given is not None:
        end: int = now if given == "now" else given
    elif duration is not None:
        end = periods.after(start, duration["interval"], duration.get("interval_count", 1))
    else:
        end = min(periods.first_end(start, price["recurring"]) for price in prices)
    if end <= start:
        raise invalid("A phase must end after it starts.", f"{at}[end_date]")
    return end


def _added(wanted: Document, at: str) -> Document:
    if not wanted.get("price"):
        raise missing_param(f"{at}[price]")
    period: dict[str, Any] = {"end": {"type": "phase_end"}, "start": {"type": "phase_start"}}
    return {
        "discountable": wanted.get("discountable"),
        "discounts": wanted.get("discounts") or [],
        "metadata": wanted.get("metadata") or {},
        "period": period,
        "price": wanted["price"],
        "quantity": wanted.get("quantity", 1),
        "tax_rates": [],
    }
