"""Tier, add-ons and interval: one screen, one quote, whatever the card or another tab does meanwhile."""

import re

from playwright.sync_api import expect

from tests.journeys.changing import (
    ADVANCED_MONTH,
    CHANGE_QUOTE,
    expect_done,
    expect_proof,
    look_at_change,
    press_confirm,
    quantities,
    quoted_amount,
)
from tests.journeys.customer import Customer
from tests.journeys.test_keyboard import press


def test_a_higher_tier_now_and_an_add_on_off_at_the_renewal_are_one_quote_by_keyboard(
    customer: Customer,
) -> None:
    page = customer.page
    customer.arrive_as_subscriber(ADVANCED_MONTH)
    customer.visit("/billing/subscription")
    press(customer, page.get_by_label("Proactive Support"), "Space")
    press(customer, page.get_by_label("Advanced"), "ArrowRight")
    expect(page.locator("#preview")).to_contain_text("30 more lite seats (50 in all)")
    press(customer, page.get_by_role("button", name="Show the exact price"))
    # the page before says the same to screen readers
    page.wait_for_url(CHANGE_QUOTE)
    expect(page.get_by_text("Tier: Expert instead of Advanced")).to_be_visible()
    expect(page.get_by_text("Proactive Support: removed")).to_be_visible()
    quote, amount = page.url.rsplit("/", 1)[-1], quoted_amount(page)
    press(customer, page.locator("#pay-button"))

    expect_done(page)
    expect_proof(page, quote)
    assert [charge["amount"] for charge in customer.charges()] == [amount, 146_200]
    assert quantities(customer) == {"seat:expert:month": 12, "copilot:month": 5, "proactive_support:month": 1}


def test_a_refused_card_changes_nothing_and_another_one_pays_on_the_same_page(customer: Customer) -> None:
    page = customer.page
    customer.arrive_as_subscriber(ADVANCED_MONTH)
    quote = look_at_change(customer, "seats=13")
    amount = quoted_amount(page)
    customer.stack.sandbox("next-payment", outcome="insufficient_funds")
    press_confirm(page)
    expect(page.locator("#pay-problem")).to_contain_text("You were not charged.")
    assert quantities(customer)["seat:advanced:month"] == 12
    customer.fill_card("5555 5555 5555 4444")
    press_confirm(page)

    expect_done(page)
    expect_proof(page, quote)
    assert [charge["amount"] for charge in customer.charges()] == [amount, 146_200]
    assert quantities(customer)["seat:advanced:month"] == 13


def test_of_two_tabs_the_second_is_told_what_changed_and_loses_nothing(customer: Customer) -> None:
    first = customer.page
    customer.arrive_as_subscriber(ADVANCED_MONTH)
    second = customer.context.new_page()
    look_at_change(customer, "copilot=6", second)
    look_at_change(customer, "seats=13", first)
    press_confirm(first)
    expect_done(first)
    press_confirm(second)
    expect(second.get_by_text("Seats: 13 instead of 12")).to_be_visible()
    expect(second.get_by_text("You were not charged for it, and nothing of it was changed.")).to_be_visible()
    second.get_by_role("button", name="Show the price of now").click()
    second.wait_for_url(re.compile("/billing/subscription/Q-"))
    press_confirm(second)

    expect_done(second)
    found = quantities(customer)
    assert (found["seat:advanced:month"], found["copilot:month"]) == (13, 6)
