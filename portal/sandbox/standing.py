"""A subscription's status, and what the fate of its invoices does to it."""

from __future__ import annotations

from portal.sandbox import discount_objects, invoices
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "subscription"
OVER = ("canceled", "incomplete_expired")
UNSETTLED = ("incomplete", "past_due", "unpaid")


def change(sandbox: Sandbox, subscription: Document, **members: object) -> Document:
    """Store changed members and tell about them; nothing is told when nothing changed."""
    before = sandbox.store.get(KIND, subscription["id"])
    subscription = {**subscription, **members}
    sandbox.store.put(KIND, subscription)
    sandbox.emit("customer.subscription.updated", subscription, before)
    return subscription


def invoice_paid(sandbox: Sandbox, invoice: Document, intent: Document | None) -> None:
    """A paid latest invoice makes its subscription active; discounts for one invoice leave it."""
    from portal.sandbox import pending_updates

    subscription = _of(sandbox, invoice)
    if subscription is None or subscription["status"] in OVER:
        return
    if pending_updates.waits_for(subscription, invoice):
        subscription = pending_updates.apply(sandbox, subscription)
    members: Document = {"discounts": _lasting(sandbox, subscription)}
    if subscription["status"] in UNSETTLED and subscription["latest_invoice"] == invoice["id"]:
        members["status"] = "active"
        _mark_customer(sandbox, subscription, delinquent=False)
    change(sandbox, subscription, **members)


def _mark_customer(sandbox: Sandbox, subscription: Document, *, delinquent: bool) -> None:
    customer = sandbox.store.get("customer", subscription["customer"])
    if customer and customer["delinquent"] != delinquent:
        sandbox.store.put("customer", {**customer, "delinquent": delinquent})
        sandbox.emit("customer.updated", {**customer, "delinquent": delinquent}, customer)


def _lasting(sandbox: Sandbox, subscription: Document) -> list[str]:
    now = sandbox.now(subscription["customer"])
    return discount_objects.lasting(sandbox, subscription["discounts"], now)


def invoice_processing(sandbox: Sandbox, invoice: Document) -> None:
    """A subscription starts while its first debit is still under way."""
    subscription = _of(sandbox, invoice)
    if subscription and subscription["status"] == "incomplete":
        change(sandbox, subscription, status="active")


def invoice_failed(sandbox: Sandbox, invoice: Document, *, scheduled: bool = True) -> None:
    """A failed renewal makes the subscription past due; a failed first payment leaves it incomplete.

    What somebody tried between the retries (not `scheduled`) leaves their timetable as it is.
    """
    from portal.sandbox import dunning, pending_updates

    subscription = _of(sandbox, invoice)
    if scheduled:
        dunning.plan_retry(sandbox, invoice, subscription)
    sandbox.emit("invoice.payment_failed", invoice)
    if subscription is None or subscription["latest_invoice"] != invoice["id"]:
        return
    if pending_updates.waits_for(subscription, invoice):
        pending_updates.payment_failed(sandbox, subscription)
        return
    if subscription["status"] == "active" and invoice["billing_reason"] != "subscription_create":
        subscription = change(sandbox, subscription, status="past_due")
        _mark_customer(sandbox, subscription, delinquent=True)
    if scheduled:
        dunning.end_if_exhausted(sandbox, invoice, subscription)


def invoice_overdue(sandbox: Sandbox, invoice: Document) -> None:
    """A subscription whose latest sent invoice is not paid in time is past due."""
    subscription = _of(sandbox, invoice)
    if (
        subscription
        and subscription["status"] == "active"
        and subscription["latest_invoice"] == invoice["id"]
    ):
        change(sandbox, subscription, status="past_due")
        _mark_customer(sandbox, subscription, delinquent=True)


def invoice_forgiven(sandbox: Sandbox, invoice: Document) -> None:
    """A subscription whose latest invoice is given up is active again, also one that was to resume."""
    from portal.sandbox import pending_updates

    subscription = _of(sandbox, invoice)
    if (
        subscription
        and subscription["status"] == "paused"
        and pending_updates.waits_for(subscription, invoice)
    ):
        pending_updates.apply(sandbox, subscription)
        return
    behind = subscription is not None and subscription["status"] in ("past_due", "unpaid")
    if subscription and behind and subscription["latest_invoice"] == invoice["id"]:
        change(sandbox, subscription, status="active")


def invoice_voided(sandbox: Sandbox, invoice: Document) -> None:
    """Without its first invoice an incomplete subscription ends, without its own a pending update does."""
    from portal.sandbox import pending_updates

    subscription = _of(sandbox, invoice)
    if subscription and pending_updates.waits_for(subscription, invoice):
        pending_updates.lapse(sandbox, subscription)
        return
    if (
        subscription
        and subscription["status"] == "incomplete"
        and subscription["latest_invoice"] == invoice["id"]
    ):
        expire(sandbox, subscription)


def expire(sandbox: Sandbox, subscription: Document) -> Document:
    """End an incomplete subscription for good, its open first invoice with it."""
    subscription = change(
        sandbox, subscription, status="incomplete_expired", ended_at=sandbox.now(subscription["customer"])
    )
    first = sandbox.store.get(invoices.KIND, subscription["latest_invoice"] or "")
    if first and first["status"] == "open":
        invoices.void(sandbox, first)
    return subscription


def _of(sandbox: Sandbox, invoice: Document) -> Document | None:
    return sandbox.store.get(KIND, invoices.subscription_of(invoice) or "")
