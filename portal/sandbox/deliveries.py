"""What is to be sent to whom: one delivery per event and endpoint."""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from portal.sandbox.store import Document

if TYPE_CHECKING:
    from portal.sandbox.state import Sandbox

KIND = "_delivery"
CONTROLS = "_webhook_controls"
ENDPOINTS = "webhook_endpoint"
DESTINATIONS = "v2.core.event_destination"
# With `reorder`, deliveries wait this long for later ones to overtake them.
REORDER_SECONDS = 2.0
LONGEST_REORDER = 8.0
MAX_DELAY = 3600
MAX_COUNT = 1000
NO_CONTROLS = {"delay": 0, "drop": 0, "duplicate": 0, "reorder": False}


def queue(sandbox: Sandbox, event: Document) -> int:
    """Queue the event for every endpoint that wants it, in the open transaction; how many there are."""
    return _queue(sandbox, event, ENDPOINTS)


def queue_thin(sandbox: Sandbox, event: Document) -> int:
    """As `queue`, for a thin event and the destinations that want it."""
    return _queue(sandbox, event, DESTINATIONS)


def _queue(sandbox: Sandbox, event: Document, kind: str) -> int:
    endpoints = [
        endpoint
        for endpoint in sandbox.store.walk(kind, status="enabled")
        if any(fnmatchcase(event["type"], pattern) for pattern in endpoint["enabled_events"])
    ]
    for endpoint in reversed(endpoints):
        for delivery in _deliveries(sandbox, event, endpoint):
            sandbox.store.put(KIND, delivery)
    return len(endpoints)


def _deliveries(sandbox: Sandbox, event: Document, endpoint: Document) -> list[Document]:
    """Normally one; none of effect when it is to be dropped, two when it is to be duplicated."""
    wanted = controls(sandbox)
    delay = wanted["delay"] + (REORDER_SECONDS if wanted["reorder"] else 0)
    first = new(sandbox, event["id"], endpoint["id"], time.time() + delay)
    if wanted["drop"] > 0:
        _count_down(sandbox, wanted, "drop")
        return [{**first, "state": "dropped"}]
    if wanted["duplicate"] > 0:
        _count_down(sandbox, wanted, "duplicate")
        return [first, {**first, "id": sandbox.new_id("wd")}]
    return [first]


def new(sandbox: Sandbox, event: str, endpoint: str, due: float) -> Document:
    """A delivery that waits until `due` (real unix time: receivers live in real time)."""
    return {
        "id": sandbox.new_id("wd"),
        "event": event,
        "endpoint": endpoint,
        "state": "pending",
        "tries": 0,
        "due": due,
    }


def pending(sandbox: Sandbox, until: float | None = None) -> list[Document]:
    """The deliveries to make, in the order of their events; latest first under `reorder`.

    `until` leaves out what is due later (None: nothing). Under `reorder` nothing goes out while more
    is coming in, for a while, so that later events really overtake.
    """
    waiting = sandbox.store.find(KIND, state="pending")
    due = [row for row in waiting if until is None or row["due"] <= until]
    if not controls(sandbox)["reorder"]:
        return due[::-1]
    more_to_come = any(row not in due and row["tries"] == 0 for row in waiting)
    held_long_enough = any(until is not None and row["due"] < until - LONGEST_REORDER for row in due)
    return [] if more_to_come and not held_long_enough else due


def controls(sandbox: Sandbox) -> dict[str, Any]:
    """What the developer ordered: seconds of delay, how many to drop or duplicate, whether to reorder."""
    kept = sandbox.store.get(CONTROLS, CONTROLS) or NO_CONTROLS
    return {name: kept[name] for name in NO_CONTROLS}


def order(sandbox: Sandbox, wanted: dict[str, Any]) -> dict[str, Any]:
    """Change some of the controls; ValueError for a value that makes no sense."""
    new_controls = {**controls(sandbox), **wanted}
    if new_controls.keys() != NO_CONTROLS.keys():
        raise ValueError(f"Only {', '.join(NO_CONTROLS)} can be ordered.")
    for name, limit in (("delay", MAX_DELAY), ("drop", MAX_COUNT), ("duplicate", MAX_COUNT)):
        value = new_controls[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= limit:
            raise ValueError(f"{name} must be a whole number from 0 to {limit}")
    new_controls["reorder"] = bool(new_controls["reorder"])
    sandbox.store.put(CONTROLS, {"id": CONTROLS, **new_controls})
    return new_controls


def _count_down(sandbox: Sandbox, wanted: dict[str, Any], name: str) -> None:
    sandbox.store.put(CONTROLS, {"id": CONTROLS, **wanted, name: wanted[name] - 1})
