"""What happens to payments by itself, days later: disputes (card 0259), refunds sent back (card 5126)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from portal.sandbox import charges, disputes, refunds
from portal.sandbox.clock import Action, on_tick
from portal.sandbox.debits import clock_of
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

Due = tuple[int, Action] | None


@on_tick
def next_dispute(sandbox: Sandbox, clock_id: str | None, until: int) -> Due:
    """The charge that is disputed first."""
    return _first(sandbox, charges.KIND, "_disputed_at", clock_id, until, disputes.open_for)


@on_tick
def next_failed_refund(sandbox: Sandbox, clock_id: str | None, until: int) -> Due:
    """The refund that the bank sends back first."""
    return _first(sandbox, refunds.KIND, "_fails_at", clock_id, until, refunds.fail)


def _first(
    sandbox: Sandbox,
    kind: str,
    moment: str,
    clock_id: str | None,
    until: int,
    act: Callable[[Sandbox, Document], Any],
) -> Due:
    def due(payment: Document) -> bool:
        return (payment.get(moment) or until + 1) <= until

    waiting = sandbox.store.find(kind, due)
    mine = [payment for payment in waiting if clock_of(sandbox, payment["customer"]) == clock_id]
    if not mine:
        return None
    first = min(mine, key=lambda payment: payment[moment])
    return first[moment], partial(act, sandbox, first)
