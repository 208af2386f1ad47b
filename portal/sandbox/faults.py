"""Faults that a developer can order: server errors, rate limits, slowness.

Where a 500 strikes decides what a client finds afterwards:
`before` nothing was done and the idempotency key is free; `during` nothing was done and the 500 is kept under
the key, as Stripe documents; `after` the work is done and only the answer is lost: the same key gives the
real answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from portal.sandbox.errors import StripeError

STATUSES = (429, 500)
MOMENTS = ("before", "during", "after")
MAX_LATENCY_MS = 120_000
MAX_COUNT = 10_000


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request."""

    status: int | None = None
    moment: str = "before"
    latency_ms: int = 0
    sleep: Callable[[float], None] = time.sleep

    def before(self) -> None:
        self._strike("before")

    def during(self) -> None:
        self._strike("during")

    def after(self) -> None:
        self._strike("after")

    def wait(self) -> None:
        if self.latency_ms:
            self.sleep(self.latency_ms / 1000)

    def _strike(self, moment: str) -> None:
        if self.status is None or self.moment != moment:
            return
        if self.status == 429:
            raise StripeError(
                429, "invalid_request_error", "Too many requests.", code="rate_limit", stored=False
            )
        raise StripeError(
            500, "api_error", "An unknown error occurred (ordered on the sandbox's control page)."
        )


class Faults:
    """The faults that wait for the next requests; set by `/_sandbox/faults`."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.clear()

    def clear(self) -> None:
        """No faults."""
        self.status: int | None = None
        self.moment = "before"
        self.count = 0
        self.latency_ms = 0

    def order(
        self, status: int | None = None, moment: str = "before", count: int = 1, latency_ms: int = 0
    ) -> None:
        """The next `count` requests answer `status`; all wait `latency_ms`. ValueError for nonsense."""
        if status is not None and status not in STATUSES:
            raise ValueError(f"status must be one of {STATUSES}")
        if moment not in MOMENTS:
            raise ValueError(f"moment must be one of {MOMENTS}")
        if not 0 <= count <= MAX_COUNT or not 0 <= latency_ms <= MAX_LATENCY_MS:
            raise ValueError(f"count goes to {MAX_COUNT}, latency_ms to {MAX_LATENCY_MS}")
        with self._lock:
            self.status, self.count = status, count if status else 0
            self.moment = "before" if status == 429 else moment
            self.latency_ms = latency_ms

    def take(self) -> Fault:
        """The fault of the next request."""
        with self._lock:
            if self.count <= 0:
                return Fault(latency_ms=self.latency_ms)
            self.count -= 1
            return Fault(self.status, self.moment, self.latency_ms)

    def as_dict(self) -> dict[str, Any]:
        """What is still to come."""
        return {
            "status": self.status,
            "moment": self.moment,
            "count": self.count,
            "latency_ms": self.latency_ms,
        }
