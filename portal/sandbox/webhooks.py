"""Sending webhooks: signed as Stripe signs, retried with growing pauses, every attempt on record.

A delivery is sent only after the request that caused it has committed, and without holding the lock.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from portal.sandbox import deliveries, thin_events
from portal.sandbox.events import public
from portal.sandbox.store import Document

if TYPE_CHECKING:
    from portal.sandbox.state import Sandbox

KIND = "_attempt"
TIMEOUT = 20
# Real seconds before the second, third … try. Stripe's own pauses last hours; a developer is waiting here.
PAUSES = (5, 15, 60, 300, 1800, 7200)
KEPT_ATTEMPTS = 2000
KEPT_ANSWER = 500
USER_AGENT = "Stripe/1.0 (+https://stripe.com/docs/webhooks)"

Send = Callable[[str, bytes, dict[str, str]], tuple[int, str]]


def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    """Send over HTTP: status and the beginning of the answer. Redirects are not followed, as at Stripe."""
    answer = requests.post(url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False)
    return answer.status_code, answer.text[:KEPT_ANSWER]


def signature(secret: str, body: bytes, timestamp: int) -> str:
    """The `Stripe-Signature` header: v1 is the HMAC-SHA256 of `timestamp.body`."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


class Webhooks:
    """The sender. `send` is replaced in tests by a function that hands the bytes over in the process."""

    def __init__(self, sandbox: Sandbox, send: Send = post) -> None:
        self.sandbox = sandbox
        self.send = send

    def deliver_pending(self) -> int:
        """Send everything that waits, once, whenever it is due; how many attempts were made. For tests."""
        return self._deliver(None)

    def deliver_due(self) -> int:
        """Send what is due now."""
        return self._deliver(time.time())

    def _deliver(self, until: float | None) -> int:
        with self.sandbox.lock:
            waiting = deliveries.pending(self.sandbox, until)
        for delivery in waiting:
            self._attempt(delivery)
        return len(waiting)

    def _attempt(self, delivery: Document) -> None:
        with self.sandbox.lock:
            parcel = _parcel(self.sandbox, delivery)
        if parcel is None:
            with self.sandbox.work():
                self.sandbox.store.delete(deliveries.KIND, delivery["id"])
            return
        started = time.time()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(parcel.secret, parcel.body, int(started)),
            "User-Agent": USER_AGENT,
        }
        try:
            status, answer = self.send(parcel.url, parcel.body, headers)
        except (requests.RequestException, OSError) as error:
            status, answer = 0, f"{type(error).__name__}: {error}"[:KEPT_ANSWER]
        with self.sandbox.work():
            self._record(delivery, parcel.url, started, status, answer)

    def _record(self, delivery: Document, url: str, started: float, status: int, answer: str) -> None:
        store = self.sandbox.store
        attempt = {
            "id": self.sandbox.new_id("wa"),
            "event": delivery["event"],
            "endpoint": delivery["endpoint"],
            "url": url,
            "at": int(started),
            "milliseconds": int((time.time() - started) * 1000),
            "status": status,
            "answer": answer,
            "try": delivery["tries"] + 1,
        }
        store.put(KIND, attempt)
        if 200 <= status < 300:
            store.delete(deliveries.KIND, delivery["id"])
            self._count_success(delivery)
        else:
            store.put(deliveries.KIND, _after_refusal(delivery))
        store.keep(KIND, KEPT_ATTEMPTS)

    def _count_success(self, delivery: Document) -> None:
        event = self.sandbox.store.get("event", delivery["event"])
        if event and event["pending_webhooks"] > 0:
            event["pending_webhooks"] -= 1
            self.sandbox.store.put("event", event)

    def resend(self, event_id: str) -> int:
        """Queue an event again for the endpoints that want it now; how many. KeyError if unknown."""
        with self.sandbox.work():
            if event := self.sandbox.store.get("event", event_id):
                return deliveries.queue(self.sandbox, event)
            if event := self.sandbox.store.get(thin_events.KIND, event_id):
                return deliveries.queue_thin(self.sandbox, event)
            raise KeyError(event_id)


@dataclass(frozen=True)
class _Parcel:
    """What is posted where, and the secret that it is signed with."""

    url: str
    secret: str
    body: bytes


def _parcel(sandbox: Sandbox, delivery: Document) -> _Parcel | None:
    """An event as it is, or the message of a thin one; None when it or its endpoint is gone."""
    event = sandbox.store.get("event", delivery["event"])
    endpoint = sandbox.store.get(deliveries.ENDPOINTS, delivery["endpoint"])
    if event and endpoint:
        return _Parcel(endpoint["url"], endpoint["_secret"], json.dumps(public(event), indent=2).encode())
    thin = sandbox.store.get(thin_events.KIND, delivery["event"])
    destination = sandbox.store.get(deliveries.DESTINATIONS, delivery["endpoint"])
    if thin and destination:
        body = json.dumps(public(thin_events.message(thin))).encode()
        return _Parcel(destination["_url"], destination["_secret"], body)
    return None


def _after_refusal(delivery: Document) -> Document:
    tries = delivery["tries"] + 1
    if tries > len(PAUSES):
        return {**delivery, "tries": tries, "state": "failed"}
    return {**delivery, "tries": tries, "due": time.time() + PAUSES[tries - 1]}
