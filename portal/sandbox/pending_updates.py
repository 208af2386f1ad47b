"""Changes that wait for their payment: `payment_behavior=pending_if_incomplete`.

The invoice is made and charged at once; the subscription changes when it is paid, and stays as it is when the
invoice is voided or nobody pays in time (docs.stripe.com/billing/subscriptions/pending-updates).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portal.sandbox import billed, invoices, items, payments, schedules, standing, subscriptions
from portal.sandbox.errors import invalid, unsupported
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document
from portal.sandbox.trials import Settle

KIND = subscriptions.KIND
LIFETIME = 23 * 3600
SUPPORTED = frozenset({
    "add_invoice_items", "billing_cycle_anchor", "cancel_at_period_end", "discounts", "items", "metadata",
    "off_session", "payment_behavior", "proration_behavior", "proration_date", "trial_end", "trial_from_plan",
})  # fmt: skip
SUPPORTED_OF_ITEMS = frozenset({"deleted", "discounts", "id", "price", "quantity"})
# Debits answer days later, when the update would have expired.
DELAYED_METHODS = frozenset({"us_bank_account"})
CHANGEABLE = (
    "status", "status_details",
    "billing_cycle_anchor", "cancel_at", "cancel_at_period_end", "canceled_at", "cancellation_details",
    "discounts", "metadata",
)  # fmt: skip


def check(sandbox: Sandbox, subscription: Document, params: dict[str, Any]) -> None:
    """Refuse what a pending update cannot do, with Stripe's 400: other parameters, slow ways to pay."""
    _check_names(params)
    if subscription["collection_method"] == "send_invoice":
        raise invalid(
            "`payment_behavior=pending_if_incomplete` is only supported when `collection_method` is "
            "`charge_automatically`.",
            "payment_behavior",
        )
    if "trial_end" in params:
        raise unsupported("trial_end")
    chosen = payments.default_method(sandbox, bare_invoice(subscription))
    method = sandbox.store.get("payment_method", chosen or "") or {"type": "card"}
    if method["type"] in DELAYED_METHODS:
        raise invalid(
            "`payment_behavior=pending_if_incomplete` is not supported for the payment method type "
            f"`{method['type']}`.",
            "payment_behavior",
        )


def _check_names(params: dict[str, Any]) -> None:
    names = [name for name in params if name not in SUPPORTED]
    for index, row in enumerate(params.get("items") or []):
        names += [f"items[{index}][{name}]" for name in row if name not in SUPPORTED_OF_ITEMS]
    if names:
        raise invalid(
            "When `payment_behavior` is set to `pending_if_incomplete`, you can only pass parameters that "
            f"pending updates support. You passed `{names[0]}`.",
            names[0],
        )


def bare_invoice(subscription: Document) -> Document:
    """What the choice of a payment method looks at, for an invoice that there is not yet."""
    details = {"subscription_details": {"subscription": subscription["id"]}}
    return {"parent": details, "customer": subscription["customer"], "default_payment_method": None}


@dataclass(frozen=True)
class Wait:
    """How a change waits: for so long, charged now, retried, and what a failed payment makes of it."""

    lifetime: int = LIFETIME
    charges: bool = True
    retries: bool = False
    on_failure: str | None = None


def propose(
    sandbox: Sandbox,
    before: Document,
    after: Document,
    rows: list[Document],
    lines: list[Document],
    params: dict[str, Any],
    period: tuple[int, int],
    wait: Wait = Wait(),
    settle: Settle | None = None,
) -> Document:
    """Invoice a change and try to collect; the subscription as it is or, when paid, as it was to become.

    `settle` gets the draft instead of that.
    """
    id = sandbox.new_id("in")
    members = {"billing_reason": "subscription_update", "period": period, "id": id}
    draft = subscriptions.draft_invoice(sandbox, after, lines, remember=False, **members)
    billed.remember(sandbox, draft, rows)
    held = {**subscriptions.stored(sandbox, before), "latest_invoice": id}
    held["_proposal"] = {
        "before": before["latest_invoice"],
        "invoice": id,
        "members": _changed(before, after),
        "on_failure": wait.on_failure,
        "rows": rows,
    }
    sandbox.store.put(KIND, held)
    if settle:
        settle(sandbox, draft, params)
        return held
    draft["auto_advance"] = wait.retries
    invoice = invoices.finalize(sandbox, draft)
    if invoice["status"] == "open" and wait.charges:
        payments.pay_invoice(sandbox, invoice, off_session=params.get("off_session", False))
    return _show(sandbox, before, wait.lifetime)


def _changed(before: Document, after: Document) -> Document:
    return {name: after[name] for name in CHANGEABLE if after.get(name) != before.get(name)}


def _show(sandbox: Sandbox, before: Document, lifetime: int) -> Document:
    """Say what waits for its payment; nothing when the payment is there already."""
    held = subscriptions.stored(sandbox, before)
    proposal = held.get("_proposal")
    if not proposal:
        return held
    members = proposal["members"]
    shown = {
        "billing_cycle_anchor": members.get("billing_cycle_anchor"),
        "cancel_at_period_end": members.get("cancel_at_period_end"),
        "discount": None,
        "discounts": members.get("discounts"),
        "expires_at": _expiry(sandbox, held, lifetime),
        "metadata": members.get("metadata"),
        "subscription_items": proposal["rows"],
        "trial_end": None,
        "trial_from_plan": None,
    }
    after = {**held, "pending_update": shown}
    sandbox.store.put(KIND, after)
    sandbox.emit("customer.subscription.updated", after, before)
    return after


def _expiry(sandbox: Sandbox, subscription: Document, lifetime: int) -> int:
    """So many seconds from now, sooner when a period or the trial ends before."""
    latest = sandbox.now(subscription["customer"]) + lifetime
    if subscription["status"] == "paused":
        return latest
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    trial_end = subscription["trial_end"] if subscription["status"] == "trialing" else None
    ends += [] if trial_end is None else [trial_end]
    return min(*ends, latest)


def waits_for(subscription: Document | None, invoice: Document) -> bool:
    """Whether the invoice pays for a change that waits for it."""
    proposal = (subscription or {}).get("_proposal")
    return bool(proposal) and proposal["invoice"] == invoice["id"]


def apply(sandbox: Sandbox, subscription: Document) -> Document:
    """The invoice is paid: make the change."""
    proposal, shown = subscription["_proposal"], subscription["pending_update"]
    before = subscriptions.stored(sandbox, subscription)
    if not shown:  # nothing was told yet, not even of the invoice
        before = {**before, "latest_invoice": proposal["before"]}
    after = {**subscription, **proposal["members"], "pending_update": None, "_proposal": None}
    for item in proposal["rows"]:
        for debit in item["_billed"]:
            debit["instead_of"] = []
    items.place(sandbox, after, proposal["rows"])
    sandbox.store.put(KIND, after)
    sandbox.emit("customer.subscription.updated", after, before)
    schedules.follow(sandbox, after)
    if before["status"] == "paused":
        sandbox.emit("customer.subscription.resumed", after)
    if shown:
        sandbox.emit("customer.subscription.pending_update_applied", after)
    return after


def payment_failed(sandbox: Sandbox, subscription: Document) -> None:
    """Where a failed attempt decides, make the change all the same, in the status that is left then."""
    status = subscription["_proposal"]["on_failure"]
    if status:
        standing.change(sandbox, apply(sandbox, subscription), status=status)


def lapse(sandbox: Sandbox, subscription: Document) -> Document:
    """Nobody paid in time, or the invoice was voided: forget the change, and void what is still open."""
    proposal = subscription["_proposal"]
    after = standing.change(sandbox, subscription, pending_update=None, _proposal=None)
    sandbox.emit("customer.subscription.pending_update_expired", after)
    invoice = sandbox.store.get(invoices.KIND, proposal["invoice"])
    if invoice and invoice["status"] == "open":
        invoices.void(sandbox, invoice)
    return subscriptions.stored(sandbox, after)
