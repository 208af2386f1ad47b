"""Idempotency keys over the SDK: what is repeated, what is not, and what a restart keeps."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Thread

import pytest
import stripe
from flask import Flask

from portal.sandbox.app import create_sandbox
from tests.sandbox.recorded import refusal
from tests.transport import stripe_client

KEY = {"idempotency_key": "attempt-1:create"}


def customers(client: stripe.StripeClient) -> int:
    return len(client.v1.customers.list().data)


def test_the_same_request_gives_the_first_answer_and_makes_nothing_new(client: stripe.StripeClient) -> None:
    first = client.v1.customers.create({"name": "Ada", "metadata": {"a": "1", "b": "2"}}, KEY)
    client.v1.customers.update(first.id, {"name": "Changed since"})
    second = client.v1.customers.create({"metadata": {"b": "2", "a": "1"}, "name": "Ada"}, KEY)

    assert (second.id, second.name) == (first.id, "Ada")
    assert customers(client) == 1


def test_a_repeated_answer_says_so(client: stripe.StripeClient) -> None:
    first = client.v1.customers.create({"name": "Ada"}, KEY)
    second = client.v1.customers.create({"name": "Ada"}, KEY)
    headers = second.last_response.headers

    assert headers["Idempotent-Replayed"] == "true"
    assert headers["Original-Request"] == first.last_response.headers["Request-Id"]
    assert headers["Request-Id"] != first.last_response.headers["Request-Id"]


def test_other_parameters_under_the_same_key_are_refused(client: stripe.StripeClient) -> None:
    client.v1.customers.create({"name": "Ada"}, KEY)
    error = refusal(lambda: client.v1.customers.create({"name": "Grace"}, KEY))

    assert isinstance(error, stripe.IdempotencyError)
    assert error.http_status == 400
    assert error.user_message == (
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        "Try using a key other than 'attempt-1:create' if you meant to execute a different request."
    )


def test_another_endpoint_under_the_same_key_is_refused(client: stripe.StripeClient) -> None:
    client.v1.customers.create({"name": "Ada"}, KEY)

    assert isinstance(
        refusal(lambda: client.v1.products.create({"name": "Ada"}, KEY)), stripe.IdempotencyError
    )


def test_a_refusal_in_validation_leaves_the_key_free(client: stripe.StripeClient) -> None:
    refusal(lambda: client.v1.customers.create({"nope": "x"}, KEY))

    assert client.v1.customers.create({"name": "Ada"}, KEY).name == "Ada"


def test_a_refusal_by_the_endpoint_is_kept(client: stripe.StripeClient) -> None:
    params = {"product": "prod_later", "currency": "usd", "unit_amount": 100}
    refusal(lambda: client.v1.prices.create(params, KEY))
    client.v1.products.create({"id": "prod_later", "name": "Late"})
    again = refusal(lambda: client.v1.prices.create(params, KEY))

    assert again.user_message == "No such product: 'prod_later'"


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_a_500_leaves_what_its_moment_says(app: Flask, client: stripe.StripeClient, moment: str) -> None:
    app.extensions["faults"].order(500, moment)
    error = refusal(lambda: client.v1.customers.create({"name": "Ada"}, KEY))
    made = customers(client)
    answers = {
        "before": lambda: client.v1.customers.create({"name": "Ada"}, KEY).name,
        "during": lambda: refusal(lambda: client.v1.customers.create({"name": "Ada"}, KEY)).http_status,
        "after": lambda: client.v1.customers.create({"name": "Ada"}, KEY).name,
    }

    assert error.http_status == 500
    assert made == {"before": 0, "during": 0, "after": 1}[moment]
    assert answers[moment]() == {"before": "Ada", "during": 500, "after": "Ada"}[moment]
    assert customers(client) == {"before": 1, "during": 0, "after": 1}[moment]


def test_two_requests_at_once_under_one_key_conflict(app: Flask, client: stripe.StripeClient) -> None:
    app.extensions["faults"].order(latency_ms=400)
    first = Thread(target=lambda: client.v1.customers.create({"name": "Ada"}, KEY))
    first.start()
    time.sleep(0.1)
    error = refusal(lambda: client.v1.customers.create({"name": "Ada"}, KEY))
    first.join()
    app.extensions["faults"].clear()

    assert (error.http_status, error.json_body["error"]["code"]) == (409, "idempotency_key_in_use")
    assert customers(client) == 1


def test_a_declined_payment_is_declined_again_without_another_try(client: stripe.StripeClient) -> None:
    params = {
        "amount": 1000,
        "currency": "usd",
        "confirm": True,
        "payment_method": "pm_card_chargeDeclined",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
    }
    first = refusal(lambda: client.v1.payment_intents.create(params, KEY))
    second = refusal(lambda: client.v1.payment_intents.create(params, KEY))

    assert (first.http_status, second.http_status) == (402, 402)
    assert second.json_body["error"] == first.json_body["error"]
    assert len(client.v1.charges.list().data) == 1


def test_many_threads_with_one_key_make_one_customer(client: stripe.StripeClient) -> None:
    answers: list[object] = []

    def create() -> None:
        try:
            answers.append(client.v1.customers.create({"name": "Ada"}, KEY).id)
        except stripe.StripeError as error:
            answers.append(error.http_status)

    threads = [Thread(target=create) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (only,) = client.v1.customers.list().data

    assert len(answers) == 16
    assert set(answers) <= {only.id, 409}


def test_keys_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    before = create_sandbox(path)
    first = stripe_client(before).v1.customers.create({"name": "Ada"}, KEY)
    before.extensions["sandbox"].store.close()
    after = create_sandbox(path)
    second = stripe_client(after).v1.customers.create({"name": "Ada"}, KEY)
    after.extensions["sandbox"].store.close()

    assert second.id == first.id


def test_a_key_of_256_characters_is_refused(client: stripe.StripeClient) -> None:
    error = refusal(lambda: client.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k" * 256}))

    assert error.http_status == 400
    assert "255 characters" in error.user_message
