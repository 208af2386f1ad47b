"""What a test starts from, made once in a process: the next test that takes the same steps gets a copy of it.

A purchase takes hundreds of statements and dozens of requests, and a thousand tests begin with one. So a step
that was taken from the same state before is not taken again: the rows and Stripe's documents that it left,
the mail that it sent and the time that it took are put in their places.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from portal.config import Settings
from portal.gateways.clock import Clock, SystemClock
from portal.sandbox.store import Frozen
from tests import snapshots
from tests.apps import Apps, of_settings
from tests.shop import Shop, ShopClock

T = TypeVar("T")

# sign-ins grow stale, and the database's own time goes on
KEPT_SECONDS = 300.0


@dataclass(frozen=True, eq=False)
class _Left:
    """What a step left behind, when it was taken, and what it returned."""

    taken: float
    value: Any
    rows: dict[str, str]
    documents: Frozen | None
    time: Callable[[], float] | None
    at: int
    calls: list[Any]
    mails: dict[str, bytes]


@dataclass(frozen=True)
class _Found:
    """How often each table was written, Stripe's documents, and how its clock is set."""

    written: dict[str, int]
    documents: Frozen | None = None
    time: Callable[[], float] | None = None
    offset: int = 0


# by what was there before, and by the step's name
_LEFT: dict[tuple[Hashable, Hashable], _Left] = {}


def forget() -> None:
    """Let every step be taken anew."""
    _LEFT.clear()


@dataclass
class World:
    """The state of one test, for as long as only steps have changed it."""

    connection: Connection
    settings: Settings
    clock: Clock
    apps: Apps
    shop: Shop | None
    _state: Hashable = field(init=False, default=None)

    def __post_init__(self) -> None:
        # a clock that a test turns by hand is not put back
        if isinstance(self.clock, ShopClock if self.shop else SystemClock):
            self._state = (self.apps.number, of_settings(self.settings), self._time())
            self._mark()

    def step(self, name: Hashable, take: Callable[[], T]) -> T:
        """What ``take`` returns, which tests share: a plain value that nobody changes.

        ``name`` says all that ``take`` depends on besides the state of database and Stripe.
        """
        if not self._is_untouched():
            return take()
        left = _LEFT.get(key := (self._state, name))
        if left and time.monotonic() - left.taken < KEPT_SECONDS:
            self._put(left)
        else:
            left = _LEFT[key] = self._taken(take)
        self._state = left
        self._mark()
        value: T = left.value
        return value

    def _taken(self, take: Callable[[], Any]) -> _Left:
        before, calls, mails = self._found.written, len(self._calls()), set(self._mails())
        self._state = None  # steps within are a part of it
        value = take()
        written = snapshots.written(self.connection)
        changed = [name for name, count in written.items() if count != before.get(name)]
        return _Left(
            time.monotonic(),
            value,
            snapshots.rows(self.connection, changed),
            self.shop.sandbox.store.freeze() if self.shop else None,
            self.shop.sandbox.clock.source if self.shop else None,
            self.shop.sandbox.now() if self.shop else 0,
            list(self._calls()[calls:]),
            {path.name: path.read_bytes() for path in self._mails() if path not in mails},
        )

    def _put(self, left: _Left) -> None:
        snapshots.put(self.connection, left.rows)
        if self.shop and left.documents and left.time:
            self.shop.sandbox.store.thaw(left.documents)
            clock = self.shop.sandbox.clock
            clock.source, clock.offset = left.time, left.at - int(left.time())
            self._calls().extend(left.calls)
        for name, content in left.mails.items():
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / name).write_bytes(content)

    def _mark(self) -> None:
        self._found = self._now()

    def _is_untouched(self) -> bool:
        if self._state is None or (self.shop and (self.shop.faults.faults or self.shop.is_diverted)):
            return False
        if self._now() != self._found:
            self._state = None
        return self._state is not None

    def _now(self) -> _Found:
        """All that a test may change."""
        written = snapshots.written(self.connection)
        if self.shop is None:
            return _Found(written)
        sandbox = self.shop.sandbox
        return _Found(written, sandbox.store.freeze(), sandbox.clock.source, sandbox.clock.offset)

    def _calls(self) -> list[Any]:
        return self.shop.faults.calls if self.shop else []

    def _mails(self) -> list[Path]:
        return sorted(self._folder.glob("*")) if self._folder.is_dir() else []

    @property
    def _folder(self) -> Path:
        return self.settings.data_dir / "mail"

    def _time(self) -> Hashable:
        """When time stands, for the tests that stop it."""
        source = self.shop.sandbox.clock.source if self.shop else time.time
        return None if source is time.time else source()
