"""The advisor of /credits: what it recommends, and the price of any number of units as it is typed."""

import pytest
from sqlalchemy import update

from portal.db import unit_of_work
from portal.models import Member
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.test_credit_advice import NOVEMBER, used
from tests.shop import TWELVE_BY_THE_MONTH, Shop
from tests.web.reading import words

PAGE = "/credits"


@pytest.fixture
def subscribed(shop: Shop, customer: Customer) -> Customer:
    """Twelve seats since the first of November 2026."""
    shop.stand_at(NOVEMBER)
    customer.buy(TWELVE_BY_THE_MONTH)
    return customer


def test_without_a_subscription_the_page_says_what_comes_first(buyer: Browser) -> None:
    assert "Choose a tier first, then buy credits." in words(buyer.get(PAGE))


def test_a_short_history_is_told_and_the_price_is_there_all_the_same(
    buyer: Browser, subscribed: Customer
) -> None:
    page = words(buyer.get(PAGE))

    assert "Too early to advise a pack" in page
    assert "0 whole months with resolutions are known; a year can be judged from 3 on." in page
    assert "Look again on 1 February 2027." in page
    assert "As a pack, before tax $564.30" in page


def test_a_steady_year_shows_cost_range_waste_and_break_even(buyer: Browser, subscribed: Customer) -> None:
    used(subscribed, [300] * 12)
    page = words(buyer.get(PAGE))

    # in a low year 2,649 would have cost $2,622.51, as a pack 3,000 × $0.99 less 15 % is $2,524.50
    assert "A pack of 3,000 resolutions suits you" in page
    assert "Pay as you go" in page
    assert "Pack of 600" in page
    # 600 × $0.99 less 5 % is $564.30, which 570 resolutions cost as well
    assert "570 resolutions" in page
    # 3,600 resolutions as one goes
    assert "$3,564.00" in page
    assert "used up in month 3" in page
    assert "It rests on the last twelve months, with their season." in page


def test_no_pack_is_recommended_where_none_saves(buyer: Browser, subscribed: Customer) -> None:
    used(subscribed, [3] * 12)

    assert "No pack: paying as you go is best for you" in words(buyer.get(PAGE))


def test_599_are_sold_as_600(buyer: Browser, subscribed: Customer) -> None:
    page = buyer.get(f"{PAGE}?units=599")
    text = words(page)

    assert "599 resolutions would cost $593.01. 600 cost $28.71 less, so we sell you those." in text
    assert "You save $29.70. A resolution costs $0.9405 instead of $0.99." in text
    assert 'href="/credits/buy?units=600"' in page.text


def test_a_hundred_have_no_discount(buyer: Browser, subscribed: Customer) -> None:
    text = words(buyer.get(f"{PAGE}?units=100"))

    assert "As a pack, before tax $99.00" in text
    assert "A pack of this size has no discount" in text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("99", "Resolutions: enter a number from 100 to"),
        ("many", "Resolutions: enter a whole number, such as 12."),
        ("", "Resolutions: enter a whole number, such as 12."),
        ("99999999999", "Resolutions: enter a number from 100 to 1,000,000."),
    ],
)
def test_a_wrong_number_is_told_at_the_field(
    buyer: Browser, subscribed: Customer, typed: str, said: str
) -> None:
    page = buyer.get(PAGE, query_string={"units": typed})

    assert page.status_code == 200
    assert said in words(page)
    assert 'aria-invalid="true"' in page.text


def test_the_part_that_the_script_asks_for_is_the_same(buyer: Browser, subscribed: Customer) -> None:
    part = buyer.get(f"{PAGE}/price?units=1200")

    # 1,200 × $0.99 less 10 %
    assert "$1,069.20" in words(part)
    assert "<html" not in part.text


def test_who_may_not_buy_sees_the_price_without_a_button(buyer: Browser, subscribed: Customer) -> None:
    with unit_of_work(subscribed.workspace_id) as session:
        session.execute(update(Member).values(role="member"))
    page = buyer.get(PAGE)

    assert "As a pack, before tax $564.30" in words(page)
    assert "/credits/buy" not in page.text
