"""What happens to payments by itself, days later: disputes (card 0259), refunds sent back (card 5126)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from portal.sandbox import charges, disputes, refunds
from portal.sandbox.agenda import Moment, Timetable
from portal.sandbox.clock import Action, on_tick
from portal.sandbox.debits import clock_of
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document, Store

Due = tuple[int, Action] | None


@on_tick
def next_dispute(sandbox: Sandbox, clock_id: str | None, until: int) -> Due:
    """The charge that is disputed first."""
    return _first(sandbox, DISPUTES, clock_id, until, disputes.open_for)


@on_tick
def next_failed_refund(sandbox: Sandbox, clock_id: str | None, until: int) -> Due:
    """The refund that the bank sends back first."""
    return _first(sandbox, RETURNS, clock_id, until, refunds.fail)


def _disputed_at(_: Store, charge: Document) -> Iterator[Moment]:
    if charge.get("_disputed_at"):
        yield charge["_disputed_at"], 0, "dispute"


def _fails_at(_: Store, refund: Document) -> Iterator[Moment]:
    if refund.get("_fails_at"):
        yield refund["_fails_at"], 0, "fail"


DISPUTES = Timetable(charges.KIND, _disputed_at)
RETURNS = Timetable(refunds.KIND, _fails_at)


def _first(
    sandbox: Sandbox,
    table: Timetable,
    clock_id: str | None,
    until: int,
    act: Callable[[Sandbox, Document], Any],
) -> Due:
    for entry in sandbox.store.agenda(table).until(until):
        payment = sandbox.store.get(table.kind, entry.document["id"])
        if payment and clock_of(sandbox, payment["customer"]) == clock_id:
            return entry.at, partial(act, sandbox, payment)
    return None
