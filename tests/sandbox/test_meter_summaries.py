"""Event summaries: usage of a time, by hour and by day, and how little is read for them."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as some

from portal.sandbox import usage_counts
from portal.sandbox.store import Store
from tests.sandbox.billing import START
from tests.sandbox.metering import DAY, HOUR, MINUTE, MONTH, MeteredWorld, restarted
from tests.sandbox.recorded import refusal
from tests.transport import stripe_client

MIDNIGHT = START // DAY * DAY


@pytest.fixture
def world() -> MeteredWorld:
    return MeteredWorld()


def asked(
    world: MeteredWorld, customer: stripe.Customer, start: int, end: int, **params: Any
) -> list[tuple[int, int, float]]:
    wanted: Any = {"customer": customer.id, "start_time": start, "end_time": end, **params}
    found = world.v1.billing.meters.event_summaries.list(world.meter.id, wanted)
    return [(row.start_time, row.end_time, row.aggregated_value) for row in found.data]


def test_one_summary_covers_the_time_asked_for_and_leaves_its_end_out(world: MeteredWorld) -> None:
    customer = world.customer()
    start, end = MIDNIGHT + 7 * MINUTE, MIDNIGHT + 3 * HOUR + 2 * MINUTE
    for at in (start - 1, start, start + HOUR, end - 1, end):
        world.use(customer, 1, at=at)

    assert asked(world, customer, start, end) == [(start, end, 3)]
    assert asked(world, customer, end + MINUTE, end + HOUR) == [(end + MINUTE, end + HOUR, 0)]


def test_hours_and_days_are_told_where_something_was_used_newest_first(world: MeteredWorld) -> None:
    customer = world.customer()
    world.use(customer, 5, at=MIDNIGHT - 2 * DAY)
    world.use(customer, "2.5", at=MIDNIGHT + HOUR)
    world.use(customer, -1, at=MIDNIGHT + HOUR + 1)
    world.use(customer, 4, at=MIDNIGHT + 5 * HOUR)
    days = asked(world, customer, MIDNIGHT - 3 * DAY, MIDNIGHT + DAY, value_grouping_window="day")
    hours = asked(world, customer, MIDNIGHT, MIDNIGHT + DAY, value_grouping_window="hour")

    assert days == [
        (MIDNIGHT, MIDNIGHT + DAY, 5.5),
        (MIDNIGHT - 2 * DAY, MIDNIGHT - DAY, 5),
    ]
    assert hours == [
        (MIDNIGHT + 5 * HOUR, MIDNIGHT + 6 * HOUR, 4),
        (MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR, 1.5),
    ]


def test_summaries_come_in_pages(world: MeteredWorld) -> None:
    customer = world.customer()
    for hour in range(5):
        world.use(customer, hour + 1, at=MIDNIGHT + hour * HOUR)
    wanted: Any = {
        "customer": customer.id,
        "start_time": MIDNIGHT,
        "end_time": MIDNIGHT + DAY,
        "value_grouping_window": "hour",
        "limit": 2,
    }
    summaries = world.v1.billing.meters.event_summaries
    first = summaries.list(world.meter.id, wanted)
    second = summaries.list(world.meter.id, {**wanted, "starting_after": first.data[-1].id})
    back = summaries.list(world.meter.id, {**wanted, "ending_before": second.data[0].id})
    everything = [row.aggregated_value for row in first.auto_paging_iter()]

    assert everything == [5, 4, 3, 2, 1]
    assert ([row.aggregated_value for row in second.data], second.has_more) == ([3, 2], True)
    assert [row.id for row in back.data] == [row.id for row in first.data]
    assert refusal(lambda: summaries.list(world.meter.id, {**wanted, "starting_after": "nope"})).code == (
        "resource_missing"
    )


@pytest.mark.parametrize(
    ("start", "end", "window", "param"),
    [
        (1, DAY, None, "start_time"),
        (0, MINUTE + 1, None, "end_time"),
        (MINUTE, DAY, "hour", "start_time"),
        (0, HOUR, "day", "end_time"),
        (DAY, DAY, None, "end_time"),
        (2 * DAY, DAY, "day", "end_time"),
    ],
)
def test_times_must_be_aligned_and_in_order(
    world: MeteredWorld, start: int, end: int, window: str | None, param: str
) -> None:
    customer = world.customer()
    extra = {"value_grouping_window": window} if window else {}

    assert refusal(lambda: asked(world, customer, start, end, **extra)).param == param


def test_an_unknown_meter_or_customer_is_named(world: MeteredWorld) -> None:
    params: Any = {"customer": "cus_nope", "start_time": 0, "end_time": DAY}
    summaries = world.v1.billing.meters.event_summaries
    meter = refusal(lambda: summaries.list("mtr_nope", params))
    customer = refusal(lambda: summaries.list(world.meter.id, params))

    assert (meter.http_status, meter.code) == (404, "resource_missing")
    assert (customer.http_status, customer.param) == (400, "customer")


@settings(max_examples=60, deadline=None)
@given(
    events=some.lists(
        some.tuples(some.integers(0, 3 * HOUR), some.decimals(-1000, 1000, places=12)), max_size=30
    ),
    ends=some.tuples(some.integers(0, 4 * HOUR), some.integers(0, 4 * HOUR)),
)
def test_any_time_counts_exactly_the_events_in_it(
    events: list[tuple[int, Decimal]], ends: tuple[int, int]
) -> None:
    store, (start, end) = Store(), sorted(ends)
    with store.transaction():
        for at, value in events:
            usage_counts.add(store, "m/c", at, value)
    inside = [value for at, value in events if start <= at < end]
    found = usage_counts.total(store, "m/c", start, end)

    assert (found.value, found.count) == (sum(inside, Decimal(0)), len(inside))


def test_a_month_of_many_events_is_read_in_few_pieces() -> None:
    """What a sum costs depends on its time only, not on how many events there are."""
    store, chance = Store(), random.Random(7)
    with store.transaction():
        for _ in range(20_000):
            usage_counts.add(store, "m/c", START + chance.randrange(MONTH), Decimal(1))
    pieces = list(usage_counts._steps(store, "m/c", START + 1, START + MONTH - 1))

    assert len(pieces) < 30 * 24 + 4 * 60
    assert usage_counts.total(store, "m/c", START, START + MONTH) == usage_counts.Total(
        Decimal(20_000), 20_000
    )


def test_usage_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    from portal.sandbox.app import create_sandbox

    app = create_sandbox(path)
    client = stripe_client(app)
    meter = client.v1.billing.meters.create(
        {"display_name": "SMS", "event_name": "sms", "default_aggregation": {"formula": "sum"}}
    )
    customer = client.v1.customers.create({})
    payload = {"stripe_customer_id": customer.id, "value": "7"}
    sent: Any = {"event_name": "sms", "payload": payload, "identifier": "known"}
    event = client.v1.billing.meter_events.create(sent)
    app.extensions["sandbox"].store.close()

    again = restarted(path)
    minute = event.timestamp // MINUTE * MINUTE
    wanted: Any = {"customer": customer.id, "start_time": minute, "end_time": minute + MINUTE}
    found = again.v1.billing.meters.event_summaries.list(meter.id, wanted)
    assert found.data[0].aggregated_value == 7
    assert refusal(lambda: again.v1.billing.meter_events.create(sent)).http_status == 400
