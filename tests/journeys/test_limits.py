"""Limits: a cap is set, the AI stops at it, the approver is asked and allows more; without script as well."""

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import ESSENTIAL_MONTH, Customer
from tests.journeys.pictures import pictures
from tests.journeys.shortcut import link_in
from tests.journeys.test_accessibility import Inspector


@pytest.fixture
def inspector(new_customer: NewCustomer) -> Inspector:
    return Inspector(new_customer())


def open_limits(customer: Customer) -> None:
    """By the account's menu."""
    customer.page.get_by_role("button", name=customer.company).click()
    customer.page.get_by_role("link", name="Limits and alerts").click()


@pytest.mark.waits
def test_a_cap_is_set_reached_and_raised_by_the_approver(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    open_limits(customer)
    expect(page.get_by_text("No cap: the AI answers whatever is asked")).to_be_visible()
    expect(page.get_by_label("Who may allow more")).to_be_hidden()
    inspector.look("no limits")

    page.get_by_label("Budget a month").fill("many")
    page.get_by_label("A number of resolutions").check()
    page.get_by_label("Resolutions a month").fill("0")
    page.get_by_label("Ask somebody for more").check()
    page.get_by_role("button", name="Save budget and cap").click()
    expect(page.get_by_role("link", name="Budget a month: enter an amount")).to_be_visible()
    inspector.look("refused")
    page.get_by_label("Budget a month").fill("250")
    page.get_by_label("Who may allow more").fill(customer.email)
    page.get_by_role("button", name="Save budget and cap").click()
    expect(page.get_by_role("heading", name="Hard cap of 0 resolutions a month")).to_be_visible()
    expect(page.get_by_text("The AI stops at once")).to_be_visible()
    inspector.look("check")
    page.get_by_role("button", name="Set the hard cap now").click()
    expect(page.get_by_text("The AI waits for more")).to_be_visible()
    expect(page.get_by_text("Budget: $0.00 of $250.00 used this month.")).to_be_visible()
    inspector.look("stopped")
    pictures(customer, "cap-reached")
    inspector.visit("/usage")
    pictures(customer, "cap-reached-usage")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    customer.visit(link_in(customer.stack, customer.email, "May the AI resolve more"))
    page.get_by_label("Resolutions more in this month").fill("25")
    inspector.look("more")
    page.get_by_role("button", name="Allow them now").click()
    expect(page.get_by_text("Hard cap: at 25 resolutions this month")).to_be_visible()
    expect(page.get_by_text("25 of them were allowed on top")).to_be_visible()
    customer.visit("/billing/activity")
    expect(page.get_by_text("Allowed the AI 25 resolutions more in this period")).to_be_visible()
    assert inspector.found == {}


def test_a_cap_and_alerts_are_set_without_script(new_customer: NewCustomer) -> None:
    customer = new_customer(java_script_enabled=False)
    page = customer.page
    customer.arrive()
    customer.visit("/usage/limits")
    page.get_by_label("An amount of money").check()
    page.get_by_label("Amount a month").fill("99")
    page.get_by_label("Hand over to people").check()
    page.get_by_role("button", name="Save budget and cap").click()
    page.get_by_role("button", name="Set the hard cap now").click()
    expect(page.get_by_text("at 100 resolutions this month the AI hands over to people.")).to_be_visible()
    page.get_by_label("50% of the budget or the cap is used").uncheck()
    page.get_by_label(customer.email).check()
    page.get_by_role("button", name="Save alerts").click()
    expect(page.get_by_text("Your alerts are changed.")).to_be_visible()
    expect(page.get_by_label("50% of the budget or the cap is used")).not_to_be_checked()
    expect(page.get_by_label(customer.email)).to_be_checked()
