"""`/v1/refunds`: money given back, in whole or in part."""

from __future__ import annotations

from typing import Any

from stripe.params import RefundCreateParams, RefundListParams, RefundRetrieveParams, RefundUpdateParams

from portal.sandbox import balance, charges, intents, lists, methods
from portal.sandbox.dispatch import route
from portal.sandbox.errors import invalid, missing, missing_param
from portal.sandbox.payment_methods import merged_metadata
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "refund"
DELAY = 86_400
CREATED_FROM = ("amount", "charge", "metadata", "payment_intent", "reason")


@route("POST", "/v1/refunds", params=RefundCreateParams, supports=CREATED_FROM)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    before = _charge(sandbox, params)
    amount = _amount(before, params.get("amount"))
    refund = {
        "id": sandbox.new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": before["id"],
        "created": sandbox.now(before["customer"]),
        "currency": before["currency"],
        "customer": before["customer"],
        "customer_account": None,
        "destination_details": _destination(before),
        "metadata": params.get("metadata") or {},
        "payment_intent": before["payment_intent"],
        "payment_method": before["payment_method"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    transaction = balance.record(sandbox, refund, "refund", -amount)
    refund["balance_transaction"] = transaction["id"]
    if _bank_refuses(sandbox, before):
        refund["_fails_at"] = refund["created"] + DELAY
    sandbox.store.put(KIND, refund)
    refunded = before["amount_refunded"] + amount
    charge = {**before, "amount_refunded": refunded, "refunded": refunded == before["amount_captured"]}
    sandbox.store.put(charges.KIND, charge)
    sandbox.emit("refund.created", refund)
    sandbox.emit("charge.refunded", charge, before)
    return refund


def _charge(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if id := params.get("charge"):
        charge = sandbox.store.get(charges.KIND, id)
        if not charge:
            raise missing("charge", id, "charge", 400)
    elif id := params.get("payment_intent"):
        intent = sandbox.store.get(intents.KIND, id)
        if not intent:
            raise missing("payment_intent", id, "payment_intent", 400)
        charge = sandbox.store.get(charges.KIND, intent["latest_charge"] or "")
    else:
        raise missing_param("payment_intent")
    if not charge or not charge["captured"] or charge["status"] != "succeeded":
        raise invalid("This PaymentIntent does not have a successful charge to refund.")
    if charge["disputed"]:
        raise invalid(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    return charge


def _amount(charge: Document, wanted: int | None) -> int:
    left = charge["amount_captured"] - charge["amount_refunded"]
    if left == 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = left if wanted is None else wanted
    if amount < 1:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    if amount > left:
        raise invalid(
            f"Refund amount ({_money(amount, charge)}) is greater than unrefunded amount on charge "
            f"({_money(left, charge)})",
            "amount",
        )
    return amount


def _money(amount: int, charge: Document) -> str:
    # Amounts in these messages are in dollars whatever the currency; only the sign differs.
    sign = {"usd": "$", "eur": "€", "gbp": "£"}.get(charge["currency"], charge["currency"].upper() + " ")
    return f"{sign}{amount // 100:,}.{amount % 100:02d}"


def _bank_refuses(sandbox: Sandbox, charge: Document) -> bool:
    method = sandbox.store.get(methods.KIND, charge["payment_method"])
    card = methods.test_card(method) if method else None
    return bool(card and card.refund_fails)


def _destination(charge: Document) -> Document:
    type = charge["payment_method_details"]["type"]
    if type == "card":
        card = {
            "reference_status": "pending",
            "reference_type": "acquirer_reference_number",
            "type": "refund",
        }
        return {"card": card, "type": "card"}
    if type == "us_bank_account":
        return {"type": "us_bank_transfer", "us_bank_transfer": {"reference_status": "pending"}}
    return {"type": type, type: {}}


@route("GET", "/v1/refunds/{id}", params=RefundRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return _in_path(sandbox, id)


@route("GET", "/v1/refunds", params=RefundListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    filters = {name: params.get(name) for name in ("charge", "payment_intent")}
    return lists.page(sandbox, KIND, params, "/v1/refunds", **filters)


@route("POST", "/v1/refunds/{id}", params=RefundUpdateParams, supports=("metadata",))
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    before = _in_path(sandbox, id)
    refund = {**before, "metadata": merged_metadata(before["metadata"], params.get("metadata", {}))}
    sandbox.store.put(KIND, refund)
    sandbox.emit("refund.updated", refund, before)
    return refund


def fail(sandbox: Sandbox, before: Document) -> Document:
    """The bank sent a refund back (card 5126): the money returns to the balance."""
    transaction = balance.record(sandbox, before, "refund_failure", before["amount"])
    refund = {
        **before,
        "_fails_at": None,
        "status": "failed",
        "failure_reason": "expired_or_canceled_card",
        "failure_balance_transaction": transaction["id"],
    }
    sandbox.store.put(KIND, refund)
    charge = charges.in_path(sandbox, before["charge"])
    charge = {**charge, "amount_refunded": charge["amount_refunded"] - before["amount"], "refunded": False}
    sandbox.store.put(charges.KIND, charge)
    sandbox.emit("refund.failed", refund)
    return refund


def _in_path(sandbox: Sandbox, id: str) -> Document:
    refund = sandbox.store.get(KIND, id)
    if not refund:
        raise missing("refund", id, "refund")
    return refund
