"""Rows that nobody may send again: the meter's own sum tells which of them arrived."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import MeterEvent
from portal.services import meter_settling
from portal.services.meter_settling import which
from tests.services.buying import Customer
from tests.services.metering import Metered
from tests.services.test_meter_sending import STREAM


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that has bought and may use."""
    return Metered.buy(customer)


def settle(acme: Metered) -> int:
    acme.free()
    return meter_settling.settle(acme.gateways)


@pytest.mark.parametrize(
    ("kind", "settled", "counted"), [("timeout_after", "sent", 3), ("timeout_before", "waiting", 0)]
)
def test_what_became_of_a_silent_try_is_read_a_day_later(
    acme: Metered, kind: str, settled: str, counted: int
) -> None:
    acme.use(3)
    acme.customer.shop.faults.fail(kind, STREAM)
    acme.report()
    early = settle(acme)
    acme.customer.shop.advance(hours=26)

    assert early == 0
    assert (settle(acme), acme.outbox_states(), acme.counted()) == (1, [settled] * 3, counted)


def test_what_did_not_arrive_is_sent_then_and_counts_once(acme: Metered) -> None:
    acme.use(2)
    acme.customer.shop.faults.fail("timeout_before", STREAM)
    acme.report()
    acme.customer.shop.advance(hours=26)
    settle(acme)
    acme.report()

    assert (acme.outbox_states(), acme.counted()) == (["sent"] * 2, 2)


def test_stripe_away_for_two_days_delays_and_doubles_nothing(acme: Metered) -> None:
    acme.use(2)
    faults = acme.customer.shop.faults
    faults.fail("timeout_after", STREAM)
    acme.report()
    acme.use(1)
    for _hour in range(0, 48, 6):
        faults.fail("timeout_before", "*", method="*", times=50)
        acme.free()
        acme.report()
        settle(acme)
        acme.customer.shop.advance(hours=6)
    between = acme.outbox_states()
    faults.mend()
    settle(acme)
    acme.report()

    assert between == ["sending"] * 3
    assert (acme.outbox_states(), acme.counted()) == (["sent"] * 3, 3)


def test_events_of_that_minute_whose_fate_is_known_are_not_taken_for_the_others(acme: Metered) -> None:
    acme.use(2)
    acme.report()
    acme.use(2)
    acme.customer.shop.faults.fail("timeout_before", STREAM)
    acme.report()
    acme.customer.shop.advance(hours=26)
    settle(acme)

    assert acme.outbox_states() == ["sent", "sent", "waiting", "waiting"]


def test_while_a_row_of_the_minute_is_being_sent_nothing_is_settled(acme: Metered) -> None:
    acme.use(2)
    acme.customer.shop.faults.fail("timeout_before", STREAM)
    acme.report()
    acme.customer.shop.advance(hours=26)
    acme.free()
    with unit_of_work(acme.workspace_id) as session:
        row = session.scalars(select(MeterEvent).limit(1)).one()
        assert row.claimed_until is not None
        row.claimed_until += timedelta(days=36_500)
    meter_settling.settle(acme.gateways)

    assert acme.outbox_states() == ["sending"] * 2


def test_a_sum_that_tells_nothing_is_told_and_looked_at_again(acme: Metered) -> None:
    acme.use(1)
    [row] = acme.outbox()
    acme.customer.shop.client.v1.billing.meter_events.create(
        {
            "event_name": "resolution",
            "payload": {"stripe_customer_id": row.stripe_customer_id, "value": "7"},
            "timestamp": int(row.at.timestamp()),
        }
    )
    acme.customer.shop.faults.fail("timeout_before", STREAM)
    acme.report()
    acme.customer.shop.advance(hours=26)
    settle(acme)

    assert acme.outbox_states() == ["sending"]
    assert acme.customer.incidents() == ["meter_unsettled"]
    assert meter_settling.settle(acme.gateways) == 0


@pytest.mark.parametrize(
    ("quantities", "total", "found"),
    [
        ([("a", 1), ("b", 1)], 2, {"a", "b"}),
        ([("a", 1), ("b", 1)], 1, {"a"}),
        ([("a", 1), ("b", 1)], 0, set()),
        ([("a", 1), ("b", 1)], 3, None),
        ([("a", 1), ("b", 1)], -1, None),
        ([("a", -1)], -1, {"a"}),
        ([("a", 3), ("b", 5)], 5, {"b"}),
        ([("a", 3), ("b", 5)], 4, None),
        ([("a", 1), ("b", -1)], -1, {"b"}),
        ([], 0, set()),
        ([], 1, None),
    ],
)
def test_which_rows_add_up_to_a_sum(
    quantities: list[tuple[str, int]], total: int, found: set[str] | None
) -> None:
    assert which(quantities, total) == found
