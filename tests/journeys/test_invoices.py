"""Invoices after the purchase: found by filter and taken along, corrected, and foreseen."""

import csv
import re
from io import StringIO
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import ESSENTIAL_MONTH, Customer
from tests.journeys.test_accessibility import Inspector


@pytest.fixture
def inspector(new_customer: NewCustomer) -> Inspector:
    return Inspector(new_customer())


def download(customer: Customer, link: str) -> list[dict[str, str]]:
    with customer.page.expect_download() as waiting:
        customer.page.get_by_role("link", name=link).click()
    text = Path(waiting.value.path()).read_text("utf-8-sig")
    return list(csv.DictReader(StringIO(text)))


def test_an_invoice_is_found_taken_along_and_explained(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    customer.visit("/billing/invoices")
    page.get_by_label("State").select_option("void")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_role("heading", name="No invoice fits this filter")).to_be_visible()
    inspector.look("no invoice fits")
    page.get_by_role("link", name="Show all invoices").click()
    page.get_by_label("State").select_option("paid")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile("status=paid"))
    inspector.look("the list with a filter")
    [row] = download(customer, "Invoices as CSV")
    lines = [line for line in download(customer, "All lines as CSV") if line["amount"] != "0.00"]
    page.get_by_role("main").get_by_role("link", name="-0001").click()
    page.get_by_text("Why?").first.click()

    expect(page.get_by_text("2 seats × $39.00 a month = $78.00")).to_be_visible()
    assert (row["total"], [line["total"] for line in lines]) == ("78.00", ["78.00"])
    assert inspector.found == {}


def test_an_invoice_is_made_out_anew_to_another_name(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    inspector.visit("/billing/details")
    page.get_by_label("Company name").fill("Ada & Sons Holdings")
    page.get_by_label("PO number").fill("PO-2026-17")
    page.get_by_role("button", name="Save billing details").click()
    expect(page.get_by_text("Your billing details are changed.")).to_be_visible()
    customer.visit("/billing/invoices")
    page.get_by_role("main").get_by_role("link", name="-0001").click()
    page.get_by_role("link", name="Correct name, address or PO number").click()
    inspector.look("correction")
    page.get_by_role("button", name="Issue a new invoice over $78.00").click()
    page.get_by_role("link", name="Show the new invoice").click()

    expect(page.get_by_text("Ada & Sons Holdings")).to_be_visible()
    expect(page.get_by_text("PO-2026-17")).to_be_visible()
    expect(page.get_by_role("link", name="Show the earlier invoice")).to_be_visible()
    inspector.look("replacement")
    assert [charge["amount"] for charge in customer.charges()] == [7800]
    assert inspector.found == {}


@pytest.mark.lets_time_pass
def test_the_next_invoice_is_what_a_month_later_is_charged(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    inspector.visit("/billing/invoices/next")
    expect(page.get_by_text("Stripe foresees the same")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Total, without further usage")).to_contain_text(
        "$78.00"
    )
    customer.stack.advance(32 * 24 * 3600)
    customer.visit("/billing/invoices")
    customer.await_words("-0002")
    page.get_by_role("main").get_by_role("link", name="-0002").click()

    expect(page.get_by_text("was $78.00 as well")).to_be_visible()
    inspector.look("renewal")
    assert inspector.found == {}
