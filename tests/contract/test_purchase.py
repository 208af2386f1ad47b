"""Buying without webhooks, which do not reach a test: the portal asks, as its waiting page does."""

import secrets
import time
from dataclasses import replace

import pytest
import stripe as sdk

from portal import pricing
from portal.db import unit_of_work
from portal.services import checkout, quotes
from portal.services.waiting import ASK_STRIPE_EVERY
from tests.services.buying import Customer
from tests.shop import BERLIN, TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR


def wait_until_stripe_may_be_asked_again() -> None:
    time.sleep(ASK_STRIPE_EVERY.total_seconds())


def fresh_code() -> str:
    return f"CONTRACT{secrets.token_hex(4).upper()}"


def quote_of(customer: Customer, quote_id: str) -> quotes.Quote:
    with unit_of_work(customer.workspace_id) as session:
        return quotes.load(session, quote_id)


@pytest.mark.parametrize(
    ("selection", "total"),
    [
        (TWELVE_BY_THE_MONTH, 146_200),
        (TWELVE_BY_THE_YEAR, 1_398_000),
        (pricing.Selection("essential", 1), 3_900),
        (pricing.Selection("expert", 37, "year", {"copilot": 37, "proactive_support": 1}), 7_267_200),
    ],
    ids=["month", "year", "one seat", "everything by the year"],
)
def test_our_price_is_stripes_preview_and_its_invoice(
    customer: Customer, selection: pricing.Selection, total: int
) -> None:
    quote_id = customer.prepare(selection)
    confirmation = customer.confirm(quote_id)
    customer.shop.pay(confirmation.client_secret or "")

    assert quote_of(customer, quote_id).total == total
    assert customer.state(quote_id, ask_stripe=True) == "active"
    assert customer.proof() == [("before_payment", True), ("final", True)]


@pytest.mark.parametrize(
    "coupon",
    [
        {"percent_off": 10},
        {"percent_off": 33.33},
        {"amount_off": 500, "currency": "usd"},
        {"amount_off": 1, "currency": "usd"},
        {"amount_off": 99_999, "currency": "usd"},
    ],
    ids=["10 %", "33.33 %", "5.00", "0.01", "999.99"],
)
def test_a_discount_falls_on_the_same_cents(customer: Customer, coupon: dict[str, object]) -> None:
    code = fresh_code()
    customer.shop.promotion(code, **coupon)
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH, promotion_code=code)
    confirmation = customer.confirm(quote_id)

    assert confirmation.collect == "payment"
    assert customer.attempt(quote_id).state == "awaiting_payment"


def test_everything_off_asks_for_a_way_to_pay_later(customer: Customer) -> None:
    code = fresh_code()
    customer.shop.promotion(code, percent_off=100)
    confirmation = customer.confirm(customer.prepare(TWELVE_BY_THE_MONTH, promotion_code=code))

    assert confirmation.collect == "setup"


def test_a_trial_asks_for_a_way_to_pay_and_begins_with_it(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH, trial=True)
    confirmation = customer.confirm(quote_id)
    before = customer.state(quote_id, ask_stripe=True)
    customer.shop.set_up(confirmation.client_secret or "")
    wait_until_stripe_may_be_asked_again()

    assert (confirmation.collect, before) == ("setup", "awaiting_payment")
    assert customer.state(quote_id, ask_stripe=True) == "trialing"


def test_a_declined_card_can_be_followed_by_another(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    secret = customer.confirm(quote_id).client_secret or ""
    with pytest.raises(sdk.CardError):
        customer.shop.pay(secret, "pm_card_visa_chargeDeclined")
    # the page asks again after a while; nothing has been swept in between
    declined = customer.state(quote_id, ask_stripe=True)
    customer.shop.pay(secret)
    wait_until_stripe_may_be_asked_again()

    assert declined == "declined"
    assert customer.state(quote_id, ask_stripe=True) == "active"


def test_a_card_that_asks_for_more_waits_for_its_owner(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret or "", "pm_card_authenticationRequired")

    assert customer.state(quote_id, ask_stripe=True) == "requires_action"


def test_another_choice_leaves_nothing_of_the_first_to_pay(customer: Customer) -> None:
    first = customer.prepare(TWELVE_BY_THE_MONTH)
    secret = customer.confirm(first).client_secret or ""
    customer.confirm(customer.prepare(TWELVE_BY_THE_YEAR))

    with pytest.raises(sdk.InvalidRequestError):
        customer.shop.pay(secret)
    assert customer.state(first) == "abandoned"


def test_a_payment_on_its_way_is_never_voided(customer: Customer) -> None:
    first = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay_by_debit(customer.confirm(first).client_secret or "")

    with pytest.raises(checkout.PaymentUnderWayError):
        customer.confirm(customer.prepare(TWELVE_BY_THE_YEAR))


def test_a_bad_tax_number_is_refused_where_it_stands(customer: Customer) -> None:
    # of the right length and prefix, so that it is Stripe that objects
    details = replace(BERLIN, tax_id_type="eu_vat", tax_id_value="DE12345678X")
    with pytest.raises(checkout.DetailsError) as refused:
        checkout.save_details(customer.gateways, customer.workspace_id, None, details)

    assert list(refused.value.fields) == ["tax_id_value"]
