"""How disputes go on: evidence, winning and losing, by the API or on demand under `/_sandbox/disputes`."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify
from stripe.params import DisputeCloseParams, DisputeUpdateParams

from portal.sandbox import balance, charges, control, disputes, intents, invoices
from portal.sandbox.dispatch import route
from portal.sandbox.documents import merged_metadata
from portal.sandbox.errors import state_error
from portal.sandbox.events import public
from portal.sandbox.state import Sandbox, sandbox
from portal.sandbox.store import Document

OPEN = ("needs_response", "under_review")
OUTCOMES = ("won", "lost")
# docs.stripe.com/testing#disputes: evidence with one of these texts decides the dispute at once
DECIDING_TEXTS = {"winning_evidence": "won", "losing_evidence": "lost"}

blueprint = Blueprint("dispute_outcomes", __name__)
blueprint.before_request(control.refuse_other_origins)
blueprint.register_error_handler(ValueError, control.nonsense)


@route(
    "POST",
    "/v1/disputes/{id}",
    params=DisputeUpdateParams,
    supports=("evidence", "metadata", "submit"),
)
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    """Keep evidence, and submit it unless told not to; Stripe's test texts decide the dispute."""
    before = disputes.retrieve(sandbox, {}, id)
    _require_open(before)
    given = params.get("evidence") or {}
    evidence = {**before["evidence"], **given}
    dispute = {**before, "evidence": evidence}
    dispute["metadata"] = merged_metadata(before["metadata"], params.get("metadata"))
    submits = bool(given) and params.get("submit", True)
    details = before["evidence_details"]
    dispute["evidence_details"] = {
        **details,
        "has_evidence": details["has_evidence"] or bool(given),
        "submission_count": details["submission_count"] + submits,
        "submission_method": "manual" if submits else details["submission_method"],
    }
    if submits:
        dispute["status"] = "under_review"
    sandbox.store.put(disputes.KIND, dispute)
    sandbox.emit("charge.dispute.updated", dispute, before)
    outcome = DECIDING_TEXTS.get(evidence["uncategorized_text"] or "") if submits else None
    return decide(sandbox, dispute, outcome) if outcome else dispute


@route("POST", "/v1/disputes/{id}/close", params=DisputeCloseParams)
def close(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    """Accept the dispute: it is lost."""
    dispute = disputes.retrieve(sandbox, {}, id)
    _require_open(dispute)
    return decide(sandbox, dispute, "lost")


def _require_open(dispute: Document) -> None:
    if dispute["status"] not in OPEN:
        raise state_error("This dispute is already closed.")


def decide(sandbox: Sandbox, before: Document, outcome: str) -> Document:
    """Close the dispute as `won` (the amount comes back, the fee does not) or `lost`."""
    charge = charges.in_path(sandbox, before["charge"])
    dispute = {**before, "status": outcome}
    if outcome == "won":
        returned = balance.record(sandbox, charge, "adjustment", before["amount"])
        dispute["balance_transactions"] = [*before["balance_transactions"], returned]
    sandbox.store.put(disputes.KIND, dispute)
    sandbox.emit("charge.dispute.closed", dispute)
    if outcome == "won":
        sandbox.emit("charge.dispute.funds_reinstated", dispute)
    return dispute


@blueprint.post("/_sandbox/disputes")
@control.changes
def order() -> Response:
    """`{"charge" | "payment_intent" | "invoice": id}` opens a dispute now; `{"dispute": id, "outcome":
    "won" | "lost"}` closes one.
    """
    given, current = control.body(), sandbox()
    with current.work():
        if given.get("dispute"):
            return jsonify(public(_closed(current, str(given["dispute"]), str(given.get("outcome")))))
        return jsonify(public(disputes.open_for(current, _charge(current, given))))


def _closed(current: Sandbox, id: str, outcome: str) -> Document:
    dispute = current.store.get(disputes.KIND, id)
    if dispute is None or dispute["status"] not in OPEN:
        raise ValueError(f"There is no open dispute {id}.")
    if outcome not in OUTCOMES:
        raise ValueError(f"outcome must be one of {', '.join(OUTCOMES)}.")
    return decide(current, dispute, outcome)


def _charge(current: Sandbox, given: dict[str, Any]) -> Document:
    """The successful charge that is named, directly or by what it paid."""
    invoice = current.store.get(invoices.KIND, str(given.get("invoice"))) or {}
    named = given.get("payment_intent") or invoice.get("_payment_intent")
    intent = current.store.get(intents.KIND, str(named)) or {}
    charge = current.store.get(charges.KIND, str(given.get("charge") or intent.get("latest_charge")))
    if charge is None or charge["status"] != "succeeded":
        raise ValueError("Name a successful payment: `charge`, `payment_intent` or `invoice`.")
    if charge["disputed"]:
        raise ValueError(f"The charge {charge['id']} is disputed already.")
    return charge
