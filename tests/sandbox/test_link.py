"""Link: an account by e-mail address, a one-time code, a card for the next purchase."""

from __future__ import annotations

from typing import Any

import pytest
import stripe
from flask import Flask

from tests.sandbox.paying import Browser, card, event_types

EMAIL = "pay@example.com"
SESSION = "5f0c7d2e-session"


class Wallet:
    """Link's own routes, as the frames call them."""

    def __init__(self, app: Flask) -> None:
        self.http = app.test_client()

    def ask(self, action: str, **body: Any) -> tuple[int, dict[str, Any]]:
        answer = self.http.post(f"/elements/link/{action}", data={"session": SESSION, **body})
        return answer.status_code, answer.json or {}


@pytest.fixture
def link(app: Flask) -> Wallet:
    return Wallet(app)


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def secret(client: stripe.StripeClient) -> str:
    return str(client.v1.payment_intents.create({"amount": 1000, "currency": "usd"}).client_secret)


@pytest.fixture
def remembered(browser: Browser, secret: str) -> None:
    """A first purchase by card, with "save my information" ticked."""
    signup = {"link_signup[email]": "Pay@Example.com", "link_signup[phone]": "+1 201 555 0123"}
    browser.confirm(secret, **card("4242424242424242"), **signup)


def test_an_unknown_address_has_no_account(link: Wallet) -> None:
    assert link.ask("lookup", email=EMAIL) == (200, {"exists": False})


def test_saving_ones_information_opens_an_account(link: Wallet, remembered: None) -> None:
    assert link.ask("lookup", email=EMAIL) == (200, {"exists": True})


def test_a_declined_card_is_not_remembered(link: Wallet, browser: Browser, secret: str) -> None:
    browser.confirm(secret, **card("4000000000000002"), **{"link_signup[email]": EMAIL})

    assert link.ask("lookup", email=EMAIL) == (200, {"exists": False})


def test_six_digits_sign_in_and_show_the_card(link: Wallet, remembered: None) -> None:
    status, body = link.ask("verify", email=EMAIL, code="123456")

    assert status == 200
    assert body["account"]["card"] == {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("000001", "consumer_verification_code_invalid"),
        ("000002", "consumer_verification_expired"),
        ("000003", "consumer_verification_max_attempts_exceeded"),
        ("12345", "consumer_verification_code_invalid"),
        ("abcdef", "consumer_verification_code_invalid"),
    ],
)
def test_a_refused_code_says_why_and_signs_nobody_in(
    link: Wallet, remembered: None, code: str, reason: str
) -> None:
    status, body = link.ask("verify", email=EMAIL, code=code)

    assert (status, body["error"]["code"]) == (400, reason)
    assert link.ask("session") == (200, {"account": None})


def test_the_second_purchase_is_paid_with_link(
    client: stripe.StripeClient, link: Wallet, browser: Browser, remembered: None
) -> None:
    link.ask("verify", email=EMAIL, code="123456")
    customer = client.v1.customers.create({"email": EMAIL})
    second = client.v1.payment_intents.create(
        {"amount": 2000, "currency": "usd", "customer": customer.id, "setup_future_usage": "off_session"}
    )
    status, paid = browser.confirm(str(second.client_secret), link=SESSION)
    method = client.v1.payment_methods.retrieve(paid["payment_method"])

    assert (status, paid["status"]) == (200, "succeeded")
    assert (method.type, method.link.email, method.customer) == ("link", EMAIL, customer.id)


def test_a_link_method_is_charged_again_off_session(
    client: stripe.StripeClient, link: Wallet, browser: Browser, remembered: None
) -> None:
    link.ask("verify", email=EMAIL, code="123456")
    customer = client.v1.customers.create({"email": EMAIL})
    setup = client.v1.setup_intents.create({"customer": customer.id})
    _, saved = browser.confirm(str(setup.client_secret), link=SESSION)
    renewal = client.v1.payment_intents.create(
        {
            "amount": 2000,
            "currency": "usd",
            "customer": customer.id,
            "payment_method": saved["payment_method"],
            "confirm": True,
            "off_session": True,
        }
    )

    assert renewal.status == "succeeded"


def test_paying_with_link_needs_a_sign_in(browser: Browser, secret: str) -> None:
    status, body = browser.confirm(secret, link="another-session")

    assert status == 400
    assert body["error"]["message"] == "Sign in to Link before paying with it."


def test_an_account_can_be_opened_from_the_button(link: Wallet) -> None:
    status, body = link.ask("signup", email=EMAIL, phone="2015550123", **card("5555555555554444"))

    assert status == 200
    assert body["account"]["card"]["brand"] == "mastercard"
    assert link.ask("session")[1]["account"]["email"] == EMAIL


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("4242424242424241", "Your card number is incorrect."),
        ("4000000000000002", "Link cannot save this card. Try another one."),
    ],
)
def test_a_card_that_cannot_be_used_opens_no_account(link: Wallet, number: str, message: str) -> None:
    status, body = link.ask("signup", email=EMAIL, phone="2015550123", **card(number))

    assert status >= 400
    assert body["error"]["message"] == message
    assert link.ask("lookup", email=EMAIL) == (200, {"exists": False})


@pytest.mark.parametrize(
    "body",
    ["", "payment_method_data=x", "payment_method_data[type]=card", "session=s&payment_method_data[card]=x"],
)
def test_nonsense_is_refused_and_not_an_error_of_the_sandbox(app: Flask, body: str) -> None:
    form = "application/x-www-form-urlencoded"
    answer = app.test_client().post("/elements/link/signup", data=body, content_type=form)

    assert answer.status_code == 400


def test_the_page_around_the_frames_may_not_ask_link(app: Flask) -> None:
    answer = app.test_client().post(
        "/elements/link/lookup", data={"email": EMAIL}, headers={"Origin": "https://shop.test"}
    )

    assert answer.status_code == 403


def test_a_payment_with_link_tells_what_happened(
    client: stripe.StripeClient, link: Wallet, browser: Browser, remembered: None
) -> None:
    link.ask("verify", email=EMAIL, code="123456")
    second = client.v1.payment_intents.create({"amount": 2000, "currency": "usd"})
    browser.confirm(str(second.client_secret), link=SESSION)

    assert event_types(client)[-3:] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]
