"""The customer's balance: what it owes (positive) or is owed (negative), each change a row."""

from __future__ import annotations

from typing import Any

from stripe.params import (
    CustomerBalanceTransactionCreateParams,
    CustomerBalanceTransactionListParams,
    CustomerBalanceTransactionRetrieveParams,
)

from portal.sandbox import lists
from portal.sandbox.currencies import checked_currency
from portal.sandbox.dispatch import route
from portal.sandbox.documents import merged_metadata
from portal.sandbox.errors import invalid, missing
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "customer_balance_transaction"
DEFAULT_CURRENCY = "usd"


def adjust(
    sandbox: Sandbox,
    customer: Document,
    amount: int,
    type: str,
    *,
    currency: str | None = None,
    invoice: str | None = None,
    quiet: bool = False,
    **details: Any,
) -> Document:
    """Add `amount` (minor units, negative is credit) to the balance, with its row; the changed customer.

    The first change stamps the customer's currency, as recorded. `quiet` leaves the event to the caller.
    """
    after = {**customer, "balance": customer["balance"] + amount}
    after["currency"] = customer["currency"] or currency or DEFAULT_CURRENCY
    row = {
        "id": sandbox.new_id("cbtxn"),
        "object": KIND,
        "amount": amount,
        "checkout_session": None,
        "created": sandbox.now(customer),
        "credit_note": details.get("credit_note"),
        "currency": after["currency"],
        "customer": customer["id"],
        "customer_account": None,
        "description": details.get("description"),
        "ending_balance": after["balance"],
        "invoice": invoice,
        "livemode": False,
        "metadata": details.get("metadata", {}),
        "type": type,
    }
    sandbox.store.put(KIND, row)
    sandbox.store.put("customer", after)
    if not quiet:
        sandbox.emit("customer.updated", after, customer)
    return after


@route("POST", "/v1/customers/{customer}/balance_transactions", params=CustomerBalanceTransactionCreateParams)
def create(sandbox: Sandbox, params: dict[str, Any], customer: str) -> Document:
    owner = _owner(sandbox, customer)
    currency = checked_currency(params["currency"])
    if owner["currency"] not in (None, currency):
        raise invalid(
            f"The customer's currency is {owner['currency']}; a balance in {currency} is not possible.",
            "currency",
        )
    details = {
        "description": params.get("description"),
        "metadata": merged_metadata(None, params.get("metadata")),
    }
    adjust(sandbox, owner, params["amount"], "adjustment", currency=currency, **details)
    return sandbox.store.find(KIND, customer=customer)[0]


@route(
    "GET",
    "/v1/customers/{customer}/balance_transactions/{transaction}",
    params=CustomerBalanceTransactionRetrieveParams,
)
def retrieve(sandbox: Sandbox, params: dict[str, Any], customer: str, transaction: str) -> Document:
    row = sandbox.store.get(KIND, transaction)
    if row is None or row["customer"] != customer:
        raise missing("balance transaction", transaction, "transaction")
    return row


@route("GET", "/v1/customers/{customer}/balance_transactions", params=CustomerBalanceTransactionListParams)
def listing(sandbox: Sandbox, params: dict[str, Any], customer: str) -> Document:
    owner = _owner(sandbox, customer)
    url = f"/v1/customers/{customer}/balance_transactions"
    return lists.page(sandbox, KIND, params, url, customer=owner["id"], invoice=params.get("invoice"))


def _owner(sandbox: Sandbox, id: str) -> Document:
    owner = sandbox.store.get("customer", id)
    if owner is None or owner.get("deleted"):
        raise missing("customer", id, "customer")
    return owner
