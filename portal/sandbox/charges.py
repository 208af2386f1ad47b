"""`/v1/charges`: one attempt to take money, successful, failed or pending."""

from __future__ import annotations

from typing import Any

from stripe.params import ChargeListParams, ChargeRetrieveParams, ChargeUpdateParams

from portal.sandbox import balance, lists, methods
from portal.sandbox.declines import DECLINES
from portal.sandbox.dispatch import route
from portal.sandbox.errors import missing, unsupported
from portal.sandbox.payment_methods import merged_metadata
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "charge"
# Charges of other methods than cards are called payments and have their own prefix.
PREFIX = {"card": "ch", "link": "ch"}
DISPUTED_AFTER = 86_400
APPROVED = {
    "network_status": "approved_by_network",
    "type": "authorized",
    "seller_message": "Payment complete.",
}


UNSET = (
    "application",
    "application_fee",
    "application_fee_amount",
    "balance_transaction",
    "failure_balance_transaction",
    "failure_code",
    "failure_message",
    "on_behalf_of",
    "receipt_number",
    "receipt_url",
    "review",
    "source",
    "source_transfer",
    "transfer_data",
    "transfer_group",
)
FROM_INTENT = (
    "amount",
    "currency",
    "customer",
    "description",
    "metadata",
    "receipt_email",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
)


def create(sandbox: Sandbox, intent: Document, method: Document, status: str, **changes: Any) -> Document:
    """Store a charge of the intent's amount; `changes` are the members that the outcome decides."""
    charge = {
        "id": sandbox.new_id(PREFIX.get(method["type"], "py")),
        "object": "charge",
        **{name: intent[name] for name in FROM_INTENT},
        **dict.fromkeys(UNSET),
        **dict.fromkeys(("captured", "disputed", "livemode", "paid", "refunded"), False),
        "amount_captured": 0,
        "amount_refunded": 0,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "SANDBOX",
        "created": sandbox.now(intent["customer"]),
        "fraud_details": {},
        "outcome": outcome(**APPROVED),
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": details(method, intent),
        "radar_options": {},
        "status": status,
        **changes,
    }
    sandbox.store.put(KIND, charge)
    return charge


def succeeded(sandbox: Sandbox, intent: Document, method: Document, *, captured: bool = True) -> Document:
    """The money was taken, or only reserved when it is to be captured later."""
    card = methods.test_card(method)
    disputed = card is not None and card.disputed
    charge = create(
        sandbox,
        intent,
        method,
        "succeeded",
        paid=True,
        captured=captured,
        amount_captured=intent["amount"] if captured else 0,
        _disputed_at=sandbox.now(intent["customer"]) + DISPUTED_AFTER if disputed else None,
    )
    if captured:
        charge = book(sandbox, charge)
    sandbox.emit("charge.succeeded", charge)
    return charge


def book(sandbox: Sandbox, charge: Document) -> Document:
    """Put the captured amount, less the fee, on the account's balance."""
    amount = charge["amount_captured"]
    debit = charge["payment_method_details"]["type"] == "us_bank_account"
    fee = balance.debit_fee(amount) if debit else balance.card_fee(amount)
    transaction = balance.record(sandbox, charge, "payment" if debit else "charge", amount, fee)
    charge = {**charge, "balance_transaction": transaction["id"]}
    sandbox.store.put(KIND, charge)
    return charge


def failed(sandbox: Sandbox, intent: Document, method: Document, decline_code: str) -> Document:
    """A refused charge, which stays on record."""
    decline = DECLINES[decline_code]
    result = outcome(
        network_status="not_sent_to_network" if decline.outcome == "blocked" else "declined_by_network",
        type=decline.outcome,
        seller_message=decline.seller_message,
        reason=decline.decline_code,
        advice_code=decline.advice,
        network_decline_code=decline.network,
    )
    charge = create(
        sandbox,
        intent,
        method,
        "failed",
        failure_code=decline.code,
        failure_message=decline.message,
        outcome=result,
    )
    sandbox.emit("charge.failed", charge)
    return charge


def outcome(**members: Any) -> Document:
    """What the network and Stripe's risk check said."""
    blocked = members.get("type") == "blocked"
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "reason": None,
        "risk_level": "highest" if blocked else "normal",
        "risk_score": 92 if blocked else 12,
        **members,
    }


def details(method: Document, intent: Document) -> Document:
    """`payment_method_details`: the method as it was when it was charged."""
    type = method["type"]
    describe = {
        "card": lambda: _card_details(method, intent),
        "us_bank_account": lambda: _account_details(method),
        "link": lambda: {"country": "US"},
        "amazon_pay": lambda: {"funding": {"card": None, "type": None}, "transaction_id": None},
    }
    return {type: describe[type](), "type": type}


def _card_details(method: Document, intent: Document) -> Document:
    card = method["card"]
    kept = (
        "brand",
        "country",
        "exp_month",
        "exp_year",
        "fingerprint",
        "funding",
        "last4",
        "regulated_status",
    )
    unavailable = {"status": "unavailable"}
    return {
        **{name: card[name] for name in kept},
        "amount_authorized": intent["amount"],
        "authorization_code": None,
        "checks": card["checks"],
        "extended_authorization": {"status": "disabled"},
        "incremental_authorization": unavailable,
        "installments": None,
        "mandate": None,
        "multicapture": unavailable,
        "network": card["brand"],
        "network_token": {"used": False},
        "network_transaction_id": methods.fingerprint(intent["id"]),
        "overcapture": {"maximum_amount_capturable": intent["amount"], "status": "unavailable"},
        "three_d_secure": _authentication() if intent.get("_authenticated") else None,
        "wallet": None,
    }


def _authentication() -> Document:
    return {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": None,
        "version": "2.2.0",
    }


def _account_details(method: Document) -> Document:
    account = method["us_bank_account"]
    kept = ("account_holder_type", "account_type", "bank_name", "fingerprint", "last4", "routing_number")
    return {
        **{name: account[name] for name in kept},
        "mandate": method.get("_mandate"),
        "payment_reference": None,
    }


@route("GET", "/v1/charges/{id}", params=ChargeRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return in_path(sandbox, id)


@route("GET", "/v1/charges", params=ChargeListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if "transfer_group" in params:
        raise unsupported("transfer_group")
    filters = {name: params.get(name) for name in ("customer", "payment_intent")}
    return lists.page(sandbox, KIND, params, "/v1/charges", **filters)


@route("POST", "/v1/charges/{id}", params=ChargeUpdateParams)
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    before = in_path(sandbox, id)
    for name in params:
        if name not in ("description", "metadata", "receipt_email"):
            raise unsupported(name)
    charge = {**before, **params}
    if "metadata" in params:
        charge["metadata"] = merged_metadata(before["metadata"], params["metadata"])
    sandbox.store.put(KIND, charge)
    sandbox.emit("charge.updated", charge, before)
    return charge


def in_path(sandbox: Sandbox, id: str) -> Document:
    """The charge that a path names, or Stripe's 404."""
    charge = sandbox.store.get(KIND, id)
    if not charge:
        raise missing("charge", id, "id")
    return charge
