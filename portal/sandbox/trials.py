"""Trials: announced, moved, and ended, with or without a payment method."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from portal.sandbox import items, payments, periods, subscriptions
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = subscriptions.KIND
Settle = Callable[[Sandbox, Document, dict[str, Any]], None]
NOTICE_SECONDS = 3 * 86_400


def end_now(sandbox: Sandbox, subscription: Document, before: Document, settle: Settle) -> Document:
    """End the trial in this request; recorded: it ended a second ago, and the paid period starts now."""
    now = sandbox.now(subscription["customer"])
    subscription["trial_end"] = now - 1
    subscription["billing_cycle_anchor"] = now
    invoice = _end(sandbox, subscription, before, now, "subscription_update", auto_advance=False)
    if invoice:
        settle(sandbox, invoice, {})
    return subscriptions.stored(sandbox, subscription)


def end(sandbox: Sandbox, subscription: Document) -> None:
    """The trial's last second has passed: the first paid period is invoiced, as a draft for an hour."""
    before = copy.deepcopy(subscription)
    _end(sandbox, subscription, before, subscription["trial_end"], "subscription_cycle", auto_advance=True)


def _end(
    sandbox: Sandbox,
    subscription: Document,
    before: Document,
    now: int,
    billing_reason: str,
    *,
    auto_advance: bool,
) -> Document | None:
    """The draft of the first paid period; None when the trial ends in a pause or a cancellation."""
    from portal.sandbox import pauses

    missing = _on_missing_method(sandbox, subscription)
    if missing == "cancel":
        from portal.sandbox import ending

        ending.end(sandbox, subscription)
        return None
    rows = items.of_subscription(sandbox, subscription)
    if missing == "pause":
        pauses.mark(sandbox, subscription, before, rows, "trial_end_without_payment_method")
        return None
    for item in rows:
        item["current_period_start"] = now
        item["current_period_end"] = periods.first_end(now, item["price"]["recurring"])
    items.place(sandbox, subscription, rows)
    return _activate(
        sandbox, subscription, before, rows, now, billing_reason=billing_reason, auto_advance=auto_advance
    )


def _activate(
    sandbox: Sandbox, subscription: Document, before: Document, rows: list[Document], now: int, **members: Any
) -> Document | None:
    """Make the subscription active and draft its first paid period; None when nothing is billed ahead."""
    subscription["status"] = "active"
    lines = subscriptions.item_lines(sandbox, subscription, rows)
    invoice_id = sandbox.new_id("in")
    subscription["latest_invoice"] = invoice_id if lines else subscription["latest_invoice"]
    sandbox.store.put(KIND, subscription)
    sandbox.emit("customer.subscription.updated", subscription, before)
    if not lines:
        return None
    return subscriptions.draft_invoice(
        sandbox,
        subscription,
        lines,
        period=(subscription["trial_start"], now),
        id=invoice_id,
        **members,
    )


def _on_missing_method(sandbox: Sandbox, subscription: Document) -> str | None:
    """What the trial settings say for a customer without a payment method, or None when there is one."""
    asks = {"parent": {"subscription_details": {"subscription": subscription["id"]}}}
    bare = {**asks, "customer": subscription["customer"], "default_payment_method": None}
    if subscription["collection_method"] == "send_invoice" or payments.default_method(sandbox, bare):
        return None
    behavior = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    return None if behavior == "create_invoice" else behavior


def move(sandbox: Sandbox, subscription: Document, to: int) -> None:
    """Let a running trial end at another second, in place."""
    subscription["trial_end"] = subscription["billing_cycle_anchor"] = to
    subscription["_trial_end_told"] = False
    rows = items.of_subscription(sandbox, subscription)
    for item in rows:
        item["current_period_end"] = to
    items.place(sandbox, subscription, rows)


def notice_at(subscription: Document) -> int:
    """When the coming end of the trial is announced: three days before, at once for a shorter trial."""
    return max(subscription["trial_end"] - NOTICE_SECONDS, subscription["trial_start"])


def announce(sandbox: Sandbox, subscription: Document) -> None:
    """Tell that the trial is about to end, once."""
    subscription["_trial_end_told"] = True
    sandbox.store.put(KIND, subscription)
    sandbox.emit("customer.subscription.trial_will_end", subscription)
