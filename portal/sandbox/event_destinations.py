"""`/v2/core/event_destinations`: where thin events are sent."""

from __future__ import annotations

import hashlib
from typing import Any

from stripe.params.v2.core import (
    EventDestinationCreateParams,
    EventDestinationDeleteParams,
    EventDestinationDisableParams,
    EventDestinationEnableParams,
    EventDestinationListParams,
    EventDestinationRetrieveParams,
    EventDestinationUpdateParams,
)

from portal.sandbox import meter_errors, timestamps, v2_lists
from portal.sandbox.deliveries import DESTINATIONS
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_path, merged_metadata
from portal.sandbox.errors import invalid, missing_param
from portal.sandbox.state import Sandbox, random_text
from portal.sandbox.store import Document
from portal.sandbox.webhook_endpoints import MAX_ENDPOINTS, SECRET_LENGTH, checked_url

KIND = DESTINATIONS
PATH = "/v2/core/event_destinations"
URL, SECRET = "webhook_endpoint.url", "webhook_endpoint.signing_secret"
CREATED_FROM = (
    "description", "enabled_events", "event_payload", "events_from", "include", "metadata", "name", "type",
    "webhook_endpoint.url",
)  # fmt: skip


@route("POST", PATH, params=EventDestinationCreateParams, supports=CREATED_FROM)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    """Thin events over HTTP; snapshots go to webhook endpoints of API v1."""
    if params["type"] != "webhook_endpoint":
        raise invalid("This sandbox sends events to webhook endpoints only.", "type")
    if params["event_payload"] != "thin":
        raise invalid("This sandbox sends snapshots to v1 webhook endpoints only.", "event_payload")
    if "webhook_endpoint" not in params:
        raise missing_param("webhook_endpoint")
    if len(sandbox.store.find(KIND)) >= MAX_ENDPOINTS:
        raise invalid(f"You have reached the maximum of {MAX_ENDPOINTS} test event destinations.")
    url = checked_url(params["webhook_endpoint"]["url"])
    destination = {
        **_blank(sandbox, sandbox.new_id("ed_test"), url, f"whsec_{random_text(SECRET_LENGTH)}"),
        "description": params.get("description", ""),
        "enabled_events": params["enabled_events"],
        "events_from": params.get("events_from", ["@self"]),
        "metadata": merged_metadata(None, params.get("metadata")),
        "name": params["name"],
    }
    sandbox.store.put(KIND, destination)
    return _shown(destination, params)


def _blank(sandbox: Sandbox, id: str, url: str, secret: str) -> Document:
    now = timestamps.written(sandbox.now())
    return {
        "id": id,
        "object": KIND,
        "amazon_eventbridge": None,
        "azure_event_grid": None,
        "created": now,
        "event_payload": "thin",
        "livemode": False,
        "snapshot_api_version": None,
        "status": "enabled",
        "status_details": None,
        "type": "webhook_endpoint",
        "updated": now,
        "webhook_endpoint": {"signing_secret": None, "url": None},
        "_secret": secret,
        "_url": url,
    }


def _shown(destination: Document, params: dict[str, Any]) -> Document:
    """With the members that only `include` shows."""
    wanted = params.get("include") or ()
    endpoint = {
        "signing_secret": destination["_secret"] if SECRET in wanted else None,
        "url": destination["_url"] if URL in wanted else None,
    }
    return {**destination, "webhook_endpoint": endpoint}


@route("GET", PATH + "/{id}", params=EventDestinationRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return _shown(in_path(sandbox, KIND, id), params)


@route("GET", PATH, params=EventDestinationListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    found = v2_lists.page(sandbox, KIND, params, PATH)
    return {**found, "data": [_shown(row, params) for row in found["data"]]}


@route("POST", PATH + "/{id}", params=EventDestinationUpdateParams)
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    row = in_path(sandbox, KIND, id)
    for name in ("description", "enabled_events", "name"):
        row[name] = params.get(name, row[name])
    row["metadata"] = merged_metadata(row["metadata"], params.get("metadata"))
    if "webhook_endpoint" in params:
        row["_url"] = checked_url(params["webhook_endpoint"]["url"])
    return _shown(_store(sandbox, row), params)


@route("POST", PATH + "/{id}/disable", params=EventDestinationDisableParams)
def disable(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    row = {**in_path(sandbox, KIND, id), "status": "disabled"}
    return _store(sandbox, {**row, "status_details": {"disabled": {"reason": "user"}}})


@route("POST", PATH + "/{id}/enable", params=EventDestinationEnableParams)
def enable(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return _store(sandbox, {**in_path(sandbox, KIND, id), "status": "enabled", "status_details": None})


def _store(sandbox: Sandbox, row: Document) -> Document:
    row["updated"] = timestamps.written(sandbox.now())
    sandbox.store.put(KIND, row)
    return row


@route("DELETE", PATH + "/{id}", params=EventDestinationDeleteParams)
def delete(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    in_path(sandbox, KIND, id)
    sandbox.store.delete(KIND, id)
    return {"id": id, "object": KIND}


def from_command_line(sandbox: Sandbox, given: list[tuple[str, str]]) -> None:
    """Let the destinations of the command line be those of this run: URL and secret, the meters' errors."""
    for known in sandbox.store.find(KIND, lambda row: "_command_line" in row):
        sandbox.store.delete(KIND, known["id"])
    for url, secret in given:
        id = f"ed_test_{hashlib.sha256(url.encode()).hexdigest()[:24]}"
        destination = {
            **_blank(sandbox, id, url, secret),
            "description": "Given on the command line",
            "enabled_events": [meter_errors.OF_METER, meter_errors.NO_METER],
            "events_from": ["@self"],
            "metadata": {},
            "name": "Meter errors",
            "_command_line": True,
        }
        sandbox.store.put(KIND, destination)
