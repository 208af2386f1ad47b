"""What a changed subscription owes: prorations of its items, a restarted period, and the invoice for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portal.sandbox import (
    added_items,
    billed,
    changes,
    invoice_items,
    invoices,
    item_changes,
    items,
    payments,
    pending_updates,
    periods,
    schedules,
    standing,
    subscriptions,
    usage_lines,
)
from portal.sandbox.errors import invalid
from portal.sandbox.item_changes import ItemChanges
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document
from portal.sandbox.trials import Settle

KIND = subscriptions.KIND
UPDATE = "subscription_update"


@dataclass(frozen=True)
class Asked:
    """A request for a change: the subscription before it, the parameters, what is done with its invoice."""

    before: Document
    params: dict[str, Any]
    settle: Settle

    @property
    def prorates(self) -> str:
        return str(self.params.get("proration_behavior", "create_prorations"))

    @property
    def waits(self) -> bool:
        """Whether the change happens only when its invoice is paid."""
        return self.params.get("payment_behavior") == "pending_if_incomplete"


def change_items(sandbox: Sandbox, subscription: Document, outcome: ItemChanges, asked: Asked) -> Document:
    """Take over changed items, with their prorations as asked.

    Charges added to the request go on its invoice; where there is none they wait for the next one
    (flexible billing mode).
    """
    prorates = outcome.bills and asked.prorates != "none" and subscription["status"] != "trialing"
    at = _moment(sandbox, subscription, asked.params)
    rows = item_changes.prorations(sandbox, subscription, outcome, at) if prorates else []
    added = _added(sandbox, subscription, outcome, asked)
    if rows and (asked.prorates == "always_invoice" or outcome.interval_changes):
        return _finish(sandbox, subscription, outcome.rows, lines_of(sandbox, [*rows, *added]), asked)
    changes.store_pending(sandbox, [*rows, *added])
    return _finish(sandbox, subscription, outcome.rows, [], asked)


def _moment(sandbox: Sandbox, subscription: Document, params: dict[str, Any]) -> int:
    """The second from which prorations count: now, or the given one inside the current period (recorded)."""
    at = params.get("proration_date")
    if at is None:
        return sandbox.now(subscription["customer"])
    rows = subscription["items"]["data"]
    start = min(row["current_period_start"] for row in rows)
    end = max(row["current_period_end"] for row in rows)
    if not start <= at <= end:
        raise invalid("`proration_date` must lie inside the current billing period.", "proration_date")
    return at


def _added(sandbox: Sandbox, subscription: Document, outcome: ItemChanges, asked: Asked) -> list[Document]:
    given = asked.params.get("add_invoice_items") or []
    return added_items.of_request(sandbox, subscription, outcome.rows, given)


def lines_of(sandbox: Sandbox, rows: list[Document]) -> list[Document]:
    """Store these invoice items and return the lines that they become."""
    for row in rows:
        sandbox.store.put(invoice_items.KIND, row)
    return [invoice_items.line_of(sandbox, row) for row in rows]


def restart(sandbox: Sandbox, subscription: Document, outcome: ItemChanges, asked: Asked) -> Document:
    """Start the periods anew: unchanged prices pay for the added time, others are credited and billed.

    The invoice takes up whatever waits for this subscription (flexible billing mode).
    """
    now = sandbox.now(subscription["customer"])
    at = _moment(sandbox, subscription, asked.params)
    subscription["billing_cycle_anchor"] = now
    credits = _credits(sandbox, subscription, outcome, asked, at)
    used = _used(sandbox, subscription, outcome, asked, now)
    ends = {item["id"]: item["current_period_end"] for item in outcome.rows}
    for item in outcome.rows:
        item["current_period_start"] = now
        item["current_period_end"] = periods.first_end(now, item["price"]["recurring"])
    added = _added(sandbox, subscription, outcome, asked)
    licensed = [item for item in outcome.rows if not items.is_metered(item)]
    if not outcome.bills:
        for item in licensed:
            row = changes.added_time(sandbox, subscription, item, ends[item["id"]], licensed)
            billed.extend(item, row)
            added.append(row)
        changes.store_pending(sandbox, [*used, *added])
        return _finish(sandbox, subscription, outcome.rows, [], asked)
    waiting = [] if asked.waits else changes.pending_lines(sandbox, subscription)
    lines = lines_of(sandbox, [*credits, *used])
    lines += [subscriptions.item_line(sandbox, subscription, item) for item in licensed]
    lines += lines_of(sandbox, added) + waiting
    return _finish(sandbox, subscription, outcome.rows, lines, asked)


def _credits(
    sandbox: Sandbox, subscription: Document, outcome: ItemChanges, asked: Asked, at: int
) -> list[Document]:
    """What every item that was there gives back when its period ends early."""
    if not outcome.bills or asked.prorates == "none":
        return []
    gone, kept = _before(outcome)
    return [
        row
        for item in [*gone, *kept]
        if not items.is_metered(item)
        for row in changes.credit_items(sandbox, subscription, item, at)
    ]


def _used(
    sandbox: Sandbox, subscription: Document, outcome: ItemChanges, asked: Asked, now: int
) -> list[Document]:
    """What every metered item that was there counted in the period that ends early."""
    gone, kept = _before(outcome)
    billed_now = kept if asked.prorates == "none" else [*gone, *kept]
    return [
        row
        for item in billed_now
        if items.is_metered(item)
        for row in usage_lines.pending(sandbox, subscription, item, now)
    ]


def _before(outcome: ItemChanges) -> tuple[list[Document], list[Document]]:
    """The items as they were: those that go or change, and those that stay."""
    gone = [*outcome.removed, *(before for before, _ in outcome.changed)]
    known = {item["id"] for item in [*gone, *outcome.added]}
    return gone, [item for item in outcome.rows if item["id"] not in known]


def _finish(
    sandbox: Sandbox, subscription: Document, rows: list[Document], lines: list[Document], asked: Asked
) -> Document:
    """Store the changed subscription, tell about it, then invoice and collect what is to be paid now."""
    started = min(item["current_period_start"] for item in asked.before["items"]["data"])
    now = sandbox.now(subscription["customer"])
    if asked.before.get("_proposal") and _conflicts(sandbox, rows, lines, asked):
        pending_updates.lapse(sandbox, asked.before)
        subscription = {**subscription, "pending_update": None, "_proposal": None}
    if lines and asked.waits:
        return pending_updates.propose(
            sandbox, asked.before, subscription, rows, lines, asked.params, (started, now)
        )
    items.place(sandbox, subscription, rows)
    _keep_end(subscription)
    invoice_id = sandbox.new_id("in")
    if lines:
        subscription["latest_invoice"] = invoice_id
    sandbox.store.put(KIND, subscription)
    sandbox.emit("customer.subscription.updated", subscription, asked.before)
    schedules.follow(sandbox, subscription)
    if lines:
        draft = subscriptions.draft_invoice(
            sandbox, subscription, lines, billing_reason=UPDATE, period=(started, now), id=invoice_id
        )
        asked.settle(sandbox, draft, asked.params)
    return subscriptions.stored(sandbox, subscription)


def _conflicts(sandbox: Sandbox, rows: list[Document], lines: list[Document], asked: Asked) -> bool:
    """Whether the change leaves no room for the one that waits for its payment."""
    ends = "cancel_at_period_end" in asked.params or "cancel_at" in asked.params
    return bool(lines) or ends or rows != items.of_subscription(sandbox, asked.before)


def _keep_end(subscription: Document) -> None:
    """A cancellation at the end of the period moves along with that end."""
    if subscription["cancel_at_period_end"]:
        ends = [item["current_period_end"] for item in subscription["items"]["data"]]
        subscription["cancel_at"] = min(ends)


def collect(sandbox: Sandbox, draft: Document, params: dict[str, Any]) -> None:
    """Make an update's invoice final and charge it at once; a failure makes the subscription past due.

    The invoices of an unpaid subscription stay drafts.
    """
    behavior = params.get("payment_behavior", "allow_incomplete")
    known = sandbox.store.get(KIND, invoices.subscription_of(draft) or "")
    if known and known["status"] == "unpaid":
        return
    automatic = draft["collection_method"] == "charge_automatically"
    # what is not paid now is tried again later
    draft["auto_advance"] = automatic and behavior == "allow_incomplete"
    invoice = invoices.finalize(sandbox, draft)
    subscription = sandbox.store.get(KIND, invoices.subscription_of(invoice) or "")
    if invoice["status"] != "open" or not automatic:
        return
    assert subscription
    if behavior == "default_incomplete":
        standing.change(sandbox, subscription, status="past_due")
        return
    outcome = payments.pay_invoice(sandbox, invoice, off_session=params.get("off_session", False))
    if outcome.status in ("succeeded", "processing"):
        return
    if behavior == "error_if_incomplete":
        raise subscriptions.refusal(outcome)
    subscription = subscriptions.stored(sandbox, subscription)
    if subscription["status"] == "active":
        standing.change(sandbox, subscription, status="past_due")
