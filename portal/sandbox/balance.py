"""Balance transactions: what a charge or refund does to the account's money, fees included."""

from __future__ import annotations

from typing import Any

from stripe.params import BalanceTransactionListParams, BalanceTransactionRetrieveParams

from portal.sandbox import lists
from portal.sandbox.dispatch import route
from portal.sandbox.errors import missing
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "balance_transaction"
# A US account's price for a card, recorded as 950 → 58 and 2500 → 103: 2.9 % and 30 cents, half a cent up.
FEE_PER_THOUSAND, FEE_FIXED = 29, 30
# ACH debit: 0.8 %, at most $5.00 (stripe.com/pricing).
DEBIT_FEE_PER_THOUSAND, DEBIT_FEE_LIMIT = 8, 500
DAY = 86_400
DAYS_UNTIL_AVAILABLE = 7


def card_fee(amount: int) -> int:
    """Stripe's fee for a card payment in minor units."""
    return (amount * FEE_PER_THOUSAND + 500) // 1000 + FEE_FIXED


def debit_fee(amount: int) -> int:
    """Stripe's fee for a bank debit in minor units."""
    return min((amount * DEBIT_FEE_PER_THOUSAND + 500) // 1000, DEBIT_FEE_LIMIT)


def record(sandbox: Sandbox, source: Document, type: str, amount: int, fee: int = 0) -> Document:
    """Book an amount (negative for a refund) with its fee; available at midnight UTC seven days on, as
    recorded.
    """
    now = sandbox.now(source.get("customer"))
    details = [
        {
            "amount": fee,
            "application": None,
            "currency": source["currency"],
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    transaction = {
        "id": sandbox.new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": (now // DAY + DAYS_UNTIL_AVAILABLE) * DAY,
        "balance_type": "payments",
        "created": now,
        "currency": source["currency"],
        "description": source.get("description"),
        "exchange_rate": None,
        "fee": fee,
        "fee_details": details if fee else [],
        "net": amount - fee,
        "reporting_category": type,
        "source": source["id"],
        "status": "pending",
        "type": type,
    }
    sandbox.store.put(KIND, transaction)
    return transaction


@route("GET", "/v1/balance_transactions/{id}", params=BalanceTransactionRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    transaction = sandbox.store.get(KIND, id)
    if not transaction:
        raise missing("balance transaction", id, "id")
    return _aged(sandbox, transaction)


@route("GET", "/v1/balance_transactions", params=BalanceTransactionListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    filters = {name: params.get(name) for name in ("currency", "source", "type")}
    page = lists.page(sandbox, KIND, params, "/v1/balance_transactions", **filters)
    return {**page, "data": [_aged(sandbox, row) for row in page["data"]]}


def _aged(sandbox: Sandbox, transaction: Document) -> Document:
    """Money becomes available by time passing alone."""
    available = sandbox.now() >= transaction["available_on"]
    return {**transaction, "status": "available" if available else "pending"}
