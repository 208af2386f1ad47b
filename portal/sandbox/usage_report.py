"""What the meters counted, as the developer looks at it: by customer, by day, by single event."""

from __future__ import annotations

from itertools import islice
from typing import Any

from portal.sandbox import meter_usage, usage_counts
from portal.sandbox.meters import KIND as METER
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document
from portal.sandbox.usage_counts import DAY, HOUR

LATEST_EVENTS = 50
MOST_DAYS = 62


def series(current: Sandbox, limit: int) -> list[dict[str, Any]]:
    """Customers' usage of meters: all of it, and its first and last hour, the newest first."""
    found = []
    for span in islice(current.store.walk(usage_counts.SPANS), limit):
        meter_id, _, customer = span["id"].partition("/")
        meter = current.store.get(METER, meter_id)
        if meter is not None:
            found.append(_of(current, meter, customer, span))
    return found


def _of(current: Sandbox, meter: Document, customer: str, span: Document) -> dict[str, Any]:
    start, end = span["first"] * HOUR, (span["last"] + 1) * HOUR
    value = meter_usage.aggregated(current, meter, customer, start, end)
    return {
        "meter": meter["id"],
        "event_name": meter["event_name"],
        "customer": customer,
        "events": usage_counts.total(current.store, span["id"], start, end).count,
        "value": format(value, "f"),
        "start": start,
        "end": end,
    }


def days(current: Sandbox, meter: Document, customer: str) -> list[dict[str, Any]]:
    """The latest UTC days with events, the newest first."""
    name = usage_counts.series_of(meter["id"], customer)
    span = current.store.peek(usage_counts.SPANS, name)
    if span is None:
        return []
    end = (span["last"] * HOUR // DAY + 1) * DAY
    found = []
    for start, until in usage_counts.windows(current.store, name, end - MOST_DAYS * DAY, end, DAY):
        count = usage_counts.total(current.store, name, start, until).count
        if count:
            value = meter_usage.aggregated(current, meter, customer, start, until)
            found.append({"start": start, "end": until, "events": count, "value": format(value, "f")})
    return found[::-1]


def events(current: Sandbox, meter: str, customer: str) -> list[Document]:
    """The latest single events that count."""
    name = usage_counts.series_of(meter, customer)
    return current.store.find(meter_usage.EVENTS, _series=name)[:LATEST_EVENTS]
