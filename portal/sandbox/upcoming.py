"""The next invoice of a running subscription: of a change that is invoiced at once, or of its next renewal.

Called inside a transaction that the preview undoes: it really changes and renews the subscription.
"""

from __future__ import annotations

from typing import Any

from portal.sandbox import (
    ending,
    invoices,
    pauses,
    renewals,
    schedule_transitions,
    schedules,
    standing,
    subscriptions,
    trials,
    updates,
)
from portal.sandbox.documents import in_body
from portal.sandbox.errors import invalid
from portal.sandbox.state import TEST_CLOCK, Sandbox
from portal.sandbox.store import Document

CHANGES = ("cancel_at", "cancel_at_period_end", "items", "metadata", "proration_behavior", "proration_date")
CHANGES += ("billing_cycle_anchor", "trial_end")


def draft(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    """The draft that comes next; Stripe's 400 when nothing is going to be billed."""
    subscription = in_body(sandbox, subscriptions.KIND, params["subscription"], "subscription")
    details = params.get("subscription_details") or {}
    if {"cancel_now", "pause", "resume_at"} & details.keys():
        return _of_verb(sandbox, subscription, details)
    wanted = {name: details[name] for name in CHANGES if name in details}
    wanted |= {name: params[name] for name in ("automatic_tax", "discounts") if name in params}
    drafts: list[Document] = []
    if wanted:
        subscription = updates.update(
            sandbox, subscription, wanted, settle=lambda _, made, __: drafts.append(made)
        )
    if drafts:
        return drafts[0]
    return _renewal(sandbox, subscription)


def _of_verb(sandbox: Sandbox, subscription: Document, details: Document) -> Document:
    """The invoice that cancelling, pausing or resuming now would make."""
    known = subscription["latest_invoice"]
    drafts: list[Document] = []

    def keep(_: Sandbox, made: Document, __: dict[str, Any]) -> None:
        drafts.append(made)

    if details.get("cancel_now"):
        prorate = details.get("proration_behavior", "create_prorations") != "none"
        after = ending.cancel_now(sandbox, subscription, prorate=prorate, invoice_now=True)
        if after["latest_invoice"] != known:
            drafts.append(sandbox.store.get(invoices.KIND, after["latest_invoice"]) or {})
    elif "pause" in details:
        pauses.pause(sandbox, subscription, details["pause"], keep)
    else:
        pauses.resume(sandbox, subscription, details, keep)
    if not drafts:
        raise nothing_upcoming(subscription["customer"])
    return drafts[0]


def _renewal(sandbox: Sandbox, subscription: Document) -> Document:
    status, known = subscription["status"], subscription["latest_invoice"]
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    at = subscription["trial_end"] if status == "trialing" else min(ends)
    last = subscription["cancel_at"]
    if status in (*standing.OVER, "incomplete", "paused") or (last is not None and last <= at):
        raise nothing_upcoming(subscription["customer"])
    _stand_at(sandbox, subscription, at)
    with sandbox.clock.standing_at(at):
        subscription = _enter_phase(sandbox, subscription, at)
        (trials.end if status == "trialing" else renewals.renew)(sandbox, subscription)
        after = subscriptions.stored(sandbox, subscription)
    if after["latest_invoice"] == known:
        raise nothing_upcoming(subscription["customer"])
    return sandbox.store.get(invoices.KIND, after["latest_invoice"]) or {}


def _enter_phase(sandbox: Sandbox, subscription: Document, at: int) -> Document:
    """A phase of the schedule that begins with the period decides what the renewal bills."""
    schedule = schedules.of_subscription(sandbox, subscription)
    if schedule and schedule["current_phase"] and schedule_transitions.due_at(schedule) == at:
        schedule_transitions.advance(sandbox, subscription)
    return subscriptions.stored(sandbox, subscription)


def _stand_at(sandbox: Sandbox, subscription: Document, at: int) -> None:
    """A customer with a test clock reads the time there."""
    clock = sandbox.store.get(TEST_CLOCK, subscription["test_clock"] or "")
    if clock:
        sandbox.store.put(TEST_CLOCK, {**clock, "frozen_time": at})


def nothing_upcoming(customer: str) -> Exception:
    """Nothing is going to be billed."""
    return invalid(f"No upcoming invoices for customer: {customer}", code="invoice_upcoming_none", status=404)
