"""The method that is authorised elsewhere: there and back, authorised or refused."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import stripe
from flask import Flask

from tests.sandbox.paying import Browser, card, wallet


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def secret(client: stripe.StripeClient) -> str:
    customer = client.v1.customers.create({"email": "a@example.com"})
    intent = client.v1.payment_intents.create(
        {"amount": 1000, "currency": "usd", "customer": customer.id, "setup_future_usage": "off_session"}
    )
    return str(intent.client_secret)


def test_the_customer_is_sent_to_a_page_of_the_sandbox(app: Flask, browser: Browser, secret: str) -> None:
    _, waiting = browser.confirm(secret, **wallet())
    target = urlsplit(waiting["next_action"]["redirect_to_url"]["url"])
    page = app.test_client().get(f"{target.path}?{target.query}")

    assert waiting["status"] == "requires_action"
    assert page.status_code == 200
    assert "Authorise" in page.text
    assert "10.00 USD" in page.text


def test_authorising_pays_and_returns(browser: Browser, secret: str) -> None:
    browser.confirm(secret, **wallet())
    back = browser.decide("authorize", secret, "pass")
    query = parse_qs(urlsplit(back.headers["Location"]).query)
    _, paid = browser.retrieve(secret)

    assert back.headers["Location"].startswith("https://shop.test/done?order=7&")
    assert query["redirect_status"] == ["succeeded"]
    assert query["payment_intent_client_secret"] == [secret]
    assert paid["status"] == "succeeded"


def test_refusing_returns_unpaid(browser: Browser, secret: str) -> None:
    browser.confirm(secret, **wallet())
    back = browser.decide("authorize", secret, "fail")
    query = parse_qs(urlsplit(back.headers["Location"]).query)
    _, after = browser.retrieve(secret)

    assert query["redirect_status"] == ["failed"]
    assert after["status"] == "requires_payment_method"
    assert after["last_payment_error"]["code"] == "payment_intent_authentication_failure"


def test_deciding_twice_changes_nothing_and_still_returns(browser: Browser, secret: str) -> None:
    browser.confirm(secret, **wallet())
    browser.decide("authorize", secret, "pass")
    again = browser.decide("authorize", secret, "fail")
    _, paid = browser.retrieve(secret)

    assert "redirect_status=succeeded" in again.headers["Location"]
    assert paid["status"] == "succeeded"


def test_a_refused_payment_can_be_made_by_card(browser: Browser, secret: str) -> None:
    browser.confirm(secret, **wallet())
    browser.decide("authorize", secret, "fail")
    _, paid = browser.confirm(secret, **card("4242424242424242"))

    assert paid["status"] == "succeeded"


def test_without_a_return_url_nobody_is_sent_away(browser: Browser, secret: str) -> None:
    status, body = browser.confirm(secret, **{**wallet(), "return_url": None})

    assert status == 400
    assert "you must provide a `return_url`" in body["error"]["message"]


def test_a_wrong_client_secret_shows_no_page(app: Flask, browser: Browser, secret: str) -> None:
    browser.confirm(secret, **wallet())
    id = secret.split("_secret_")[0]

    assert app.test_client().get(f"/redirect/authorize/{id}?client_secret=wrong").status_code == 404


def test_an_authorised_method_is_charged_again_without_its_customer(
    client: stripe.StripeClient, browser: Browser, secret: str
) -> None:
    browser.confirm(secret, **wallet())
    browser.decide("authorize", secret, "pass")
    first = client.v1.payment_intents.retrieve(secret.split("_secret_")[0])
    again = client.v1.payment_intents.create(
        {
            "amount": 2000,
            "currency": "usd",
            "customer": str(first.customer),
            "payment_method": str(first.payment_method),
            "confirm": True,
            "off_session": True,
        }
    )

    assert again.status == "succeeded"


def test_the_way_back_keeps_the_query_that_was_there(browser: Browser, secret: str) -> None:
    browser.confirm(secret, **wallet())
    back = browser.decide("authorize", secret, "pass")

    assert parse_qs(urlsplit(back.headers["Location"]).query)["order"] == ["7"]
