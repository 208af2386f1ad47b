"""Discounts as documents: which coupon a customer brings, whether it may be used, how long it lasts."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from portal.sandbox import periods
from portal.sandbox.discounts import Reduction
from portal.sandbox.errors import StripeError, invalid, missing
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "discount"
Given = list[Document] | str | None


def coupons_of(sandbox: Sandbox, given: Given, param: str, customer: Document) -> list[Document]:
    """The coupons behind a `discounts` parameter as `{coupon, promotion_code, discount}`, checked for use.

    An existing discount is carried over as it is. Raises Stripe's 400 for one that is unknown or used up.
    """
    rows = given if isinstance(given, list) else []
    return [_coupon_of(sandbox, row, f"{param}[{index}]", customer) for index, row in enumerate(rows)]


def _coupon_of(sandbox: Sandbox, row: Document, param: str, customer: Document) -> Document:
    named = [name for name in ("coupon", "promotion_code", "discount") if row.get(name)]
    if len(named) != 1:
        raise invalid("You must pass exactly one of coupon, promotion_code or discount.", param)
    name, id = named[0], row[named[0]]
    if name == "discount":
        discount = sandbox.store.get(KIND, id)
        if discount is None or discount["customer"] != customer["id"]:
            raise missing("discount", id, f"{param}[discount]", status=400)
        return {"coupon": None, "promotion_code": None, "discount": discount}
    if name == "coupon":
        return {
            "coupon": _usable_coupon(sandbox, id, f"{param}[coupon]"),
            "promotion_code": None,
            "discount": None,
        }
    code = sandbox.store.get("promotion_code", id)
    if code is None:
        raise missing("promotion code", id, f"{param}[promotion_code]", status=400)
    _check_code(sandbox, code, customer, f"{param}[promotion_code]")
    coupon = _usable_coupon(sandbox, code["promotion"]["coupon"], f"{param}[promotion_code]")
    return {"coupon": coupon, "promotion_code": code, "discount": None}


def _usable_coupon(sandbox: Sandbox, id: str, param: str) -> Document:
    coupon = sandbox.store.get("coupon", id)
    if coupon is None:
        raise missing("coupon", id, param, status=400)
    over = coupon.get("redeem_by") is not None and coupon["redeem_by"] <= sandbox.now()
    if not coupon["valid"] or over or _used_up(coupon):
        raise StripeError(
            400, "invalid_request_error", f"Coupon expired: {id}", code="coupon_expired", param=param
        )
    return coupon


def _used_up(row: Document) -> bool:
    return row.get("max_redemptions") is not None and row["times_redeemed"] >= row["max_redemptions"]


def _check_code(sandbox: Sandbox, code: Document, customer: Document, param: str) -> None:
    expired = code.get("expires_at") is not None and code["expires_at"] <= sandbox.now(customer)
    if not code["active"] or expired or _used_up(code):
        raise invalid("This promotion code is no longer active.", param)
    if code.get("customer") and code["customer"] != customer["id"]:
        raise invalid("This promotion code cannot be redeemed by the current customer.", param)
    if code["restrictions"]["first_time_transaction"] and has_paid(sandbox, customer):
        raise invalid(
            "This promotion code cannot be redeemed because the associated customer has prior transactions.",
            param,
        )


def has_paid(sandbox: Sandbox, customer: Document) -> bool:
    """Whether the customer has ever paid an invoice."""
    paid = sandbox.store.walk("invoice", lambda row: row["amount_paid"] > 0, customer=customer["id"])
    return next(paid, None) is not None


def check_minimums(coupons: Iterable[Document], subtotal: int, currency: str) -> None:
    """Refuse a promotion code whose minimum the order (minor units before discounts) does not reach."""
    for row in coupons:
        limits = (row["promotion_code"] or {}).get("restrictions") or {}
        least = limits.get("minimum_amount")
        if least is not None and (subtotal < least or limits["minimum_amount_currency"] != currency):
            raise invalid(
                "This promotion code cannot be redeemed because the minimum amount is not met.", "discounts"
            )


def attach(
    sandbox: Sandbox, coupons: Iterable[Document], customer: Document, currency: str, **to: str
) -> list[str]:
    """Store a discount for each coupon; `to` names what it is on (`subscription`, `invoice` …). The ids."""
    return [_attach(sandbox, row, customer, currency, to) for row in coupons]


def _attach(sandbox: Sandbox, row: Document, customer: Document, currency: str, to: dict[str, str]) -> str:
    if row["discount"]:
        return row["discount"]["id"]
    coupon, code = row["coupon"], row["promotion_code"]
    start = sandbox.now(customer)
    discount = {
        "id": sandbox.new_id("di"),
        "object": KIND,
        "checkout_session": None,
        "customer": customer["id"],
        "customer_account": None,
        "end": _end(coupon, start),
        "invoice": None,
        "invoice_item": None,
        "promotion_code": code["id"] if code else None,
        "source": {"coupon": coupon["id"], "type": "coupon"},
        "start": start,
        "subscription": None,
        "subscription_item": None,
        **to,
        "_terms": _terms(coupon, currency),
        "_used": False,
    }
    sandbox.store.put(KIND, discount)
    _count(sandbox, "coupon", coupon["id"])
    if code:
        _count(sandbox, "promotion_code", code["id"])
    sandbox.emit("customer.discount.created", discount)
    return discount["id"]


def _end(coupon: Document, start: int) -> int | None:
    if coupon["duration"] != "repeating":
        return None
    return periods.after(start, "month", coupon["duration_in_months"])


def _terms(coupon: Document, currency: str) -> Document:
    """What the discount takes off, kept with it so that it outlives the coupon."""
    amount = coupon.get("amount_off")
    if amount is not None and coupon["currency"] != currency:
        options = coupon.get("_currency_options") or {}
        if currency not in options:
            raise invalid(
                f"The coupon {coupon['id']} cannot be applied to a subscription in {currency}.", "discounts"
            )
        amount = options[currency]["amount_off"]
    percent = coupon.get("percent_off")
    return {
        "percent_off": None if percent is None else str(percent),
        "amount_off": amount,
        "products": (coupon.get("_applies_to") or {}).get("products"),
        "once": coupon["duration"] == "once",
    }


def _count(sandbox: Sandbox, kind: str, id: str) -> None:
    row = sandbox.store.get(kind, id)
    if row is None:
        return
    row["times_redeemed"] += 1
    if _used_up(row):
        row["valid" if kind == "coupon" else "active"] = False
    sandbox.store.put(kind, row)


def reduction(sandbox: Sandbox, id: str) -> Reduction:
    """What the stored discount takes off a line."""
    terms = (sandbox.store.get(KIND, id) or {})["_terms"]
    return Reduction(
        discount=id,
        percent_off=None if terms["percent_off"] is None else Fraction(terms["percent_off"]),
        amount_off=terms["amount_off"],
        products=None if terms["products"] is None else frozenset(terms["products"]),
    )


def lasting(sandbox: Sandbox, ids: Iterable[str], at: int) -> list[str]:
    """Those of the discounts that still apply to an invoice made at that second."""
    rows = [sandbox.store.get(KIND, id) for id in ids]
    return [
        row["id"]
        for row in rows
        if row and not (row["_terms"]["once"] and row["_used"]) and (row["end"] is None or row["end"] > at)
    ]


def mark_used(sandbox: Sandbox, amounts: Iterable[Document]) -> None:
    """Remember that these discounts took something off a final invoice; those for one invoice end with it."""
    for row in amounts:
        discount = sandbox.store.get(KIND, row["discount"])
        if discount and row["amount"] > 0 and not discount["_used"]:
            sandbox.store.put(KIND, {**discount, "_used": True})
