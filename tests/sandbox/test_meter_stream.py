"""API v2: meter events checked at once, sessions and the stream of up to a hundred, adjustments."""

from __future__ import annotations

import json
from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START
from tests.sandbox.metering import DAY, MINUTE, MeteredWorld
from tests.sandbox.recorded import refusal
from tests.transport import SECRET_KEY, stripe_client

AT = "2026-09-21T20:08:20.000Z"  # START


@pytest.fixture
def world() -> MeteredWorld:
    return MeteredWorld()


def event(customer: stripe.Customer, value: str = "1", **members: Any) -> Any:
    payload = {"stripe_customer_id": customer.id, "value": value}
    return {"event_name": "sms", "payload": payload, **members}


def test_an_event_is_json_with_times_in_rfc_3339(world: MeteredWorld) -> None:
    customer = world.customer()
    made = world.client.v2.billing.meter_events.create(
        event(customer, "25", identifier="one", timestamp="2026-09-21T19:00:00+02:00")
    )

    assert made.to_dict() == {
        "object": "v2.billing.meter_event",
        "created": AT,
        "event_name": "sms",
        "identifier": "one",
        "livemode": False,
        "payload": {"stripe_customer_id": customer.id, "value": "25"},
        "timestamp": "2026-09-21T17:00:00.000Z",
    }
    assert world.used(customer) == 25


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"event_name": "nope"}, "no_meter"),
        ({"payload": {"value": "1"}}, "payload_no_customer_defined"),
        ({"payload": {"stripe_customer_id": "cus"}}, None),
        ({"payload": {"stripe_customer_id": "CUS"}}, "payload_no_value_defined"),
        ({"payload": {"stripe_customer_id": "CUS", "value": "many"}}, "payload_invalid_value"),
        ({"payload": {"stripe_customer_id": "CUS", "value": "1" * 16}}, "payload_invalid_value"),
        ({"timestamp": "2026-08-17T20:08:19Z"}, "timestamp_too_far_in_past"),
        ({"timestamp": "2026-09-21T20:13:21Z"}, "timestamp_in_future"),
        ({"timestamp": "yesterday"}, "invalid_fields"),
        ({"timestamp": "2026-09-21T20:08:20"}, "invalid_fields"),
    ],
)
def test_all_but_the_customer_is_checked_before_the_answer(
    world: MeteredWorld, change: dict[str, Any], code: str | None
) -> None:
    customer = world.customer()
    wanted = json.loads(json.dumps({**event(customer), **change}).replace("CUS", customer.id))
    send = world.client.v2.billing.meter_events.create
    if code is None:
        assert send(wanted).object == "v2.billing.meter_event"
        return
    error = refusal(lambda: send(wanted))

    assert (error.http_status, error.code) == (400, code)


def test_an_archived_meter_and_a_known_identifier_have_codes(world: MeteredWorld) -> None:
    customer = world.customer()
    send = world.client.v2.billing.meter_events.create
    send(event(customer, identifier="same"))
    known = refusal(lambda: send(event(customer, identifier="same")))
    world.v1.billing.meters.deactivate(world.meter.id)
    archived = refusal(lambda: send(event(customer)))

    assert (known.code, archived.code) == ("duplicate_meter_event", "archived_meter")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"event_name": "sms", "payload": {"value": 25}}', 400),
        (b'{"event_name": ["sms"], "payload": {}}', 400),
        (b'{"event_name": "sms"}', 400),
        (b'{"event_name": "sms", "payload": {}, "colour": "blue"}', 400),
        (b'{"event_name": "sms", "payload": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", 400),
    ],
)
def test_bodies_are_strict_json(world: MeteredWorld, body: bytes, status: int) -> None:
    answer = world.app.test_client().post(
        "/v2/billing/meter_events", data=body, headers={"Authorization": f"Bearer {SECRET_KEY}"}
    )

    assert answer.status_code == status
    assert answer.json["error"]["message"]


def test_an_endpoint_that_v2_has_not_here_is_unrecognized(world: MeteredWorld) -> None:
    error = refusal(lambda: world.client.v2.core.accounts.list())

    assert (error.http_status, error.user_message.split(".")[0]) == (
        404,
        "Unrecognized request URL (GET: /v2/core/accounts)",
    )


def test_a_session_sends_a_hundred_events_at_once(world: MeteredWorld) -> None:
    customer = world.customer()
    streaming = world.streaming()
    streaming.v2.billing.meter_event_stream.create({"events": [event(customer, "2") for _ in range(100)]})
    many = refusal(
        lambda: streaming.v2.billing.meter_event_stream.create({"events": [event(customer)] * 101})
    )

    assert (many.http_status, many.param) == (400, "events")
    assert world.used(customer) == 200


def test_the_stream_takes_what_is_wrong_and_counts_the_rest_once(world: MeteredWorld) -> None:
    customer = world.customer()
    events = [
        event(customer, "5", identifier="same"),
        event(customer, "5", identifier="same"),
        event(customer, "x"),
        event(customer, event_name="nope"),
        event(customer, timestamp="2020-01-01T00:00:00Z"),
    ]
    world.streaming().v2.billing.meter_event_stream.create({"events": events})

    assert world.used(customer) == 5


def test_a_session_lasts_a_quarter_of_an_hour(world: MeteredWorld) -> None:
    customer = world.customer()
    session = world.client.v2.billing.meter_event_session.create()
    streaming = stripe_client(world.app, api_key=session.authentication_token)
    world.sandbox.advance(seconds=15 * MINUTE - 1)
    streaming.v2.billing.meter_event_stream.create({"events": [event(customer)]})
    world.sandbox.advance(seconds=1)

    assert (session.created, session.expires_at) == (AT, "2026-09-21T20:23:20.000Z")
    with pytest.raises(stripe.TemporarySessionExpiredError) as caught:
        streaming.v2.billing.meter_event_stream.create({"events": [event(customer)]})
    assert (caught.value.http_status, caught.value.code) == (401, "billing_meter_event_session_expired")
    assert world.used(customer) == 1


def test_a_token_opens_the_stream_only_and_a_key_does_not(world: MeteredWorld) -> None:
    customer = world.customer()
    streaming = world.streaming()
    with pytest.raises(stripe.AuthenticationError):
        streaming.v1.customers.list()
    with pytest.raises(stripe.AuthenticationError):
        streaming.v2.billing.meter_events.create(event(customer))
    with pytest.raises(stripe.AuthenticationError):
        world.client.v2.billing.meter_event_stream.create({"events": [event(customer)]})
    with pytest.raises(stripe.TemporarySessionExpiredError):
        stranger = stripe_client(world.app, api_key="mestoken_test_nobody")
        stranger.v2.billing.meter_event_stream.create({"events": [event(customer)]})


def test_an_adjustment_cancels_an_event_of_either_version(world: MeteredWorld) -> None:
    customer = world.customer()
    world.use(customer, 3, identifier="old")
    made: Any = {"event_name": "sms", "type": "cancel", "cancel": {"identifier": "old"}}
    adjustment = world.client.v2.billing.meter_event_adjustments.create(made)
    again = refusal(lambda: world.client.v2.billing.meter_event_adjustments.create(made))

    assert (adjustment.status, adjustment.cancel.identifier, adjustment.created) == ("complete", "old", AT)
    assert again.http_status == 400
    assert world.used(customer) == 0
    world.use(customer, 3, identifier="older")
    world.sandbox.advance(seconds=DAY + 1)
    late: Any = {**made, "cancel": {"identifier": "older"}}
    refusal(lambda: world.client.v2.billing.meter_event_adjustments.create(late))
    assert world.sandbox.now() == START + DAY + 1
