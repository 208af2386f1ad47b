"""A customer on an older price list: its own prices everywhere, a move that it confirms, and the way back."""

from playwright.sync_api import expect

from tests.journeys.changing import (
    CHANGE_QUOTE,
    expect_done,
    expect_proof,
    look_at_change,
    look_at_prices,
    press_confirm,
    quantities,
    quoted_amount,
    seeded,
)
from tests.journeys.customer import Customer


def test_an_older_customer_keeps_its_price_moves_by_a_quote_and_goes_back_the_same_day(
    customer: Customer,
) -> None:
    page = customer.page
    seeded(customer)
    customer.visit("/billing")
    expect(page.get_by_text("$592.00").first).to_be_visible()
    customer.visit("/billing/subscription")
    expect(page.get_by_text("You have the prices of May 2023")).to_be_visible()
    expect(page.get_by_text("$99.00")).to_have_count(0)

    more = look_at_change(customer, "seats=9")
    expect(page.get_by_text("9 seats × $74.00 a month = $666.00")).to_have_count(1)
    paid = quoted_amount(page)
    press_confirm(page)
    expect_done(page)
    expect_proof(page, more)
    assert quantities(customer) == {"seat:pro:month": 9}

    customer.visit("/billing/subscription")
    page.get_by_role("link", name="See what would rise and what would fall").click()
    expect(page.get_by_role("row", name="Resolutions")).to_contain_text("falls")
    expect(page.get_by_role("row", name="Advanced seat")).to_contain_text("rises")
    moved = look_at_prices(customer)
    dearer = quoted_amount(page)
    press_confirm(page)
    expect_done(page)
    expect_proof(page, moved)
    assert quantities(customer) == {"seat:advanced:month": 9}

    customer.visit("/billing/subscription")
    page.get_by_role("button", name="Go back to the prices of May 2023").click()
    page.wait_for_url(CHANGE_QUOTE)
    back = page.url.rsplit("/", 1)[-1]
    press_confirm(page)
    expect_done(page)
    expect_proof(page, back)

    assert quantities(customer) == {"seat:pro:month": 9}
    assert [charge["amount"] for charge in customer.charges()] == [dearer, paid, 59_200]
