"""Reading events: the list that a poller replays, and one by id."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from stripe.params import EventListParams, EventRetrieveParams

from portal.sandbox import lists
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_path
from portal.sandbox.errors import invalid
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

MAX_TYPES = 20


@route("GET", "/v1/events/{id}", params=EventRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return in_path(sandbox, "event", id)


@route("GET", "/v1/events", params=EventListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if "type" in params and "types" in params:
        raise invalid("You may only specify one of these parameters: type, types.")
    types = params.get("types", [params["type"]] if "type" in params else [])
    if len(types) > MAX_TYPES:
        raise invalid(f"At most {MAX_TYPES} types can be asked for at once.", "types")
    delivered = params.get("delivery_success")

    def wanted(event: Document) -> bool:
        right_type = not types or any(fnmatchcase(event["type"], pattern) for pattern in types)
        return right_type and delivered in (None, event["pending_webhooks"] == 0)

    return lists.page(sandbox, "event", params, "/v1/events", wanted)
