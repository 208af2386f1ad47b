"""Failed renewals: retried on a fixed timetable, then the ending that the account has chosen."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from portal.sandbox import control
from portal.sandbox.state import Sandbox, sandbox
from portal.sandbox.store import Document

DAY = 86_400
# Days from each failed attempt to the next one; after the last the subscription ends as configured.
RETRY_DAYS = (3, 5, 7)
LAST_STEPS = ("cancel", "unpaid", "past_due")
SETTING = "_dunning"
# docs.stripe.com/billing/revenue-recovery/smart-retries: retried only with another payment method
HARD_DECLINES = frozenset({
    "authentication_required", "highest_risk_level", "incorrect_number", "lost_card", "pickup_card",
    "revocation_of_all_authorizations", "revocation_of_authorization", "stolen_card",
    "transaction_not_allowed",
})  # fmt: skip

blueprint = Blueprint("dunning", __name__)
blueprint.before_request(control.refuse_other_origins)
blueprint.register_error_handler(ValueError, control.nonsense)


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


def refused_for_good(sandbox: Sandbox, invoice: Document) -> bool:
    """Whether the method that would be charged was refused in a way that no automatic retry can change."""
    from portal.sandbox import payments

    intent = sandbox.store.get("payment_intent", invoice["_payment_intent"] or "") or {}
    error = intent.get("last_payment_error") or {}
    reasons = {error.get("code"), error.get("decline_code")}
    tried = (error.get("payment_method") or {}).get("id")
    return bool(reasons & HARD_DECLINES) and tried == payments.default_method(sandbox, invoice)


def end_if_exhausted(sandbox: Sandbox, invoice: Document, subscription: Document) -> None:
    """After the last retry cancel the subscription, call it unpaid, or leave it past due."""
    from portal.sandbox import ending, standing

    if subscription["status"] != "past_due" or invoice["attempt_count"] <= len(RETRY_DAYS):
        return
    if last_step(sandbox) == "cancel":
        ending.end(sandbox, subscription, reason="payment_failed")
    elif last_step(sandbox) == "unpaid":
        standing.change(sandbox, subscription, status="unpaid")


@blueprint.get("/_sandbox/dunning")
def shown() -> Response:
    """The timetable of retries in days, and what happens after the last."""
    return jsonify(last_step=last_step(sandbox()), retry_days=list(RETRY_DAYS))


@blueprint.post("/_sandbox/dunning")
@control.changes
def choose() -> Response:
    """Choose `last_step`, as one does in Stripe's dashboard."""
    chosen = control.body().get("last_step")
    if chosen not in LAST_STEPS:
        raise ValueError(f"last_step must be one of {', '.join(LAST_STEPS)}.")
    current = sandbox()
    with current.work():
        current.store.put(SETTING, {"id": "last_step", "value": chosen})
    return shown()
