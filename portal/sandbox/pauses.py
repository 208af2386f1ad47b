"""Pausing and resuming subscriptions (docs.stripe.com/billing/subscriptions/pause).

A paused subscription makes no invoices. Resuming makes one, and the subscription goes on when that is paid.
"""

from __future__ import annotations

import copy
from typing import Any

from portal.sandbox import (
    billed,
    changes,
    invoice_items,
    items,
    payments,
    pending_updates,
    periods,
    standing,
    subscriptions,
    update_billing,
    usage_lines,
)
from portal.sandbox.errors import invalid
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document
from portal.sandbox.trials import Settle

KIND = subscriptions.KIND
NOT_PAUSABLE = ("canceled", "incomplete", "incomplete_expired", "paused", "trialing")
YEAR = 365 * 86_400


def pause(
    sandbox: Sandbox, subscription: Document, params: dict[str, Any], settle: Settle | None = None
) -> Document:
    """Pause now: unused time is credited and usage billed as asked, on an invoice or waiting for one."""
    _check_pause(subscription)
    if subscription.get("_proposal"):
        subscription = pending_updates.lapse(sandbox, subscription)
    before = copy.deepcopy(subscription)
    now = sandbox.now(subscription["customer"])
    bill_for = params.get("bill_for") or {}
    rows = items.of_subscription(sandbox, subscription)
    started = min(item["current_period_start"] for item in rows)
    credits = _credits(sandbox, subscription, rows, (bill_for.get("unused_time_from") or {}).get("type"), now)
    usage = (bill_for.get("outstanding_usage_through") or {}).get("type", "now")
    if params.get("invoicing_behavior") != "invoice":
        changes.store_pending(
            sandbox, [*credits, *(_pending_usage(sandbox, subscription) if usage == "now" else [])]
        )
        mark(sandbox, subscription, before, rows, "pause_requested")
        return subscriptions.stored(sandbox, subscription)
    lines = update_billing.lines_of(sandbox, credits)
    used = _usage(sandbox, subscription) if usage == "now" else []
    lines += used if lines or any(line["amount"] for line in used) else []
    subscription["latest_invoice"] = sandbox.new_id("in") if lines else subscription["latest_invoice"]
    mark(sandbox, subscription, before, rows, "pause_requested")
    if lines:
        draft = subscriptions.draft_invoice(
            sandbox,
            subscription,
            lines,
            billing_reason="subscription_update",
            period=(started, now),
            id=subscription["latest_invoice"],
        )
        (settle or update_billing.collect)(sandbox, draft, {})
    return subscriptions.stored(sandbox, subscription)


def _check_pause(subscription: Document) -> None:
    reason = None
    if subscription["status"] in NOT_PAUSABLE:
        reason = f"it is in `{subscription['status']}` status"
    elif subscription["collection_method"] == "send_invoice":
        reason = "its invoices are sent to the customer"
    elif subscription["schedule"]:
        reason = f"it has a schedule attached: {subscription['schedule']}"
    if reason:
        raise invalid(f"This subscription cannot be paused: {reason}.")


def _credits(
    sandbox: Sandbox, subscription: Document, rows: list[Document], since: str | None, now: int
) -> list[Document]:
    """What the licensed items give back: from now (unless told), from their period's start, or nothing."""
    if since == "none":
        return []
    return [
        row
        for item in rows
        if not items.is_metered(item)
        for row in changes.credit_items(
            sandbox,
            subscription,
            item,
            item["current_period_start"] if since == "item_current_period_start" else now,
        )
    ]


def _usage(sandbox: Sandbox, subscription: Document) -> list[Document]:
    return usage_lines.up_to_now(sandbox, subscription)


def _pending_usage(sandbox: Sandbox, subscription: Document) -> list[Document]:
    """As `_usage`, waiting for the next invoice; nothing for nothing."""
    until = sandbox.now(subscription["customer"]) + 1
    return [
        row
        for item in items.of_subscription(sandbox, subscription)
        if items.is_metered(item)
        for row in usage_lines.pending(sandbox, subscription, item, until)
    ]


def mark(
    sandbox: Sandbox, subscription: Document, before: Document, rows: list[Document], reason: str
) -> None:
    """Set the subscription to paused: its periods end now (recorded for the end of a trial)."""
    now = sandbox.now(subscription["customer"])
    for item in rows:
        item["current_period_end"] = now
        item["_billed"] = []
    items.place(sandbox, subscription, rows)
    subscription["status"] = "paused"
    subscription["status_details"] = {
        "paused": {"subscription": {"type": reason}, "transitioned_at": now, "type": "subscription"}
    }
    sandbox.store.put(KIND, subscription)
    sandbox.emit("customer.subscription.paused", subscription)
    sandbox.emit("customer.subscription.updated", subscription, before)


def resume(
    sandbox: Sandbox, subscription: Document, params: dict[str, Any], settle: Settle | None = None
) -> Document:
    """Go on: at once when nothing is due, else when the invoice for it is paid."""
    if subscription["status"] != "paused":
        raise invalid("Only a paused subscription can be resumed.")
    if subscription["collection_method"] == "send_invoice":
        raise invalid("Only a subscription that is charged automatically can be resumed.")
    on_success = params.get("payment_behavior") == "resume_on_payment_success"
    if on_success and not payments.default_method(sandbox, pending_updates.bare_invoice(subscription)):
        raise invalid(subscriptions.NO_METHOD, code="resource_missing")
    if subscription.get("_proposal"):
        subscription = pending_updates.lapse(sandbox, subscription)
    after = {**subscription, "status": "active", "status_details": None}
    rows = items.of_subscription(sandbox, subscription)
    lines = _resumed(sandbox, after, rows, params)
    if not lines:
        return _go_on(sandbox, subscription, after, rows)
    now = sandbox.now(subscription["customer"])
    lasts = pending_updates.Wait(
        lifetime=YEAR if on_success else pending_updates.LIFETIME,
        charges=on_success,
        retries=on_success,
        on_failure=None if on_success else "past_due",
    )
    return pending_updates.propose(
        sandbox, subscription, after, rows, lines, params, (now, now), lasts, settle=settle
    )


def _resumed(
    sandbox: Sandbox, after: Document, rows: list[Document], params: dict[str, Any]
) -> list[Document]:
    """Give the items their periods, in place; the lines that are to be paid for that now."""
    now = sandbox.now(after["customer"])
    licensed = [item for item in rows if not items.is_metered(item)]
    if (params.get("billing_cycle_anchor") or {}).get("type") != "unchanged":
        after["billing_cycle_anchor"] = now
        for item in rows:
            item["current_period_start"] = now
            item["current_period_end"] = periods.first_end(now, item["price"]["recurring"])
        waiting = changes.pending_lines(sandbox, after)
        return [subscriptions.item_line(sandbox, after, item) for item in licensed] + waiting
    for item in rows:
        each = item["price"]["recurring"]
        item["current_period_start"], item["current_period_end"] = periods.containing(
            after["billing_cycle_anchor"], each["interval"], each["interval_count"], now
        )
    behavior = params.get("proration_behavior", "create_prorations")
    if behavior == "none":
        return []
    debits = [
        changes.debit_item(sandbox, after, item, params.get("proration_date", now), licensed)
        for item in licensed
    ]
    for item, row in zip(licensed, debits, strict=True):
        billed.replace(item, row)
    if behavior == "create_prorations":
        changes.store_pending(sandbox, debits)
        return []
    for row in debits:
        sandbox.store.put(invoice_items.KIND, row)
    return [invoice_items.line_of(sandbox, row) for row in debits] + changes.pending_lines(sandbox, after)


def _go_on(sandbox: Sandbox, before: Document, after: Document, rows: list[Document]) -> Document:
    items.place(sandbox, after, rows)
    after = standing.change(sandbox, after)
    sandbox.emit("customer.subscription.resumed", after)
    return after
