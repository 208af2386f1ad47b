"""`/v1/billing/meter_events`, their adjustments, and the summaries of a meter."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any

from stripe.params.billing import (
    MeterEventAdjustmentCreateParams,
    MeterEventCreateParams,
    MeterEventSummaryListParams,
)

from portal.sandbox import lists, meter_events, meter_usage, usage_counts
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_body, in_path
from portal.sandbox.errors import invalid, missing, missing_param
from portal.sandbox.meter_events import Given
from portal.sandbox.meters import KIND as METER
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document
from portal.sandbox.usage_counts import DAY, HOUR, MINUTE

SUMMARY = "billing.meter_event_summary"
ADJUSTMENT = "billing.meter_event_adjustment"
WINDOWS = {"hour": HOUR, "day": DAY}
ALIGNED = {
    MINUTE: "minute boundaries",
    HOUR: "hour boundaries",
    DAY: "UTC day boundaries",
}


@route("POST", "/v1/billing/meter_events", params=MeterEventCreateParams)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    """Refused at once: no active meter, a known identifier, a time out of reach. All else is told later."""
    given = Given(
        params["event_name"], params["payload"], params.get("identifier") or None, params.get("timestamp")
    )
    meter_events.check_length(given.event_name, "event_name")
    meter_events.check_length(given.identifier, "identifier")
    meter = meter_events.meter_named(sandbox, given.event_name)
    if meter_events.fault_of_meter(given, meter):
        raise invalid(f'No active meter found for event name "{given.event_name}".', "event_name")
    fault = meter_events.fault_of_time(given, meter_events.now_of(sandbox, given, meter))
    if fault:
        raise invalid(fault.message, fault.param)
    if given.identifier and meter_events.is_taken(sandbox, given.identifier):
        raise meter_events.duplicate(given.identifier)
    return meter_events.shown(meter_events.accept(sandbox, given, meter))


@route("POST", "/v1/billing/meter_event_adjustments", params=MeterEventAdjustmentCreateParams)
def adjust(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    """Taken out at once, though the answer says `pending`, as Stripe's example does."""
    identifier = (params.get("cancel") or {}).get("identifier")
    if not identifier:
        raise missing_param("cancel[identifier]")
    meter_events.cancel(sandbox, params["event_name"], identifier, "cancel[identifier]")
    return {
        "object": ADJUSTMENT,
        "cancel": {"identifier": identifier},
        "event_name": params["event_name"],
        "livemode": False,
        "status": "pending",
        "type": "cancel",
    }


@route("GET", "/v1/billing/meters/{id}/event_summaries", params=MeterEventSummaryListParams)
def summaries(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    """One summary, or one for each window with events, the newest first; Stripe's sums lag, these do not."""
    meter = in_path(sandbox, METER, id)
    customer = in_body(sandbox, "customer", params["customer"], "customer")["id"]
    start, end = params["start_time"], params["end_time"]
    size = WINDOWS.get(params.get("value_grouping_window", ""))
    _check_range(start, end, size or MINUTE)
    pieces = [(start, end)]
    if size:
        series = usage_counts.series_of(id, customer)
        pieces = [
            piece
            for piece in usage_counts.windows(sandbox.store, series, start, end, size)
            if meter_usage.is_used(sandbox, meter, customer, *piece)
        ]
    pieces.reverse()
    shown, more = _slice(pieces, params, lambda piece: _id(id, customer, piece))
    rows = [_summary(sandbox, meter, customer, piece) for piece in shown]
    url = f"/v1/billing/meters/{id}/event_summaries"
    return {"object": "list", "data": rows, "has_more": more, "url": url}


def _check_range(start: int, end: int, size: int) -> None:
    for value, param in ((start, "start_time"), (end, "end_time")):
        if value % size:
            raise invalid(f"The `{param}` must be aligned with {ALIGNED[size]}.", param)
    if start >= end:
        raise invalid("The `end_time` must be after the `start_time`.", "end_time")


def _slice(
    pieces: list[tuple[int, int]], params: dict[str, Any], id_of: Any
) -> tuple[list[tuple[int, int]], bool]:
    """The page of the pieces that the cursors ask for; a cursor is the id of a summary."""
    limit = min(max(params.get("limit", lists.DEFAULT_LIMIT), 1), lists.MAX_LIMIT)
    after, before = params.get("starting_after"), params.get("ending_before")
    if not after and not before:
        return pieces[:limit], len(pieces) > limit
    ids = [id_of(piece) for piece in pieces]
    name = "starting_after" if after else "ending_before"
    if params[name] not in ids:
        raise missing("meter event summary", params[name], name, status=400)
    at = ids.index(params[name])
    if after:
        return pieces[at + 1 : at + 1 + limit], len(pieces) > at + 1 + limit
    return pieces[max(at - limit, 0) : at], at > limit


def _id(meter: str, customer: str, piece: tuple[int, int]) -> str:
    """The same summary has the same id whenever it is asked for."""
    text = f"{meter}/{customer}/{piece[0]}/{piece[1]}"
    return f"mtrusg_test_{hashlib.sha256(text.encode()).hexdigest()}"


def _summary(sandbox: Sandbox, meter: Document, customer: str, piece: tuple[int, int]) -> Document:
    value = meter_usage.aggregated(sandbox, meter, customer, *piece)
    return {
        "id": _id(meter["id"], customer, piece),
        "object": SUMMARY,
        "aggregated_value": _number(value),
        "end_time": piece[1],
        "livemode": False,
        "meter": meter["id"],
        "start_time": piece[0],
    }


def _number(value: Decimal) -> int | float:
    """A JSON number, which is what Stripe answers; a fraction loses what a float cannot hold."""
    return int(value) if value == value.to_integral_value() else float(value)
