"""Meter events: what was sent to the meters, what of it counts, and what is found to be wrong with the rest.

Counted at once, where Stripe's sums lag. What no recording covers: the wording of refusals other than of a
duplicate, of an unknown event name and of a time too far in the past; how many digits a value may have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from portal.sandbox import meter_errors, usage_counts
from portal.sandbox.errors import StripeError, invalid
from portal.sandbox.meter_usage import EVENTS as KIND
from portal.sandbox.meters import KIND as METER
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document
from portal.sandbox.usage_counts import DAY, HOUR, MINUTE

MAX_NAME = 100
MOST_DAYS_BACK = 35
MOST_MINUTES_AHEAD = 5
UNIQUE_SECONDS = CANCELLABLE_SECONDS = 24 * HOUR
MOST_DIGITS, MOST_PLACES = 15, 12
_VALUE = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class Fault:
    """Why an event does not count; `code` as in Stripe's error reports."""

    code: str
    message: str
    param: str


@dataclass(frozen=True)
class Given:
    """An event as it was sent; the times are unix seconds."""

    event_name: str
    payload: dict[str, str]
    identifier: str | None
    timestamp: int | None

    def at(self, now: int) -> int:
        return now if self.timestamp is None else self.timestamp


def meter_named(sandbox: Sandbox, event_name: str) -> Document | None:
    """The active meter with that event name, else one that was deactivated."""
    found = list(sandbox.store.walk(METER, event_name=event_name))
    active = next((meter for meter in found if meter["status"] == "active"), None)
    return active or next(iter(found), None)


def now_of(sandbox: Sandbox, given: Given, meter: Document | None) -> int:
    """The time in which the event is judged: its customer's, where it names one."""
    key = meter["customer_mapping"]["event_payload_key"] if meter else ""
    return sandbox.now(given.payload.get(key))


def check_length(text: str | None, param: str) -> None:
    """Refuse what is longer than Stripe keeps."""
    if text is not None and len(text) > MAX_NAME:
        message = f"Invalid string: {text[:3]}...{text[-3:]}; must be at most {MAX_NAME} characters"
        raise invalid(message, param)


def fault_of_meter(given: Given, meter: Document | None) -> Fault | None:
    """Whether there is no meter for the event."""
    if meter is None:
        message = f"No meter was found matching event_name {given.event_name}."
        return Fault("no_meter", message, "event_name")
    if meter["status"] != "active":
        message = f"The meter matching event_name {given.event_name} is archived."
        return Fault("archived_meter", message, "event_name")
    return None


def fault_of_time(given: Given, now: int) -> Fault | None:
    """Whether the event lies too far back or ahead (the first wording is recorded)."""
    at, oldest, latest = given.at(now), now - MOST_DAYS_BACK * DAY, now + MOST_MINUTES_AHEAD * MINUTE
    if at < oldest:
        message = (
            f"The event timestamp cannot be more than {MOST_DAYS_BACK} days in past. Expected a timestamp "
            f"greater than or equal to {oldest}."
        )
        return Fault("timestamp_too_far_in_past", message, "timestamp")
    if at > latest:
        message = (
            f"The event timestamp cannot be more than {MOST_MINUTES_AHEAD} minutes in future. Expected a "
            f"timestamp less than or equal to {latest}."
        )
        return Fault("timestamp_in_future", message, "timestamp")
    return None


def fault_of_payload(sandbox: Sandbox, given: Given, meter: Document) -> Fault | None:
    """Whether the payload lacks the customer or a value that can be counted."""
    key = meter["customer_mapping"]["event_payload_key"]
    customer = given.payload.get(key)
    if not customer:
        message = f"Customer mapping key {key} not found in payload."
        return Fault("meter_event_no_customer_defined", message, f"payload[{key}]")
    if sandbox.store.peek("customer", customer) is None:
        message = f"Customer with ID {customer} not found."
        return Fault("meter_event_customer_not_found", message, f"payload[{key}]")
    return _fault_of_value(given, meter)


def _fault_of_value(given: Given, meter: Document) -> Fault | None:
    if meter["default_aggregation"]["formula"] == "count":
        return None
    key = meter["value_settings"]["event_payload_key"]
    value = given.payload.get(key)
    if value is None:
        return Fault(
            "meter_event_value_not_found", f"Value key {key} not found in payload.", f"payload[{key}]"
        )
    if not _VALUE.fullmatch(value):
        message = f"Value {value} is not a valid number."
        return Fault("meter_event_invalid_value", message, f"payload[{key}]")
    digits, _, places = value.lstrip("+-").partition(".")
    if len(digits.lstrip("0")) > MOST_DIGITS or len(places) > MOST_PLACES:
        message = f"A value can have at most {MOST_DIGITS} digits and {MOST_PLACES} decimal places."
        return Fault("meter_event_value_too_many_digits", message, f"payload[{key}]")
    return None


def is_taken(sandbox: Sandbox, identifier: str) -> bool:
    """Whether an event with that identifier was received within the last 24 hours, of the account's time."""
    since = sandbox.now() - UNIQUE_SECONDS
    return any(event["_accepted"] > since for event in sandbox.store.walk(KIND, identifier=identifier))


def duplicate(identifier: str, code: str | None = None) -> StripeError:
    """Stripe's refusal of an identifier that it knows; v1 gives no code (recorded)."""
    return invalid(
        f"An event already exists with identifier {identifier}.", "identifier" if code else None, code
    )


def accept(sandbox: Sandbox, given: Given, meter: Document | None, fault: Fault | None = None) -> Document:
    """Keep the event; count it, or put what is wrong with it on the next error report."""
    now = now_of(sandbox, given, meter)
    if meter is not None:
        fault = fault or fault_of_payload(sandbox, given, meter)
    event: Document = {
        "id": sandbox.new_id("mev"),
        "object": KIND,
        "created": now,
        "event_name": given.event_name,
        "identifier": given.identifier or sandbox.new_id("mevi"),
        "livemode": False,
        "payload": given.payload,
        "timestamp": given.at(now),
        "_accepted": sandbox.now(),
        "_received": now,
        "_state": "faulty" if fault else "counted",
        "_series": None,
        "_value": None,
    }
    if fault:
        event["_fault"] = fault.code
        meter_errors.note(sandbox, meter, fault.code, fault.message, event["identifier"])
    else:
        assert meter is not None
        _count(sandbox, event, meter)
    sandbox.store.put(KIND, event)
    return event


def _count(sandbox: Sandbox, event: Document, meter: Document) -> None:
    customer = event["payload"][meter["customer_mapping"]["event_payload_key"]]
    value = event["payload"].get(meter["value_settings"]["event_payload_key"])
    counted = meter["default_aggregation"]["formula"] == "count"
    event["_series"] = usage_counts.series_of(meter["id"], customer)
    event["_value"] = format(Decimal("1" if counted else value), "f")
    usage_counts.add(sandbox.store, event["_series"], event["timestamp"], Decimal(event["_value"]))


def cancel(sandbox: Sandbox, event_name: str, identifier: str, param: str) -> Document:
    """Take the event out of what was used; 400 when it is not known, too old, or was taken out before.

    An invoice that is final stays as it is
    (docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api).
    """
    found = sandbox.store.find(KIND, identifier=identifier, event_name=event_name)
    if not found:
        message = f"No such meter event: '{identifier}'"
        raise invalid(message, param, code="resource_missing")
    event = found[0]
    owner = (event["_series"] or "/").partition("/")[2] or None
    if sandbox.now(owner) - event["_received"] > CANCELLABLE_SECONDS:
        raise invalid("You can only cancel events within 24 hours of Stripe receiving them.", param)
    if event["_state"] == "cancelled":
        raise invalid(f"The event with identifier {identifier} has already been canceled.", param)
    if event["_state"] == "counted":
        usage_counts.add(
            sandbox.store, event["_series"], event["timestamp"], -Decimal(event["_value"]), count=-1
        )
    event["_state"] = "cancelled"
    sandbox.store.put(KIND, event)
    return event


def shown(event: Document, **members: Any) -> Document:
    """The event as the API shows it: it has no id."""
    return {name: value for name, value in event.items() if name != "id"} | members
