"""Seats come and go: charged to the cent at once, or given up at the renewal, and undone until then."""

from playwright.sync_api import expect

from tests.journeys.changing import (
    ADVANCED_MONTH,
    expect_done,
    expect_proof,
    look_at_change,
    press_confirm,
    quantities,
    quoted_amount,
)
from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import Customer
from tests.journeys.test_authentication import ASKS_ALWAYS, bank
from tests.journeys.test_phone import PHONE, expect_no_sideways_scroll


def test_seats_are_added_for_exactly_what_the_button_said_and_are_there_at_once(customer: Customer) -> None:
    page = customer.page
    customer.arrive_as_subscriber(ADVANCED_MONTH)
    page.get_by_role("link", name="Add seats").click()
    expect(page.get_by_label("Seats", exact=True)).to_have_value("13")
    page.get_by_label("Seats", exact=True).fill("14")
    expect(page.locator("#preview")).to_contain_text("Seats: 14 instead of 12")
    page.get_by_role("button", name="Show the exact price").click()
    expect(page.get_by_role("heading", name="Check the change")).to_be_visible()
    quote, amount = page.url.rsplit("/", 1)[-1], quoted_amount(page)
    press_confirm(page)

    expect_done(page)
    expect_proof(page, quote)
    assert [charge["amount"] for charge in customer.charges()] == [amount, 146_200]
    assert quantities(customer)["seat:advanced:month"] == 14


def test_seats_are_removed_at_the_renewal_and_undone_in_one_click(new_customer: NewCustomer) -> None:
    customer = new_customer(**PHONE)
    page = customer.page
    customer.arrive_as_subscriber(ADVANCED_MONTH)
    look_at_change(customer, "seats=10")
    expect_no_sideways_scroll(customer)
    expect(page.locator("#pay-button")).to_contain_text("Change at renewal on")
    page.locator("#pay-button").tap()
    expect(page.get_by_role("heading", name="The change is planned")).to_be_visible()
    expect_no_sideways_scroll(customer)
    customer.visit("/billing")
    expect(page.get_by_text("Seats: 10 instead of 12")).to_be_visible()
    expect(page.get_by_text("after the planned change")).to_be_visible()
    page.get_by_role("button", name="Undo it").tap()

    expect(page.get_by_text("The planned change is undone.")).to_be_visible()
    expect_no_sideways_scroll(customer)
    assert quantities(customer)["seat:advanced:month"] == 12
    assert len(customer.charges()) == 1


def test_3d_secure_on_a_change_is_answered_on_the_page(customer: Customer) -> None:
    page = customer.page
    customer.ready_to_pay(ADVANCED_MONTH)
    customer.pay_by_card(ASKS_ALWAYS)
    bank(customer).get_by_role("button", name="Complete authentication").click()
    customer.expect_live()
    quote = look_at_change(customer, "seats=13")
    amount = quoted_amount(page)
    press_confirm(page)
    bank(customer).get_by_role("button", name="Complete authentication").click()

    expect_done(page)
    expect_proof(page, quote)
    assert [charge["amount"] for charge in customer.charges()] == [amount, 146_200]
