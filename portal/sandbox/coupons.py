"""Coupons: a percentage or an amount off, for some products or all."""

from __future__ import annotations

import string
from typing import Any

from stripe.params import (
    CouponCreateParams,
    CouponDeleteParams,
    CouponListParams,
    CouponRetrieveParams,
    CouponUpdateParams,
)

from portal.sandbox import lists
from portal.sandbox.clock import Action, on_tick
from portal.sandbox.currencies import checked_currency
from portal.sandbox.dispatch import route
from portal.sandbox.documents import assign, in_body, in_path, merged_metadata
from portal.sandbox.errors import invalid, missing_param, past_time
from portal.sandbox.state import Sandbox, random_text
from portal.sandbox.store import Document

ID_LENGTH = 8
MAX_PERCENT = 100
MAX_REDEEM_BY = 5 * 366 * 86_400


@route("POST", "/v1/coupons", params=CouponCreateParams)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    _check_reduction(params)
    _check_duration(params)
    _check_redeem_by(sandbox, params.get("redeem_by"))
    for index, product in enumerate(params.get("applies_to", {}).get("products", [])):
        in_body(sandbox, "product", product, f"applies_to[products][{index}]")
    coupon = _built(sandbox, params)
    if sandbox.store.get("coupon", coupon["id"]):
        raise invalid("Coupon already exists.", code="resource_already_exists")
    sandbox.store.put("coupon", coupon)
    sandbox.emit("coupon.created", coupon)
    return coupon


def _built(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    currency = checked_currency(params["currency"]) if params.get("currency") else None
    coupon: Document = {
        "id": params.get("id") or random_text(ID_LENGTH, string.ascii_letters + string.digits),
        "object": "coupon",
        "amount_off": params.get("amount_off"),
        "created": sandbox.now(),
        "currency": currency,
        "duration": params.get("duration", "once"),
        "duration_in_months": params.get("duration_in_months"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": merged_metadata(None, params.get("metadata")),
        "name": params.get("name"),
        "percent_off": params.get("percent_off"),
        "redeem_by": params.get("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
        "_applies_to": {"products": params["applies_to"]["products"]} if params.get("applies_to") else None,
        "_currency_options": None,
    }
    if currency:
        own = {currency: {"amount_off": coupon["amount_off"]}}
        coupon["_currency_options"] = {**own, **params.get("currency_options", {})}
    return coupon


def _check_reduction(params: dict[str, Any]) -> None:
    percent, amount = params.get("percent_off"), params.get("amount_off")
    if percent is not None and amount is not None:
        raise invalid("Received both percent_off and amount_off parameters. Please pass in only one.")
    if percent is None and amount is None:
        raise invalid("Must provide percent_off or amount_off.")
    if amount is not None and not params.get("currency"):
        raise invalid("You must pass currency when passing amount_off", "currency")
    if amount is not None and amount < 1:
        raise invalid(
            f"This value must be greater than or equal to 1 (it currently is '{amount}').", "amount_off"
        )
    if percent is not None and percent < 0.01:
        raise invalid(
            f"This value must be greater than or equal to 0.01 (it currently is '{percent}').", "percent_off"
        )
    if percent is not None and percent > MAX_PERCENT:
        raise invalid(
            f"This value must be less than or equal to 100 (it currently is '{percent}').", "percent_off"
        )


def _check_duration(params: dict[str, Any]) -> None:
    repeating = params.get("duration") == "repeating"
    if repeating and not params.get("duration_in_months"):
        raise missing_param("duration_in_months")
    if not repeating and "duration_in_months" in params:
        raise invalid("`duration_in_months` needs `duration` to be `repeating`.", "duration_in_months")


def _check_redeem_by(sandbox: Sandbox, redeem_by: int | None) -> None:
    if redeem_by is None:
        return
    if redeem_by <= sandbox.now():
        raise past_time("redeem_by", redeem_by)
    if redeem_by > sandbox.now() + MAX_REDEEM_BY:
        raise invalid("`redeem_by` can lie at most five years ahead.", "redeem_by")


@route("GET", "/v1/coupons/{coupon}", params=CouponRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], coupon: str) -> Document:
    return in_path(sandbox, "coupon", coupon, "coupon")


@route("POST", "/v1/coupons/{coupon}", params=CouponUpdateParams)
def update(sandbox: Sandbox, params: dict[str, Any], coupon: str) -> Document:
    before = in_path(sandbox, "coupon", coupon, "coupon")
    after = {**before, "metadata": merged_metadata(before["metadata"], params.get("metadata"))}
    assign(after, params, ("name",))
    if "currency_options" in params:
        after["_currency_options"] = {**(before["_currency_options"] or {}), **params["currency_options"]}
    sandbox.store.put("coupon", after)
    sandbox.emit("coupon.updated", after, before)
    return after


@route("DELETE", "/v1/coupons/{coupon}", params=CouponDeleteParams)
def delete(sandbox: Sandbox, params: dict[str, Any], coupon: str) -> Document:
    known = in_path(sandbox, "coupon", coupon, "coupon")
    sandbox.store.delete("coupon", coupon)
    sandbox.emit("coupon.deleted", {**known, "valid": False})
    return {"id": coupon, "object": "coupon", "deleted": True}


@route("GET", "/v1/coupons", params=CouponListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    return lists.page(sandbox, "coupon", params, "/v1/coupons")


@on_tick
def lapse(sandbox: Sandbox, clock_id: str | None, until: int) -> tuple[int, Action] | None:
    """A coupon is no longer valid after its `redeem_by`."""
    if clock_id is not None:
        return None
    valid = sandbox.store.walk("coupon", lambda c: (c["redeem_by"] or until + 1) <= until, valid=True)
    first = min(valid, key=lambda coupon: coupon["redeem_by"], default=None)
    if first is None:
        return None
    return first["redeem_by"], lambda: sandbox.store.put("coupon", {**first, "valid": False})
