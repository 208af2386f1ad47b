"""/usage/replay: own prices beside the current ones, month by month, with a reason for each."""

import pytest
from flask import Flask

from portal import pricing
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH, Shop
from tests.web.reading import words
from tests.web.test_subscription import FIRST_OF_MARCH

PAGE = "/usage/replay"


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """Time stands at the first of March until a test turns the clock."""
    shop.stand_at(FIRST_OF_MARCH)
    return shop


@pytest.fixture
def older(shop: Shop, customer: Customer) -> Customer:
    """The company as it bought ten seats when the prices of May 2023 were current."""
    customer.at_the_time_of("2023-05").buy(pricing.Selection("pro", 10, "month"))
    return customer


def months_pass(customer: Customer, *used: int) -> None:
    """So many resolutions in one month after the other."""
    for count in used:
        [subscription] = customer.shop.subscriptions()
        payload = {"stripe_customer_id": str(subscription.customer), "value": str(count)}
        customer.shop.client.v1.billing.meter_events.create({"event_name": "resolution", "payload": payload})
        customer.shop.advance(days=31, hours=2)
        customer.settle()


def test_each_month_stands_beside_what_it_would_have_cost(buyer: Browser, older: Customer) -> None:
    months_pass(older, 0, 500)
    page = words(buyer.get(PAGE))

    assert "You have the prices of May 2023." in page
    # twice 740.00 and once 950.00; twice 390.00 and once 495.00
    assert "You paid $2,430.00" in page
    assert "At the current prices $1,275.00" in page
    assert "Difference $1,155.00 less 48%" in page
    assert "The tier Pro is not sold any more" in page
    assert "These figures take Essential for it: the cheapest tier" in page


def test_why_tells_what_was_billed_and_how_it_is_reckoned_anew(buyer: Browser, older: Customer) -> None:
    months_pass(older, 500)
    page = words(buyer.get(PAGE))

    assert "Pro seat × 10: $740.00, on invoice" in page
    assert "Resolutions × 500: $950.00, on invoice" in page
    assert "Essential seat: 10 seats × $39.00 a month = $390.00" in page
    assert "Resolutions: 500 resolutions × $0.99 = $495.00" in page


def test_the_tier_and_the_way_of_paying_are_chosen_in_the_address(buyer: Browser, older: Customer) -> None:
    months_pass(older, 0)
    advanced = words(buyer.get(f"{PAGE}?tier=advanced"))
    yearly = words(buyer.get(f"{PAGE}?tier=advanced&interval=year"))
    nonsense = words(buyer.get(f"{PAGE}?tier=gold&interval=week"))

    assert "At the current prices $990.00" in advanced
    assert "Difference $250.00 more 34%" in advanced
    assert "These figures take Advanced for it, as you chose." in advanced
    assert "At the current prices $850.00" in yearly
    assert "10 seats × $1,020.00 a year ($85.00 a month), a twelfth of it = $850.00" in yearly
    assert "At the current prices $390.00" in nonsense


def test_the_best_and_the_worst_month_are_named(buyer: Browser, older: Customer) -> None:
    months_pass(older, 0, 1_000)
    page = words(buyer.get(f"{PAGE}?tier=advanced"))

    assert "Best month at the current prices:" in page
    assert "$660.00 less. Worst month:" in page
    assert "$250.00 more." in page


def test_the_way_to_the_move_is_shown_to_who_may_go_it(app: Flask, buyer: Browser, older: Customer) -> None:
    months_pass(older, 0)
    colleague = factories.member(app, older.workspace_id)
    other = app.test_client()
    assert isinstance(other, Browser)
    other.sign_in(colleague.email, colleague.password)

    assert 'href="/billing/subscription/prices"' in buyer.get(PAGE).text
    assert f'href="{PAGE}"' in buyer.get("/billing/subscription").text
    assert "Month by month" in words(other.get(PAGE))
    assert 'href="/billing/subscription/prices"' not in other.get(PAGE).text


def test_who_has_the_current_prices_is_told_so(buyer: Browser, customer: Customer) -> None:
    before = words(buyer.get(PAGE))
    customer.buy(TWELVE_BY_THE_MONTH)

    assert "There is nothing to compare yet" in before
    assert "You have the current prices already" in words(buyer.get(PAGE))


def test_before_a_month_is_complete_the_page_says_when_it_will_be(buyer: Browser, older: Customer) -> None:
    assert "Your first month ends on 1 April 2027." in words(buyer.get(PAGE))
