"""Seats become resolutions: with a charge, and with a remainder that stays on the balance."""

import re

from playwright.sync_api import Page, expect

from tests.journeys.changing import ADVANCED_MONTH, CHANGE_QUOTE, quantities, quoted_amount
from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import Customer
from tests.journeys.test_accessibility import Inspector
from tests.journeys.test_phone import PHONE, expect_no_sideways_scroll


def choose(page: Page, seats: str, units: str) -> None:
    """What goes and what comes, typed into the simulator; then its binding quote."""
    page.get_by_label("Seats to give up", exact=True).fill(seats)
    page.get_by_label("Resolutions", exact=True).fill(units)
    expect(page.locator("#swap")).to_contain_text(f"{seats} seats become {units} resolutions.")
    page.get_by_role("button", name="Show the exact price").click()
    page.wait_for_url(CHANGE_QUOTE)


def test_a_swap_that_costs_something_is_one_charge_for_exactly_what_the_button_said(
    customer: Customer,
) -> None:
    page = customer.page
    customer.arrive_as_subscriber(ADVANCED_MONTH)
    customer.visit("/credits")
    page.get_by_role("link", name="Swap their unused time for resolutions").click()
    choose(page, "2", "600")
    amount = quoted_amount(page)
    page.locator("#pay-button").click()

    expect(page.get_by_role("heading", name="The swap is done")).to_be_visible()
    assert customer.charges()[0]["amount"] == amount
    assert quantities(customer)["seat:advanced:month"] == 10


def test_what_is_left_of_the_seats_value_stays_on_the_balance(new_customer: NewCustomer) -> None:
    customer = new_customer(**PHONE)
    page = customer.page
    customer.arrive_as_subscriber(ADVANCED_MONTH)
    customer.visit("/billing/swap?seats=3")
    expect_no_sideways_scroll(customer)
    choose(page, "3", "100")
    expect_no_sideways_scroll(customer)
    expect(page.get_by_text("Credited now")).to_be_visible()
    expect(page.get_by_text(re.compile("The credit goes to the balance"))).to_be_visible()
    page.locator("#pay-button").tap()

    expect(page.get_by_role("heading", name="The swap is done")).to_be_visible()
    expect_no_sideways_scroll(customer)
    assert quantities(customer)["seat:advanced:month"] == 9
    assert len(customer.charges()) == 1


def test_axe_finds_nothing_on_the_advisor_and_the_simulator(customer: Customer) -> None:
    customer.arrive_as_subscriber(ADVANCED_MONTH)
    inspector = Inspector(customer)
    for path in (
        "/credits?units=599",
        "/credits?units=9",
        "/billing/swap?seats=11&units=599",
        "/billing/swap?seats=0",
    ):
        inspector.visit(path)

    assert inspector.found == {}
