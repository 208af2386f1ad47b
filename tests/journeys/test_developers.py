"""A customer's programmer: makes a key, sends a conversation, reads what it came to, and ends the key."""

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError

from playwright.sync_api import expect

from tests.journeys.customer import ESSENTIAL_MONTH, Customer
from tests.journeys.test_accessibility import SIZES, Inspector


def ask(customer: Customer, key: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """What the program does."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{customer.stack.url}/v1{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def conversation(now: datetime) -> list[dict[str, str]]:
    steps = {"ai_answered": now - timedelta(seconds=2), "customer_confirmed": now - timedelta(seconds=1)}
    return [
        {
            "id": f"evt_{type}",
            "conversation_id": "conv_1",
            "type": type,
            "occurred_at": at.isoformat(),
            "channel": "chat",
        }
        for type, at in steps.items()
    ]


def make_key(customer: Customer) -> str:
    """Fill in the form; the key as the page shows it."""
    page = customer.page
    page.get_by_label("Name").fill("Help desk")
    page.get_by_label("Send events and usage").check()
    page.get_by_label("Read usage, resolutions, credits and quotes").check()
    page.get_by_role("button", name="Make the key").click()
    return page.get_by_label("Key", exact=True).input_value()


def test_a_key_is_made_and_a_program_sends_a_conversation_with_it(customer: Customer) -> None:
    page, inspector = customer.page, Inspector(customer)
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    customer.visit("/billing")
    page.get_by_role("button", name=customer.company).click()
    page.get_by_role("link", name="Developers").click()
    inspector.look("no keys yet")
    page.get_by_role("link", name="Make a key").click()
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("#error-summary")).to_be_visible()
    inspector.look("make a key, with errors")
    key = make_key(customer)
    customer.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    inspector.look("the new key")
    # other journeys have turned the clock
    now = datetime.fromtimestamp(customer.stack.sandbox("clock")["now"], UTC)
    sent = ask(customer, key, "POST", "/events", conversation(now))
    read = ask(customer, key, "GET", "/usage")

    assert page.evaluate("navigator.clipboard.readText()") == key
    assert (sent[0], sent[1]["accepted"]) == (200, 2), sent
    assert (read[0], read[1]["kinds"][0]["quantity"], read[1]["amount"]) == (200, 1, 99), read
    page.get_by_role("link", name="I have kept it").click()
    expect(page.get_by_text("last used")).to_be_visible()
    assert inspector.found == {}


def test_a_key_is_replaced_and_the_old_one_revoked(customer: Customer) -> None:
    page, inspector = customer.page, Inspector(customer)
    customer.sign_up()
    customer.visit("/developers/keys/new")
    old = make_key(customer)
    customer.visit("/developers")
    page.get_by_role("link", name="Replace Help desk").click()
    inspector.look("replace a key")
    page.get_by_role("button", name="Make the new key").click()
    new = page.get_by_label("Key", exact=True).input_value()
    both = [ask(customer, key, "GET", "/quotes")[0] for key in (old, new)]
    page.get_by_role("link", name="I have kept it").click()
    inspector.look("two keys")
    page.get_by_role("link", name="Revoke Help desk").last.click()
    inspector.look("revoke a key")
    page.get_by_role("button", name="Revoke the key").click()
    expect(page.get_by_text("The key Help desk is revoked")).to_be_visible()

    assert both == [200, 200]
    assert [ask(customer, key, "GET", "/quotes")[0] for key in (old, new)] == [401, 200]
    assert inspector.found == {}


def test_the_reference_is_there_for_guests_and_on_a_phone(customer: Customer) -> None:
    inspector = Inspector(customer, SIZES)
    inspector.visit("/developers/api")

    assert inspector.found == {}
