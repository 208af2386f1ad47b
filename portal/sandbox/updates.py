"""Updating a subscription: its plain members, its items with their prorations, its trial and its anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portal.sandbox import (
    changes,
    discount_objects,
    invoice_items,
    invoices,
    item_changes,
    items,
    payments,
    periods,
    planned_end,
    standing,
    subscriptions,
    trials,
)
from portal.sandbox import lines as invoice_lines
from portal.sandbox.documents import assign, in_body, merged_metadata
from portal.sandbox.errors import invalid, past_time, unsupported
from portal.sandbox.item_changes import ItemChanges
from portal.sandbox.payment_methods import usable
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document
from portal.sandbox.trials import Settle

KIND = subscriptions.KIND
NOT_WHEN_CANCELED = "A canceled subscription can only update its cancellation_details and metadata."
NOT_WHEN_INCOMPLETE = (
    "You cannot update a subscription in `incomplete` status in this way. Only its default payment method, "
    "description and metadata can be updated."
)
WHILE_INCOMPLETE = {"metadata", "description", "default_payment_method"}
WHEN_CANCELED = {"metadata", "cancellation_details"}
UPDATE = "subscription_update"


@dataclass(frozen=True)
class Asked:
    """A request for a change: the subscription before it, the parameters, what is done with its invoice."""

    before: Document
    params: dict[str, Any]
    settle: Settle


def update(
    sandbox: Sandbox, subscription: Document, params: dict[str, Any], settle: Settle | None = None
) -> Document:
    """Carry out an update as its behaviors say; the subscription as it then is.

    `settle` gets the draft of the invoice that the update makes at once; unless told otherwise it is charged.
    """
    _check(sandbox, subscription, params)
    asked = Asked(subscription, params, settle or collect)
    subscription = _plain_members(sandbox, dict(subscription), params)
    outcome = item_changes.read(sandbox, subscription, params.get("items") or [])
    if params.get("trial_end") == "now" and subscription["status"] == "trialing":
        items.place(sandbox, subscription, outcome.rows)
        return trials.end_now(sandbox, subscription, asked.before, asked.settle)
    if (params.get("billing_cycle_anchor") or {}).get("type") == "now":
        return _restart(sandbox, subscription, outcome, asked)
    return _change_items(sandbox, subscription, outcome, asked)


def _check(sandbox: Sandbox, subscription: Document, params: dict[str, Any]) -> None:
    given = params.keys() - {"expand"}
    if subscription["status"] in standing.OVER and given - WHEN_CANCELED:
        raise invalid(NOT_WHEN_CANCELED, code="invalid_canceled_subscription_fields")
    if subscription["status"] == "incomplete" and given - WHILE_INCOMPLETE:
        raise invalid(NOT_WHEN_INCOMPLETE)
    if params.get("payment_behavior") == "pending_if_incomplete":
        raise unsupported("payment_behavior")
    trial_end = params.get("trial_end")
    if isinstance(trial_end, int) and trial_end <= sandbox.now(subscription["customer"]):
        raise past_time("trial_end", trial_end)
    if isinstance(trial_end, int) and subscription["status"] != "trialing":
        raise unsupported("trial_end")
    if method := params.get("default_payment_method"):
        usable(sandbox, method, subscription["customer"])


def _plain_members(sandbox: Sandbox, subscription: Document, params: dict[str, Any]) -> Document:
    """The members that are taken over as they are; nothing is stored."""
    assign(
        subscription, params, ("description", "default_payment_method", "collection_method", "days_until_due")
    )
    subscription["metadata"] = merged_metadata(subscription["metadata"], params.get("metadata"))
    for name in ("payment_settings", "invoice_settings", "trial_settings", "cancellation_details"):
        if isinstance(params.get(name), dict):
            subscription[name] = {**subscription[name], **params[name]}
    if "automatic_tax" in params:
        enabled = params["automatic_tax"]["enabled"]
        liability = {"type": "self"} if enabled else None
        subscription["automatic_tax"] = {"disabled_reason": None, "enabled": enabled, "liability": liability}
    if "discounts" in params:
        customer = in_body(sandbox, "customer", subscription["customer"], "customer")
        coupons = discount_objects.coupons_of(sandbox, params["discounts"], "discounts", customer)
        subscription["discounts"] = discount_objects.attach(
            sandbox, coupons, customer, subscription["currency"], subscription=subscription["id"]
        )
    if isinstance(params.get("trial_end"), int):
        trials.move(sandbox, subscription, params["trial_end"])
    planned_end.plan(sandbox, subscription, params)
    return subscription


def _change_items(sandbox: Sandbox, subscription: Document, outcome: ItemChanges, asked: Asked) -> Document:
    behavior = asked.params.get("proration_behavior", "create_prorations")
    prorates = outcome.bills and behavior != "none" and subscription["status"] != "trialing"
    at = _moment(sandbox, subscription, asked.params)
    rows = item_changes.prorations(sandbox, subscription, outcome, at) if prorates else []
    added = _added(sandbox, subscription, asked.params)
    invoices_now = behavior == "always_invoice" or outcome.interval_changes
    if prorates:
        for item in [after for _, after in outcome.changed] + outcome.added:
            changes.remember_billed(
                sandbox, item, changes.full_price(sandbox, subscription, item), None, None
            )
    if rows and not invoices_now:
        changes.store_pending(sandbox, rows)
        rows = []
    for row in rows:
        sandbox.store.put(invoice_items.KIND, row)
    lines = [invoice_items.line_of(sandbox, row) for row in rows] + added
    return _finish(sandbox, subscription, outcome.rows, lines, asked)


def _moment(sandbox: Sandbox, subscription: Document, params: dict[str, Any]) -> int:
    """The second from which prorations count: now, or the given one inside the current period (recorded)."""
    at = params.get("proration_date")
    if at is None:
        return sandbox.now(subscription["customer"])
    rows = subscription["items"]["data"]
    start, end = (
        min(row["current_period_start"] for row in rows),
        max(row["current_period_end"] for row in rows),
    )
    if not start <= at <= end:
        raise invalid("`proration_date` must lie inside the current billing period.", "proration_date")
    return at


def _added(sandbox: Sandbox, subscription: Document, params: dict[str, Any]) -> list[Document]:
    return invoice_items.add_to_subscription(sandbox, subscription, params.get("add_invoice_items") or [])


def _finish(
    sandbox: Sandbox,
    subscription: Document,
    rows: list[Document],
    lines: list[Document],
    asked: Asked,
) -> Document:
    """Store the changed subscription, tell about it, then invoice and collect what is to be paid now."""
    started = min(item["current_period_start"] for item in asked.before["items"]["data"])
    items.place(sandbox, subscription, rows)
    invoice_id = sandbox.new_id("in")
    if lines:
        subscription["latest_invoice"] = invoice_id
    sandbox.store.put(KIND, subscription)
    sandbox.emit("customer.subscription.updated", subscription, asked.before)
    if lines:
        now = sandbox.now(subscription["customer"])
        draft = subscriptions.draft_invoice(
            sandbox, subscription, lines, billing_reason=UPDATE, period=(started, now), id=invoice_id
        )
        _link_billed(sandbox, subscription, draft)
        asked.settle(sandbox, draft, asked.params)
    return subscriptions.stored(sandbox, subscription)


def _link_billed(sandbox: Sandbox, subscription: Document, invoice: Document) -> None:
    """Let a later credit point to the lines that charged the items."""
    for line in invoice_lines.of_invoice(sandbox, invoice):
        details = (line["parent"] or {}).get("subscription_item_details") or {}
        item = sandbox.store.get(items.KIND, details.get("subscription_item") or "")
        if item and item["_billed"] and line["amount"] > 0:
            item["_billed"].update(invoice=invoice["id"], lines=[line["id"]])
            sandbox.store.put(items.KIND, item)


def collect(sandbox: Sandbox, draft: Document, params: dict[str, Any]) -> None:
    """Make an update's invoice final and charge it at once; a failure makes the subscription past due."""
    behavior = params.get("payment_behavior", "allow_incomplete")
    invoice = invoices.finalize(sandbox, draft)
    subscription = sandbox.store.get(KIND, invoices.subscription_of(invoice) or "")
    if invoice["status"] != "open" or invoice["collection_method"] == "send_invoice":
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


def _restart(sandbox: Sandbox, subscription: Document, outcome: ItemChanges, asked: Asked) -> Document:
    """Start the periods anew: unchanged prices pay for the added time, others are credited and billed."""
    now = sandbox.now(subscription["customer"])
    subscription["billing_cycle_anchor"] = now
    lines: list[Document] = []
    for item in outcome.rows:
        old_end = item["current_period_end"]
        credit = changes.credit_item(sandbox, subscription, item, now) if outcome.bills else None
        item["current_period_start"] = now
        item["current_period_end"] = periods.first_end(now, item["price"]["recurring"])
        if items.is_metered(item):
            continue
        if not outcome.bills:
            changes.store_pending(sandbox, [changes.added_time(sandbox, subscription, item, old_end)])
            full = changes.full_price(sandbox, subscription, item)
            changes.remember_billed(sandbox, item, full, item["_billed"] and item["_billed"]["invoice"], None)
            continue
        if credit:
            sandbox.store.put(invoice_items.KIND, credit)
            lines.append(invoice_items.line_of(sandbox, credit))
        lines.append(subscriptions.item_line(sandbox, subscription, item))
    return _finish(sandbox, subscription, outcome.rows, lines, asked)
