"""Every page of credits and of what they pay for: with axe, on a phone, and without a script."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import ESSENTIAL_MONTH, Customer
from tests.journeys.test_accessibility import Inspector
from tests.journeys.test_phone import PHONE, expect_no_sideways_scroll
from tests.stack import Stack

WITH_HISTORY = ("--catalog", "2026-11", "--size", "600", "--months", "3")
PAGES = (
    "/credits",
    "/credits?units=50",
    "/credits/history",
    "/credits/buy?units=599",
    "/credits/automatic",
    "/usage",
    "/usage/resolutions",
    "/usage/limits",
    "/billing",
    "/billing/invoices/next",
    "/billing/swap",
    "/billing/swap?seats=0",
)


@pytest.fixture(scope="module")
def login(stack: Stack) -> tuple[str, str]:
    """A company that has used the AI for three months, and how its owner signs in."""
    said = stack.command("demo", "seed", *WITH_HISTORY)
    found = [re.search(rf"{name}: +(\S+)", said) for name in ("Login", "Password")]
    email, password = (each.group(1) for each in found if each)
    return email, password


def sign_in(customer: Customer, login: tuple[str, str]) -> Page:
    customer.email, password = login
    customer.visit("/login")
    customer.sign_in(password)
    return customer.page


def buy(customer: Customer, units: int) -> None:
    """A pack, paid with the stored card."""
    page = customer.page
    customer.visit(f"/credits/buy?units={units}")
    page.get_by_role("button", name="Show the binding price").click()
    page.get_by_role("button", name=re.compile("^Pay ")).click()
    expect(page.get_by_role("heading", name=f"{units:,} resolutions are yours")).to_be_visible()


def test_the_pages_of_credits_are_accessible_and_fit_a_phone(
    new_customer: NewCustomer, login: tuple[str, str]
) -> None:
    customer = new_customer(**PHONE)
    page, inspector = sign_in(customer, login), Inspector(customer)
    buy(customer, 100)
    expect_no_sideways_scroll(customer)
    inspector.look("the steps of a pack")
    buy(customer, 1200)
    for path in PAGES:
        inspector.visit(path)
        expect_no_sideways_scroll(customer)
    page.set_viewport_size({"width": 768, "height": 1024})
    customer.visit("/credits")
    assert page.evaluate("document.documentElement.scrollWidth") <= 768
    page.set_viewport_size(PHONE["viewport"])  # type: ignore[arg-type]
    customer.visit("/usage/resolutions?state=billable")
    page.get_by_role("main").get_by_role("row").nth(1).get_by_role("link").first.click()
    expect(page.get_by_text(re.compile("Paid from your pack of"))).to_be_visible()
    inspector.look("a resolution that a pack pays for")
    expect_no_sideways_scroll(customer)
    customer.visit("/credits")
    page.get_by_role("link", name="Pack of 1,200").first.click()
    page.get_by_role("link", name="Return the pack").click()
    inspector.look("returning a pack")
    expect_no_sideways_scroll(customer)
    page.get_by_role("button", name="Return the pack").click()
    # what a busy worker did not get to at once is looked for every twenty seconds
    expect(page.get_by_role("heading", name="The pack was taken back")).to_be_visible(timeout=90_000)
    inspector.look("a pack that was taken back")
    customer.visit("/credits")
    expect(page.get_by_text("Returned", exact=True).first).to_be_visible()

    assert inspector.found == {}


def test_credits_are_chosen_bought_and_returned_without_a_script(
    new_customer: NewCustomer, login: tuple[str, str]
) -> None:
    # pays for what is used already, so that the next pack is one that nothing has become of
    first = new_customer()
    sign_in(first, login)
    buy(first, 100)
    customer = new_customer(java_script_enabled=False)
    page = sign_in(customer, login)
    customer.visit("/credits")
    page.get_by_label("Resolutions", exact=True).fill("599")
    page.get_by_role("button", name="Update price").click()
    expect(page.get_by_text("600 cost less than 599")).to_be_visible()
    page.get_by_role("link", name="Buy 600 resolutions").click()
    page.get_by_role("button", name="Show the binding price").click()
    page.get_by_role("button", name="Pay $564.30 now").click()
    expect(page.get_by_role("heading", name="600 resolutions are yours")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Renew it at its end").click()
    expect(page.get_by_role("button", name="Do not renew it")).to_be_visible()
    page.get_by_role("link", name="Return the pack").click()
    page.get_by_role("button", name="Return the pack").click()
    # what a busy worker did not get to at once is looked for every twenty seconds
    expect(page.get_by_role("heading", name="The pack was taken back")).to_be_visible(timeout=90_000)


def test_a_swap_is_reckoned_without_a_script(new_customer: NewCustomer) -> None:
    buying = new_customer()
    buying.arrive_as_subscriber(ESSENTIAL_MONTH)
    customer = new_customer(java_script_enabled=False)
    customer.email = buying.email
    customer.visit("/login")
    customer.sign_in()
    page = customer.page
    customer.visit("/billing/swap")
    expect(page.get_by_label("Resolutions", exact=True)).to_have_value("")
    page.get_by_label("Seats to give up", exact=True).fill("1")
    page.get_by_label("Resolutions", exact=True).fill("600")
    page.get_by_role("button", name="Update").click()

    expect(page.get_by_text("1 seat becomes 600 resolutions.")).to_be_visible()
