"""Credit grants: money that pays a customer's metered usage before anything is charged.

No recording covers them. Sources: the SDK's `billing/_credit_grant.py` and its params, and
docs.stripe.com/billing/subscriptions/usage-based/billing-credits.
"""

from __future__ import annotations

from typing import Any

from stripe.params.billing import (
    CreditGrantCreateParams,
    CreditGrantExpireParams,
    CreditGrantListParams,
    CreditGrantRetrieveParams,
    CreditGrantUpdateParams,
    CreditGrantVoidGrantParams,
)

from portal.sandbox import credit_transactions, lists
from portal.sandbox.clock import Action, on_tick
from portal.sandbox.currencies import checked_currency
from portal.sandbox.dispatch import route
from portal.sandbox.documents import assign, in_body, in_path, merged_metadata
from portal.sandbox.errors import invalid, missing_param, past_time, state_error
from portal.sandbox.items import has_meter
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "billing.credit_grant"
MAX_UNUSED = 100
MAX_PRICES = 20
DEFAULT_PRIORITY, LOWEST_PRIORITY = 50, 100
CATEGORIES = ("paid", "promotional")
SCOPE = "applicability_config[scope]"
SUPPORTS = (
    "amount.type", "amount.monetary.currency", "amount.monetary.value",
    "applicability_config.scope.price_type", "applicability_config.scope.prices.id",
    "category", "customer", "effective_at", "expires_at", "metadata", "name", "priority",
)  # fmt: skip


@route("POST", "/v1/billing/credit_grants", params=CreditGrantCreateParams, supports=SUPPORTS)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if "customer" not in params:
        raise missing_param("customer")
    customer = in_body(sandbox, "customer", params["customer"], "customer")
    now = sandbox.now(customer)
    amount = _amount(params["amount"])
    effective_at = params.get("effective_at", now)
    if effective_at < now:
        raise past_time("effective_at", effective_at)
    _check_expiry(params.get("expires_at"), max(now, effective_at))
    _check_room(sandbox, customer["id"])
    grant = {
        "id": sandbox.new_id("credgr"),
        "object": KIND,
        "amount": {"monetary": amount, "type": "monetary"},
        "applicability_config": {"scope": _scope(sandbox, params["applicability_config"]["scope"])},
        "category": _category(params.get("category", "paid")),
        "created": now,
        "customer": customer["id"],
        "customer_account": None,
        "effective_at": effective_at,
        "expires_at": params.get("expires_at"),
        "livemode": False,
        "metadata": merged_metadata(None, params.get("metadata")),
        "name": params.get("name"),
        "priority": _priority(params.get("priority", DEFAULT_PRIORITY)),
        "test_clock": customer.get("test_clock"),
        "updated": now,
        "voided_at": None,
        "_balance": 0,
        "_applied": False,
    }
    sandbox.store.put(KIND, grant)
    sandbox.emit("billing.credit_grant.created", grant)
    credit_transactions.credit(
        sandbox, grant, amount["value"], credit_transactions.GRANTED, effective_at=effective_at
    )
    return in_path(sandbox, KIND, grant["id"])


def _amount(given: Document) -> Document:
    if "monetary" not in given:
        raise missing_param("amount[monetary]")
    value = given["monetary"]["value"]
    if value < 1:
        message = f"This value must be greater than or equal to 1 (it currently is '{value}')."
        raise invalid(message, "amount[monetary][value]")
    return {"currency": checked_currency(given["monetary"]["currency"]), "value": value}


def _scope(sandbox: Sandbox, given: Document) -> Document:
    """The prices that it pays for: named ones, each with a meter, or all that have one."""
    if ("prices" in given) == ("price_type" in given):
        raise invalid(f"You must pass exactly one of {SCOPE}[prices] and {SCOPE}[price_type].", SCOPE)
    if "price_type" in given:
        return {"price_type": given["price_type"]}
    if len(given["prices"]) > MAX_PRICES:
        raise invalid(f"A credit grant can name at most {MAX_PRICES} prices.", f"{SCOPE}[prices]")
    for index, row in enumerate(given["prices"]):
        param = f"{SCOPE}[prices][{index}][id]"
        if not has_meter(in_body(sandbox, "price", row["id"], param)):
            raise invalid("Credit grants only apply to prices that have a meter.", param)
    return {"prices": [{"id": row["id"]} for row in given["prices"]]}


def _category(given: str) -> str:
    if given not in CATEGORIES:
        raise invalid(f"Invalid category: must be one of {' or '.join(CATEGORIES)}", "category")
    return given


def _priority(given: int) -> int:
    if not 0 <= given <= LOWEST_PRIORITY:
        raise invalid(f"The priority must be between 0 and {LOWEST_PRIORITY}.", "priority")
    return given


def _check_expiry(expires_at: int | None, after: int) -> None:
    if expires_at is not None and expires_at <= after:
        raise past_time("expires_at", expires_at)


def _check_room(sandbox: Sandbox, customer_id: str) -> None:
    unused = sum(1 for _ in sandbox.store.walk(KIND, lambda row: row["_balance"] > 0, customer=customer_id))
    if unused >= MAX_UNUSED:
        raise invalid(f"A customer can have at most {MAX_UNUSED} unused credit grants.", "customer")


@route("GET", "/v1/billing/credit_grants/{id}", params=CreditGrantRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return in_path(sandbox, KIND, id)


@route("GET", "/v1/billing/credit_grants", params=CreditGrantListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    return lists.page(sandbox, KIND, params, "/v1/billing/credit_grants", customer=params.get("customer"))


@route("POST", "/v1/billing/credit_grants/{id}", params=CreditGrantUpdateParams)
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    before = _running(sandbox, id)
    after = {**before, "metadata": merged_metadata(before["metadata"], params.get("metadata"))}
    assign(after, params, ("expires_at",))
    if "expires_at" in params:
        _check_expiry(after["expires_at"], sandbox.now(before["customer"]))
    return _changed(sandbox, before, after)


@route("POST", "/v1/billing/credit_grants/{id}/expire", params=CreditGrantExpireParams)
def expire(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    before = _running(sandbox, id)
    after = _changed(sandbox, before, {**before, "expires_at": sandbox.now(before["customer"])})
    _lapse(sandbox, after)
    return in_path(sandbox, KIND, id)


@route("POST", "/v1/billing/credit_grants/{id}/void", params=CreditGrantVoidGrantParams)
def void(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    before = _running(sandbox, id)
    if before["_applied"]:
        raise state_error("This credit grant was applied to an invoice and can't be voided; expire it.")
    after = _changed(sandbox, before, {**before, "voided_at": sandbox.now(before["customer"])})
    credit_transactions.debit(sandbox, after, after["_balance"], credit_transactions.VOIDED)
    return in_path(sandbox, KIND, id)


def _running(sandbox: Sandbox, id: str) -> Document:
    """The grant, if it was neither voided nor has expired."""
    grant = in_path(sandbox, KIND, id)
    if grant["voided_at"] is not None:
        raise state_error("This credit grant has been voided.")
    if has_expired(grant, sandbox.now(grant["customer"])):
        raise state_error("This credit grant has expired.")
    return grant


def _changed(sandbox: Sandbox, before: Document, after: Document) -> Document:
    after["updated"] = sandbox.now(after["customer"])
    sandbox.store.put(KIND, after)
    sandbox.emit("billing.credit_grant.updated", after, before)
    return after


def has_expired(grant: Document, now: int) -> bool:
    """Whether the grant's end has come."""
    return grant["expires_at"] is not None and grant["expires_at"] <= now


@on_tick
def lapse(sandbox: Sandbox, clock_id: str | None, until: int) -> tuple[int, Action] | None:
    """What is left of a grant goes at its end."""

    def ends(grant: Document) -> bool:
        due = has_expired(grant, until) and grant["_balance"] > 0
        return bool(due and grant["test_clock"] == clock_id)

    first = min(sandbox.store.walk(KIND, ends), key=lambda grant: grant["expires_at"], default=None)
    if first is None:
        return None
    id = first["id"]
    return first["expires_at"], lambda: _lapse(sandbox, in_path(sandbox, KIND, id))


def _lapse(sandbox: Sandbox, grant: Document) -> None:
    credit_transactions.debit(sandbox, grant, grant["_balance"], credit_transactions.EXPIRED)
