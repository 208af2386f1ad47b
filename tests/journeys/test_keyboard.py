"""From the price to the paid subscription without a mouse."""

import re

from playwright.sync_api import Locator, expect

from tests.journeys.customer import PASSWORD, Customer

MOST_STEPS = 60


def tab_to(customer: Customer, target: Locator) -> None:
    """Press Tab, as often as it takes, until ``target`` has the focus."""
    expect(target).to_be_visible()
    for _ in range(MOST_STEPS):
        if target.evaluate("element => element === document.activeElement && document.hasFocus()"):
            return
        customer.page.keyboard.press("Tab")
    raise AssertionError(f"{target} cannot be reached with the Tab key")


def type_into(customer: Customer, target: Locator, text: str) -> None:
    tab_to(customer, target)
    customer.page.keyboard.press("Control+A")
    customer.page.keyboard.type(text)


def press(customer: Customer, target: Locator, key: str = "Enter") -> None:
    tab_to(customer, target)
    customer.page.keyboard.press(key)


def choose(customer: Customer) -> None:
    page, keyboard = customer.page, customer.page.keyboard
    tab_to(customer, page.get_by_role("link", name="Skip to the content"))
    keyboard.press("Enter")
    tab_to(customer, page.get_by_label("Pay by the month"))
    keyboard.press("ArrowRight")
    type_into(customer, page.get_by_label("Seats", exact=True), "11")
    keyboard.press("ArrowUp")
    type_into(customer, page.get_by_label("Copilot seats", exact=True), "5")
    expect(page.locator("#price").get_by_text("$13,980.00").first).to_be_visible()
    press(customer, page.get_by_role("button", name="Start with Advanced"))


def sign_up(customer: Customer) -> None:
    page = customer.page
    page.wait_for_url(re.compile("/signup"))
    type_into(customer, page.get_by_label("Company name"), customer.company)
    type_into(customer, page.get_by_label("Work e-mail"), customer.email)
    type_into(customer, page.get_by_label("Password"), PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_text(customer.email).first).to_be_visible()
    customer.visit(customer.mailed_link("Confirm"))


def say_who_buys(customer: Customer) -> None:
    page = customer.page
    country = page.get_by_label("Country")
    tab_to(customer, country)
    page.keyboard.type("United States")
    expect(country).to_have_value("US")
    type_into(customer, page.get_by_label("Street"), "510 Townsend St")
    type_into(customer, page.get_by_label("Postal code"), "94103")
    type_into(customer, page.get_by_label("Town or city"), "San Francisco")
    type_into(customer, page.get_by_label("State"), "CA")
    press(customer, page.get_by_role("button", name="Show the exact price"))


def test_everything_from_the_price_to_paid_works_with_the_keyboard_alone(customer: Customer) -> None:
    customer.visit("/pricing")
    choose(customer)
    sign_up(customer)
    say_who_buys(customer)

    form = customer.payment_form()
    type_into(customer, form.get_by_label("Card number"), "4242424242424242")
    type_into(customer, form.get_by_label("Expiration date"), "1230")
    type_into(customer, form.get_by_label("Security code"), "123")
    press(customer, customer.page.locator("#pay-button"))

    customer.expect_live()
    assert [one["amount"] for one in customer.charges()] == [1_398_000]
