"""Setup intents: a method saved without a payment."""

from __future__ import annotations

import pytest
import stripe
from flask import Flask

from tests.sandbox.paying import RETURN_URL, Browser, account, card, event_types, wallet
from tests.sandbox.recorded import refusal


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def customer(client: stripe.StripeClient) -> stripe.Customer:
    return client.v1.customers.create({"email": "a@example.com"})


@pytest.fixture
def setup(client: stripe.StripeClient, customer: stripe.Customer) -> stripe.SetupIntent:
    return client.v1.setup_intents.create({"customer": customer.id})


def test_a_saved_card_belongs_to_the_customer(
    client: stripe.StripeClient, browser: Browser, customer: stripe.Customer, setup: stripe.SetupIntent
) -> None:
    status, done = browser.confirm(str(setup.client_secret), **card("4242424242424242"))
    method = client.v1.payment_methods.retrieve(done["payment_method"])

    assert (status, done["status"]) == (200, "succeeded")
    assert method.customer == customer.id


def test_saving_tells_what_happened_in_order(
    client: stripe.StripeClient, browser: Browser, setup: stripe.SetupIntent
) -> None:
    browser.confirm(str(setup.client_secret), **card("4242424242424242"))

    assert event_types(client)[1:] == [
        "setup_intent.created",
        "payment_method.attached",
        "setup_intent.succeeded",
    ]


def test_a_declined_card_is_not_saved(
    client: stripe.StripeClient, browser: Browser, customer: stripe.Customer, setup: stripe.SetupIntent
) -> None:
    status, body = browser.confirm(str(setup.client_secret), **card("4000000000000002"))
    after = client.v1.setup_intents.retrieve(setup.id)

    assert (status, body["error"]["message"]) == (402, "Your card was declined.")
    assert (after.status, after.payment_method) == ("requires_payment_method", None)
    assert after.last_setup_error.code == "card_declined"
    assert client.v1.customers.payment_methods.list(customer.id).data == []


def test_a_card_that_fails_only_later_is_saved(browser: Browser, setup: stripe.SetupIntent) -> None:
    _, done = browser.confirm(str(setup.client_secret), **card("4000000000000341"))

    assert done["status"] == "succeeded"


def test_a_card_that_authenticates_is_saved_afterwards(browser: Browser, setup: stripe.SetupIntent) -> None:
    secret = str(setup.client_secret)
    _, waiting = browser.confirm(secret, **card("4000002500003155"))
    browser.decide("challenge", secret, "pass")
    _, done = browser.retrieve(secret)

    assert (waiting["status"], done["status"]) == ("requires_action", "succeeded")


def test_a_card_whose_authentication_fails_is_not_saved(browser: Browser, setup: stripe.SetupIntent) -> None:
    secret = str(setup.client_secret)
    browser.confirm(secret, **card("4000002500003155"))
    browser.decide("challenge", secret, "fail")
    _, after = browser.retrieve(secret)

    assert after["status"] == "requires_payment_method"
    assert after["last_setup_error"]["code"] == "setup_intent_authentication_failure"


def test_a_bank_account_is_saved_with_a_mandate(
    client: stripe.StripeClient, browser: Browser, setup: stripe.SetupIntent
) -> None:
    browser.confirm(str(setup.client_secret), **account("000123456789"))
    done = client.v1.setup_intents.retrieve(setup.id, {"expand": ["mandate"]})

    assert done.status == "succeeded"
    assert (done.mandate.status, done.mandate.payment_method) == ("active", done.payment_method)


def test_a_redirect_method_is_saved_after_the_way_there_and_back(
    browser: Browser, setup: stripe.SetupIntent
) -> None:
    secret = str(setup.client_secret)
    _, waiting = browser.confirm(secret, **wallet())
    back = browser.decide("authorize", secret, "pass")
    _, done = browser.retrieve(secret)

    assert waiting["next_action"]["redirect_to_url"]["return_url"] == RETURN_URL
    assert back.status_code == 303
    assert f"setup_intent={setup.id}" in back.headers["Location"]
    assert done["status"] == "succeeded"


def test_attempts_are_kept_newest_first(
    client: stripe.StripeClient, browser: Browser, setup: stripe.SetupIntent
) -> None:
    browser.confirm(str(setup.client_secret), **card("4000000000000002"))
    browser.confirm(str(setup.client_secret), **card("4242424242424242"))
    attempts = client.v1.setup_attempts.list({"setup_intent": setup.id})

    assert [attempt.status for attempt in attempts.data] == ["succeeded", "failed"]


def test_a_cancelled_setup_cannot_be_confirmed(
    client: stripe.StripeClient, browser: Browser, setup: stripe.SetupIntent
) -> None:
    client.v1.setup_intents.cancel(setup.id, {"cancellation_reason": "abandoned"})
    status, body = browser.confirm(str(setup.client_secret), **card("4242424242424242"))

    assert status == 400
    assert body["error"]["code"] == "setup_intent_unexpected_state"


def test_a_finished_setup_keeps_its_customer(
    client: stripe.StripeClient, browser: Browser, setup: stripe.SetupIntent
) -> None:
    browser.confirm(str(setup.client_secret), **card("4242424242424242"))
    error = refusal(lambda: client.v1.setup_intents.update(setup.id, {"payment_method": "pm_card_visa"}))

    assert error.code == "setup_intent_unexpected_state"
