"""The next invoice of a running subscription: of a change that is invoiced at once, or of its next renewal.

Called inside a transaction that the preview undoes: it really changes and renews the subscription.
"""

from __future__ import annotations

from typing import Any

from portal.sandbox import (
    ending,
    invoices,
    lines,
    pauses,
    previewed_items,
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
    added = params.get("invoice_items") or []
    if {"cancel_now", "pause", "resume_at"} & details.keys():
        return _of_verb(sandbox, subscription, details, added)
    wanted = {name: details[name] for name in CHANGES if name in details}
    wanted |= {name: params[name] for name in ("automatic_tax", "discounts") if name in params}
    drafts: list[Document] = []
    if wanted:
        subscription = updates.update(
            sandbox, subscription, wanted, settle=lambda _, made, __: drafts.append(made)
        )
    if drafts:
        return previewed_items.add_to(sandbox, drafts[0], added)
    previewed_items.let_wait(sandbox, subscription, added)
    return _renewal(sandbox, subscription)


def _of_verb(sandbox: Sandbox, subscription: Document, details: Document, added: list[Document]) -> Document:
    """The invoice that cancelling, pausing or resuming now would make."""
    known = subscription["latest_invoice"]
    drafts: list[Document] = []

    def keep(_: Sandbox, made: Document, __: dict[str, Any]) -> None:
        drafts.append(made)

    if details.get("cancel_now"):
        prorate = details.get("proration_behavior", "create_prorations") != "none"
        previewed_items.let_wait(sandbox, subscription, added)
        after = ending.cancel_now(sandbox, subscription, prorate=prorate, invoice_now=True)
        if after["latest_invoice"] != known:
            drafts.append(sandbox.store.get(invoices.KIND, after["latest_invoice"]) or {})
    elif "pause" in details:
        pauses.pause(sandbox, subscription, details["pause"], keep)
    else:
        pauses.resume(sandbox, subscription, details, keep)
    if not drafts:
        raise nothing_upcoming(subscription["customer"])
    return drafts[0] if details.get("cancel_now") else previewed_items.add_to(sandbox, drafts[0], added)


def _renewal(sandbox: Sandbox, subscription: Document) -> Document:
    """The invoice of the next period, or of a phase that begins before it."""
    known = subscription["latest_invoice"]
    subscription = _pass_phases(sandbox, subscription)
    if subscription["latest_invoice"] != known:
        return _latest_invoice(sandbox, subscription)
    at, last = _renews_at(subscription), subscription["cancel_at"]
    if subscription["status"] in (*standing.OVER, "incomplete", "paused"):
        raise nothing_upcoming(subscription["customer"])
    if last is not None and last <= at:
        return _last(sandbox, subscription, last)
    _stand_at(sandbox, subscription, at)
    with sandbox.clock.standing_at(at):
        end_period = trials.end if subscription["status"] == "trialing" else renewals.renew
        end_period(sandbox, subscription)
        after = subscriptions.stored(sandbox, subscription)
    if after["latest_invoice"] == known:
        raise nothing_upcoming(subscription["customer"])
    return _latest_invoice(sandbox, after)


def _last(sandbox: Sandbox, subscription: Document, at: int) -> Document:
    """The invoice of a planned end, when there is something on it."""
    known = subscription["latest_invoice"]
    _stand_at(sandbox, subscription, at)
    with sandbox.clock.standing_at(at):
        renewals.finish(sandbox, subscription)
    after = subscriptions.stored(sandbox, subscription)
    if after["latest_invoice"] == known:
        raise nothing_upcoming(subscription["customer"])
    invoice = _latest_invoice(sandbox, after)
    if not any(line["amount"] for line in lines.of_invoice(sandbox, invoice)):
        raise nothing_upcoming(subscription["customer"])
    return invoice


def _latest_invoice(sandbox: Sandbox, subscription: Document) -> Document:
    invoice = sandbox.store.get(invoices.KIND, subscription["latest_invoice"])
    assert invoice
    return {**invoice, "status": "draft"}


def _renews_at(subscription: Document) -> int:
    """When the trial or the shortest period ends."""
    if subscription["status"] == "trialing":
        return int(subscription["trial_end"])
    return min(item["current_period_end"] for item in subscription["items"]["data"])


def _pass_phases(sandbox: Sandbox, subscription: Document) -> Document:
    """Enter the phases of its schedule that begin up to the next renewal, until one makes an invoice."""
    known = subscription["latest_invoice"]
    while subscription["latest_invoice"] == known and subscription["status"] not in standing.OVER:
        schedule = schedules.of_subscription(sandbox, subscription)
        if schedule is None or schedule["current_phase"] is None:
            break
        at = schedule_transitions.due_at(schedule)
        if at > _renews_at(subscription):
            break
        _stand_at(sandbox, subscription, at)
        with sandbox.clock.standing_at(at):
            schedule_transitions.advance(sandbox, subscription)
        subscription = subscriptions.stored(sandbox, subscription)
    return subscription


def _stand_at(sandbox: Sandbox, subscription: Document, at: int) -> None:
    """A customer with a test clock reads the time there."""
    clock = sandbox.store.get(TEST_CLOCK, subscription["test_clock"] or "")
    if clock:
        sandbox.store.put(TEST_CLOCK, {**clock, "frozen_time": at})


def nothing_upcoming(customer: str) -> Exception:
    """Nothing is going to be billed."""
    return invalid(f"No upcoming invoices for customer: {customer}", code="invoice_upcoming_none", status=404)
