"""`/v1/disputes`: a customer took a payment back (test card 0259)."""

from __future__ import annotations

from typing import Any

from stripe.params import DisputeListParams, DisputeRetrieveParams

from portal.sandbox import balance, charges, lists
from portal.sandbox.dispatch import route
from portal.sandbox.errors import missing
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "dispute"
FEE = 1500
DAYS_TO_ANSWER = 9
# Visa's "other fraud, card absent".
REASON_CODE = "10.4"
FILES = (
    "cancellation_policy",
    "customer_communication",
    "customer_signature",
    "duplicate_charge_documentation",
    "receipt",
    "refund_policy",
    "service_documentation",
    "shipping_documentation",
    "uncategorized_file",
)
TEXTS = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_tracking_number",
    "uncategorized_text",
)
NOTHING_SUBMITTED = {
    "enhanced_eligibility": {},
    "has_evidence": False,
    "past_due": False,
    "submission_count": 0,
    "submission_method": "not_submitted",
}


def open_for(sandbox: Sandbox, before: Document) -> Document:
    """Open a dispute over a whole charge: its amount and a fee leave the balance."""
    now = sandbox.now(before["customer"])
    charge = {**before, "disputed": True, "_disputed_at": None}
    transaction = balance.record(sandbox, charge, "adjustment", -charge["amount"], FEE)
    card = charge["payment_method_details"].get("card") or {"brand": "visa"}
    dispute = {
        "id": sandbox.new_id("du"),
        "object": "dispute",
        "amount": charge["amount"],
        "balance_transactions": [transaction],
        "charge": charge["id"],
        "created": now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys((*FILES, *TEXTS)), "enhanced_evidence": {}},
        "evidence_details": {**NOTHING_SUBMITTED, "due_by": now + DAYS_TO_ANSWER * balance.DAY},
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": card["brand"],
                "case_type": "chargeback",
                "network": card["brand"],
                "network_reason_code": REASON_CODE,
            },
            "type": "card",
        },
        "reason": "fraudulent",
        "status": "needs_response",
    }
    sandbox.store.put(KIND, dispute)
    sandbox.store.put(charges.KIND, charge)
    sandbox.emit("charge.dispute.created", dispute)
    sandbox.emit("charge.dispute.funds_withdrawn", dispute)
    sandbox.emit("charge.updated", charge, before)
    return dispute


@route("GET", "/v1/disputes/{id}", params=DisputeRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    dispute = sandbox.store.get(KIND, id)
    if not dispute:
        raise missing("dispute", id, "dispute")
    return dispute


@route("GET", "/v1/disputes", params=DisputeListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    filters = {name: params.get(name) for name in ("charge", "payment_intent")}
    return lists.page(sandbox, KIND, params, "/v1/disputes", **filters)
