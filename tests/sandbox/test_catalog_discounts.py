"""Coupons and promotion codes over the SDK."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from portal.sandbox.state import Sandbox
from tests.sandbox.recorded import refusal


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({}, None),
        ({"percent_off": 101}, "percent_off"),
        ({"amount_off": 0, "currency": "usd"}, "amount_off"),
        ({"percent_off": 10, "duration": "repeating"}, "duration_in_months"),
        ({"percent_off": 10, "duration_in_months": 3}, "duration_in_months"),
        ({"percent_off": 10, "redeem_by": 4_000_000_000}, "redeem_by"),
        ({"percent_off": 10, "applies_to": {"products": ["prod_nope"]}}, "applies_to[products][0]"),
    ],
)
def test_a_coupon_that_makes_no_sense_is_refused(
    client: stripe.StripeClient, params: dict[str, Any], param: str | None
) -> None:
    assert refusal(lambda: client.v1.coupons.create(params)).param == param


def test_a_coupon_id_can_be_chosen_once(client: stripe.StripeClient) -> None:
    client.v1.coupons.create({"id": "WELCOME", "percent_off": 10})
    error = refusal(lambda: client.v1.coupons.create({"id": "WELCOME", "percent_off": 10}))

    assert (error.user_message, error.code) == ("Coupon already exists.", "resource_already_exists")


def test_a_deleted_coupon_is_gone(client: stripe.StripeClient) -> None:
    coupon = client.v1.coupons.create({"percent_off": 10, "name": "Ten"})
    client.v1.coupons.update(coupon.id, {"name": "Still ten"})
    client.v1.coupons.delete(coupon.id)
    error = refusal(lambda: client.v1.coupons.retrieve(coupon.id))

    assert (error.http_status, error.param) == (404, "coupon")


def test_a_promotion_code_is_found_whatever_its_case(client: stripe.StripeClient) -> None:
    coupon = client.v1.coupons.create({"percent_off": 10})
    promotion = {"type": "coupon", "coupon": coupon.id}
    code = client.v1.promotion_codes.create({"promotion": promotion, "code": "Welcome-10"})
    found = client.v1.promotion_codes.list(
        {"code": "WELCOME-10", "active": True, "expand": ["data.promotion.coupon"]}
    )

    assert [row.id for row in found.data] == [code.id]
    assert found.data[0].promotion.coupon.percent_off == 10.0
    assert client.v1.promotion_codes.list({"coupon": "other"}).data == []


def test_a_deactivated_code_frees_its_text(client: stripe.StripeClient) -> None:
    coupon = client.v1.coupons.create({"percent_off": 10})
    params = {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "WELCOME"}
    first = client.v1.promotion_codes.create(params)
    client.v1.promotion_codes.update(first.id, {"active": False})
    client.v1.promotion_codes.create(params)
    error = refusal(lambda: client.v1.promotion_codes.update(first.id, {"active": True}))

    assert error.user_message == "An active promotion code with `code: WELCOME` already exists."


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"code": "with spaces"}, "code"),
        ({"expires_at": 1000}, "expires_at"),
        ({"customer": "cus_nope"}, "customer"),
        ({"restrictions": {"minimum_amount": 100}}, "restrictions[minimum_amount_currency]"),
    ],
)
def test_a_promotion_code_that_makes_no_sense_is_refused(
    client: stripe.StripeClient, params: dict[str, Any], param: str
) -> None:
    coupon = client.v1.coupons.create({"percent_off": 10})
    promotion = {"type": "coupon", "coupon": coupon.id}
    error = refusal(lambda: client.v1.promotion_codes.create({"promotion": promotion, **params}))

    assert error.param == param


def test_a_coupon_learns_another_currency(client: stripe.StripeClient) -> None:
    coupon = client.v1.coupons.create({"amount_off": 500, "currency": "usd"})
    client.v1.coupons.update(coupon.id, {"currency_options": {"eur": {"amount_off": 450}}})
    options = client.v1.coupons.retrieve(coupon.id, {"expand": ["currency_options"]}).currency_options

    assert (options.usd.amount_off, options.eur.amount_off) == (500, 450)


def test_a_promotion_code_needs_a_coupon_that_still_works(
    client: stripe.StripeClient, sandbox: Sandbox
) -> None:
    coupon = client.v1.coupons.create({"percent_off": 10, "redeem_by": sandbox.now() + 60})
    promotion = {"type": "coupon", "coupon": coupon.id}
    code = client.v1.promotion_codes.create({"promotion": promotion, "active": False})
    sandbox.advance(61)
    new = refusal(lambda: client.v1.promotion_codes.create({"promotion": promotion}))
    old = refusal(lambda: client.v1.promotion_codes.update(code.id, {"active": True}))
    without = refusal(lambda: client.v1.promotion_codes.create({"promotion": {"type": "coupon"}}))

    assert (new.param, old.param, without.param) == ("promotion[coupon]", "active", "promotion[coupon]")


def test_coupons_are_listed(client: stripe.StripeClient) -> None:
    made = [client.v1.coupons.create({"percent_off": 10}).id for _ in range(2)]

    assert [row.id for row in client.v1.coupons.list().data] == made[::-1]
