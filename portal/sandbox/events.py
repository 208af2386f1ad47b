"""Events: what changed, about which object, because of which request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from portal.sandbox import deliveries
from portal.sandbox.store import Document

if TYPE_CHECKING:
    from portal.sandbox.state import Sandbox

API_VERSION = "2026-10-28.endive"


def public(value: Any) -> Any:
    """A copy without the keys that never leave the sandbox (those that start with `_`)."""
    if isinstance(value, dict):
        return {key: public(item) for key, item in value.items() if not key.startswith("_")}
    if isinstance(value, list):
        return [public(item) for item in value]
    return value


def differences(before: Document, after: Document) -> Document:
    """The old values of the keys that differ: hashes by their changed keys, lists whole, a new key as null.

    Recorded from Stripe: a metadata key that was new appears as null.
    """
    changed: Document = {}
    for key in [*after, *(key for key in before if key not in after)]:
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        both_hashes = isinstance(old, dict) and isinstance(new, dict)
        changed[key] = differences(old, new) if both_hashes else old
    return changed


def record(sandbox: Sandbox, type: str, obj: Document, previous: Document | None) -> None:
    """Store the event and its webhook deliveries in the transaction that makes the change."""
    shown = public(obj)
    data: Document = {"object": shown}
    if previous is not None:
        changed = differences(public(previous), shown)
        if not changed:
            return
        data["previous_attributes"] = changed
    owner = obj if obj.get("object") == "customer" else obj.get("customer")
    request = sandbox.request
    event = {
        "id": sandbox.new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": sandbox.now(owner),
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": request.id, "idempotency_key": request.idempotency_key},
        "type": type,
    }
    event["pending_webhooks"] = deliveries.queue(sandbox, event)
    sandbox.store.put("event", event)
