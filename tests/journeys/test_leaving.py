"""Leaving: ended and kept, ended and come back, and who did what."""

import csv
import re
from io import StringIO
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import ESSENTIAL_MONTH
from tests.journeys.test_accessibility import Inspector

DAY = 86_400


@pytest.fixture
def inspector(new_customer: NewCustomer) -> Inspector:
    return Inspector(new_customer())


def test_a_subscription_is_ended_and_kept_after_all(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    page.get_by_role("button", name=customer.company).click()
    page.get_by_role("link", name="Leaving").click()
    inspector.look("leaving")
    page.get_by_role("link", name=re.compile("^End it on")).click()
    inspector.look("what happens")
    page.get_by_label("Why are you leaving?").select_option(label="It costs too much")
    page.get_by_role("button", name=re.compile("^End it on")).click()
    expect(page.get_by_text("It ends on")).to_be_visible()
    inspector.look("ending")
    [ending] = customer.subscriptions()
    assert ending["cancellation_details"]["feedback"] == "too_expensive"
    assert ending["cancel_at"] == ending["items"]["data"][0]["current_period_end"]
    assert customer.stack.mail(customer.email, "Your subscription ends on")

    customer.visit("/billing")
    expect(page.get_by_text("Your subscription ends on")).to_be_visible()
    customer.visit("/billing/leaving")
    page.get_by_role("button", name="Keep the subscription").click()
    expect(page.get_by_text("Your subscription goes on as before.")).to_be_visible()
    assert [one["cancel_at"] for one in customer.subscriptions()] == [None]
    assert inspector.found == {}


@pytest.mark.lets_time_pass
def test_who_has_left_comes_back_with_the_old_choice(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    customer.visit("/billing/leaving/end")
    page.get_by_role("button", name=re.compile("^End it on")).click()
    expect(page.get_by_role("button", name="Keep the subscription")).to_be_visible()
    customer.stack.advance(32 * DAY)
    customer.visit("/billing/leaving")
    customer.await_words("It ended on")
    inspector.look("over")
    assert customer.subscriptions() == []
    assert len(customer.charges()) == 1
    assert customer.stack.mail(customer.email, "Your subscription has ended")

    inspector.visit("/billing/leaving/deletion")
    customer.visit("/billing/leaving")
    page.get_by_role("link", name="Come back").click()
    expect(page.get_by_label("Seats", exact=True)).to_have_value("2")
    page.get_by_role("link", name="Start").or_(page.get_by_role("button", name="Start")).first.click()
    page.get_by_role("button", name="Show the exact price").click()
    page.wait_for_url(re.compile("/checkout/Q-"))
    customer.pay_by_card()
    customer.expect_live()
    assert [one["amount"] for one in customer.charges()] == [7800, 7800]
    assert inspector.found == {}


def test_the_activity_says_who_did_what(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    quote_id = customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    inspector.visit("/billing/activity")
    row = page.get_by_role("row").filter(has_text="Confirmed the quote")
    expect(row).to_contain_text(customer.email)
    page.get_by_label("Kind").select_option(label="Purchases and quotes")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("The invoice was paid")).to_have_count(0)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download as CSV").click()
    entries = list(csv.DictReader(StringIO(Path(waiting.value.path()).read_text("utf-8-sig"))))
    assert {entry["Kind"] for entry in entries} == {"Purchases and quotes"}
    assert {entry["Quote"] for entry in entries if entry["Quote"]} == {quote_id}

    row.get_by_role("link", name=f"Quote {quote_id}").click()
    expect(page.get_by_text("Essential seat × 2")).to_be_visible()
    inspector.look("quote")
    assert inspector.found == {}
