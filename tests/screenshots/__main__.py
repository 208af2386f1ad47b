"""Walk through a purchase and take a picture of every page, wide and narrow."""

from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.chromium import launched
from tests.journeys.changing import look_at_change, seeded
from tests.journeys.customer import ADVANCED_YEAR, Customer
from tests.stack import Stack

FOLDER = Path(__file__).parent
WIDE: ViewportSize = {"width": 1280, "height": 900}
PHONE_WIDTH = 390
SETTLE_MS = 700
USED = ("--size", "2400", "--months", "3")
CHOICE = f"{ADVANCED_YEAR}&resolution=500"


def _take(page: Page, name: str) -> None:
    for label, width in (("desktop", WIDE["width"]), ("phone", PHONE_WIDTH)):
        page.set_viewport_size({"width": width, "height": WIDE["height"]})
        # as tall as the page: a frame below the edge of the window is not painted
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(SETTLE_MS)
        page.screenshot(path=FOLDER / f"{name}-{label}.png", full_page=True)
    page.set_viewport_size(WIDE)


def _take_usage(stack: Stack, browser: Browser) -> None:
    """The months of a company that has used the AI since, and a pack that it buys."""
    customer = Customer(stack, browser.new_context(viewport=WIDE, reduced_motion="reduce"))
    seeded(customer, "2026-11", *USED)
    page = customer.page
    customer.visit("/credits/buy?units=1200")
    page.get_by_role("button", name="Show the binding price").click()
    page.get_by_role("button", name="Pay $1,069.20 now").click()
    expect(page.get_by_role("heading", name="1,200 resolutions are yours")).to_be_visible()
    customer.visit("/usage")
    _take(page, "usage")
    customer.visit("/credits")
    _take(page, "credits")
    customer.visit("/usage/resolutions?state=billable")
    page.get_by_role("main").get_by_role("row").nth(2).get_by_role("link").first.click()
    _take(page, "resolution")


def main() -> None:
    """Overwrite the pictures in this folder."""
    with launched() as browser, Stack() as stack:
        customer = Customer(stack, browser.new_context(viewport=WIDE, reduced_motion="reduce"))
        page = customer.page
        customer.visit(f"/pricing?{CHOICE}")
        _take(page, "pricing")
        customer.ready_to_pay(CHOICE)
        expect(customer.payment_form().get_by_label("Card number")).to_be_visible()
        _take(page, "checkout")
        customer.pay_by_card()
        customer.expect_live()
        _take(page, "billing")
        customer.visit("/billing/invoices")
        page.get_by_role("main").get_by_role("link", name="-0001").first.click()
        _take(page, "invoice")
        customer.visit("/billing/seats")
        _take(page, "seats")
        look_at_change(customer, "seats=14")
        _take(page, "change")
        _take_usage(stack, browser)


if __name__ == "__main__":
    main()
