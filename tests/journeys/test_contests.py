"""A resolution is contested: at once by its own events, or by support, and what was paid comes back."""

import re

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import ESSENTIAL_MONTH, Customer
from tests.journeys.pictures import pictures
from tests.journeys.test_accessibility import Inspector
from tests.journeys.using import DAY, HOUR, await_reported, event, make_key, resolve, send

WHY = "The customer wrote to us by e-mail: the answer was about another product."
ANSWER = "You are right: the answer was about another product."


@pytest.fixture
def inspector(new_customer: NewCustomer) -> Inspector:
    return Inspector(new_customer())


def with_usage(customer: Customer) -> str:
    """Buy, and let three conversations be resolved, which Stripe hears of; the key."""
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    customer.stack.advance(HOUR)
    customer.visit("/developers")
    key = make_key(customer)
    resolve(customer, key, "conv-1", "conv-2", "conv-3")
    await_reported(customer, "conv-1", "conv-2", "conv-3")
    return key


def visit(customer: Customer, conversation: str) -> None:
    customer.visit(f"/usage/resolutions/{conversation}/1")


def contest(customer: Customer, conversation: str, reason: str, comment: str = "") -> None:
    visit(customer, conversation)
    customer.page.get_by_label(reason).check()
    customer.page.get_by_label("What should we know?").fill(comment)
    customer.page.get_by_role("button", name="Contest this resolution").click()


def waiting_workspace(customer: Customer) -> str:
    """The id of the workspace whose contest waits for the vendor's support."""
    [waiting] = [line for line in listed(customer) if WHY in line]
    return waiting.split()[0]


def support(customer: Customer, workspace_id: str, action: str, *ending: str) -> str:
    """What the vendor's support does about this workspace's open contest."""
    return customer.stack.command("support", "contest", action, workspace_id, "conv-1", "1", *ending)


def listed(customer: Customer) -> list[str]:
    return customer.stack.command("support", "contest", "list").splitlines()


@pytest.mark.lets_time_pass
def test_what_support_agrees_to_comes_back_by_a_credit_note_on_its_invoice(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    with_usage(customer)
    customer.stack.advance(32 * DAY)
    visit(customer, "conv-1")
    page.get_by_role("button", name="Contest this resolution").click()
    expect(page.get_by_role("link", name=re.compile("Choose why"))).to_be_visible()
    inspector.look("contest without a reason")
    pictures(customer, "contest-refused")
    contest(customer, "conv-1", "It did not solve the problem, or something else", WHY)
    expect(page.get_by_text("It is contested. We look at it and write to you.")).to_be_visible()
    inspector.look("contested")
    pictures(customer, "contest-open")
    page.get_by_role("link", name="Resolutions", exact=True).click()
    page.get_by_label("State").select_option("Contested")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("rowheader")).to_have_count(1)
    pictures(customer, "contest-list")

    workspace_id = waiting_workspace(customer)
    assert "ai_answered" in support(customer, workspace_id, "show")
    assert "accepted" in support(customer, workspace_id, "accept", "--answer", ANSWER)
    visit(customer, "conv-1")
    expect(page.get_by_role("heading", name="Contested, and taken back")).to_be_visible()
    expect(page.get_by_text(ANSWER)).to_be_visible()
    expect(page.get_by_text("It was contested, and is taken back.").first).to_be_visible()
    # credit notes are looked for every twenty seconds
    customer.await_words("$0.99 with tax, by a credit note on", seconds=90)
    inspector.look("accepted")
    pictures(customer, "contest-accepted")
    page.get_by_role("link", name="its invoice").click()
    expect(page.get_by_text("-$0.99").or_(page.get_by_text("\u2212$0.99")).first).to_be_visible()
    inspector.look("the invoice with what came back")
    pictures(customer, "contest-invoice")
    customer.visit(customer.mailed_link("is taken back"))
    expect(page.get_by_role("heading", name="Contested, and taken back")).to_be_visible()
    assert inspector.found == {}


def test_what_its_own_events_prove_is_taken_back_at_once_and_the_rest_may_stay(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    key = with_usage(customer)
    send(customer, key, event(customer, "conv-2", "human_replied", 60))
    contest(customer, "conv-2", "A person had to reply")
    expect(page.get_by_text("It is taken back: it costs you nothing.")).to_be_visible()
    inspector.look("taken back at once")
    pictures(customer, "contest-by-rule")
    contest(customer, "conv-1", "It did not solve the problem, or something else", WHY)
    answer = "They thanked the AI for the right product."
    support(customer, waiting_workspace(customer), "refuse", "--answer", answer)
    visit(customer, "conv-1")
    expect(page.get_by_role("heading", name="Contested, and it stays")).to_be_visible()
    expect(page.get_by_text(answer)).to_be_visible()
    inspector.look("refused")
    pictures(customer, "contest-stays")
    customer.visit("/usage")
    expect(page.get_by_role("heading", name="2 resolutions so far, $1.98")).to_be_visible()
    assert listed(customer) == []
    assert inspector.found == {}
