"""Changes in a trial, with tax and promotions, while something is owed, at one moment, out of order."""

import random
from typing import Any

import pytest
from flask import Flask

from portal import pricing
from portal.db import unit_of_work
from portal.errors import NotFoundError
from portal.models import Quote
from portal.services import changes, checkout, invoices
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.test_at_once import at_once
from tests.services.test_renewals import card_that_stops_working
from tests.shop import BERLIN, TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR


@pytest.fixture
def changer(customer: Customer) -> Changer:
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=10)
    return Changer(customer)


def test_in_a_trial_everything_is_changed_at_once_and_paid_at_its_end(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    changer = Changer(customer)
    quote_id = changer.change(seats=4, add_ons={"copilot": 2})
    quote = changer.quote(quote_id)
    during = (customer.subscription().status, customer.subscription().seats)
    customer.shop.advance(days=14, hours=2)
    customer.settle()

    assert (quote.total, quote.lines, quote.terms["later"]) == (0, [], None)
    assert quote.terms["recurring"]["now"]["amount"] == 46_600
    assert during == ("trialing", 4)
    assert changer.state(quote_id) == "done"
    assert [charge.amount for charge in customer.shop.charges()] == [46_600]
    assert customer.incidents() == []


def test_tax_is_charged_and_given_back_line_by_line(customer: Customer) -> None:
    checkout.save_details(customer.gateways, customer.workspace_id, customer.account.user_id, BERLIN)
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=10)
    changer = Changer(customer)
    quote_id = changer.change(seats=15, tier="expert")
    quote = changer.quote(quote_id)

    assert [line["tax"] < 0 for line in quote.lines] == [True, False]
    assert quote.tax == sum(line["tax"] for line in quote.lines) > 0
    assert customer.shop.charges()[0].amount == quote.total == quote.subtotal + quote.tax
    assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]


@pytest.mark.parametrize(
    "coupon",
    [
        {"percent_off": 20, "duration": "forever"},
        {"amount_off": 50_000, "currency": "usd", "duration": "forever"},
        {"percent_off": 15, "duration": "once"},
        {"percent_off": 15, "duration": "repeating", "duration_in_months": 2},
    ],
    ids=str,
)
def test_a_promotion_is_in_what_is_given_back_and_charged(customer: Customer, coupon: dict[str, Any]) -> None:
    customer.shop.promotion("SPRING", **coupon)
    customer.buy(TWELVE_BY_THE_MONTH, promotion_code="SPRING")
    customer.shop.advance(days=9)
    changer = Changer(customer)
    first = changer.change(seats=15)
    customer.shop.advance(days=2)
    second = changer.change(tier="expert", add_ons={"copilot": 9})

    for quote_id in (first, second):
        assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]
    assert customer.incidents() == []


def test_nothing_is_changed_while_the_last_invoice_is_unpaid(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    card_that_stops_working(customer)
    customer.shop.advance(days=31, hours=2)
    customer.settle()
    with pytest.raises(changes.UnpaidInvoiceError):
        Changer(customer).prepare(seats=15)


def test_what_is_going_to_end_is_kept_first(changer: Changer) -> None:
    [subscription] = changer.customer.shop.subscriptions()
    changer.customer.shop.client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    with pytest.raises(changes.SubscriptionEndsError):
        changer.prepare(seats=15)


def test_without_a_subscription_there_is_nothing_to_change(customer: Customer) -> None:
    wanted = changes.Wanted(pricing.Selection("advanced", 3))
    with pytest.raises(changes.NoSubscriptionError):
        changes.prepare(customer.gateways, customer.workspace_id, customer.account.user_id, wanted)


def test_a_quote_is_confirmed_where_it_belongs(changer: Changer) -> None:
    change = changer.prepare(seats=15)
    with pytest.raises(NotFoundError):
        changer.customer.confirm(change)
    first = changer.customer.subscription().quote_id
    with pytest.raises(NotFoundError):
        changer.confirm(first)


def test_a_quote_holds_half_an_hour(changer: Changer) -> None:
    quote_id = changer.prepare(seats=15)
    changer.customer.shop.advance(minutes=31)
    with pytest.raises(changes.QuoteExpiredError):
        changer.confirm(quote_id)

    assert changer.state(quote_id) == "expired"


def test_a_second_click_is_the_first_ones_change(changer: Changer) -> None:
    quote_id = changer.prepare(seats=15)
    first, second = changer.confirm(quote_id), changer.confirm(quote_id)
    changer.customer.settle()

    assert first == second
    assert len(changer.customer.shop.charges()) == 2


@pytest.mark.parametrize("seed", range(2))
def test_events_twice_and_in_any_order_end_in_the_same_state(changer: Changer, app: Flask, seed: int) -> None:
    shop = changer.customer.shop
    changer.customer.settle()
    kept: list[tuple[bytes, dict[str, str]]] = []
    shop.post = lambda body, headers: kept.append((body, headers)) or 200  # type: ignore[func-returns-value]
    quote_id = changer.prepare(seats=8, tier="expert")
    changer.confirm(quote_id)
    shop.deliver()
    again = kept * 2
    random.Random(seed).shuffle(again)
    for body, headers in again:
        app.test_client().post("/webhooks/stripe", data=body, headers=headers)
    changer.customer.run_jobs()

    assert changer.state(quote_id) == "done"
    assert changer.customer.subscription().tier == "expert"
    assert changer.planned().selection["seats"] == 8
    assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]


def test_of_two_who_confirm_at_the_same_moment_one_wins_and_the_other_is_told(
    open_shop: tuple[Flask, Customer],
) -> None:
    _app, customer = open_shop
    customer.buy(TWELVE_BY_THE_YEAR)
    changer = Changer(customer)
    quote_id = changer.prepare(seats=13)
    # the other one's page still shows a quote that no newer one has replaced
    other = changer.prepare(seats=14)
    with unit_of_work(customer.workspace_id) as session:
        session.get_one(Quote, (customer.workspace_id, quote_id)).replaced_at = None
    results = at_once(lambda: changer.confirm(quote_id), lambda: changer.confirm(other))
    customer.settle()
    told = [each for each in results if not isinstance(each, changes.Confirmation)]
    with unit_of_work(customer.workspace_id) as session:
        updates = [row for row in invoices.listing(session) if row.billing_reason == "subscription_update"]

    assert len(told) == 1
    assert isinstance(told[0], changes.QuoteChangedError)
    assert [each.what for each in told[0].changes] == ["seats"]
    assert len(updates) == 1
    assert changer.at_stripe()["2026-11:seat:advanced:year"] in (13, 14)
    assert customer.subscription().seats == changer.at_stripe()["2026-11:seat:advanced:year"]
