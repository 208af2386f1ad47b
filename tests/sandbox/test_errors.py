"""Who may call, what is not there, and what this sandbox does not carry out."""

from __future__ import annotations

import pytest
import stripe
from flask import Flask

from tests.sandbox.recorded import refusal
from tests.transport import stripe_client


def test_a_request_without_a_key_is_refused(app: Flask) -> None:
    answer = app.test_client().get("/v1/customers")

    assert answer.status_code == 401
    assert answer.json["error"]["message"].startswith("You did not provide an API key.")


@pytest.mark.parametrize("key", ["sk_live_0123456789abcdef", "nonsense-of-some-length"])
def test_a_key_of_another_kind_is_refused_and_masked(app: Flask, key: str) -> None:
    error = refusal(lambda: stripe_client(app, api_key=key).v1.customers.list())

    assert isinstance(error, stripe.AuthenticationError)
    assert error.user_message.startswith("Invalid API Key provided: ")
    assert key not in error.user_message


def test_any_test_mode_secret_key_is_accepted(app: Flask) -> None:
    assert stripe_client(app, api_key="sk_test_of_somebody").v1.customers.list().data == []


def test_basic_authorization_is_accepted(app: Flask) -> None:
    assert app.test_client().get("/v1/customers", auth=("sk_test_a", "")).status_code == 200


def test_a_publishable_key_cannot_read_customers(app: Flask) -> None:
    error = refusal(lambda: stripe_client(app, api_key="pk_test_sandbox").v1.customers.list())

    assert (error.http_status, error.json_body["error"]["code"]) == (403, "secret_key_required")


def test_a_browser_may_ask_before_it_calls(app: Flask) -> None:
    answer = app.test_client().options(
        "/v1/payment_intents/pi_1", headers={"Access-Control-Request-Headers": "authorization"}
    )

    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization"


def test_every_answer_names_its_request_and_version(client: stripe.StripeClient) -> None:
    headers = client.v1.customers.list().last_response.headers

    assert headers["Request-Id"].startswith("req_")
    assert headers["Stripe-Version"] == "2026-10-28.endive"


def test_another_real_api_version_is_refused_by_name(client: stripe.StripeClient) -> None:
    error = refusal(lambda: client.v1.customers.list(None, {"stripe_version": "2020-08-27"}))

    assert (
        error.user_message == "This sandbox speaks Stripe API version 2026-10-28.endive only, not 2020-08-27."
    )


def test_an_endpoint_that_is_not_here_is_unrecognized(client: stripe.StripeClient) -> None:
    error = refusal(lambda: client.v1.checkout.sessions.create({"mode": "payment"}))

    assert error.http_status == 404
    assert error.user_message == (
        "Unrecognized request URL (POST: /v1/checkout/sessions). Please see https://stripe.com/docs or we "
        "can help at https://support.stripe.com/."
    )


def test_search_is_refused_by_name(client: stripe.StripeClient) -> None:
    error = refusal(lambda: client.v1.customers.search({"query": "email:'a'"}))

    assert (error.http_status, error.user_message) == (
        400,
        "Search (/v1/customers/search) is not supported by this sandbox. List with filters instead.",
    )


def test_a_valid_parameter_that_is_not_carried_out_is_named(client: stripe.StripeClient) -> None:
    product = client.v1.products.create({"name": "Seat"})
    params = {
        "product": product.id,
        "currency": "usd",
        "unit_amount": 100,
        "transform_quantity": {"divide_by": 5, "round": "up"},
    }
    error = refusal(lambda: client.v1.prices.create(params))

    assert (error.http_status, error.param) == (400, "transform_quantity")
    assert "not supported by this sandbox" in error.user_message
    assert client.v1.prices.list().data == []


def test_expanding_what_is_no_object_is_refused(client: stripe.StripeClient) -> None:
    error = refusal(lambda: client.v1.customers.create({"name": "Ada", "expand": ["name"]}))

    assert error.user_message == "This property cannot be expanded (name)."
    assert client.v1.customers.list().data == []


def test_expansion_goes_four_levels_deep(client: stripe.StripeClient) -> None:
    error = refusal(lambda: client.v1.customers.list({"expand": ["data.a.b.c.d.e"]}))

    assert "more than 4 levels" in error.user_message


def test_a_rate_limit_can_be_ordered(app: Flask, client: stripe.StripeClient) -> None:
    app.extensions["faults"].order(429)
    error = refusal(lambda: client.v1.customers.list())

    assert isinstance(error, stripe.RateLimitError)
    assert client.v1.customers.list().data == []


def test_an_error_inside_the_sandbox_is_a_500_with_nothing_written(
    app: Flask, client: stripe.StripeClient
) -> None:
    app.testing = False
    app.extensions["sandbox"].clock.source = lambda: "broken"
    error = refusal(lambda: client.v1.customers.create({"name": "Ada"}))
    app.extensions["sandbox"].clock.source = lambda: 1_800_000_000

    assert (error.http_status, error.json_body["error"]["type"]) == (500, "api_error")
    assert client.v1.customers.list().data == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/customers/cus_1"),
        ("PATCH", "/v1/customers"),
        ("TRACE", "/v1/customers"),
        ("GET", "/v1"),
        ("POST", "/v1/"),
        ("PUT", "/v2/core/events"),
    ],
)
def test_what_the_api_has_not_is_refused_in_the_envelope(app: Flask, method: str, path: str) -> None:
    answer = app.test_client().open(path, method=method, headers={"Authorization": "Bearer sk_test_x"})
    error = answer.json["error"]

    assert (answer.status_code, answer.content_type) == (404, "application/json")
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith(f"Unrecognized request URL ({method}: {path}). ")
    assert answer.headers["Request-Id"].startswith("req_")


def test_a_parameter_that_is_nested_too_deeply_is_refused_in_the_envelope(app: Flask) -> None:
    answer = app.test_client().post(
        "/v1/customers", data=f"a{'[b]' * 2000}=1", headers={"Authorization": "Bearer sk_test_x"}
    )

    assert (answer.status_code, answer.json["error"]["param"]) == (400, "a")


def test_pages_of_people_keep_their_own_errors(app: Flask) -> None:
    answer = app.test_client().get("/invoice/none")

    assert (answer.status_code, answer.mimetype) == (404, "text/html")
