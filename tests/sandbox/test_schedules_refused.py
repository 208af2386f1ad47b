"""What a subscription schedule forbids, and what it cannot be told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal
from tests.sandbox.schedules import (
    attach,
    current,
    items_of,
    seats,
)


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def test_its_end_cannot_be_set_past_the_schedule(world: BillingWorld) -> None:
    subscription = seats(world)
    schedule = attach(world, subscription)
    error = refusal(lambda: world.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True}))

    assert error.http_status == 400
    assert schedule.id in str(error)
    assert "updating any cancelation behavior directly is not allowed" in str(error)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"start_date": START + 1}, "phases[0][start_date]"),
        ({"start_date": None}, "phases[0][start_date]"),
        ({"end_date": START - 1}, "phases[0][end_date]"),
        ({"items": []}, "phases[0][items]"),
        ({"items": [{"price": "price_nope"}]}, "phases[0][items][0][price]"),
    ],
)
def test_phases_that_make_no_sense_are_refused(
    world: BillingWorld, change: dict[str, Any], param: str
) -> None:
    subscription = seats(world)
    schedule = attach(world, subscription)
    phase = {name: value for name, value in {**current(schedule), **change}.items() if value is not None}
    wanted: Any = {"phases": [phase]}
    error = refusal(lambda: world.v1.subscription_schedules.update(schedule.id, wanted))

    assert (error.http_status, error.param) == (400, param)
    assert items_of(world, subscription) == [(4, 3000)]


def test_nothing_else_can_be_sent_with_from_subscription(world: BillingWorld) -> None:
    subscription = seats(world)
    wanted: Any = {"from_subscription": subscription.id, "end_behavior": "cancel"}

    assert refusal(lambda: world.v1.subscription_schedules.create(wanted)).param == "end_behavior"


def test_a_cancelled_subscription_cannot_be_scheduled(world: BillingWorld) -> None:
    subscription = seats(world)
    world.v1.subscriptions.cancel(subscription.id)

    assert refusal(lambda: attach(world, subscription)).param == "from_subscription"
