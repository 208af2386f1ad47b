"""API v2's meter events: one at a time and checked at once, or in bulk with a session's token, checked later.

Documented only: no recording shows an answer of these endpoints. Stripe keeps sessions for live mode.
"""

from __future__ import annotations

from typing import Any

from stripe.params.v2.billing import (
    MeterEventAdjustmentCreateParams,
    MeterEventCreateParams,
    MeterEventSessionCreateParams,
    MeterEventStreamCreateParams,
)

from portal.sandbox import meter_events, timestamps
from portal.sandbox.dispatch import route
from portal.sandbox.errors import StripeError, invalid
from portal.sandbox.meter_events import Given
from portal.sandbox.state import Sandbox, random_text
from portal.sandbox.store import Document
from portal.sandbox.usage_counts import MINUTE

SESSION = "v2.billing.meter_event_session"
EVENT = "v2.billing.meter_event"
ADJUSTMENT = "v2.billing.meter_event_adjustment"
SESSION_SECONDS = 15 * MINUTE
# What v2 checks before it answers, under names of its own (Stripe's OpenAPI document); a customer that there
# is not is told later by v2 as well.
AT_ONCE = {
    "archived_meter": "archived_meter",
    "no_meter": "no_meter",
    "meter_event_invalid_value": "payload_invalid_value",
    "meter_event_no_customer_defined": "payload_no_customer_defined",
    "meter_event_value_not_found": "payload_no_value_defined",
    "meter_event_value_too_many_digits": "payload_invalid_value",
    "timestamp_in_future": "timestamp_in_future",
    "timestamp_too_far_in_past": "timestamp_too_far_in_past",
}
MOST_EVENTS = 100
TOKEN_LENGTH = 40


def _given(params: dict[str, Any], at: str = "") -> Given:
    when = params.get("timestamp")
    second = None if when is None else timestamps.read(when, f"{at}[timestamp]" if at else "timestamp")
    for name in ("event_name", "identifier"):
        meter_events.check_length(params.get(name), f"{at}[{name}]" if at else name)
    return Given(params["event_name"], params["payload"], params.get("identifier") or None, second)


@route("POST", "/v2/billing/meter_events", params=MeterEventCreateParams)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    """Checked before the answer, but for whether there is such a customer."""
    given = _given(params)
    meter = meter_events.meter_named(sandbox, given.event_name)
    now = meter_events.now_of(sandbox, given, meter)
    fault = meter_events.fault_of_meter(given, meter) or meter_events.fault_of_time(given, now)
    if fault is None and meter is not None:
        fault = meter_events.fault_of_payload(sandbox, given, meter)
    if fault and fault.code in AT_ONCE:
        raise invalid(fault.message, fault.param, code=AT_ONCE[fault.code])
    if given.identifier and meter_events.is_taken(sandbox, given.identifier):
        raise meter_events.duplicate(given.identifier, "duplicate_meter_event")
    event = meter_events.accept(sandbox, given, meter)
    times = {name: timestamps.written(event[name]) for name in ("created", "timestamp")}
    return meter_events.shown(event, object=EVENT, **times)


@route("POST", "/v2/billing/meter_event_adjustments", params=MeterEventAdjustmentCreateParams)
def adjust(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if params["type"] != "cancel":
        raise invalid("Invalid type: must be cancel", "type", code="invalid_fields")
    identifier = params["cancel"]["identifier"]
    event = meter_events.cancel(sandbox, params["event_name"], identifier, "cancel.identifier")
    adjustment = {
        "id": sandbox.new_id("mtrevtadj_test"),
        "object": ADJUSTMENT,
        "cancel": {"identifier": identifier},
        "created": timestamps.written(sandbox.now()),
        "event_name": event["event_name"],
        "livemode": False,
        "status": "complete",
        "type": "cancel",
    }
    sandbox.store.put(ADJUSTMENT, adjustment)
    return adjustment


@route("POST", "/v2/billing/meter_event_session", params=MeterEventSessionCreateParams)
def open_session(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    now = sandbox.now()
    session = {
        "id": sandbox.new_id("mes_test"),
        "object": SESSION,
        "authentication_token": f"mestoken_test_{random_text(TOKEN_LENGTH)}",
        "created": timestamps.written(now),
        "expires_at": timestamps.written(now + SESSION_SECONDS),
        "livemode": False,
        "_until": now + SESSION_SECONDS,
    }
    sandbox.store.put(SESSION, session)
    return session


@route("POST", "/v2/billing/meter_event_stream", params=MeterEventStreamCreateParams, session=True)
def stream(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    """Accept up to a hundred events at once; what is wrong with one of them is told later.

    An identifier that is known already counts once, without a word.
    """
    _check_session(sandbox)
    rows = params["events"]
    if len(rows) > MOST_EVENTS:
        raise invalid(f"At most {MOST_EVENTS} events can be sent at once.", "events", code="invalid_fields")
    for given in [_given(row, f"events[{index}]") for index, row in enumerate(rows)]:
        if given.identifier and meter_events.is_taken(sandbox, given.identifier):
            continue
        meter = meter_events.meter_named(sandbox, given.event_name)
        now = meter_events.now_of(sandbox, given, meter)
        fault = meter_events.fault_of_meter(given, meter) or meter_events.fault_of_time(given, now)
        meter_events.accept(sandbox, given, meter, fault)
    return {}


def _check_session(sandbox: Sandbox) -> None:
    """Stripe's 401 for a token that is not known or whose quarter of an hour is over."""
    token = sandbox.request.session or ""
    session = next(iter(sandbox.store.walk(SESSION, authentication_token=token)), None)
    if session is None or session["_until"] <= sandbox.now():
        raise StripeError(
            401,
            "temporary_session_expired",
            "The temporary session token has expired.",
            code="billing_meter_event_session_expired",
            stored=False,
        )
