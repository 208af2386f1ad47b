"""What goes into a credit grant and out of it, each change a row."""

from __future__ import annotations

from typing import Any

from stripe.params.billing import (
    CreditBalanceTransactionListParams,
    CreditBalanceTransactionRetrieveParams,
)

from portal.sandbox import lists
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_path
from portal.sandbox.errors import missing_param
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "billing.credit_balance_transaction"
GRANT = "billing.credit_grant"
GRANTED, REINSTATED = "credits_granted", "credits_application_invoice_voided"
APPLIED, EXPIRED, VOIDED = "credits_applied", "credits_expired", "credits_voided"


def credit(
    sandbox: Sandbox,
    grant: Document,
    amount: int,
    type: str,
    *,
    of: Document | None = None,
    effective_at: int | None = None,
) -> Document:
    """Put `amount` (minor units) into the grant; `of`: the invoice and line that it comes back from."""
    return _add(sandbox, grant, amount, "credit", type, of, effective_at)


def debit(
    sandbox: Sandbox, grant: Document, amount: int, type: str, *, of: Document | None = None
) -> Document | None:
    """Take `amount` (minor units) out of the grant, for the invoice and line of `of`; nothing for nothing."""
    return _add(sandbox, grant, -amount, "debit", type, of, None) if amount else None


def _add(
    sandbox: Sandbox,
    grant: Document,
    change: int,
    side: str,
    type: str,
    of: Document | None,
    effective_at: int | None,
) -> Document:
    now = sandbox.now(grant["customer"])
    monetary = {"currency": grant["amount"]["monetary"]["currency"], "value": abs(change)}
    details: Document = {"amount": {"monetary": monetary, "type": "monetary"}, "type": type}
    if of is not None:
        details[type] = of
    row: Document = {
        "id": sandbox.new_id("cbtxn"),
        "object": KIND,
        "created": now,
        "credit": None,
        "credit_grant": grant["id"],
        "debit": None,
        "effective_at": effective_at or now,
        "livemode": False,
        "test_clock": grant["test_clock"],
        "type": side,
        side: details,
        "_customer": grant["customer"],
    }
    known = in_path(sandbox, GRANT, grant["id"])
    applied = known["_applied"] or type == APPLIED
    sandbox.store.put(GRANT, {**known, "_balance": known["_balance"] + change, "_applied": applied})
    sandbox.store.put(KIND, row)
    sandbox.emit("billing.credit_balance_transaction.created", row)
    return row


@route("GET", "/v1/billing/credit_balance_transactions/{id}", params=CreditBalanceTransactionRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return in_path(sandbox, KIND, id)


@route("GET", "/v1/billing/credit_balance_transactions", params=CreditBalanceTransactionListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if "customer" not in params:
        raise missing_param("customer")
    url = "/v1/billing/credit_balance_transactions"
    wanted = {"_customer": params["customer"], "credit_grant": params.get("credit_grant")}
    return lists.page(sandbox, KIND, params, url, **wanted)
