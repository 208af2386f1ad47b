"""How subscriptions end: at once, with or without a credit for the unused time."""

from __future__ import annotations

from typing import Any

from portal.sandbox import changes, invoices, pending_updates, schedules, standing, subscriptions, usage_lines
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

CYCLE = "subscription_cycle"


def cancel_now(
    sandbox: Sandbox,
    subscription: Document,
    *,
    prorate: bool = False,
    invoice_now: bool = False,
    details: dict[str, Any] | None = None,
) -> Document:
    """Cancel a running subscription; an incomplete one expires instead.

    `prorate` credits the unused time as a pending item, `invoice_now` puts that and open usage on a draft.
    """
    details = {**subscription["cancellation_details"], **(details or {}), "reason": "cancellation_requested"}
    subscription = {**subscription, "cancellation_details": details}
    if subscription["status"] == "incomplete":
        now = sandbox.now(subscription["customer"])
        return standing.expire(sandbox, {**subscription, "canceled_at": now})
    if prorate:
        changes.credit_unused(sandbox, subscription)
    subscription = end(sandbox, subscription)
    if invoice_now:
        subscription = _invoice_pending(sandbox, subscription)
    return subscription


def end(sandbox: Sandbox, subscription: Document, reason: str | None = None) -> Document:
    """Set the subscription to canceled and tell about it; its open invoices are no longer collected."""
    now = sandbox.now(subscription["customer"])
    if subscription.get("_proposal"):
        changed = subscription["cancellation_details"]
        subscription = pending_updates.lapse(sandbox, subscription)
        subscription["cancellation_details"] = changed
    if reason:
        subscription["cancellation_details"] = {**subscription["cancellation_details"], "reason": reason}
    subscription.update(status="canceled", canceled_at=subscription["canceled_at"] or now, ended_at=now)
    if not subscription["cancel_at_period_end"]:
        subscription["canceled_at"] = now
    sandbox.store.put(subscriptions.KIND, subscription)
    for invoice in sandbox.store.find(invoices.KIND, customer=subscription["customer"], status="open"):
        if invoices.subscription_of(invoice) == subscription["id"] and invoice["auto_advance"]:
            sandbox.store.put(invoices.KIND, {**invoice, "auto_advance": False, "next_payment_attempt": None})
    sandbox.emit("customer.subscription.deleted", subscription)
    schedules.subscription_ended(sandbox, subscription, unpaid=reason == "payment_failed")
    return subscription


def _invoice_pending(sandbox: Sandbox, subscription: Document) -> Document:
    rows = usage_lines.up_to_now(sandbox, subscription) + changes.pending_lines(sandbox, subscription)
    if not rows:
        return subscription
    start = min(item["current_period_start"] for item in subscription["items"]["data"])
    now = sandbox.now(subscription["customer"])
    invoice = subscriptions.draft_invoice(
        sandbox, subscription, rows, billing_reason=CYCLE, auto_advance=True, period=(start, now)
    )
    subscription["latest_invoice"] = invoice["id"]
    sandbox.store.put(subscriptions.KIND, subscription)
    return subscription
