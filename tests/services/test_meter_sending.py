"""The reporter: every billable unit reaches Stripe's meter once, whatever fails on the way."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import NullPool, create_engine

from portal.db import unit_of_work
from portal.gateways.stripe_meters import StripeMeters
from portal.models import MeterEvent
from portal.services import meter_sending
from tests.database import TestDatabase
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.metering import Metered

STREAM = "/v2/billing/meter_event_stream"
SESSION = "/v2/billing/meter_event_session"
SINGLE = "/v1/billing/meter_events"


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that has bought and may use."""
    return Metered.buy(customer)


@pytest.fixture
def one_by_one(acme: Metered) -> Metered:
    """The same, where Stripe has no stream, as in its test mode."""
    meters: StripeMeters = acme.gateways.stripe.meters
    meters._stream = False
    return replace(acme, gateways=replace(acme.gateways))


def believe_it_empty(database: TestDatabase, table: str) -> None:
    """Have the planner join row by row: its figures are of rows that nobody else may see yet."""
    engine = create_engine(database.owner_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"ANALYZE {table}")


def calls(acme: Metered, path: str) -> int:
    return sum(call.path == path for call in acme.customer.shop.faults.calls)


def test_units_reach_the_meter_in_one_call_and_once(acme: Metered) -> None:
    acme.use(3)
    sent = acme.report()

    assert (sent, acme.counted()) == (3, 3)
    assert acme.outbox_states() == ["sent"] * 3
    assert calls(acme, STREAM) == 1
    assert (acme.report(), acme.counted()) == (0, 3)


def test_the_timestamp_is_the_instant_at_which_the_unit_became_billable(acme: Metered) -> None:
    acme.use(1)
    acme.report()
    [row] = acme.outbox()
    minute = row.at.replace(second=0, microsecond=0)
    meters = acme.gateways.stripe.meters

    def used(start: timedelta, end: timedelta) -> int:
        return meters.used(meters.ids()["resolution"], row.stripe_customer_id, minute + start, minute + end)

    assert used(timedelta(), timedelta(minutes=1)) == 1
    assert used(timedelta(minutes=-60), timedelta()) == 0


def test_where_there_is_no_stream_they_are_sent_one_by_one(one_by_one: Metered) -> None:
    one_by_one.use(3)

    assert (one_by_one.report(), one_by_one.counted()) == (3, 3)
    assert (calls(one_by_one, STREAM), calls(one_by_one, SINGLE)) == (0, 3)


def test_more_than_a_batch_goes_out_in_batches(acme: Metered) -> None:
    acme.use(105)

    assert (acme.report(), acme.counted()) == (105, 105)
    assert (calls(acme, STREAM), calls(acme, SESSION)) == (2, 1)


@pytest.mark.parametrize("kind", ["timeout_after", "error_after", "reset", "timeout_before", "error_before"])
def test_after_an_unknown_result_the_same_identifiers_are_sent_again(acme: Metered, kind: str) -> None:
    acme.use(2)
    acme.customer.shop.faults.fail(kind, STREAM)
    first = acme.report()
    between = acme.outbox_states()
    waiting = acme.report()
    acme.free()
    again = acme.report()

    assert (first, between, waiting) == (0, ["sending"] * 2, 0)
    assert (again, acme.outbox_states(), acme.counted()) == (2, ["sent"] * 2, 2)


@pytest.mark.parametrize("kind", ["timeout_after", "error_after", "timeout_before"])
def test_one_by_one_the_first_without_an_answer_is_the_last_of_its_run(
    one_by_one: Metered, kind: str
) -> None:
    one_by_one.use(3)
    one_by_one.customer.shop.faults.fail(kind, SINGLE)
    one_by_one.report()
    between = sorted(one_by_one.outbox_states())
    one_by_one.free()
    one_by_one.report()

    assert between == ["sending", "waiting", "waiting"]
    assert (one_by_one.outbox_states(), one_by_one.counted()) == (["sent"] * 3, 3)


@pytest.mark.parametrize("kind", ["kill_before", "kill_after"])
def test_a_reporter_that_dies_leaves_rows_that_the_next_one_takes_up(acme: Metered, kind: str) -> None:
    acme.use(2)
    acme.customer.shop.faults.fail(kind, STREAM)
    with pytest.raises(Killed):
        acme.report()
    held = acme.report()
    acme.free()
    acme.report()

    assert held == 0
    assert (acme.outbox_states(), acme.counted()) == (["sent"] * 2, 2)


def test_while_nobody_is_there_nothing_counts_as_tried(acme: Metered) -> None:
    acme.use(2)
    acme.customer.shop.faults.fail("refused", "*", method="*", times=50)
    for _minute in range(5):
        acme.report()
    rows = acme.outbox()
    acme.customer.shop.faults.mend()

    assert [(row.state, row.first_tried_at, row.attempts) for row in rows] == [("waiting", None, 0)] * 2
    assert (acme.report(), acme.counted()) == (2, 2)


def test_a_token_that_has_ended_is_replaced(acme: Metered) -> None:
    acme.use(1)
    acme.report()
    acme.customer.shop.advance(minutes=16)
    acme.use(1)

    assert (acme.report(), acme.counted()) == (1, 2)
    assert calls(acme, SESSION) == 2


def test_one_row_that_stripe_cannot_read_does_not_keep_the_others(acme: Metered) -> None:
    acme.use(2)
    with unit_of_work(acme.workspace_id) as session:
        session.query(MeterEvent).first().event_name = "x" * 101  # type: ignore[union-attr]
    acme.report()

    assert sorted(acme.outbox_states()) == ["failed", "sent"]
    assert acme.counted() == 1
    assert acme.customer.incidents() == ["meter_refused"]


def test_a_meter_that_is_missing_is_told_and_the_rows_say_so(one_by_one: Metered) -> None:
    one_by_one.use(1)
    one_by_one.change(event_name="nothing")
    one_by_one.report()
    [row] = one_by_one.outbox()

    assert row.state == "failed"
    assert 'No active meter found for event name "nothing"' in (row.error or "")


def test_two_workers_never_claim_the_same_row(acme: Metered) -> None:
    acme.use(3)
    now = acme.gateways.clock.now()
    first, second = meter_sending.claim(now, batch=2), meter_sending.claim(now, batch=2)

    assert (len(first), len(second)) == (2, 1)
    assert not {each.message.identifier for each in first} & {each.message.identifier for each in second}


def test_a_claim_takes_no_more_than_a_batch_however_the_database_joins(
    acme: Metered, database: TestDatabase
) -> None:
    acme.use(5)
    believe_it_empty(database, MeterEvent.__tablename__)

    assert len(meter_sending.claim(acme.gateways.clock.now(), batch=2)) == 2


def test_the_same_batch_sent_twice_and_in_another_order_counts_once(acme: Metered) -> None:
    acme.use(4)
    batch = meter_sending.claim(acme.gateways.clock.now())
    messages = [each.message for each in batch]
    acme.gateways.stripe.meters.send(messages)
    results = acme.gateways.stripe.meters.send(list(reversed(messages)))
    meter_sending.note(acme.gateways, list(reversed(batch)), results)

    assert (acme.outbox_states(), acme.counted()) == (["sent"] * 4, 4)


def test_a_clock_that_is_ahead_of_stripes_only_delays(one_by_one: Metered) -> None:
    one_by_one.use(1)
    ahead = one_by_one.gateways.clock.now() + timedelta(minutes=10)
    one_by_one.change(at=ahead)
    one_by_one.report()
    between = one_by_one.outbox()
    one_by_one.customer.shop.advance(minutes=6)
    one_by_one.free()
    one_by_one.report()

    assert [(row.state, row.first_tried_at) for row in between] == [("waiting", None)]
    assert (one_by_one.outbox_states(), one_by_one.counted()) == (["sent"], 1)
    assert one_by_one.customer.incidents() == []


def test_nothing_is_sent_again_once_stripe_may_have_forgotten_the_identifier(acme: Metered) -> None:
    acme.use(1)
    acme.customer.shop.faults.fail("timeout_after", STREAM)
    acme.report()
    acme.customer.shop.advance(hours=23, minutes=1)
    acme.free()

    assert acme.report() == 0
    assert (acme.outbox_states(), acme.counted()) == (["sending"], 1)
