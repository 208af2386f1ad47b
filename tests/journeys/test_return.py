"""Leaving and coming back: Back, reload, a closed tab, the next day, another browser."""

import re

from playwright.sync_api import expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import ADVANCED_YEAR, Customer

HOUR = 3_600


def test_back_after_paying_shows_the_subscription_instead_of_the_payment(customer: Customer) -> None:
    page = customer.page
    customer.buy()
    page.go_back()

    customer.expect_live()
    assert "/checkout" not in page.url
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


def test_reloading_the_page_after_paying_is_safe(customer: Customer) -> None:
    page = customer.page
    customer.stack.sandbox("webhooks", delay=2)
    try:
        customer.ready_to_pay()
        customer.pay_by_card()
        page.wait_for_url(re.compile("/done"))
        expect(page.get_by_role("heading", name="Confirming your payment")).to_be_visible()
        page.reload()
        customer.expect_live()
    finally:
        customer.stack.sandbox("webhooks", delay=0)

    page.reload()
    expect(page.get_by_role("heading", name="What you have")).to_be_visible()
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


def test_closing_the_tab_right_after_paying_loses_nothing(customer: Customer) -> None:
    customer.ready_to_pay()
    customer.pay_by_card()
    # the page after it, or the overview where that had nothing to wait for
    customer.page.wait_for_url(re.compile("/done|welcome="), wait_until="commit")
    # to the portal this is closing the tab; the driver can hang on a tab closed amid a navigation
    customer.page.goto("about:blank")
    customer.stack.mail(customer.email, "eceipt")

    customer.page = customer.context.new_page()
    customer.visit("/billing")
    expect(customer.page.get_by_text("Active", exact=True)).to_be_visible()
    expect(customer.page.get_by_text("matched to the cent").first).to_be_visible()
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


def test_an_expired_quote_says_so_and_the_price_of_now_can_be_paid(customer: Customer) -> None:
    page = customer.page
    old = customer.ready_to_pay()
    customer.stack.advance(25 * HOUR)
    page.reload()

    expect(page.get_by_text("This price has expired.").first).to_be_visible()
    expect(page.get_by_text("You were not charged")).to_be_visible()
    page.get_by_role("button", name="Show the price of now").click()
    expect(page.get_by_text(f"This price replaces quote {old}")).to_be_visible()
    expect(page.get_by_text("The amounts are the same.")).to_be_visible()
    customer.pay_by_card()
    customer.expect_live()
    assert f"welcome={old}" not in page.url


def test_a_quote_that_expired_while_the_page_was_open_is_not_charged(customer: Customer) -> None:
    page = customer.page
    old = customer.ready_to_pay()
    customer.fill_card()
    customer.stack.advance(25 * HOUR)
    customer.press_pay()

    expect(page.get_by_text("This price has expired.")).to_be_visible()
    expect(page.get_by_text(f"Quote {old}. You were not charged for it.")).to_be_visible()
    assert customer.charges() == []
    assert customer.subscriptions() == []


def test_coming_back_the_next_day_goes_on_with_what_was_chosen(customer: Customer) -> None:
    page = customer.page
    customer.sign_up(start=f"/pricing?{ADVANCED_YEAR}")
    expect(page.get_by_role("heading", name="Who is buying?")).to_be_visible()
    customer.visit("/billing")
    customer.sign_out()
    customer.stack.advance(20 * HOUR)

    customer.visit("/login")
    customer.sign_in()
    expect(page.get_by_role("heading", name="Who is buying?")).to_be_visible()
    expect(page.get_by_text("$13,980.00").first).to_be_visible()
    customer.get_quote()
    customer.pay_by_card()
    customer.expect_live()


def test_a_purchase_that_waits_for_its_payment_is_shown_and_can_be_gone_on_with(customer: Customer) -> None:
    page = customer.page
    quote = customer.ready_to_pay()
    customer.pay_by_card("4000 0000 0000 0002")
    expect(page.locator("#pay-problem")).to_contain_text("You were not charged.")
    customer.visit("/billing")

    expect(page.get_by_text(f"Quote {quote} is not paid. You were not charged.")).to_be_visible()
    page.get_by_role("link", name="Go on with it").click()
    customer.pay_by_card()
    customer.expect_live()
    expect(page.get_by_text("A purchase waits for its payment")).to_have_count(0)


def test_the_choice_survives_a_confirmation_link_that_is_followed_in_another_browser(
    customer: Customer, new_customer: NewCustomer
) -> None:
    customer.fill_sign_up(start=f"/pricing?{ADVANCED_YEAR}")
    other = new_customer()
    other.email = customer.email
    other.visit(customer.mailed_link("Confirm"))
    if "/login" in other.page.url:
        other.sign_in()

    expect(other.page.get_by_role("heading", name="Who is buying?")).to_be_visible()
    expect(other.page.get_by_text("$13,980.00").first).to_be_visible()
    other.get_quote()
    expect(other.page.get_by_role("button", name="Pay $13,980.00 now")).to_be_visible()
