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
from tests.journeys.test_accessibility import Inspector


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


def test_what_was_agreed_with_a_customer_of_2023_stands_on_its_pages_through_a_move_and_back(
    customer: Customer,
) -> None:
    """Eight Essential seats at $39.00 less 10%, which stays through the move and the way back."""
    page, inspector = customer.page, Inspector(customer)
    workspace = seeded(customer, "2023-11")
    customer.stack.command("support", "discount", "set", workspace, "seat", "--percent-off", "10")
    customer.visit("/billing")
    customer.await_words("Agreed with you: 10% off")
    expect(page.get_by_text("$280.80").first).to_be_visible()
    look_at_change(customer, "seats=9")
    expect(page.get_by_text("With your discount of 10%")).to_be_visible()
    customer.visit("/pricing")
    expect(page.get_by_text("You have the prices of November 2023")).to_be_visible()
    inspector.look("the public prices")
    customer.visit("/billing/subscription/prices")
    inspector.look("what rises and what falls")

    moved = look_at_prices(customer)
    expect(page.get_by_text("With your discount of 10%").first).to_be_visible()
    press_confirm(page)
    expect(page.get_by_text(f"Quote {moved} matched to the cent")).to_be_visible()
    inspector.look("after the move")
    customer.visit("/billing/subscription")
    expect(page.get_by_text("Agreed with you: 10% off").first).to_be_visible()
    page.get_by_role("button", name="Go back to the prices of November 2023").click()
    page.wait_for_url(CHANGE_QUOTE)
    back = page.url.rsplit("/", 1)[-1]
    press_confirm(page)
    expect_proof(page, back)
    customer.visit("/billing")
    expect(page.get_by_text("$280.80").first).to_be_visible()
    assert inspector.found == {}
