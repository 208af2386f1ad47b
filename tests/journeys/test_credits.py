"""Annual credits: from the advisor to a pack on the balance, and a second one that Link pays for."""

import re

from playwright.sync_api import expect

from tests.journeys.customer import ESSENTIAL_MONTH, Customer
from tests.journeys.pictures import pictures
from tests.journeys.test_accessibility import Inspector
from tests.journeys.test_link import link_email, sign_in_to_link

__all__ = ["link_email"]

ASKS_EVERY_TIME = "4000 0027 6000 3184"


def ask_for(customer: Customer, units: int) -> None:
    """From the number of units to the binding quote."""
    customer.visit(f"/credits/buy?units={units}")
    customer.page.get_by_role("button", name="Show the binding price").click()
    expect(customer.page.get_by_role("heading", name=re.compile("^Buy "))).to_be_visible()


def expect_bought(customer: Customer, units: str) -> None:
    expect(customer.page.get_by_role("heading", name=f"{units} resolutions are yours")).to_be_visible()
    expect(customer.page.get_by_text("matched to the cent")).to_be_visible()


def grants(customer: Customer) -> list[int]:
    """What Stripe keeps for the customer, newest first, in cents."""
    [subscription] = customer.subscriptions()
    found = customer.stack.stripe.v1.billing.credit_grants.list({"customer": subscription["customer"]})
    return [each.amount.monetary.value for each in found.data if each.amount.monetary]


def test_from_the_advisor_to_a_pack_on_the_balance_with_the_stored_card(customer: Customer) -> None:
    page, inspector = customer.page, Inspector(customer)
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    customer.visit("/credits?units=600")
    page.get_by_role("link", name=re.compile("^Buy 600")).click()
    inspector.look("/credits/buy")
    pictures(customer, "buy-buy")
    page.get_by_role("button", name="Show the binding price").click()
    expect(page.get_by_role("button", name="Pay $564.30 now")).to_be_visible()
    inspector.look("the quote of a pack")
    pictures(customer, "buy-quote")
    customer.press_pay()
    expect_bought(customer, "600")
    page.reload()
    expect(page.get_by_text("600 of 600 left")).to_be_visible()
    customer.await_words("Set against your next invoices")
    inspector.look("the steps of a pack")
    pictures(customer, "buy-done")
    page.get_by_role("link", name="Return the pack").click()
    inspector.look("returning a pack")
    pictures(customer, "buy-refund")
    customer.visit("/credits")
    expect(page.get_by_role("main").get_by_text("600").first).to_be_visible()
    page.get_by_role("link", name="Buying by itself").click()
    inspector.look("buying by itself")
    pictures(customer, "buy-automatic")

    assert grants(customer) == [59_400]
    assert inspector.found == {}
    assert customer.complaints == []


def test_a_second_pack_is_paid_with_link(customer: Customer, link_email: str) -> None:
    page = customer.page
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    for units, price in ((600, "$564.30"), (1200, "$1,069.20")):
        ask_for(customer, units)
        page.get_by_label("Another card or account").check()
        sign_in_to_link(customer, link_email)
        expect(customer.payment_form().get_by_text("Visa •••• 4242")).to_be_visible()
        page.get_by_role("button", name=f"Pay {price} now").click()
        expect_bought(customer, f"{units:,}")

    assert sorted(grants(customer)) == [59_400, 118_800]
    assert customer.complaints == []


def test_a_bank_that_asks_is_answered_and_the_pack_is_bought_once(customer: Customer) -> None:
    page = customer.page
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    ask_for(customer, 600)
    page.get_by_label("Another card or account").check()
    customer.fill_card(ASKS_EVERY_TIME)
    customer.press_pay()
    bank = page.frame_locator("iframe[src*='/elements/challenge']")
    bank.get_by_role("button", name="Complete authentication").click()
    expect_bought(customer, "600")

    assert [charge["amount"] for charge in customer.charges()].count(56_430) == 1
    assert customer.complaints == []
