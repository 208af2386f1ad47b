"""The sum of a customer's credit grants: what is there, and what of it can be used now.

Our reading of the SDK, to be confirmed at Stripe: the ledger's balance has also what becomes effective later.
"""

from __future__ import annotations

from typing import Any

from stripe.params.billing import CreditBalanceSummaryRetrieveParams

from portal.sandbox import credit_grants
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_body
from portal.sandbox.errors import missing_param
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

SUPPORTS = (
    "customer", "filter.type", "filter.credit_grant", "filter.applicability_scope.price_type",
    "filter.applicability_scope.prices.id",
)  # fmt: skip


@route(
    "GET",
    "/v1/billing/credit_balance_summary",
    params=CreditBalanceSummaryRetrieveParams,
    supports=SUPPORTS,
)
def retrieve(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if "customer" not in params:
        raise missing_param("customer")
    customer = in_body(sandbox, "customer", params["customer"], "customer")
    found = _filtered(sandbox, customer["id"], params["filter"])
    now = sandbox.now(customer)
    currencies = sorted({grant["amount"]["monetary"]["currency"] for grant in found})
    return {
        "object": "billing.credit_balance_summary",
        "balances": [_balance(found, currency, now) for currency in currencies],
        "customer": customer["id"],
        "customer_account": None,
        "livemode": False,
    }


def _filtered(sandbox: Sandbox, customer_id: str, wanted: Document) -> list[Document]:
    if wanted["type"] == "credit_grant":
        if "credit_grant" not in wanted:
            raise missing_param("filter[credit_grant]")
        return [in_body(sandbox, credit_grants.KIND, wanted["credit_grant"], "filter[credit_grant]")]
    if "applicability_scope" not in wanted:
        raise missing_param("filter[applicability_scope]")
    scope = wanted["applicability_scope"]
    grants = sandbox.store.find(credit_grants.KIND, customer=customer_id)
    return [grant for grant in grants if grant["applicability_config"]["scope"] == scope]


def _balance(found: list[Document], currency: str, now: int) -> Document:
    own = [grant for grant in found if grant["amount"]["monetary"]["currency"] == currency]
    usable = [grant for grant in own if grant["effective_at"] <= now]
    return {
        "available_balance": _money(usable, currency),
        "ledger_balance": _money(own, currency),
    }


def _money(grants: list[Document], currency: str) -> Document:
    value = sum(grant["_balance"] for grant in grants)
    return {"monetary": {"currency": currency, "value": value}, "type": "monetary"}
