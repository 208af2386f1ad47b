"""/pricing with scripts: the price shown is that of what the fields say."""

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import NewCustomer

CHOICE = "/pricing?tier=advanced&interval=year&seats=12"
NO_PRICE = "There is no price for this choice yet."


@pytest.mark.parametrize("seats", ["0", "", "-1"])
def test_a_number_of_seats_that_is_none_is_refused_and_has_no_price(
    new_customer: NewCustomer, seats: str
) -> None:
    customer = new_customer()
    customer.visit(CHOICE)
    page = customer.page
    expect(page.locator("#price")).to_contain_text("$12,240.00")
    field = page.get_by_role("textbox", name="Seats", exact=True)
    field.fill(seats)
    field.blur()

    expect(page.locator("#price")).to_contain_text(NO_PRICE)
    expect(page.locator("#seats-slot")).to_contain_text("Seats: enter a")
    expect(field).to_have_value(seats)
    expect(page).to_have_url(re.compile(f"[?&]seats={seats}(&|$)"))


@pytest.mark.parametrize("seats", ["0", "", "-1"])
def test_an_address_with_such_a_number_shows_no_price_either(new_customer: NewCustomer, seats: str) -> None:
    customer = new_customer()
    customer.visit(f"/pricing?seats={seats}")
    customer.page.wait_for_load_state("networkidle")

    expect(customer.page.locator("#price")).to_contain_text(NO_PRICE)
    expect(customer.page.get_by_role("textbox", name="Seats", exact=True)).to_have_value(seats)


def test_optional_counts_of_zero_are_left_out_of_the_address(new_customer: NewCustomer) -> None:
    customer = new_customer()
    customer.visit(f"{CHOICE}&copilot=5")
    page = customer.page
    page.get_by_role("textbox", name="Copilot seats").fill("0")
    expect(page).to_have_url(re.compile("seats=12"))

    expect(page).not_to_have_url(re.compile("copilot"))
