"""Promotion codes: what a customer types to get a coupon."""

from __future__ import annotations

import re
import string
from typing import Any

from stripe.params import (
    PromotionCodeCreateParams,
    PromotionCodeListParams,
    PromotionCodeRetrieveParams,
    PromotionCodeUpdateParams,
)

from portal.sandbox import lists
from portal.sandbox.clock import Action, on_tick
from portal.sandbox.currencies import checked_currency
from portal.sandbox.dispatch import route
from portal.sandbox.documents import assign, in_body, in_path, merged_metadata
from portal.sandbox.errors import invalid, missing_param, past_time
from portal.sandbox.state import Sandbox, random_text
from portal.sandbox.store import Document

KIND = "promotion_code"
CODE_LENGTH = 8
CODE_FORM = re.compile(r"[A-Za-z0-9-]{1,500}")
SUPPORTED: tuple[str, ...] = (
    "active",
    "code",
    "customer",
    "expires_at",
    "max_redemptions",
    "metadata",
    "promotion",
)
SUPPORTED += ("restrictions.first_time_transaction", "restrictions.minimum_amount")
SUPPORTED += ("restrictions.minimum_amount_currency",)


@route("POST", "/v1/promotion_codes", params=PromotionCodeCreateParams, supports=SUPPORTED)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    coupon_id = params["promotion"].get("coupon")
    if not coupon_id:
        raise missing_param("promotion[coupon]")
    coupon = in_body(sandbox, "coupon", coupon_id, "promotion[coupon]")
    if not coupon["valid"]:
        raise invalid("The coupon of a promotion code must still be valid.", "promotion[coupon]")
    if params.get("customer"):
        in_body(sandbox, "customer", params["customer"], "customer")
    expires_at = params.get("expires_at")
    if expires_at is not None and expires_at <= sandbox.now():
        raise past_time("expires_at", expires_at)
    code = params.get("code") or random_text(CODE_LENGTH, string.ascii_uppercase + string.digits)
    _check_code(sandbox, code, params.get("customer"))
    promotion = _built(sandbox, params, code)
    sandbox.store.put(KIND, promotion)
    sandbox.emit("promotion_code.created", promotion)
    return promotion


def _built(sandbox: Sandbox, params: dict[str, Any], code: str) -> Document:
    return {
        "id": sandbox.new_id("promo"),
        "object": KIND,
        "active": params.get("active", True),
        "code": code,
        "created": sandbox.now(),
        "customer": params.get("customer") or None,
        "customer_account": None,
        "expires_at": params.get("expires_at"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": merged_metadata(None, params.get("metadata")),
        "promotion": {"type": "coupon", "coupon": params["promotion"]["coupon"]},
        "restrictions": _restrictions(params.get("restrictions", {})),
        "times_redeemed": 0,
    }


def _restrictions(given: dict[str, Any]) -> Document:
    amount, currency = given.get("minimum_amount"), given.get("minimum_amount_currency")
    if amount is not None and not currency:
        raise missing_param("restrictions[minimum_amount_currency]")
    return {
        "first_time_transaction": given.get("first_time_transaction", False),
        "minimum_amount": amount,
        "minimum_amount_currency": checked_currency(currency) if currency else None,
    }


def _check_code(sandbox: Sandbox, code: str, customer: str | None) -> None:
    if not CODE_FORM.fullmatch(code):
        raise invalid("A promotion code has letters, digits and dashes only.", "code")
    for held in sandbox.store.walk(KIND, active=True):
        overlaps = held["customer"] is None or customer is None or held["customer"] == customer
        if overlaps and held["code"].lower() == code.lower():
            raise invalid(f"An active promotion code with `code: {code}` already exists.")


@route("GET", "/v1/promotion_codes/{promotion_code}", params=PromotionCodeRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], promotion_code: str) -> Document:
    return in_path(sandbox, KIND, promotion_code, "promotion_code")


@route(
    "POST",
    "/v1/promotion_codes/{promotion_code}",
    params=PromotionCodeUpdateParams,
    supports=("active", "metadata"),
)
def update(sandbox: Sandbox, params: dict[str, Any], promotion_code: str) -> Document:
    before = in_path(sandbox, KIND, promotion_code, "promotion_code")
    if params.get("active") and not before["active"]:
        _check_can_activate(sandbox, before)
    after = {**before, "metadata": merged_metadata(before["metadata"], params.get("metadata"))}
    assign(after, params, ("active",))
    sandbox.store.put(KIND, after)
    sandbox.emit("promotion_code.updated", after, before)
    return after


def _check_can_activate(sandbox: Sandbox, promotion: Document) -> None:
    coupon = sandbox.store.get("coupon", promotion["promotion"]["coupon"])
    spent = promotion["max_redemptions"] and promotion["times_redeemed"] >= promotion["max_redemptions"]
    lapsed = promotion["expires_at"] and promotion["expires_at"] <= sandbox.now()
    if coupon is None or not coupon["valid"] or spent or lapsed:
        raise invalid("This promotion code can no longer be activated.", "active")
    _check_code(sandbox, promotion["code"], promotion["customer"])


@route("GET", "/v1/promotion_codes", params=PromotionCodeListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    code, coupon = params.get("code"), params.get("coupon")

    def wanted(promotion: Document) -> bool:
        right_code = code is None or promotion["code"].lower() == code.lower()
        return right_code and (coupon is None or promotion["promotion"]["coupon"] == coupon)

    equals = {name: params.get(name) for name in ("active", "customer")}
    return lists.page(sandbox, KIND, params, "/v1/promotion_codes", wanted, **equals)


@on_tick
def expire(sandbox: Sandbox, clock_id: str | None, until: int) -> tuple[int, Action] | None:
    """A code stops working at its `expires_at`."""
    if clock_id is not None:
        return None
    active = sandbox.store.walk(KIND, lambda p: (p["expires_at"] or until + 1) <= until, active=True)
    first = min(active, key=lambda promotion: promotion["expires_at"], default=None)
    if first is None:
        return None
    return first["expires_at"], lambda: sandbox.store.put(KIND, {**first, "active": False})
