"""Stripe's published test cards, each with what it is published to do."""

from __future__ import annotations

import pytest
import stripe
from flask import Flask

from portal.sandbox.cards import CARDS, passes_checksum
from portal.sandbox.state import Sandbox
from tests.sandbox.paying import Browser, card, event_types, pay
from tests.sandbox.recorded import refusal

DAY = 86_400
DECLINES = [
    ("4000000000000002", "card_declined", "generic_decline", "Your card was declined."),
    ("4000000000009995", "card_declined", "insufficient_funds", "Your card has insufficient funds."),
    ("4000000000009987", "card_declined", "lost_card", "Your card was declined."),
    ("4000000000009979", "card_declined", "stolen_card", "Your card was declined."),
    ("4000000000000069", "expired_card", "expired_card", "Your card has expired."),
    ("4000000000000127", "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."),
    (
        "4000000000000119",
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    ("4100000000000019", "card_declined", "fraudulent", "Your card was declined."),
]
ON_SESSION = [
    "4000002500003155",
    "4000002760003184",
    "4000003800000446",
    "4000008260003178",
    "4000000000003220",
]


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def customer(client: stripe.StripeClient) -> stripe.Customer:
    return client.v1.customers.create({"email": "a@example.com"})


@pytest.fixture
def secret(client: stripe.StripeClient, customer: stripe.Customer) -> str:
    """The client secret of a payment that saves its card for later."""
    intent = client.v1.payment_intents.create(
        {"amount": 1000, "currency": "usd", "customer": customer.id, "setup_future_usage": "off_session"}
    )
    return str(intent.client_secret)


def id_of(secret: str) -> str:
    return secret.split("_secret_")[0]


def test_every_published_number_is_a_card_number() -> None:
    wrong = [known.number for known in CARDS if not passes_checksum(known.number)]

    assert wrong == []


@pytest.mark.parametrize(("number", "code", "decline_code", "message"), DECLINES)
def test_a_declining_card_answers_its_published_reason(
    browser: Browser, secret: str, number: str, code: str, decline_code: str, message: str
) -> None:
    status, body = browser.confirm(secret, **card(number))
    error = body["error"]

    assert (status, error["type"]) == (402, "card_error")
    assert (error["code"], error["decline_code"], error["message"]) == (code, decline_code, message)
    assert error["payment_intent"]["last_payment_error"]["code"] == code


@pytest.mark.parametrize(
    ("number", "year", "code", "param"),
    [
        ("4242424242424241", "2034", "incorrect_number", "number"),
        ("42424242", "2034", "incorrect_number", "number"),
        ("4242424242424242", "2001", "invalid_expiry_year", "exp_year"),
        ("4242424242424242", "2099", "invalid_expiry_year", "exp_year"),
    ],
)
def test_data_that_is_no_card_is_refused_by_field(
    browser: Browser, secret: str, number: str, year: str, code: str, param: str
) -> None:
    status, body = browser.confirm(secret, **card(number, year))

    assert status == 402
    assert (body["error"]["code"], body["error"]["param"]) == (code, param)


def test_a_card_that_is_no_test_card_is_refused_and_not_stored(
    browser: Browser, secret: str, sandbox: Sandbox
) -> None:
    status, body = browser.confirm(secret, **card("4111111111111111"))

    assert status == 402
    assert "used a non test (live) card" in body["error"]["message"]
    assert sandbox.store.find("payment_method") == []


@pytest.mark.parametrize("number", ON_SESSION)
def test_a_card_that_authenticates_waits_for_its_customer(browser: Browser, secret: str, number: str) -> None:
    _, waiting = browser.confirm(secret, **card(number))

    assert waiting["status"] == "requires_action"
    assert waiting["next_action"]["type"] == "use_stripe_sdk"


def test_passing_authentication_charges_the_card(
    client: stripe.StripeClient, browser: Browser, secret: str
) -> None:
    browser.confirm(secret, **card("4000002760003184"))
    browser.decide("challenge", secret, "pass")
    paid = client.v1.payment_intents.retrieve(id_of(secret), {"expand": ["latest_charge"]})

    assert paid.status == "succeeded"
    assert paid.latest_charge.payment_method_details.card.three_d_secure.result == "authenticated"


def test_failing_authentication_charges_nothing(
    client: stripe.StripeClient, browser: Browser, secret: str
) -> None:
    browser.confirm(secret, **card("4000002760003184"))
    browser.decide("challenge", secret, "fail")
    failed = client.v1.payment_intents.retrieve(id_of(secret))

    assert (failed.status, failed.latest_charge) == ("requires_payment_method", None)
    assert failed.last_payment_error.code == "payment_intent_authentication_failure"
    assert failed.last_payment_error.message == (
        "We are unable to authenticate your payment method. "
        "Please choose a different payment method and try again."
    )


def test_a_card_can_be_declined_after_authentication(browser: Browser, secret: str) -> None:
    browser.confirm(secret, **card("4000008260003178"))
    browser.decide("challenge", secret, "pass")
    _, after = browser.retrieve(secret)

    assert after["status"] == "requires_payment_method"
    assert after["last_payment_error"]["decline_code"] == "insufficient_funds"


def saved(client: stripe.StripeClient, browser: Browser, customer: str, number: str) -> str:
    """The id of a card that the customer set up for later, authenticated where it asks for that."""
    setup = client.v1.setup_intents.create({"customer": customer})
    _, after = browser.confirm(str(setup.client_secret), **card(number))
    if after["status"] == "requires_action":
        browser.decide("challenge", str(setup.client_secret), "pass")
    return str(client.v1.setup_intents.retrieve(setup.id).payment_method)


@pytest.mark.parametrize(
    ("number", "result"),
    [
        ("4242424242424242", "succeeded"),
        ("4000002500003155", "succeeded"),
        ("4000003800000446", "succeeded"),
        ("4000002760003184", "authentication_required"),
        ("4000008260003178", "insufficient_funds"),
        ("4000000000000341", "generic_decline"),
    ],
)
def test_a_card_set_up_for_later_is_charged_later_as_published(
    client: stripe.StripeClient, browser: Browser, customer: stripe.Customer, number: str, result: str
) -> None:
    method = saved(client, browser, customer.id, number)
    try:
        outcome = pay(client, method, customer=customer.id, off_session=True).status
    except stripe.CardError as error:
        outcome = error.error.decline_code

    assert outcome == result


def test_a_card_not_set_up_for_later_cannot_be_charged_off_session(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    method = client.v1.payment_methods.attach(
        "pm_card_authenticationRequiredOnSetup", {"customer": customer.id}
    )
    error = refusal(lambda: pay(client, method.id, customer=customer.id, off_session=True))

    assert error.code == "authentication_required"
    assert error.user_message == "Your card was declined. This transaction requires authentication."
    assert error.error.payment_intent.latest_charge is None


def test_a_disputed_card_is_disputed_a_day_later(client: stripe.StripeClient, sandbox: Sandbox) -> None:
    paid = pay(client, "pm_card_createDispute", 5000)
    before = client.v1.disputes.list({"payment_intent": paid.id}).data
    sandbox.advance(seconds=DAY + 1)
    disputes = client.v1.disputes.list({"payment_intent": paid.id}).data

    assert before == []
    assert [(row.amount, row.status, row.reason) for row in disputes] == [
        (5000, "needs_response", "fraudulent")
    ]
    assert client.v1.charges.retrieve(str(paid.latest_charge)).disputed is True
    assert event_types(client)[-3:] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.updated",
    ]


def test_a_refund_to_some_cards_comes_back_a_day_later(client: stripe.StripeClient, sandbox: Sandbox) -> None:
    paid = pay(client, "pm_card_refundFail", 5000)
    refund = client.v1.refunds.create({"payment_intent": paid.id})
    sandbox.advance(seconds=DAY + 1)
    after = client.v1.refunds.retrieve(refund.id)

    assert refund.status == "succeeded"
    assert (after.status, after.failure_reason) == ("failed", "expired_or_canceled_card")
    assert client.v1.charges.retrieve(str(paid.latest_charge)).amount_refunded == 0


@pytest.mark.parametrize(
    ("token", "brand", "funding"),
    [
        ("pm_card_visa", "visa", "credit"),
        ("pm_card_visa_debit", "visa", "debit"),
        ("pm_card_mastercard", "mastercard", "credit"),
        ("pm_card_mastercard_prepaid", "mastercard", "prepaid"),
        ("pm_card_amex", "amex", "credit"),
        ("pm_card_discover", "discover", "credit"),
        ("pm_card_diners", "diners", "credit"),
        ("pm_card_jcb", "jcb", "credit"),
        ("pm_card_unionpay", "unionpay", "credit"),
    ],
)
def test_a_token_stands_for_its_card(
    client: stripe.StripeClient, customer: stripe.Customer, token: str, brand: str, funding: str
) -> None:
    method = client.v1.payment_methods.attach(token, {"customer": customer.id})

    assert (method.card.brand, method.card.funding) == (brand, funding)


def test_a_declining_card_is_refused_already_when_attached(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    error = refusal(
        lambda: client.v1.payment_methods.attach("pm_card_visa_chargeDeclined", {"customer": customer.id})
    )

    assert (error.http_status, error.code) == (402, "card_declined")
    assert error.json_body["error"]["param"] == ""
    assert client.v1.customers.payment_methods.list(customer.id).data == []
