"""Failed renewals: retried on a fixed timetable, then the ending that the account has chosen."""

from __future__ import annotations

from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

DAY = 86_400
# Days from each failed attempt to the next one; after the last the subscription ends as configured.
RETRY_DAYS = (3, 5, 7)
LAST_STEPS = ("cancel", "unpaid", "past_due")
SETTING = "_dunning"


def last_step(sandbox: Sandbox) -> str:
    """What happens after the last retry: `cancel`, `unpaid` or `past_due`."""
    setting = sandbox.store.get(SETTING, "last_step")
    return setting["value"] if setting else LAST_STEPS[0]


def plan_retry(sandbox: Sandbox, invoice: Document, subscription: Document | None) -> None:
    """Set the next attempt of an automatic invoice that failed, or none after the last, and store it."""
    invoice["next_payment_attempt"] = None
    automatic = invoice["auto_advance"] and invoice["billing_reason"] != "subscription_create"
    if automatic and subscription and invoice["attempt_count"] <= len(RETRY_DAYS):
        wait = RETRY_DAYS[invoice["attempt_count"] - 1] * DAY
        invoice["next_payment_attempt"] = sandbox.now(invoice["customer"]) + wait
    sandbox.store.put("invoice", invoice)


def end_if_exhausted(sandbox: Sandbox, invoice: Document, subscription: Document) -> None:
    """After the last retry cancel the subscription, call it unpaid, or leave it past due."""
    from portal.sandbox import ending, standing

    if subscription["status"] != "past_due" or invoice["attempt_count"] <= len(RETRY_DAYS):
        return
    if last_step(sandbox) == "cancel":
        ending.end(sandbox, subscription, reason="payment_failed")
    elif last_step(sandbox) == "unpaid":
        standing.change(sandbox, subscription, status="unpaid")
