"""One running sandbox: store, clock, lock, and the request that is being served."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, RLock

from flask import current_app

from portal.sandbox import clock as clocks
from portal.sandbox import events
from portal.sandbox.clock import Clock
from portal.sandbox.store import Document, Store

ID_ALPHABET = string.ascii_letters + string.digits
TEST_CLOCK = "test_helpers.test_clock"


@dataclass(frozen=True)
class Request:
    """Who asked: what events show as `request`. Both are None for what the clock brings about.

    `session` is the token of the meter event session that was given instead of a key.
    """

    id: str | None = None
    idempotency_key: str | None = None
    publishable: bool = False
    session: str | None = None


class Sandbox:
    """The state of one stand-in account. Everything that reads or writes it runs inside `work`.

    `committed` is set whenever writes have become visible; the webhook delivery waits for it.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.lock = RLock()
        self.request = Request()
        self.committed = Event()
        saved = store.get("_clock", "offset")
        clock.offset = saved["seconds"] if saved else 0

    @contextmanager
    def work(self, request: Request | None = None) -> Iterator[None]:
        """Hold the lock and one transaction; after the outermost block, tell that it committed."""
        with self.lock:
            before = self.request
            self.request = request or before
            try:
                with self.store.transaction():
                    yield
            finally:
                self.request = before
                if not self.store.in_transaction:
                    self.committed.set()

    def now(self, customer: Document | str | None = None) -> int:
        """Unix seconds; the time of the customer's test clock where it has one."""
        if isinstance(customer, str):
            customer = self.store.get("customer", customer)
        clock_id = (customer or {}).get("test_clock")
        clock = self.store.get(TEST_CLOCK, clock_id) if clock_id else None
        return clock["frozen_time"] if clock else self.clock.now()

    def new_id(self, prefix: str, length: int = 24) -> str:
        """A fresh id: `prefix_` and random letters and digits."""
        return f"{prefix}_{random_text(length)}"

    def emit(self, type: str, obj: Document, previous: Document | None = None) -> None:
        """Record an event about `obj` as it is now and queue its webhooks for after the commit.

        `previous` is the whole document as it was before the change; the event shows the keys that differ.
        An event that would show no difference is not recorded.
        """
        events.record(self, type, obj, previous)

    def advance(self, seconds: int | None = None, to: int | None = None) -> int:
        """Move the sandbox's clock forward, doing everything that falls due on the way; the new time."""
        with self.lock:
            target = to if to is not None else self.clock.now() + (seconds or 0)
            if target < self.clock.now():
                raise ValueError(f"The clock stands at {self.clock.now()} and cannot go back to {target}.")
            clocks.run_until(self, None, target)
            self.clock.offset = target - int(self.clock.source())
            with self.work():
                self.store.put("_clock", {"id": "offset", "seconds": self.clock.offset})
        return target

    def tick(self) -> None:
        """Do what has fallen due because real time passed."""
        with self.lock:
            clocks.run_until(self, None, self.clock.now())

    def advance_test_clock(self, clock_id: str, to: int) -> None:
        """Move one test clock forward, doing everything that falls due for its customers on the way."""

        def stand(second: int) -> None:
            clock = self.store.get(TEST_CLOCK, clock_id)
            if clock and second > clock["frozen_time"]:
                self.store.put(TEST_CLOCK, {**clock, "frozen_time": second})

        with self.lock:
            clocks.run_until(self, clock_id, to, stand)
            with self.work():
                stand(to)


def random_text(length: int, alphabet: str = ID_ALPHABET) -> str:
    """Random characters for ids and secrets."""
    return "".join(alphabet[byte % len(alphabet)] for byte in secrets.token_bytes(length))


def sandbox() -> Sandbox:
    """The sandbox of the application that serves the current request."""
    return current_app.extensions["sandbox"]
