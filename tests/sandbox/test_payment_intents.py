"""Payment intents: taken, refused, captured, cancelled; and what a browser may see of them."""

from __future__ import annotations

from typing import Any

import pytest
import stripe
from flask import Flask

from tests.sandbox.paying import RETURN_URL, STAY, Browser, card, event_types, pay, wallet
from tests.sandbox.recorded import refusal


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def intent(client: stripe.StripeClient) -> stripe.PaymentIntent:
    return client.v1.payment_intents.create({"amount": 2500, "currency": "usd"})


def test_a_good_card_is_charged_at_once(client: stripe.StripeClient) -> None:
    paid = pay(client, "pm_card_visa", 2500)
    charge = client.v1.charges.retrieve(str(paid.latest_charge), {"expand": ["balance_transaction"]})

    assert (paid.status, paid.amount_received) == ("succeeded", 2500)
    assert (charge.status, charge.captured, charge.amount_captured) == ("succeeded", True, 2500)
    assert (charge.balance_transaction.fee, charge.balance_transaction.net) == (103, 2397)
    assert charge.payment_method_details.card.last4 == "4242"


def test_a_payment_tells_what_happened_in_order(client: stripe.StripeClient) -> None:
    pay(client, "pm_card_visa")

    assert event_types(client) == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


def test_a_refused_payment_tells_what_happened_in_order(client: stripe.StripeClient) -> None:
    refusal(lambda: pay(client, "pm_card_visa_chargeDeclined"))

    assert event_types(client) == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]


def test_a_refused_intent_can_be_paid_with_another_card(client: stripe.StripeClient) -> None:
    error = refusal(lambda: pay(client, "pm_card_visa_chargeDeclined"))
    paid = client.v1.payment_intents.confirm(
        error.error.payment_intent.id, {"payment_method": "pm_card_visa"}
    )

    assert paid.status == "succeeded"
    assert paid.last_payment_error is None


def test_an_intent_that_may_redirect_needs_a_return_url(client: stripe.StripeClient) -> None:
    error = refusal(lambda: pay(client, "pm_card_visa", automatic_payment_methods={"enabled": True}))

    assert error.json_body["error"]["param"] == "return_url"
    assert "you must provide a `return_url`" in error.user_message


def test_an_amount_below_the_minimum_is_refused(client: stripe.StripeClient) -> None:
    error = refusal(lambda: client.v1.payment_intents.create({"amount": 49, "currency": "usd"}))

    assert error.code == "amount_too_small"


def test_a_payment_method_type_list_is_refused_as_unknown(client: stripe.StripeClient) -> None:
    params = {"amount": 100, "currency": "usd", "payment_method_types": ["card"]}
    error = refusal(lambda: client.v1.payment_intents.create(params))

    assert error.user_message == "Received unknown parameter: payment_method_types"


def test_a_card_saved_off_session_belongs_to_the_customer_afterwards(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"email": "a@example.com"})
    paid = pay(client, "pm_card_visa", customer=customer.id, setup_future_usage="off_session")
    listed = client.v1.customers.payment_methods.list(customer.id)

    assert [method.id for method in listed.data] == [paid.payment_method]
    assert listed.data[0].card.checks.cvc_check == "pass"


def test_a_card_that_is_not_saved_cannot_be_used_for_another_customer(client: stripe.StripeClient) -> None:
    one = client.v1.customers.create({})
    other = client.v1.customers.create({})
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": one.id})
    error = refusal(lambda: pay(client, method.id, customer=other.id))

    assert error.user_message == (
        "The customer associated with this PaymentIntent does not own the PaymentMethod that was provided."
    )


def test_an_unknown_payment_method_is_named(client: stripe.StripeClient) -> None:
    error = refusal(lambda: pay(client, "pm_nope"))

    assert (error.http_status, error.code) == (400, "resource_missing")
    assert error.user_message == "No such PaymentMethod: 'pm_nope'"


def test_a_confirmed_intent_cannot_be_confirmed_again(client: stripe.StripeClient) -> None:
    paid = pay(client, "pm_card_visa")
    error = refusal(lambda: client.v1.payment_intents.confirm(paid.id))

    assert error.code == "payment_intent_unexpected_state"
    assert "already succeeded" in error.user_message
    assert error.error.payment_intent.id == paid.id


def test_capturing_what_was_not_reserved_is_refused(client: stripe.StripeClient) -> None:
    paid = pay(client, "pm_card_visa")
    error = refusal(lambda: client.v1.payment_intents.capture(paid.id))

    assert error.code == "payment_intent_unexpected_state"


def test_capturing_more_than_was_reserved_is_refused(client: stripe.StripeClient) -> None:
    reserved = pay(client, "pm_card_visa", capture_method="manual")
    error = refusal(lambda: client.v1.payment_intents.capture(reserved.id, {"amount_to_capture": 1001}))

    assert error.json_body["error"]["param"] == "amount_to_capture"


def test_a_cancelled_intent_keeps_its_reason(
    client: stripe.StripeClient, intent: stripe.PaymentIntent
) -> None:
    cancelled = client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})

    assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "abandoned")
    assert cancelled.canceled_at is not None


def test_an_open_intent_can_be_changed(client: stripe.StripeClient, intent: stripe.PaymentIntent) -> None:
    changed = client.v1.payment_intents.update(intent.id, {"amount": 3000, "metadata": {"order": "7"}})

    assert (changed.amount, changed.metadata["order"]) == (3000, "7")


def test_a_paid_intent_keeps_its_amount(client: stripe.StripeClient) -> None:
    paid = pay(client, "pm_card_visa")
    error = refusal(lambda: client.v1.payment_intents.update(paid.id, {"amount": 3000}))

    assert error.code == "payment_intent_unexpected_state"


def test_intents_are_listed_by_customer(client: stripe.StripeClient, intent: stripe.PaymentIntent) -> None:
    customer = client.v1.customers.create({})
    mine = client.v1.payment_intents.create({"amount": 100, "currency": "usd", "customer": customer.id})
    listed = client.v1.payment_intents.list({"customer": customer.id})

    assert [row.id for row in listed.data] == [mine.id]


def test_a_browser_sees_no_customer_and_no_metadata(browser: Browser, intent: stripe.PaymentIntent) -> None:
    status, seen = browser.retrieve(str(intent.client_secret))

    assert status == 200
    assert (seen["amount"], seen["status"]) == (2500, "requires_payment_method")
    assert {"customer", "metadata", "latest_charge"} & seen.keys() == set()


def test_a_wrong_client_secret_is_as_good_as_no_intent(
    browser: Browser, intent: stripe.PaymentIntent
) -> None:
    status, body = browser.retrieve(f"{intent.id}_secret_wrong")

    assert status == 404
    assert body["error"]["message"] == f"No such payment_intent: '{intent.id}'"


def test_a_browser_must_bring_the_client_secret(app: Flask, intent: stripe.PaymentIntent) -> None:
    answer = app.test_client().get(
        f"/v1/payment_intents/{intent.id}", query_string={"key": "pk_test_sandbox"}
    )

    assert answer.status_code == 400
    assert answer.json["error"]["message"] == "Missing required param: client_secret."


def test_a_browser_pays_with_a_typed_card(browser: Browser, intent: stripe.PaymentIntent) -> None:
    status, paid = browser.confirm(str(intent.client_secret), **card("4242 4242 4242 4242"))

    assert (status, paid["status"]) == (200, "succeeded")


def test_a_browsers_error_shows_the_intent_as_a_browser_may_see_it(
    browser: Browser, intent: stripe.PaymentIntent
) -> None:
    status, body = browser.confirm(str(intent.client_secret), **card("4000000000009995"))
    error = body["error"]

    assert status == 402
    assert (error["code"], error["decline_code"]) == ("card_declined", "insufficient_funds")
    assert error["message"] == "Your card has insufficient funds."
    assert error["payment_intent"]["status"] == "requires_payment_method"
    assert "customer" not in error["payment_intent"]


@pytest.mark.parametrize(
    ("name", "given", "actual"),
    [("amount", "2400", "2500"), ("currency", "eur", "usd"), ("setup_future_usage", "off_session", "null")],
)
def test_elements_made_for_something_else_cannot_confirm(
    browser: Browser, intent: stripe.PaymentIntent, name: str, given: str, actual: str
) -> None:
    fields = {**card("4242424242424242"), f"expected[{name}]": given}
    status, body = browser.confirm(str(intent.client_secret), **fields)

    assert status == 400
    assert body["error"]["message"].startswith(
        f"The provided {name} ({actual}) does not match the expected {name} ({given})."
    )


def test_the_server_cannot_send_what_only_a_browser_may(
    client: stripe.StripeClient, intent: stripe.PaymentIntent
) -> None:
    error = refusal(lambda: client.v1.payment_intents.confirm(intent.id, {"expected": {"amount": 1}}))

    assert error.user_message.startswith("Received unknown parameter: expected")


def test_a_refund_of_the_whole_payment_leaves_nothing_to_refund(client: stripe.StripeClient) -> None:
    paid = pay(client, "pm_card_visa", 5000)
    refund = client.v1.refunds.create({"payment_intent": paid.id, "reason": "requested_by_customer"})
    charge = client.v1.charges.retrieve(str(paid.latest_charge))
    error = refusal(lambda: client.v1.refunds.create({"payment_intent": paid.id}))

    assert (refund.amount, refund.status) == (5000, "succeeded")
    assert (charge.refunded, charge.amount_refunded) == (True, 5000)
    assert error.code == "charge_already_refunded"


def test_more_than_was_paid_is_not_refunded(client: stripe.StripeClient) -> None:
    paid = pay(client, "pm_card_visa", 5000)
    client.v1.refunds.create({"payment_intent": paid.id, "amount": 1500})
    error = refusal(lambda: client.v1.refunds.create({"charge": paid.latest_charge, "amount": 3501}))

    assert error.user_message == "Refund amount ($35.01) is greater than unrefunded amount on charge ($35.00)"


def test_the_next_payment_ends_as_ordered_and_the_one_after_by_itself(
    app: Flask, client: stripe.StripeClient
) -> None:
    ordered = app.test_client().post("/_sandbox/next-payment", json={"outcome": "insufficient_funds"})
    error = refusal(lambda: pay(client, "pm_card_visa"))
    after = pay(client, "pm_card_visa")

    assert ordered.status_code == 200
    assert error.error.decline_code == "insufficient_funds"
    assert after.status == "succeeded"


def test_a_server_side_return_url_is_kept_for_the_way_back(client: stripe.StripeClient) -> None:
    waiting = pay(
        client,
        "pm_card_authenticationRequired",
        automatic_payment_methods={"enabled": True},
        return_url=RETURN_URL,
    )

    assert waiting.next_action.type == "redirect_to_url"
    assert waiting.next_action.redirect_to_url.return_url == RETURN_URL


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"payment_method_data": "x"}, "payment_method_data"),
        ({"payment_method_data[type]": "nonsense"}, "payment_method_data[type]"),
        ({"payment_method_data[type]": "card"}, "payment_method_data[card]"),
        ({**card("4242424242424242"), "payment_method_data[card][exp_month]": "x"}, None),
        ({"payment_method_data[type]": "klarna"}, "payment_method_data[klarna]"),
    ],
)
def test_nonsense_from_a_browser_is_refused_by_name(
    browser: Browser, intent: stripe.PaymentIntent, fields: dict[str, str], param: str | None
) -> None:
    status, body = browser.confirm(str(intent.client_secret), **fields)

    assert status == 400
    assert body["error"]["param"] == (param or "payment_method_data[card][exp_month]")


def test_a_browser_cannot_say_that_its_customer_is_away(
    browser: Browser, intent: stripe.PaymentIntent
) -> None:
    fields = {**card("4000002760003184"), "off_session": "true"}
    status, body = browser.confirm(str(intent.client_secret), **fields)

    assert status == 400
    assert body["error"]["param"] == "off_session"


def test_a_card_used_once_without_a_customer_cannot_be_used_again(client: stripe.StripeClient) -> None:
    used = pay(client, "pm_card_visa").payment_method
    error = refusal(lambda: pay(client, str(used)))

    assert error.user_message.startswith("This PaymentMethod was previously used without being attached")


@pytest.mark.parametrize("kind", ["payment", "setup"])
def test_an_intent_that_must_not_leave_the_page_takes_no_method_that_does(
    client: stripe.StripeClient, browser: Browser, kind: str
) -> None:
    params: Any = {"automatic_payment_methods": STAY}
    if kind == "payment":
        intent: Any = client.v1.payment_intents.create({"amount": 1000, "currency": "usd", **params})
    else:
        intent = client.v1.setup_intents.create(params)
    status, answer = browser.confirm(intent.client_secret, **wallet())

    assert intent.payment_method_types == ["card", "link", "us_bank_account"]
    assert (status, answer["error"]["param"]) == (400, "payment_method")
    assert "The PaymentMethod provided (amazon_pay) is not allowed" in answer["error"]["message"]


def test_confirming_by_hand_is_refused_by_name(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="not supported by this sandbox") as refused:
        client.v1.payment_intents.create({"amount": 1000, "currency": "usd", "confirmation_method": "manual"})

    assert refused.value.param == "confirmation_method"
