"""What a meter says was used in a time: the sum, the count, or the last of a customer's events."""

from __future__ import annotations

from decimal import Decimal

from portal.sandbox import usage_counts
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document
from portal.sandbox.usage_counts import DAY, HOUR

EVENTS = "billing.meter_event"
WINDOWS = {"hour": HOUR, "day": DAY}


def aggregated(sandbox: Sandbox, meter: Document, customer: str, start: int, end: int) -> Decimal:
    """By the meter's formula, over the events from `start` on and before `end`; 0 without any."""
    formula = meter["default_aggregation"]["formula"]
    if meter["event_time_window"] is None and formula != "last":
        found = usage_counts.total(sandbox.store, usage_counts.series_of(meter["id"], customer), start, end)
        return found.value if formula == "sum" else Decimal(found.count)
    events = _of_windows(meter, _events(sandbox, meter, customer, start, end))
    if formula == "count":
        return Decimal(len(events))
    if formula == "last":
        latest = max(events, key=lambda event: event["timestamp"], default=None)
        return Decimal(latest["_value"]) if latest else Decimal(0)
    return sum((Decimal(event["_value"]) for event in events), Decimal(0))


def is_used(sandbox: Sandbox, meter: Document, customer: str, start: int, end: int) -> bool:
    """Whether there is any event in that time."""
    series = usage_counts.series_of(meter["id"], customer)
    return usage_counts.total(sandbox.store, series, start, end).count > 0


def _events(sandbox: Sandbox, meter: Document, customer: str, start: int, end: int) -> list[Document]:
    """The single events, the one that was received last first."""
    series = usage_counts.series_of(meter["id"], customer)
    return [
        event
        for event in sandbox.store.walk(EVENTS, _series=series)
        if event["_state"] == "counted" and start <= event["timestamp"] < end
    ]


def _of_windows(meter: Document, events: list[Document]) -> list[Document]:
    """Of pre-aggregated events, the one that was received last for each window
    (docs.stripe.com/billing/subscriptions/usage-based/meters/configure)."""
    if meter["event_time_window"] is None:
        return events
    size = WINDOWS[meter["event_time_window"]]
    last: dict[int, Document] = {}
    for event in events:
        last.setdefault(event["timestamp"] // size, event)
    return list(last.values())
