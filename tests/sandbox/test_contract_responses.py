"""The check of every answer can fail: each kind of difference from the SDK's classes is found."""

from __future__ import annotations

import json
from typing import Any

import pytest
import stripe

from tests.sandbox import response_schema

PATH = "/v1/coupons/WELCOME"


@pytest.fixture
def coupon(client: stripe.StripeClient) -> dict[str, Any]:
    """A right answer, as plain values."""
    made = client.v1.coupons.create({"id": "WELCOME", "percent_off": 10})
    return json.loads(client.v1.coupons.retrieve(made.id).last_response.body)


def violations(value: dict[str, Any], path: str = PATH) -> str:
    with pytest.raises(AssertionError) as caught:
        response_schema.check("GET", path, 200, json.dumps(value))
    return str(caught.value)


def test_a_right_answer_passes(coupon: dict[str, Any]) -> None:
    response_schema.check("GET", PATH, 200, json.dumps(coupon))

    assert (coupon["object"], coupon["id"], coupon["percent_off"]) == ("coupon", "WELCOME", 10.0)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"colour": "blue"}, ".colour: unknown to Coupon"),
        ({"valid": None}, ".valid: null"),
        ({"valid": "yes"}, ".valid: 'yes' is not bool"),
        ({"created": True}, ".created: True is not int"),
        ({"duration": "a while"}, ".duration: 'a while' is none of"),
        ({"object": "cupon"}, ".object: 'cupon' is not coupon"),
        ({"metadata": {"a": 1}}, ".metadata.a: 1 is not str"),
        ({"applies_to": {"products": "prod_1"}}, ".applies_to.products: 'prod_1' is not a list"),
        ({"deleted": True}, "a deleted object has"),
    ],
)
def test_a_wrong_member_is_found(coupon: dict[str, Any], change: dict[str, Any], found: str) -> None:
    assert found in violations({**coupon, **change})


def test_an_absent_member_is_found(coupon: dict[str, Any]) -> None:
    del coupon["times_redeemed"]

    assert ".times_redeemed: required by Coupon, absent" in violations(coupon)


def test_a_list_is_checked_row_by_row(coupon: dict[str, Any]) -> None:
    rows = {
        "object": "list",
        "data": [coupon, {**coupon, "valid": 1}],
        "has_more": False,
        "url": "/v1/coupons",
    }

    assert ".data[1].valid: 1 is not bool" in violations(rows, "/v1/coupons")
    assert "not a list object" in violations({**rows, "more": True}, "/v1/coupons")


def test_the_object_inside_an_event_is_checked(client: stripe.StripeClient, coupon: dict[str, Any]) -> None:
    made = client.v1.events.list({"limit": 1}).data[0]
    event = json.loads(client.v1.events.retrieve(made.id).last_response.body)
    event["data"]["object"]["colour"] = "blue"

    assert "coupon.created.data.object.colour" in violations(event, f"/v1/events/{made.id}")


def test_an_unknown_member_of_an_error_is_found() -> None:
    body = json.dumps({"error": {"type": "api_error", "message": "x", "mood": "bad"}})

    with pytest.raises(AssertionError, match=r"error\.mood"):
        response_schema.check("GET", PATH, 500, body)


def test_an_endpoint_that_the_sdk_has_not_is_found() -> None:
    with pytest.raises(AssertionError, match="The SDK has no GET /v1/widgets"):
        response_schema.check("GET", "/v1/widgets", 200, "{}")
