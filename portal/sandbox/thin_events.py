"""Thin events: what API v2 tells, as small messages whose details are fetched (`/v2/core/events`).

This sandbox makes them for meter errors only; Stripe makes them for nearly everything.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from stripe.params.v2.core import EventListParams, EventRetrieveParams

from portal.sandbox import deliveries, timestamps, v2_lists
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_path
from portal.sandbox.errors import invalid
from portal.sandbox.lists import in_range
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "v2.core.event"
MAX_TYPES = 20
PATHS = {"billing.meter": "/v1/billing/meters/"}
NOT_IN_MESSAGE = ("data", "changes")


def record(sandbox: Sandbox, type: str, data: Document, related: tuple[str, str] | None = None) -> Document:
    """Store the event and its deliveries; `related` is the kind and id of the object that it is about."""
    event: Document = {
        "id": sandbox.new_id("evt_test", 40),
        "object": KIND,
        "changes": None,
        "context": None,
        "created": timestamps.written(sandbox.now()),
        "data": data,
        "livemode": False,
        "reason": None,
        "type": type,
        "_created": sandbox.now(),
    }
    if related is not None:
        kind, id = related
        event["related_object"] = {"id": id, "type": kind, "url": f"{PATHS[kind]}{id}"}
    sandbox.store.put(KIND, event)
    deliveries.queue_thin(sandbox, event)
    return event


def message(event: Document) -> Document:
    """What is sent of it."""
    return {name: value for name, value in event.items() if name not in NOT_IN_MESSAGE}


@route("GET", "/v2/core/events/{id}", params=EventRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return in_path(sandbox, KIND, id)


@route("GET", "/v2/core/events", params=EventListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    types = params.get("types") or []
    if len(types) > MAX_TYPES:
        raise invalid(f"At most {MAX_TYPES} types can be asked for at once.", "types")
    created = {
        name: timestamps.read(text, f"created[{name}]") for name, text in params.get("created", {}).items()
    }
    about = params.get("object_id")

    def wanted(event: Document) -> bool:
        right_type = not types or any(fnmatchcase(event["type"], pattern) for pattern in types)
        right_object = about in (None, (event.get("related_object") or {}).get("id"))
        return right_type and right_object and in_range(event["_created"], created)

    return v2_lists.page(sandbox, KIND, params, "/v2/core/events", wanted)
