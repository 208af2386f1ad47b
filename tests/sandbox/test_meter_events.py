"""Meter events of API v1: what is counted, what is refused at once, and what can be taken back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.billing import START
from tests.sandbox.metering import DAY, HOUR, MINUTE, MeteredWorld
from tests.sandbox.recorded import refusal


@pytest.fixture
def world() -> MeteredWorld:
    return MeteredWorld()


def cancel(world: MeteredWorld, identifier: str, event_name: str = "sms") -> Any:
    return world.v1.billing.meter_event_adjustments.create(
        {"event_name": event_name, "type": "cancel", "cancel": {"identifier": identifier}}
    )


def test_an_event_is_echoed_without_an_id_and_counts(world: MeteredWorld) -> None:
    customer = world.customer()
    event = world.use(customer, 25, identifier="one")

    assert event.to_dict() == {
        "object": "billing.meter_event",
        "created": START,
        "event_name": "sms",
        "identifier": "one",
        "livemode": False,
        "payload": {"stripe_customer_id": customer.id, "value": "25"},
        "timestamp": START,
    }
    assert world.used(customer) == 25


def test_an_event_without_an_identifier_gets_one(world: MeteredWorld) -> None:
    customer = world.customer()
    first, second = world.use(customer), world.use(customer)

    assert first.identifier != second.identifier
    assert world.used(customer) == 2


def test_decimals_and_negative_values_are_added_exactly(world: MeteredWorld) -> None:
    customer = world.customer()
    for value in ("0.1", "0.2", "-0.3", "12.000000000001", "-2"):
        world.use(customer, value)

    assert world.used(customer) == 10.000000000001


def test_customers_and_meters_are_counted_apart(world: MeteredWorld) -> None:
    world.new_meter("calls")
    one, other = world.customer(), world.customer()
    world.use(one, 3)
    world.use(other, 5)
    world.use(one, 100, event_name="calls")

    assert (world.used(one), world.used(other)) == (3, 5)


@pytest.mark.parametrize(
    ("formula", "window", "counted"),
    [("count", None, 4), ("last", None, 9), ("sum", "hour", 12), ("sum", "day", 9), ("count", "hour", 2)],
)
def test_each_formula_and_window_has_its_sum(
    world: MeteredWorld, formula: str, window: str | None, counted: int
) -> None:
    extra = {"event_time_window": window} if window else {}
    world.meter = world.new_meter("other", formula, **extra)
    customer = world.customer()
    for value, at in ((7, START), (3, START + MINUTE), (5, START - HOUR + MINUTE), (9, START + 2 * MINUTE)):
        world.use(customer, value, at=at, event_name="other")
    if window == "hour":  # 5 and then 9, but the last that was sent for that hour overwrites
        world.use(customer, 7, at=START, event_name="other")

    assert world.used(customer) == counted


def test_the_same_identifier_is_refused_for_a_day_whoever_it_is_for(world: MeteredWorld) -> None:
    customer, other = world.customer(), world.customer()
    world.use(customer, identifier="same")
    error = refusal(lambda: world.use(other, 7, identifier="same"))

    assert (error.http_status, error.code, error.param) == (400, None, None)
    assert error.user_message == "An event already exists with identifier same."
    world.sandbox.advance(seconds=DAY - 1)
    refusal(lambda: world.use(customer, identifier="same"))
    world.sandbox.advance(seconds=1)
    world.use(customer, identifier="same")
    assert (world.used(customer), world.used(other)) == (2, 0)


def test_the_idempotency_key_answers_again_without_counting(world: MeteredWorld) -> None:
    customer = world.customer()
    payload = {"stripe_customer_id": customer.id, "value": "4"}
    sent: Any = {"event_name": "sms", "payload": payload, "identifier": "x"}
    answers = [world.v1.billing.meter_events.create(sent, {"idempotency_key": "k"}) for _ in range(2)]

    assert [answer.identifier for answer in answers] == ["x", "x"]
    assert world.used(customer) == 4


def test_an_event_may_be_35_days_old_and_five_minutes_ahead(world: MeteredWorld) -> None:
    customer = world.customer()
    world.use(customer, at=START - 35 * DAY)
    world.use(customer, at=START + 5 * MINUTE)
    old = refusal(lambda: world.use(customer, at=START - 35 * DAY - 1))
    ahead = refusal(lambda: world.use(customer, at=START + 5 * MINUTE + 1))

    assert (old.http_status, old.param, ahead.param) == (400, "timestamp", "timestamp")
    assert old.user_message == (
        "The event timestamp cannot be more than 35 days in past. Expected a timestamp greater than or equal "
        f"to {START - 35 * DAY}."
    )
    assert world.used(customer) == 2


def test_the_time_is_that_of_the_customers_clock(world: MeteredWorld) -> None:
    later = START + 90 * DAY
    clock = world.v1.test_helpers.test_clocks.create({"frozen_time": later})
    customer = world.customer(test_clock=clock.id)
    event = world.use(customer)
    world.use(customer, at=later + 5 * MINUTE)

    assert (event.timestamp, event.created) == (later, later)
    assert refusal(lambda: world.use(customer, at=START)).param == "timestamp"


def test_an_event_name_without_an_active_meter_is_refused(world: MeteredWorld) -> None:
    customer = world.customer()
    unknown = refusal(lambda: world.use(customer, event_name="nope"))
    world.v1.billing.meters.deactivate(world.meter.id)
    archived = refusal(lambda: world.use(customer))

    assert unknown.user_message == 'No active meter found for event name "nope".'
    assert archived.user_message == 'No active meter found for event name "sms".'


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"identifier": "x" * 101}, "identifier"),
        ({"event_name": "x" * 101}, "event_name"),
        ({"payload": "25"}, "payload"),
        ({"timestamp": "noon"}, "timestamp"),
        ({"quantity": 2}, "quantity"),
    ],
)
def test_what_is_malformed_is_refused_by_name(
    world: MeteredWorld, params: dict[str, Any], param: str
) -> None:
    customer = world.customer()

    assert refusal(lambda: world.use(customer, **params)).param == param


def test_a_cancelled_event_counts_no_more(world: MeteredWorld) -> None:
    customer = world.customer()
    world.use(customer, 5, identifier="a")
    world.use(customer, 3, identifier="b")
    adjustment = cancel(world, "a")

    assert adjustment.to_dict() == {
        "object": "billing.meter_event_adjustment",
        "cancel": {"identifier": "a"},
        "event_name": "sms",
        "livemode": False,
        "status": "pending",
        "type": "cancel",
    }
    assert world.used(customer) == 3


def test_an_event_is_cancelled_once_by_its_own_name_within_a_day(world: MeteredWorld) -> None:
    customer = world.customer()
    world.use(customer, 5, identifier="a")
    unknown = refusal(lambda: cancel(world, "nope"))
    misnamed = refusal(lambda: cancel(world, "a", "calls"))
    cancel(world, "a")
    again = refusal(lambda: cancel(world, "a"))

    assert (unknown.code, unknown.param) == ("resource_missing", "cancel[identifier]")
    assert (misnamed.code, again.http_status) == ("resource_missing", 400)
    assert refusal(lambda: world.use(customer, 5, identifier="a")).http_status == 400
    world.use(customer, 2, identifier="b")
    world.sandbox.advance(seconds=DAY + 1)
    late = refusal(lambda: cancel(world, "b"))
    assert late.user_message == "You can only cancel events within 24 hours of Stripe receiving them."
    assert world.used(customer) == 2


def test_an_adjustment_names_what_it_cancels(world: MeteredWorld) -> None:
    params: Any = {"event_name": "sms", "type": "cancel"}
    error = refusal(lambda: world.v1.billing.meter_event_adjustments.create(params))

    assert (error.code, error.param) == ("parameter_missing", "cancel[identifier]")


def test_the_last_value_before_a_cancelled_one_is_the_last_again(world: MeteredWorld) -> None:
    world.meter = world.new_meter("level", "last")
    customer = world.customer()
    world.use(customer, 5, at=START - 2, event_name="level")
    world.use(customer, 8, at=START - 1, event_name="level", identifier="wrong")
    cancel(world, "wrong", "level")

    assert world.used(customer) == 5
