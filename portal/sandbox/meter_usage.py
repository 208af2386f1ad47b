"""What a meter says was used in a time: the sum, the count, or the last of a customer's events."""

from __future__ import annotations

from collections.abc import Iterator
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
    values = _values(_of_windows(meter, _events(sandbox, meter, customer, start, end)))
    if formula == "count":
        return Decimal(len(values))
    if formula == "last":
        return values[-1] if values else Decimal(0)
    return sum(values, Decimal(0))


def is_used(sandbox: Sandbox, meter: Document, customer: str, start: int, end: int) -> bool:
    """Whether there is any event in that time."""
    series = usage_counts.series_of(meter["id"], customer)
    return usage_counts.total(sandbox.store, series, start, end).count > 0


def _events(sandbox: Sandbox, meter: Document, customer: str, start: int, end: int) -> Iterator[Document]:
    """The single events in the order of their time; of one second, as they were received."""
    series = usage_counts.series_of(meter["id"], customer)
    found = [
        event
        for event in sandbox.store.walk(EVENTS, _series=series)
        if event["_state"] == "counted" and start <= event["timestamp"] < end
    ]
    found.reverse()
    return iter(sorted(found, key=lambda event: event["timestamp"]))


def _of_windows(meter: Document, events: Iterator[Document]) -> Iterator[Document]:
    """Of pre-aggregated events, the one that was sent last for each window
    (docs.stripe.com/billing/subscriptions/usage-based/meters/configure)."""
    if meter["event_time_window"] is None:
        return events
    size = WINDOWS[meter["event_time_window"]]
    last: dict[int, Document] = {}
    for event in events:
        window = event["timestamp"] // size
        if window not in last or event["_received"] >= last[window]["_received"]:
            last[window] = event
    return iter(last[window] for window in sorted(last))


def _values(events: Iterator[Document]) -> list[Decimal]:
    return [Decimal(event["_value"]) for event in events]
