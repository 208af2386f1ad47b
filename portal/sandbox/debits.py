"""Bank debits under way: they settle or come back when their day has come, or when somebody says so."""

from __future__ import annotations

from functools import partial

from portal.sandbox import confirmation, intents
from portal.sandbox.clock import Action, on_tick
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document


@on_tick
def next_settlement(current: Sandbox, clock_id: str | None, until: int) -> tuple[int, Action] | None:
    """The debit that ends first among those of one clock's customers."""
    due = [intent for intent in under_way(current, clock_id) if intent["_settles_at"] <= until]
    if not due:
        return None
    first = min(due, key=lambda intent: intent["_settles_at"])
    return first["_settles_at"], partial(confirmation.settle, current, first)


def under_way(current: Sandbox, clock_id: str | None) -> list[Document]:
    """The intents whose debit has not ended, for the customers of one test clock (None: of no test clock)."""
    return [
        intent
        for intent in current.store.find(intents.KIND, status="processing")
        if clock_of(current, intent["customer"]) == clock_id
    ]


def clock_of(current: Sandbox, customer: str | None) -> str | None:
    """The test clock by which a customer's time passes."""
    owner = current.store.get("customer", customer) if customer else None
    return (owner or {}).get("test_clock")


def settle_now(current: Sandbox, wanted: str | None) -> list[Document]:
    """End every debit under way, or only that of one payment intent; the intents as they are then.

    ValueError when that payment intent has no debit under way.
    """
    with current.work():
        waiting = current.store.find(intents.KIND, status="processing")
        chosen = [intent for intent in waiting if wanted in (None, intent["id"])]
        if wanted and not chosen:
            raise ValueError(f"No debit is under way for the payment intent {wanted!r}.")
        return [confirmation.settle(current, intent).intent for intent in chosen]
