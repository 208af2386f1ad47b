"""Without JavaScript: the price page is a form that works, and the way to the quote is open."""

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import ADVANCED_YEAR, Customer


@pytest.fixture
def plain(new_customer: NewCustomer) -> Customer:
    """Somebody whose browser runs no scripts."""
    return new_customer(java_script_enabled=False)


def test_the_price_form_reckons_on_the_server(plain: Customer) -> None:
    page = plain.page
    plain.visit("/pricing")
    page.get_by_label("Advanced", exact=True).check()
    page.get_by_label("Pay by the year").check()
    page.get_by_label("Seats", exact=True).fill("12")
    page.get_by_label("Copilot seats", exact=True).fill("5")
    page.get_by_role("button", name="Update price").click()

    expect(page.locator("#price").get_by_text("$13,980.00").first).to_be_visible()
    assert "seats=12" in page.url
    assert "interval=year" in page.url


def test_a_wrong_number_is_explained_at_its_field_and_kept(plain: Customer) -> None:
    page = plain.page
    plain.visit("/pricing?tier=advanced&seats=3&copilot=9")

    expect(page.locator("#copilot-error")).to_contain_text("Copilot is for at most 3, the seats you choose.")
    expect(page.get_by_label("Copilot seats", exact=True)).to_have_value("9")
    expect(page.get_by_role("button", name="Start with")).to_have_count(0)


def test_the_way_to_the_quote_needs_no_script_and_paying_says_that_it_does(plain: Customer) -> None:
    page = plain.page
    plain.sign_up(start=f"/pricing?{ADVANCED_YEAR}")
    plain.get_quote()

    expect(page.locator("noscript .notice")).to_contain_text("Paying needs JavaScript")
    expect(page.get_by_text("$13,980.00").first).to_be_visible()
