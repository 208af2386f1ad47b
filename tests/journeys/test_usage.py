"""Usage: events come in, the page shows them by itself, each explains itself, and the file sums up."""

import csv
import io
import re
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import ESSENTIAL_MONTH, Customer
from tests.journeys.test_accessibility import Inspector
from tests.journeys.using import HOUR, event, make_key, send


@pytest.fixture
def inspector(new_customer: NewCustomer) -> Inspector:
    return Inspector(new_customer())


def begin(inspector: Inspector) -> str:
    """Buy, look at what the page says before anything is used, and make a key; the key."""
    customer, page = inspector.customer, inspector.customer.page
    customer.arrive()
    inspector.visit("/usage")
    expect(page.get_by_text("Nothing is counted yet")).to_be_visible()
    customer.subscribe(ESSENTIAL_MONTH)
    customer.stack.advance(HOUR)
    page.get_by_role("link", name="Usage", exact=True).click()
    expect(page.get_by_role("heading", name="0 resolutions so far, $0.00")).to_be_visible()
    expect(page.get_by_text("No conversation in this period yet")).to_be_visible()
    inspector.look("first use")
    page.get_by_role("link", name="Make a key").click()
    return make_key(customer)


@pytest.mark.waits
def test_events_show_by_themselves_explain_themselves_and_sum_to_the_file(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    key = begin(inspector)
    customer.visit("/usage")
    for name in ("c-1", "c-2", "=c;3..(a)"):
        thanks = event(customer, name, "customer_confirmed", 300)
        send(customer, key, event(customer, name, "ai_answered", 600), thanks)
    send(customer, key, event(customer, "c-2", "customer_asked", 60))
    send(customer, key, event(customer, "c-4", "ai_answered", 60))
    # nobody loads the page again
    expect(page.get_by_role("heading", name="2 resolutions so far, $1.98")).to_be_visible()
    inspector.look("busy")
    page.get_by_text("The same as a table").click()
    inspector.look("with its table")
    today = page.get_by_role("link", name=re.compile("3 confirmed"))
    today.focus()
    expect(today.locator(".chart-said")).to_be_visible()
    explain(inspector)

    assert amounts(customer) == Decimal("1.98")
    assert inspector.found == {}


def explain(inspector: Inspector) -> None:
    """From the list to the evidence of one, and through the filter."""
    page = inspector.customer.page
    page.get_by_role("link", name="Every resolution").click()
    expect(page.get_by_role("rowheader")).to_have_count(3)
    inspector.look("every resolution")
    page.get_by_role("link", name="=c;3..(a)").click()
    expect(page.get_by_role("heading", name="Conversation =c;3..(a)")).to_be_visible()
    expect(page.get_by_text("The customer confirmed that the AI's answer helped.")).to_be_visible()
    expect(page.get_by_text("What would have prevented it")).to_be_visible()
    inspector.look("evidence")
    page.get_by_role("link", name="Resolutions", exact=True).click()
    page.get_by_label("State").select_option("Pending")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("rowheader")).to_have_count(1)
    page.get_by_label("Conversation").fill("nobody")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No resolution fits")).to_be_visible()
    inspector.look("nothing fits")


def amounts(customer: Customer) -> Decimal:
    """The sum of the file that the page offers."""
    page = customer.page
    customer.visit("/usage")
    with page.expect_download() as download:
        page.get_by_role("link", name="Every entry as CSV").click()
    text = Path(download.value.path()).read_text("utf-8-sig")
    return sum((Decimal(row["amount"]) for row in csv.DictReader(io.StringIO(text))), Decimal(0))


def test_usage_works_without_script_and_on_a_phone(new_customer: NewCustomer) -> None:
    customer = new_customer(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = customer.page
    customer.arrive()
    customer.visit("/usage")

    expect(page.get_by_text("Nothing is counted yet")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
