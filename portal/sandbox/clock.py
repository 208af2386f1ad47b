"""The sandbox's time: real time plus an offset, and the things that happen when time passes.

Time hooks: `@on_tick` registers a function `(sandbox, clock_id, until) -> (at, action) | None`. It names the
earliest thing that is due at or before `until` for the customers of one clock (`clock_id` None: those without
a test clock) and the action that does it. The loop runs the earliest of all hooks with the clock standing at
`at`, each in a transaction of its own, until nothing is due. An action must make its own due moment go away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal.sandbox.state import Sandbox

Action = Callable[[], None]
Hook = Callable[["Sandbox", "str | None", int], "tuple[int, Action] | None"]

MAX_ACTIONS_PER_MOMENT = 20_000
_hooks: list[Hook] = []


def on_tick(hook: Hook) -> Hook:
    """Register a time hook; see the module's text for its contract."""
    _hooks.append(hook)
    return hook


class Clock:
    """Unix seconds: `source` plus `offset`, or the second that time stands at while hooks run."""

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self.source = source
        self.offset = 0
        self._standing: int | None = None

    def now(self) -> int:
        return self._standing if self._standing is not None else int(self.source()) + self.offset

    @contextmanager
    def standing_at(self, second: int) -> Iterator[None]:
        """Let time stand at one second for the block."""
        before, self._standing = self._standing, second
        try:
            yield
        finally:
            self._standing = before


def due(sandbox: Sandbox, clock_id: str | None, until: int) -> tuple[int, Action] | None:
    """The earliest thing due at or before `until` for the customers of that clock."""
    found = [item for hook in _hooks if (item := hook(sandbox, clock_id, until)) is not None]
    return min(found, key=lambda item: item[0], default=None)


def run_until(
    sandbox: Sandbox, clock_id: str | None, until: int, stand: Callable[[int], None] | None = None
) -> None:
    """Do everything due up to `until`, each at its own second; `stand(second)` moves a test clock along."""
    last, repeats = None, 0
    while (item := due(sandbox, clock_id, until)) is not None:
        at, action = item
        repeats = repeats + 1 if at == last else 0
        if repeats > MAX_ACTIONS_PER_MOMENT:
            raise RuntimeError(f"A time hook does not finish what is due at {at}.")
        last = at
        with sandbox.clock.standing_at(at), sandbox.work():
            if stand is not None:
                stand(at)
            action()
