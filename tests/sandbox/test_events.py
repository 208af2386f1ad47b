"""Events and their webhooks: what is recorded, signed, retried, lost or doubled."""

from __future__ import annotations

import json
from typing import Any

import pytest
import stripe
from flask import Flask

from portal.sandbox import deliveries
from portal.sandbox.app import create_sandbox
from portal.sandbox.background import Background
from portal.sandbox.state import Sandbox
from portal.sandbox.webhooks import PAUSES, Webhooks
from tests.sandbox import response_schema
from tests.sandbox.recorded import refusal
from tests.transport import stripe_client

URL = "http://portal.test/webhooks/stripe"
SECRET = "whsec_of_the_command_line"


class Receiver:
    """An endpoint that verifies what it gets with the SDK and answers as told."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[stripe.Event] = []
        self.urls: list[str] = []

    def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        self.urls.append(url)
        self.got.append(stripe.Webhook.construct_event(body, headers["Stripe-Signature"], SECRET))
        return (self.answers.pop(0) if self.answers else 200), "ok"

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.got]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def app(receiver: Receiver) -> Flask:
    application = create_sandbox(webhooks=[(URL, SECRET)], send=receiver)
    application.testing = True
    return application


@pytest.fixture
def client(app: Flask) -> stripe.StripeClient:
    return stripe_client(app, watch=response_schema.check)


@pytest.fixture
def webhooks(app: Flask) -> Webhooks:
    return app.extensions["webhooks"]


def order(app: Flask, **controls: Any) -> None:
    answer = app.test_client().post("/_sandbox/webhooks", json=controls)
    assert answer.status_code == 200


def test_a_webhook_carries_the_signed_event(
    client: stripe.StripeClient, webhooks: Webhooks, receiver: Receiver
) -> None:
    customer = client.v1.customers.create({"name": "Ada"})
    webhooks.deliver_pending()
    event = receiver.got[0]

    assert receiver.urls == [URL]
    assert event.type == "customer.created"
    assert event.data.object.id == customer.id
    assert event.request.id == customer.last_response.headers["Request-Id"]
    assert event.api_version == "2026-10-28.endive"
    assert event.pending_webhooks == 1


def test_a_forged_body_does_not_verify(client: stripe.StripeClient, webhooks: Webhooks) -> None:
    forged: list[Exception] = []

    def forge(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        try:
            stripe.Webhook.construct_event(body + b" ", headers["Stripe-Signature"], SECRET)
        except stripe.SignatureVerificationError as error:
            forged.append(error)
        return 200, ""

    webhooks.send = forge
    client.v1.customers.create({"name": "Ada"})
    webhooks.deliver_pending()

    assert len(forged) == 1


def test_nothing_is_sent_for_a_request_that_failed(
    client: stripe.StripeClient, webhooks: Webhooks, receiver: Receiver
) -> None:
    wrong = {"name": "Ada", "tax_id_data": [{"type": "eu_vat", "value": "nonsense"}]}
    refusal(lambda: client.v1.customers.create(wrong))
    webhooks.deliver_pending()

    assert receiver.got == []
    assert client.v1.events.list().data == []


def test_one_request_may_cause_several_events_in_order(
    client: stripe.StripeClient, webhooks: Webhooks, receiver: Receiver
) -> None:
    data = {"currency": "usd", "unit_amount": 9900, "recurring": {"interval": "month"}}
    client.v1.products.create({"name": "Seat", "default_price_data": data})
    webhooks.deliver_pending()

    assert receiver.types == ["product.created", "price.created"]
    assert len({event.request.id for event in receiver.got}) == 1


def test_a_refused_webhook_is_tried_again_until_accepted(
    client: stripe.StripeClient, webhooks: Webhooks, receiver: Receiver
) -> None:
    receiver.answers = [500, 503]
    client.v1.customers.create({"name": "Ada"})
    waiting = [webhooks.deliver_pending() for _ in range(4)]
    event = client.v1.events.list().data[0]

    assert waiting == [1, 1, 1, 0]
    assert [got.id for got in receiver.got] == [event.id] * 3
    assert event.pending_webhooks == 0


def test_an_endpoint_that_never_accepts_is_given_up(
    client: stripe.StripeClient, webhooks: Webhooks, receiver: Receiver
) -> None:
    receiver.answers = [500] * 100
    client.v1.customers.create({"name": "Ada"})
    for _ in range(20):
        webhooks.deliver_pending()

    assert len(receiver.got) == len(PAUSES) + 1
    assert client.v1.events.list({"delivery_success": False}).data[0].pending_webhooks == 1


def test_a_retry_waits(client: stripe.StripeClient, webhooks: Webhooks, receiver: Receiver) -> None:
    receiver.answers = [500]
    client.v1.customers.create({"name": "Ada"})

    assert webhooks.deliver_due() == 1
    assert webhooks.deliver_due() == 0


def test_attempts_are_on_record(app: Flask, client: stripe.StripeClient, webhooks: Webhooks) -> None:
    def unreachable(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        raise ConnectionRefusedError("nobody listens")

    webhooks.send = unreachable
    client.v1.customers.create({"name": "Ada"})
    webhooks.deliver_pending()
    seen = app.test_client().get("/_sandbox/attempts").json

    assert [(row["status"], row["url"], row["try"]) for row in seen["attempts"]] == [(0, URL, 1)]
    assert "nobody listens" in seen["attempts"][0]["answer"]
    assert len(seen["pending"]) == 1


def test_webhooks_can_be_dropped(
    app: Flask, client: stripe.StripeClient, webhooks: Webhooks, receiver: Receiver
) -> None:
    order(app, drop=1)
    client.v1.customers.create({"name": "Lost"})
    kept = client.v1.customers.create({"name": "Kept"})
    webhooks.deliver_pending()

    assert [event.data.object.id for event in receiver.got] == [kept.id]
    assert len(client.v1.events.list({"types": ["customer.created"]}).data) == 2


def test_webhooks_can_come_twice(
    app: Flask, client: stripe.StripeClient, webhooks: Webhooks, receiver: Receiver
) -> None:
    order(app, duplicate=1)
    client.v1.customers.create({"name": "Twice"})
    client.v1.customers.create({"name": "Once"})
    webhooks.deliver_pending()

    assert [event.data.object.name for event in receiver.got] == ["Twice", "Twice", "Once"]


def test_webhooks_can_come_in_the_wrong_order(
    app: Flask, client: stripe.StripeClient, webhooks: Webhooks, receiver: Receiver
) -> None:
    order(app, reorder=True)
    for name in ("first", "second", "third"):
        client.v1.customers.create({"name": name})
    webhooks.deliver_pending()

    assert [event.data.object.name for event in receiver.got] == ["third", "second", "first"]


def test_under_reorder_nothing_goes_out_while_more_comes_in(
    app: Flask, client: stripe.StripeClient, sandbox: Sandbox
) -> None:
    order(app, reorder=True)
    for name in ("first", "second", "third"):
        client.v1.customers.create({"name": name})
    due = sorted(row["due"] for row in deliveries.pending(sandbox))

    assert deliveries.pending(sandbox, due[0]) == []
    assert [row["due"] for row in deliveries.pending(sandbox, due[-1])] == due[::-1]
    assert len(deliveries.pending(sandbox, due[0] + deliveries.LONGEST_REORDER + 1)) == 3


def test_webhooks_can_be_late(app: Flask, client: stripe.StripeClient, webhooks: Webhooks) -> None:
    order(app, delay=60)
    client.v1.customers.create({"name": "Ada"})

    assert webhooks.deliver_due() == 0
    assert webhooks.deliver_pending() == 1


@pytest.mark.parametrize("wrong", [{"drop": -1}, {"delay": "soon"}, {"lose": 1}, {"duplicate": 1001}])
def test_nonsense_controls_are_refused(app: Flask, wrong: dict[str, Any]) -> None:
    answer = app.test_client().post("/_sandbox/webhooks", json=wrong)

    assert answer.status_code == 400
    assert answer.json["error"]["message"]


def test_an_event_can_be_sent_again(
    app: Flask, client: stripe.StripeClient, webhooks: Webhooks, receiver: Receiver
) -> None:
    client.v1.customers.create({"name": "Ada"})
    webhooks.deliver_pending()
    event = client.v1.events.list().data[0]
    app.test_client().post(f"/_sandbox/events/{event.id}/resend")
    webhooks.deliver_pending()

    assert [got.id for got in receiver.got] == [event.id, event.id]
    assert app.test_client().post("/_sandbox/events/evt_nope/resend").status_code == 404


def test_an_endpoint_gets_the_events_it_asked_for(client: stripe.StripeClient, webhooks: Webhooks) -> None:
    endpoint = client.v1.webhook_endpoints.create(
        {"url": "https://other.test/hook", "enabled_events": ["product.created"]}
    )
    sent: list[tuple[str, str]] = []

    def note(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        secret = SECRET if url == URL else endpoint.secret
        sent.append((url, stripe.Webhook.construct_event(body, headers["Stripe-Signature"], secret).type))
        return 200, ""

    webhooks.send = note
    client.v1.customers.create({"name": "Ada"})
    client.v1.products.create({"name": "Seat"})
    webhooks.deliver_pending()

    assert (endpoint.url, "product.created") in sent
    assert (endpoint.url, "customer.created") not in sent
    assert len(sent) == 3


def test_the_secret_of_an_endpoint_is_shown_once(client: stripe.StripeClient) -> None:
    made = client.v1.webhook_endpoints.create({"url": "https://x.test/hook", "enabled_events": ["*"]})

    assert made.secret.startswith("whsec_")
    assert "secret" not in client.v1.webhook_endpoints.retrieve(made.id)


def test_a_disabled_or_deleted_endpoint_gets_nothing(
    client: stripe.StripeClient, webhooks: Webhooks, receiver: Receiver
) -> None:
    (endpoint,) = client.v1.webhook_endpoints.list().data
    client.v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
    client.v1.customers.create({"name": "Ada"})
    client.v1.webhook_endpoints.update(endpoint.id, {"disabled": False})
    client.v1.products.create({"name": "Seat"})
    client.v1.webhook_endpoints.delete(endpoint.id)
    webhooks.deliver_pending()

    assert receiver.got == []


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"url": "ftp://x", "enabled_events": ["*"]}, "Not a valid URL"),
        (
            {"url": "https://x.test", "enabled_events": ["no.such.event"]},
            "Invalid enabled_events[0]: must be",
        ),
        (
            {"url": "https://x.test", "enabled_events": ["*"], "api_version": "2020-08-27"},
            "This sandbox sends events of API version 2026-10-28.endive only.",
        ),
    ],
)
def test_a_wrong_endpoint_is_refused(
    client: stripe.StripeClient, params: dict[str, Any], message: str
) -> None:
    assert refusal(lambda: client.v1.webhook_endpoints.create(params)).user_message.startswith(message)


def test_a_poller_reads_events_by_type_and_time(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Ada"})
    client.v1.products.create({"name": "Seat"})
    since = {"gte": customer.created}

    assert [event.type for event in client.v1.events.list({"types": ["customer.created"]}).data] == [
        "customer.created"
    ]
    assert len(client.v1.events.list({"type": "product.*", "created": since}).data) == 1
    assert client.v1.events.list({"created": {"lt": customer.created}}).data == []
    refusal(lambda: client.v1.events.list({"type": "a", "types": ["b"]}))


def test_an_update_that_changes_nothing_is_no_event(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Ada"})
    client.v1.customers.update(customer.id, {"name": "Ada"})

    assert [event.type for event in client.v1.events.list().data] == ["customer.created"]


def test_a_deletion_names_no_idempotency_key(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Ada"})
    client.v1.customers.delete(customer.id)
    event = client.v1.events.list({"limit": 1}).data[0]

    assert event.type == "customer.deleted"
    assert event.request.id.startswith("req_")
    assert event.request.idempotency_key is None
    assert event.data.object.name == "Ada"


def test_the_background_sends_by_itself_and_stops(app: Flask, client: stripe.StripeClient) -> None:
    sent: list[str] = []
    webhooks: Webhooks = app.extensions["webhooks"]
    sandbox: Sandbox = app.extensions["sandbox"]

    def note(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        assert not sandbox.store.in_transaction
        sent.append(json.loads(body)["type"])
        stop.set()
        return 200, ""

    from threading import Event

    stop = Event()
    webhooks.send = note
    background = Background(app)
    background.start()
    client.v1.customers.create({"name": "Ada"})
    arrived = stop.wait(5)
    background.stop()

    assert arrived
    assert sent == ["customer.created"]
