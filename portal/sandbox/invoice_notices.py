"""News about invoices that only time brings: the next one is coming, one is overdue."""

from __future__ import annotations

from portal.sandbox import invoices, preview, standing, subscriptions
from portal.sandbox.errors import StripeError
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

# Stripe's dashboard lets one choose 3, 7, 15, 30 or 45 days.
DAYS_AHEAD = 7
FORETOLD_IN = ("active", "past_due", "trialing")


def foretold_at(subscription: Document) -> int | None:
    """When the coming renewal is announced, seven days ahead; None when it was, or when there is none."""
    if subscription["status"] not in FORETOLD_IN:
        return None
    rows = subscription["items"]["data"]
    end = min(item["current_period_end"] for item in rows)
    start = max(item["current_period_start"] for item in rows)
    if subscription.get("_foretold") == end:
        return None
    # a period that is no longer than the notice is not announced at its own start
    at = end - DAYS_AHEAD * invoices.DAY
    return at if at > start else None


def foretell(sandbox: Sandbox, subscription: Document) -> None:
    """Tell what the next invoice will be, once for each period; nothing is told when there will be none."""
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    sandbox.store.put(subscriptions.KIND, {**subscription, "_foretold": min(ends)})
    try:
        invoice = preview.create_preview(sandbox, {"subscription": subscription["id"]})
    except StripeError:
        return
    sandbox.emit("invoice.upcoming", invoice)


def overdue_at(invoice: Document) -> int | None:
    """When an open invoice that was sent is due; None when nothing is going to be told."""
    waits = invoice["status"] == "open" and not invoice.get("_overdue_told")
    return invoice["due_date"] if waits else None


def call_overdue(sandbox: Sandbox, id: str) -> None:
    """Nobody paid by the due date: tell, and make the subscription past due."""
    invoice = sandbox.store.get(invoices.KIND, id)
    assert invoice
    sandbox.store.put(invoices.KIND, {**invoice, "_overdue_told": True})
    sandbox.emit("invoice.overdue", invoice)
    standing.invoice_overdue(sandbox, invoice)
