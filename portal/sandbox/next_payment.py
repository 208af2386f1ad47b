"""The outcome that somebody chose for the next payment, on the control page."""

from __future__ import annotations

from portal.sandbox.declines import DECLINES
from portal.sandbox.state import Sandbox

KIND = "_next_payment"
ID = "outcome"
# A decline as Stripe names it in `code` or `decline_code`, or a payment that needs 3-D Secure.
OUTCOMES = ("card_declined", "requires_action", *DECLINES)


def order(sandbox: Sandbox, outcome: str | None) -> None:
    """Let the next payment by card, Link or Amazon Pay end like this (None: as it would by itself).

    ValueError for an outcome that there is not.
    """
    if outcome is None:
        sandbox.store.delete(KIND, ID)
    elif outcome in OUTCOMES:
        sandbox.store.put(
            KIND, {"id": ID, "outcome": "generic_decline" if outcome == "card_declined" else outcome}
        )
    else:
        raise ValueError(f"outcome must be one of {', '.join(OUTCOMES)}")


def waiting(sandbox: Sandbox) -> str | None:
    """The outcome that the next payment will have, if one was chosen."""
    chosen = sandbox.store.get(KIND, ID)
    return chosen["outcome"] if chosen else None


def take(sandbox: Sandbox) -> str | None:
    """The chosen outcome, used up."""
    outcome = waiting(sandbox)
    if outcome:
        sandbox.store.delete(KIND, ID)
    return outcome
