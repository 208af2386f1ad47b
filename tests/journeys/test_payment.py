"""Ways to pay, and a renewal that fails: added, exchanged, paid with another card, confirmed by the bank."""

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.customer import ESSENTIAL_MONTH, Customer
from tests.journeys.test_accessibility import Inspector
from tests.journeys.test_link import link_email, sign_in_to_link

__all__ = ["link_email"]

FAILS_WHEN_CHARGED = "4000 0000 0000 0341"
MASTERCARD = "5555 5555 5555 4444"
ASKS_EVERY_TIME = "4000 0027 6000 3184"
DAY = 86_400


def add_card(customer: Customer, number: str) -> None:
    customer.visit("/billing/payment/add")
    customer.pay_by_card(number)


def fall_behind(customer: Customer) -> None:
    """Buy, exchange the card for one that fails, and let a month pass."""
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    add_card(customer, FAILS_WHEN_CHARGED)
    expect(customer.page.get_by_text("Your new way to pay is saved.")).to_be_visible()
    customer.stack.advance(32 * DAY)
    customer.stack.mail(customer.email, "failed")


def test_a_card_is_added_and_pays_the_subscription_and_the_last_one_is_kept(customer: Customer) -> None:
    page = customer.page
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    customer.visit("/billing/payment")
    page.get_by_role("link", name="Remove Visa ending in 4242").click()
    expect(page.get_by_text("Your subscription is paid with this alone.")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Add a card or account").click()
    customer.pay_by_card(MASTERCARD)

    expect(page.get_by_text("Your new way to pay is saved.")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="4444")).to_contain_text("Pays your subscription")
    page.get_by_role("button", name="Make Visa ending in 4242 the default").click()
    expect(page.get_by_role("listitem").filter(has_text="4242")).to_contain_text("Pays your subscription")
    page.get_by_role("link", name="Remove Mastercard ending in 4444").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("Mastercard ending in 4444 is removed.")).to_be_visible()
    [subscription] = customer.subscriptions()
    kept = customer.stack.stripe.v1.payment_methods.retrieve(subscription["default_payment_method"])
    assert kept.card
    assert kept.card.last4 == "4242"


@pytest.mark.lets_time_pass
def test_a_failed_renewal_is_paid_with_a_new_card_and_the_banner_goes(customer: Customer) -> None:
    page, inspector = customer.page, Inspector(customer)
    fall_behind(customer)
    customer.visit("/billing/invoices")
    expect(page.get_by_text("A payment of $78.00 failed")).to_be_visible()
    inspector.visit("/billing/payment")
    page.get_by_role("link", name="Pay now").click()
    page.get_by_label("Another card or account").check()
    expect(customer.payment_form().get_by_label("Card number")).to_be_visible()
    inspector.look("the payment of an invoice")
    customer.pay_by_card(MASTERCARD)

    expect(page.get_by_role("heading", name="Paid")).to_be_visible()
    customer.visit("/billing/payment")
    expect(page.get_by_role("listitem").filter(has_text="4444")).to_contain_text("Pays your subscription")
    expect(page.get_by_text("failed")).to_have_count(0)
    assert [one["amount"] for one in customer.charges()] == [7_800, 7_800]
    assert inspector.found == {}


@pytest.mark.lets_time_pass
def test_the_bank_asks_on_the_page_before_a_stored_card_pays(customer: Customer) -> None:
    page = customer.page
    fall_behind(customer)
    add_card(customer, ASKS_EVERY_TIME)
    bank = page.frame_locator("iframe[src*='/elements/challenge']")
    bank.get_by_role("button", name="Complete authentication").click()
    expect(page.get_by_text("Your new way to pay is saved.")).to_be_visible()
    page.get_by_role("link", name="Pay now").click()
    expect(page.get_by_label(re.compile("3184"))).to_be_checked()
    customer.press_pay()
    bank.get_by_role("button", name="Fail authentication").click()
    expect(page.locator("#pay-problem")).to_contain_text("You were not charged.")
    customer.press_pay()
    bank.get_by_role("button", name="Complete authentication").click()

    expect(page.get_by_role("heading", name="Paid")).to_be_visible()
    assert [one["amount"] for one in customer.charges()] == [7_800, 7_800]


def test_link_a_bank_account_and_a_way_that_leaves_the_page_are_added(
    customer: Customer, link_email: str
) -> None:
    page = customer.page
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    customer.visit("/billing/payment/add")
    sign_in_to_link(customer, link_email)
    customer.press_pay()
    expect(page.get_by_role("listitem").filter(has_text=f"Link ({link_email})")).to_be_visible()
    customer.visit("/billing/payment/add")
    customer.fill_account("000123456789")
    customer.press_pay()
    expect(page.get_by_role("listitem").filter(has_text="6789")).to_be_visible()
    for decision, words in (("Refuse", "Nothing was saved"), ("Authorise", "Your new way to pay is saved.")):
        customer.visit("/billing/payment/add")
        customer.choose_method("Amazon Pay")
        customer.press_pay()
        page.get_by_role("button", name=decision).click()
        expect(page.get_by_text(words)).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Amazon")).to_contain_text("Pays your subscription")
