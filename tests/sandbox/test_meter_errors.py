"""Errors of accepted events: thin events, their destinations, and how they are delivered and read."""

from __future__ import annotations

import json
from typing import Any

import pytest
import stripe

from portal.sandbox.app import create_sandbox
from tests.sandbox.billing import START
from tests.sandbox.metering import DAY, MeteredWorld
from tests.sandbox.recorded import refusal
from tests.transport import SECRET_KEY

REPORTED = "v1.billing.meter.error_report_triggered"
NO_METER = "v1.billing.meter.no_meter_found"
URL = "http://localhost:8000/webhooks/stripe"


@pytest.fixture
def world() -> MeteredWorld:
    return MeteredWorld()


def destination(world: MeteredWorld, **params: Any) -> Any:
    wanted: Any = {
        "name": "Meter errors",
        "type": "webhook_endpoint",
        "event_payload": "thin",
        "enabled_events": [REPORTED, NO_METER],
        "webhook_endpoint": {"url": URL},
        "include": ["webhook_endpoint.signing_secret", "webhook_endpoint.url"],
        **params,
    }
    return world.client.v2.core.event_destinations.create(wanted)


def send(world: MeteredWorld, payload: dict[str, str], **params: Any) -> str:
    wanted: Any = {"event_name": "sms", "payload": payload, **params}
    return world.v1.billing.meter_events.create(wanted).identifier


def test_what_is_wrong_with_accepted_events_is_told_together_seconds_later(world: MeteredWorld) -> None:
    customer = world.customer()
    identifiers = [
        send(world, {"value": "1"}),
        send(world, {"stripe_customer_id": "cus_nope", "value": "1"}),
        send(world, {"stripe_customer_id": customer.id}),
        send(world, {"stripe_customer_id": customer.id, "value": "1,5"}),
        send(world, {"stripe_customer_id": customer.id, "value": "1" * 16}),
        send(world, {"stripe_customer_id": "cus_nope", "value": "2"}),
    ]
    world.sandbox.advance(seconds=11)
    assert world.client.v2.core.events.list().data == []
    world.sandbox.advance(seconds=1)
    event = world.client.v2.core.events.list().data[0]

    assert (event.type, event.created) == (REPORTED, "2026-09-21T20:08:32.000Z")
    assert event.related_object.to_dict() == {
        "id": world.meter.id,
        "type": "billing.meter",
        "url": f"/v1/billing/meters/{world.meter.id}",
    }
    data = event.data
    assert data.developer_message_summary == "There are 6 invalid events"
    assert (data.validation_start, data.validation_end) == (
        "2026-09-21T20:08:20.000Z",
        "2026-09-21T20:08:30.000Z",
    )
    assert [(each.code, each.error_count) for each in data.reason.error_types] == [
        ("meter_event_no_customer_defined", 1),
        ("meter_event_customer_not_found", 2),
        ("meter_event_value_not_found", 1),
        ("meter_event_invalid_value", 1),
        ("meter_event_value_too_many_digits", 1),
    ]
    first = data.reason.error_types[0].sample_errors[0]
    assert first.error_message == "Customer mapping key stripe_customer_id not found in payload."
    told = [row.request.identifier for each in data.reason.error_types for row in each.sample_errors]
    assert sorted(told) == sorted(identifiers)
    assert world.used(customer) == 0


def test_a_deleted_customer_is_not_found(world: MeteredWorld) -> None:
    customer = world.customer()
    world.v1.customers.delete(customer.id)
    send(world, {"stripe_customer_id": customer.id, "value": "1"})
    world.sandbox.advance(seconds=20)
    event = world.client.v2.core.events.list().data[0]

    assert event.data.reason.error_types[0].code == "meter_event_customer_not_found"


def test_the_stream_tells_of_unknown_and_archived_meters_and_of_times(world: MeteredWorld) -> None:
    customer = world.customer()
    payload = {"stripe_customer_id": customer.id, "value": "1"}
    world.v1.billing.meters.deactivate(world.new_meter("old").id)
    events: Any = [
        {"event_name": "nope", "payload": payload, "identifier": "lost"},
        {"event_name": "old", "payload": payload},
        {"event_name": "sms", "payload": payload, "timestamp": "2026-08-01T00:00:00Z"},
        {"event_name": "sms", "payload": payload, "timestamp": "2026-10-01T00:00:00Z"},
    ]
    world.streaming().v2.billing.meter_event_stream.create({"events": events})
    world.sandbox.advance(seconds=20)
    found = world.client.v2.core.events.list().data
    codes = [[each.code for each in event.data.reason.error_types] for event in found]
    lost = next(event for event in found if event.type == NO_METER)

    assert sorted(codes) == [
        ["archived_meter"],
        ["no_meter"],
        ["timestamp_too_far_in_past", "timestamp_in_future"],
    ]
    assert lost.data.developer_message_summary == "There is 1 invalid event"
    sample = lost.data.reason.error_types[0].sample_errors[0]
    assert sample.error_message == "No meter was found matching event_name nope."
    assert sample.request.identifier == "lost"


def test_a_report_names_a_few_samples_and_counts_them_all(world: MeteredWorld) -> None:
    events: Any = [{"event_name": "sms", "payload": {"value": "1"}} for _ in range(60)]
    world.streaming().v2.billing.meter_event_stream.create({"events": events})
    world.sandbox.advance(seconds=20)
    found = world.client.v2.core.events.list().data[0].data.reason.error_types[0]

    assert (found.error_count, len(found.sample_errors)) == (60, 5)


def test_a_thin_event_is_delivered_signed_and_without_its_data(world: MeteredWorld) -> None:
    made = destination(world)
    send(world, {"value": "1"})
    world.sandbox.advance(seconds=20)
    told = world.thin()
    url, body, headers = world.sent[-1]
    reader = stripe.StripeClient(SECRET_KEY)
    secret = made.webhook_endpoint.signing_secret
    read = reader.parse_event_notification(body, headers["Stripe-Signature"], secret)
    event = world.client.v2.core.events.retrieve(read.id)

    assert url == URL
    assert told[0].keys() == {
        "id", "object", "context", "created", "livemode", "reason", "type", "related_object",
    }  # fmt: skip
    assert isinstance(read, stripe.events.V1BillingMeterErrorReportTriggeredEventNotification)
    assert read.related_object.id == world.meter.id
    assert event.data.reason.error_count == 1


def test_only_enabled_destinations_that_want_a_type_get_it(world: MeteredWorld) -> None:
    other = destination(world, enabled_events=[NO_METER])
    off = destination(world)
    world.client.v2.core.event_destinations.disable(off.id)
    send(world, {"value": "1"})
    world.sandbox.advance(seconds=20)
    assert world.thin() == []
    world.client.v2.core.event_destinations.enable(off.id)
    send(world, {"value": "1"})
    world.sandbox.advance(seconds=20)

    assert [event["type"] for event in world.thin()] == [REPORTED]
    assert world.client.v2.core.event_destinations.retrieve(other.id).status == "enabled"


def test_destinations_are_listed_changed_and_deleted(world: MeteredWorld) -> None:
    destinations = world.client.v2.core.event_destinations
    made = destination(world, metadata={"of": "portal"})
    changed = destinations.update(
        made.id, {"name": "Errors", "webhook_endpoint": {"url": "http://localhost:9000/x"}}
    )
    listed = destinations.list({"include": ["webhook_endpoint.url"]}).data
    gone = destinations.delete(made.id)

    assert made.webhook_endpoint.url == URL
    assert (changed.name, changed.metadata.to_dict()) == ("Errors", {"of": "portal"})
    assert [row.webhook_endpoint.url for row in listed] == ["http://localhost:9000/x"]
    assert listed[0].webhook_endpoint.signing_secret is None
    assert (gone.id, destinations.list().data) == (made.id, [])
    assert refusal(lambda: destinations.retrieve(made.id)).http_status == 404


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"event_payload": "snapshot"}, "event_payload"),
        ({"event_payload": "thick"}, "event_payload"),
        ({"type": "amazon_eventbridge"}, "type"),
        ({"webhook_endpoint": {"url": "localhost"}}, "url"),
        ({"enabled_events": "all"}, "enabled_events"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_wrong_destination_is_refused(world: MeteredWorld, params: dict[str, Any], param: str) -> None:
    error = refusal(lambda: destination(world, **params))

    assert (error.http_status, error.param) == (400, param)


def test_thin_events_are_listed_by_type_object_and_time_in_pages(world: MeteredWorld) -> None:
    for _ in range(3):
        send(world, {"value": "1"})
        world.sandbox.advance(seconds=30)
    events = world.client.v2.core.events
    paged = [event.id for event in events.list({"limit": 2, "types": [REPORTED]}).auto_paging_iter()]
    recent = events.list({"created": {"gt": "2026-09-21T20:08:32Z"}}).data
    about: Any = {"object_id": world.meter.id}

    assert len(set(paged)) == 3
    assert len(recent) == 2
    assert len(events.list(about).data) == 3
    assert events.list({"types": [NO_METER]}).data == []
    assert events.list({"object_id": "mtr_nope"}).data == []


def test_the_command_lines_destination_gets_meter_errors_and_nothing_else() -> None:
    sent: list[tuple[str, dict[str, Any]]] = []

    def take(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        sent.append((url, json.loads(body)))
        return 200, ""

    app = create_sandbox(thin_webhooks=[(URL, "whsec_line")], send=take)
    sandbox = app.extensions["sandbox"]
    from tests.transport import stripe_client

    client = stripe_client(app)
    client.v1.billing.meters.create(
        {"display_name": "SMS", "event_name": "sms", "default_aggregation": {"formula": "sum"}}
    )
    client.v1.billing.meter_events.create({"event_name": "sms", "payload": {"value": "1"}})
    sandbox.advance(seconds=20)
    app.extensions["webhooks"].deliver_pending()

    assert [(url, body["object"]) for url, body in sent] == [(URL, "v2.core.event")]


def test_an_event_can_be_sent_again(world: MeteredWorld) -> None:
    destination(world)
    send(world, {"value": "1"})
    world.sandbox.advance(seconds=20)
    event = world.thin()[0]
    answer = world.app.test_client().post(f"/_sandbox/events/{event['id']}/resend")

    assert answer.json == {"queued": 1}
    assert [each["id"] for each in world.thin()] == [event["id"]] * 2
    assert world.sandbox.now() < START + DAY
