"""What a customer's help desk does: it has a key, and sends what happens in conversations."""

from datetime import UTC, datetime
from typing import Any

from tests.journeys.customer import Customer

HOUR, DAY = 3600, 86_400


def make_key(customer: Customer) -> str:
    """From /developers, which is open."""
    page = customer.page
    page.get_by_role("link", name="Make a key").click()
    page.get_by_label("Name").fill("Help desk")
    page.get_by_label("Send events and usage").check()
    page.get_by_role("button", name="Make the key").click()
    return page.get_by_label("Key", exact=True).input_value()


def event(customer: Customer, conversation: str, kind: str, ago: int) -> dict[str, Any]:
    """What a help desk sends about a conversation, ``ago`` seconds after it happened."""
    at = datetime.fromtimestamp(customer.stack.sandbox("clock")["now"] - ago, UTC)
    return {
        "id": f"{conversation}.{kind}",
        "conversation_id": conversation,
        "type": kind,
        "occurred_at": at.isoformat(),
        "channel": "chat",
    }


def send(customer: Customer, key: str, *events: dict[str, Any]) -> None:
    answer = customer.context.request.post(
        f"{customer.stack.url}/v1/events", headers={"Authorization": f"Bearer {key}"}, data=list(events)
    )
    assert answer.ok, answer.text()


def resolve(customer: Customer, key: str, *conversations: str) -> None:
    """Each is answered by the AI and confirmed by its customer, minutes ago."""
    for name in conversations:
        answer = event(customer, name, "ai_answered", 600)
        send(customer, key, answer, event(customer, name, "customer_confirmed", 300))


def await_reported(customer: Customer, *conversations: str) -> None:
    """Wait until Stripe has each; what it has not heard when the month ends is billed with the next one."""
    for name in conversations:
        customer.visit(f"/usage/resolutions/{name}/1")
        customer.await_words("Reported to Stripe on")
