"""Meters: what usage events are counted into, and by which a metered price bills."""

from __future__ import annotations

from typing import Any

from stripe.params.billing import (
    MeterCreateParams,
    MeterDeactivateParams,
    MeterListParams,
    MeterReactivateParams,
    MeterRetrieveParams,
    MeterUpdateParams,
)

from portal.sandbox import lists
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_path
from portal.sandbox.errors import invalid, state_error
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "billing.meter"
DEFAULT_CUSTOMER_KEY = "stripe_customer_id"
DEFAULT_VALUE_KEY = "value"


@route(
    "POST",
    "/v1/billing/meters",
    params=MeterCreateParams,
)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    name = params["event_name"]
    if any(sandbox.store.walk(KIND, event_name=name, status="active")):
        raise invalid(f"An active meter with the event name `{name}` already exists.", "event_name")
    now = sandbox.now()
    mapping = params.get("customer_mapping", {})
    meter = {
        "id": sandbox.new_id("mtr"),
        "object": KIND,
        "created": now,
        "customer_mapping": {
            "event_payload_key": mapping.get("event_payload_key", DEFAULT_CUSTOMER_KEY),
            "type": mapping.get("type", "by_id"),
        },
        "default_aggregation": params["default_aggregation"],
        "display_name": params["display_name"],
        "event_name": name,
        "event_time_window": params.get("event_time_window"),
        "livemode": False,
        "status": "active",
        "status_transitions": {"deactivated_at": None},
        "updated": now,
        "value_settings": {
            "event_payload_key": params.get("value_settings", {}).get("event_payload_key", DEFAULT_VALUE_KEY)
        },
    }
    sandbox.store.put(KIND, meter)
    sandbox.emit("billing.meter.created", meter)
    return meter


@route("GET", "/v1/billing/meters/{id}", params=MeterRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return in_path(sandbox, KIND, id)


@route("POST", "/v1/billing/meters/{id}", params=MeterUpdateParams)
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    before = in_path(sandbox, KIND, id)
    return _change(sandbox, before, {**before, **params}, "billing.meter.updated")


@route("POST", "/v1/billing/meters/{id}/deactivate", params=MeterDeactivateParams)
def deactivate(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    before = in_path(sandbox, KIND, id)
    if before["status"] != "active":
        raise state_error("This meter is already inactive.")
    transitions = {"deactivated_at": sandbox.now()}
    after = {**before, "status": "inactive", "status_transitions": transitions}
    return _change(sandbox, before, after, "billing.meter.deactivated")


@route("POST", "/v1/billing/meters/{id}/reactivate", params=MeterReactivateParams)
def reactivate(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    before = in_path(sandbox, KIND, id)
    if before["status"] != "inactive":
        raise state_error("This meter is already active.")
    after = {**before, "status": "active", "status_transitions": {"deactivated_at": None}}
    return _change(sandbox, before, after, "billing.meter.reactivated")


def _change(sandbox: Sandbox, before: Document, after: Document, event: str) -> Document:
    if after != before:
        after["updated"] = sandbox.now()
    sandbox.store.put(KIND, after)
    sandbox.emit(event, after, before)
    return after


@route("GET", "/v1/billing/meters", params=MeterListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    return lists.page(sandbox, KIND, params, "/v1/billing/meters", status=params.get("status"))
