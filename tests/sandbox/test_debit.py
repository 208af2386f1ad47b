"""Bank debits: accepted at once, settled or sent back days later."""

from __future__ import annotations

import pytest
import stripe
from flask import Flask

from portal.sandbox.state import Sandbox
from tests.sandbox.paying import Browser, account, event_types, pay

DAY = 86_400


@pytest.fixture
def secret(client: stripe.StripeClient) -> str:
    return str(client.v1.payment_intents.create({"amount": 10_000, "currency": "usd"}).client_secret)


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


def test_a_debit_is_under_way_until_the_fourth_day(sandbox: Sandbox, browser: Browser, secret: str) -> None:
    _, accepted = browser.confirm(secret, **account("000123456789"))
    sandbox.advance(seconds=4 * DAY - 60)
    _, before = browser.retrieve(secret)
    sandbox.advance(seconds=120)
    _, after = browser.retrieve(secret)

    assert [accepted["status"], before["status"], after["status"]] == [
        "processing",
        "processing",
        "succeeded",
    ]


def test_a_settled_debit_is_on_the_balance_less_its_fee(
    client: stripe.StripeClient, sandbox: Sandbox, browser: Browser, secret: str
) -> None:
    browser.confirm(secret, **account("000123456789"))
    sandbox.advance(seconds=5 * DAY)
    intent = client.v1.payment_intents.retrieve(secret.split("_secret_")[0])
    charge = client.v1.charges.retrieve(str(intent.latest_charge), {"expand": ["balance_transaction"]})

    assert charge.payment_method_details.us_bank_account.last4 == "6789"
    assert (charge.balance_transaction.fee, charge.balance_transaction.net) == (80, 9920)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("000222222227", "insufficient_funds"),
        ("000111111113", "account_closed"),
        ("000111111116", "no_account"),
        ("000333333335", "debit_not_authorized"),
    ],
)
def test_a_debit_comes_back_with_the_accounts_reason(
    client: stripe.StripeClient, sandbox: Sandbox, browser: Browser, secret: str, number: str, code: str
) -> None:
    _, accepted = browser.confirm(secret, **account(number))
    sandbox.advance(seconds=5 * DAY)
    intent = client.v1.payment_intents.retrieve(secret.split("_secret_")[0], {"expand": ["latest_charge"]})

    assert accepted["status"] == "processing"
    assert (intent.status, intent.last_payment_error.code) == ("requires_payment_method", code)
    assert (intent.latest_charge.status, intent.latest_charge.failure_code) == ("failed", code)


def test_a_debit_tells_what_happened_in_order(
    client: stripe.StripeClient, sandbox: Sandbox, browser: Browser, secret: str
) -> None:
    browser.confirm(secret, **account("000123456789"))
    sandbox.advance(seconds=5 * DAY)

    assert event_types(client) == [
        "payment_intent.created",
        "charge.pending",
        "payment_intent.processing",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


def test_a_debit_can_be_ended_without_waiting(app: Flask, browser: Browser, secret: str) -> None:
    browser.confirm(secret, **account("000123456789"))
    answer = app.test_client().post("/_sandbox/debits", json={"payment_intent": secret.split("_secret_")[0]})
    _, after = browser.retrieve(secret)

    assert answer.json["settled"] == [{"payment_intent": secret.split("_secret_")[0], "status": "succeeded"}]
    assert after["status"] == "succeeded"


def test_ending_a_debit_that_there_is_not_says_so(app: Flask) -> None:
    answer = app.test_client().post("/_sandbox/debits", json={"payment_intent": "pi_nope"})

    assert answer.status_code == 400
    assert "pi_nope" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (account("000123456789", "110000001"), "routing_number_invalid"),
        (account("999999999999"), "account_number_invalid"),
    ],
)
def test_an_account_that_cannot_be_is_refused(
    browser: Browser, secret: str, fields: dict[str, str], code: str
) -> None:
    status, body = browser.confirm(secret, **fields)

    assert (status, body["error"]["code"]) == (400, code)


def test_a_customers_test_clock_settles_its_own_debits(client: stripe.StripeClient, sandbox: Sandbox) -> None:
    now = sandbox.now()
    clock = client.v1.test_helpers.test_clocks.create({"frozen_time": now})
    customer = client.v1.customers.create({"test_clock": clock.id})
    debit = pay(client, "pm_usBankAccount_success", customer=customer.id)
    sandbox.advance(seconds=5 * DAY)
    unmoved = client.v1.payment_intents.retrieve(debit.id).status
    client.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": now + 5 * DAY})

    assert unmoved == "processing"
    assert client.v1.payment_intents.retrieve(debit.id).status == "succeeded"


def test_the_control_page_says_how_many_debits_are_under_way(
    app: Flask, browser: Browser, secret: str
) -> None:
    browser.confirm(secret, **account("000123456789"))
    before = app.test_client().get("/_sandbox/").text
    app.test_client().post("/_sandbox/debits", data={"back": "/_sandbox/"})
    after = app.test_client().get("/_sandbox/").text

    assert "1 bank debit under way." in before
    assert "0 bank debits under way." in after
