"""On a phone: 390 pixels wide, fingers instead of a mouse."""

from playwright.sync_api import expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import ADVANCED_YEAR, Customer

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 3,
}


def expect_no_sideways_scroll(customer: Customer) -> None:
    wide = customer.page.evaluate(
        """() => [...document.querySelectorAll('body *')]
            .filter(each => each.getBoundingClientRect().right > innerWidth + 1 && each.checkVisibility())
            .map(each => each.outerHTML.slice(0, 120))"""
    )
    for frame in customer.page.frames:
        width, window = frame.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width <= window <= 390, f"{frame.url} is {width} pixels wide: {wide[:3]}"


def test_a_purchase_on_a_phone_needs_no_sideways_scrolling(new_customer: NewCustomer) -> None:
    customer = new_customer(**PHONE)
    page = customer.page
    customer.visit(f"/pricing?{ADVANCED_YEAR}&resolution=500")
    expect_no_sideways_scroll(customer)
    expect(page.locator("#price-bar")).to_contain_text("$13,980.00")
    page.get_by_role("link", name="See the price").tap()
    page.get_by_role("button", name="Start with Advanced").tap()
    expect(page.get_by_label("Password")).to_be_visible()
    expect_no_sideways_scroll(customer)

    customer.arrive()
    customer.visit(f"/checkout?{ADVANCED_YEAR}")
    expect_no_sideways_scroll(customer)
    customer.get_quote()
    customer.fill_card()
    expect_no_sideways_scroll(customer)
    page.locator("#pay-button").tap()
    customer.expect_live()
    expect_no_sideways_scroll(customer)
    for path in ("/billing/invoices", "/account"):
        customer.visit(path)
        expect_no_sideways_scroll(customer)
    customer.visit("/billing/invoices")
    page.get_by_role("main").get_by_role("link", name="-0001").tap()
    expect(page.get_by_text("matched to the cent")).to_be_visible()
    expect_no_sideways_scroll(customer)


def test_the_menu_of_a_phone_leads_everywhere(new_customer: NewCustomer) -> None:
    customer = new_customer(**PHONE)
    page = customer.page
    customer.arrive()
    customer.visit("/billing")
    page.get_by_role("button", name="Menu").tap()
    page.get_by_role("link", name="Invoices").tap()

    expect(page.get_by_role("heading", name="Invoices", exact=True)).to_be_visible()
