"""What a running sandbox does between requests: sends webhooks and lets time do its work."""

from __future__ import annotations

import logging
from threading import Event, Thread

from flask import Flask

from portal.sandbox.state import Sandbox
from portal.sandbox.webhooks import Webhooks

LONGEST_NAP = 0.5
SECONDS_BETWEEN_TICKS = 1.0
STOP_SECONDS = 2.0
log = logging.getLogger(__name__)


class Background:
    """Two threads: deliveries as soon as something committed, ticks once a second."""

    def __init__(self, app: Flask) -> None:
        self._sandbox: Sandbox = app.extensions["sandbox"]
        self._webhooks: Webhooks = app.extensions["webhooks"]
        self._stop = Event()
        self._threads = [
            Thread(target=self._deliver, name="sandbox-webhooks", daemon=True),
            Thread(target=self._tick, name="sandbox-clock", daemon=True),
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop after what is being done; waits a little for it."""
        self._stop.set()
        self._sandbox.committed.set()
        for thread in self._threads:
            thread.join(STOP_SECONDS)

    def _deliver(self) -> None:
        while not self._stop.is_set():
            self._sandbox.committed.wait(LONGEST_NAP)
            self._sandbox.committed.clear()
            try:
                self._webhooks.deliver_due()
            except Exception:
                log.exception("delivering webhooks failed")
                self._stop.wait(LONGEST_NAP)

    def _tick(self) -> None:
        while not self._stop.wait(SECONDS_BETWEEN_TICKS):
            try:
                self._sandbox.tick()
            except Exception:
                log.exception("a time hook failed")
