"""/billing/subscription of a customer with prices of its own: an older catalogue, a negotiated discount."""

from dataclasses import replace

import pytest

from portal import pricing
from portal.db import unit_of_work
from portal.services import invoices
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH, Shop
from tests.web.reading import words
from tests.web.test_subscription import FIRST_OF_MARCH, PAGE, confirm

TEN_PRO = pricing.Selection("pro", 10, "month")
FORM = {"whole": "1", "interval": "month", "when": "due"}


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """Time stands at the first of March until a test turns the clock."""
    shop.stand_at(FIRST_OF_MARCH)
    return shop


@pytest.fixture
def older(shop: Shop, customer: Customer) -> Customer:
    """The company as it bought ten seats when the prices of May 2023 were current, at noon of the 16th."""
    settings = replace(customer.gateways.settings, default_catalog="2023-05")
    then = replace(customer, gateways=replace(customer.gateways, settings=settings))
    then.buy(TEN_PRO)
    shop.advance(days=15, hours=12)
    customer.settle()
    return customer


def test_an_older_customer_sees_its_own_prices_and_keeps_them_with_more_seats(
    buyer: Browser, older: Customer
) -> None:
    page = words(buyer.get(PAGE))
    answer = buyer.submit(PAGE, FORM | {"tier": "pro", "seats": "11"})
    quote = words(buyer.get(answer.location))

    assert "Pro seat × 10 $740.00" in page
    assert "You have the prices of May 2023" in page
    assert "$99.00" not in page
    assert "Pay $37.00 now" in quote
    assert "11 seats × $74.00 a month = $814.00" in quote


def test_the_public_price_list_does_not_pass_for_the_customers_own(buyer: Browser, older: Customer) -> None:
    page = words(buyer.get("/pricing"))
    buyer.submit("/logout", page="/account")
    guest = words(buyer.get("/pricing"))

    assert "These are the prices for new customers" in page
    assert "You have the prices of May 2023, with what was agreed with you, and keep them." in page
    assert "Change your subscription at your own prices" in page
    assert "for new customers" not in guest


def test_moving_to_the_current_prices_says_what_rises_and_falls_and_can_be_taken_back_today(
    buyer: Browser, older: Customer
) -> None:
    page = buyer.get(f"{PAGE}/prices")
    prices = words(page)
    moved = buyer.get(buyer.submit(f"{PAGE}/prices", FORM | {"tier": "advanced", "seats": "10"}).location)
    confirm(buyer, moved)
    older.settle()
    afterwards = words(buyer.get(PAGE))
    back = buyer.get(buyer.submit(f"{PAGE}/prices/back", page=PAGE).location)
    confirm(buyer, back)
    older.settle()

    assert 'name="copilot" value="0"' in page.text
    assert "Advanced seat (was: Pro seat) $74.00 a month $99.00 a month rises" in prices
    assert "Resolutions $1.90 per resolution $0.99 per resolution falls" in prices
    assert "The prices of November 2026 instead of the prices of May 2023" in words(moved)
    assert "Pay $125.00 now" in words(moved)
    assert "Go back to the prices of May 2023" in afterwards
    assert "Credited now −$125.00" in words(back)
    assert "Pro seat × 10 $740.00" in words(buyer.get(PAGE))


def test_after_a_move_every_page_says_what_usage_costs_until_its_month_ends_and_from_then_on(
    buyer: Browser, older: Customer
) -> None:
    prices = words(buyer.get(f"{PAGE}/prices"))
    moved = buyer.get(buyer.submit(f"{PAGE}/prices", FORM | {"tier": "advanced", "seats": "10"}).location)
    confirm(buyer, moved)
    older.settle()
    places = (PAGE, "/billing", "/billing/invoices/next", "/billing/activity")
    pages = [words(buyer.get(each)) for each in places]
    left = older.subscription().usage_period_end - older.gateways.clock.now()
    older.shop.advance(seconds=int(left.total_seconds()))
    older.settle()
    then = [
        words(buyer.get(each)) for each in (PAGE, "/billing", "/billing/invoices/next", "/billing/activity")
    ]

    change = "Resolutions: $0.99 per resolution, until then $1.90 per resolution"
    assert "What usage costs changes on 1 April 2027, when the open month of usage ends" in prices
    assert f"On 1 April 2027, when the month of usage ends {change}" in words(moved)
    assert (
        "What is used until 1 April 2027 is charged on that day, at the prices that you have now."
        in words(moved)
    )
    assert f"On 1 April 2027 usage begins to cost something else\n{change}" in pages[0]
    assert f"From 1 April 2027:\n{change}" in pages[1]
    assert all("Resolutions: $1.90 per resolution" in page for page in pages[1:3])
    assert all("Resolutions: $0.99 per resolution" in page for page in then[1:3])
    assert not any("$1.90" in page for page in then[:3])
    assert "Usage began to cost what a change had brought" in then[3]


def test_a_negotiated_discount_stands_at_its_line_everywhere(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    agreed = {"percent_off": 10, "duration": "repeating", "duration_in_months": 6}
    coupon = shop.client.v1.coupons.create({**agreed, "applies_to": {"products": ["portal-seat-advanced"]}})
    [subscription] = shop.subscriptions()
    shop.client.v1.subscriptions.update(subscription.id, {"discounts": [{"coupon": coupon.id}]})
    customer.settle()
    page, overview = words(buyer.get(PAGE)), words(buyer.get("/billing"))
    wanted = FORM | {"tier": "advanced", "seats": "13", "copilot": "5", "proactive_support": "1"}
    quote = words(buyer.get(buyer.submit(PAGE, wanted).location))
    shop.advance(days=31, hours=3)
    customer.settle()
    with unit_of_work(customer.workspace_id) as session:
        [renewal, _first] = invoices.listing(session)
    invoice = words(buyer.get(f"/billing/invoices/{renewal.stripe_id}"))

    assert "Agreed with you: 10% off −$118.80" in invoice
    assert "Discount −" not in invoice
    assert "Total $1,343.20" in invoice
    assert "Agreed with you: 10% off, until 1 September 2027 −$118.80" in page
    assert "Agreed with you: 10% off, until 1 September 2027 −$118.80" in overview
    assert "Each month, before tax $1,343.20" in overview
    assert "With your discount of 10%" in quote
    assert "Discount: 10% of $1,287.00 = −$128.70" in quote
