"""The nightly reconcile: ledger, outbox, meter and rollup add up, or rows or a person say why not."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import MeterEvent, UsageDay, UsageDifference, UsagePeriod
from portal.services import meter_countering, reconcile
from tests.services.buying import Customer
from tests.services.metering import Metered


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that has bought and may use."""
    return Metered.buy(customer)


def differences(acme: Metered) -> list[tuple[int, int | None, str, dict[str, object]]]:
    """Ledger, Stripe, state and what explains it."""
    with unit_of_work(acme.workspace_id) as session:
        rows = session.scalars(select(UsageDifference).order_by(UsageDifference.period_start))
        return [(row.ledger, row.stripe, row.state, dict(row.parts)) for row in rows]


def later(acme: Metered, **delta: float) -> reconcile.Found:
    """The night after; what is fresh has settled."""
    acme.customer.shop.advance(**(delta or {"hours": 2}))
    return reconcile.run(acme.gateways)


def test_what_adds_up_leaves_nothing(acme: Metered) -> None:
    acme.use(3)
    acme.report()
    found = later(acme)

    assert (found.compared, found.asked, found.unexplained) == (1, 1, 0)
    assert differences(acme) == []


def test_what_waits_explains_what_stripe_lacks_until_it_is_sent(acme: Metered) -> None:
    acme.use(3)
    found = later(acme)
    between = differences(acme)
    acme.report()
    later(acme)

    assert (found.explained, found.unexplained) == (1, 0)
    assert between == [(3, 0, "explained", {"waiting": 3})]
    assert differences(acme) == []
    assert acme.customer.incidents() == []


def test_what_is_on_its_way_may_be_there_or_not(acme: Metered) -> None:
    acme.use(2)
    acme.customer.shop.faults.fail("timeout_before", "/v2/billing/meter_event_stream")
    acme.report()
    later(acme)

    assert differences(acme) == [(2, 0, "explained", {"sending": 2})]


def test_what_is_being_cancelled_explains_what_stripe_has_too_many(acme: Metered) -> None:
    [unit, _other] = acme.use(2)
    acme.report()
    acme.customer.shop.advance(hours=1)
    acme.returns(unit)
    later(acme)
    between = differences(acme)
    acme.free()
    meter_countering.cancel(acme.gateways)
    later(acme)

    assert between == [(1, 2, "explained", {"cancelling": 1})]
    assert differences(acme) == []


def test_failed_rows_are_named_and_the_failing_was_told(acme: Metered) -> None:
    acme.use(1)
    acme.change(stripe_customer_id="cus_gone")
    acme.report()
    acme.advance(seconds=15)
    later(acme)
    [(ledger, stripe, state, parts)] = differences(acme)

    assert (ledger, stripe, state, parts) == (1, 0, "explained", {"failed": 1})
    assert acme.customer.incidents() == ["meter_errors"]


def test_what_nobody_here_sent_is_for_a_person(acme: Metered) -> None:
    acme.use(1)
    acme.report()
    acme.customer.shop.client.v1.billing.meter_events.create(
        {
            "event_name": "resolution",
            "payload": {"stripe_customer_id": acme.stripe_customer, "value": "5"},
        }
    )
    found = later(acme)

    assert found.unexplained == 1
    assert differences(acme) == [(1, 6, "unexplained", {})]
    assert acme.customer.incidents() == ["usage_difference"]


def test_a_rollup_that_drifted_is_told_and_derived_anew(acme: Metered) -> None:
    acme.use(2)
    acme.report()
    with unit_of_work(acme.workspace_id) as session:
        session.scalars(select(UsageDay)).one().charged = 7
    later(acme)
    [day] = acme.days()

    assert (day.charged, day.confirmed, day.quantity) == (2, 2, 2)
    assert acme.customer.incidents() == ["usage_difference"]
    later(acme)
    assert differences(acme) == []


def test_while_stripe_is_away_our_own_sides_are_compared(acme: Metered) -> None:
    acme.use(2)
    acme.report()
    acme.customer.shop.advance(hours=2)
    acme.customer.shop.faults.fail("timeout_before", "/event_summaries", method="GET", times=50)
    found = reconcile.run(acme.gateways)

    assert (found.asked, found.unanswered, found.unexplained) == (1, 1, 0)
    assert differences(acme) == []


def test_a_month_that_moved_on_adds_up_on_both_sides(acme: Metered) -> None:
    acme.use(3)
    acme.report()
    [month] = acme.periods()
    acme.advance(seconds=(month.ends_at - acme.gateways.clock.now()).total_seconds(), days=1)
    acme.use(2)
    acme.report()
    acme.advance(hours=2)
    found = reconcile.run(acme.gateways)

    assert (found.compared, found.unexplained, found.invoices) == (2, 0, (1, 0))
    assert differences(acme) == []


def test_it_is_run_by_hand_too(acme: Metered, app: Flask) -> None:
    acme.use(1)
    acme.report()
    acme.customer.shop.advance(hours=2)
    done = app.test_cli_runner().invoke(args=["reconcile", "--workspace", str(acme.workspace_id)])

    assert "1 sums compared, 1 with Stripe (0 not answered): 0 differences explained, 0 not." in done.output


def sums_of(acme: Metered, *rows: dict[str, object], ends_at: datetime | None = None) -> reconcile.Sums:
    """Our side, with as many units in the outbox, each as its row says."""
    acme.use(len(rows))
    with unit_of_work(acme.workspace_id) as session:
        period = session.scalars(select(UsagePeriod)).one()
        period.ends_at = ends_at or period.ends_at
        for event, values in zip(session.scalars(select(MeterEvent)), rows, strict=True):
            for name, value in values.items():
                setattr(event, name, value)
    [found] = reconcile.sums(acme.gateways.clock.now())
    assert found == reconcile.sums(acme.gateways.clock.now(), workspace_id=acme.workspace_id)[0]
    return found


def test_every_state_of_the_outbox_has_its_sum(acme: Metered) -> None:
    long_ago = acme.gateways.clock.now() - timedelta(hours=2)
    states = {
        "waiting": 1,
        "sending": 2,
        "sent": 3,
        "dropped": 4,
        "cancelling": 5,
        "cancelled": 6,
        "crediting": 7,
        "credited": 8,
        "failed": 9,
    }
    unsent = ("waiting", "sending", "dropped")
    rows = [
        {"state": state, "quantity": quantity, "sent_at": None if state in unsent else long_ago}
        for state, quantity in states.items()
    ]
    again = [
        {"state": state, "quantity": quantity, "sent_at": long_ago, "resent_as": "another"}
        for state, quantity in (("sent", 100), ("failed", 200))
    ]
    never = {"state": "failed", "quantity": 1000, "error": "after_end: no month is open"}
    found = sums_of(acme, *rows, *again, never)

    assert found.owed == 1 + 2 + 3 + 9
    assert found.sent == (3 + 100) + 5 + 7 + 8
    assert found.parts == {
        "waiting": 1,
        "sending": 2,
        "cancelling": 5,
        "failed": 9 + 1000,
        "late": 100,
        "credited": 7 + 8,
    }


def test_what_was_sent_within_the_hour_is_not_expected_there_yet(acme: Metered) -> None:
    now = acme.gateways.clock.now()
    ages = (timedelta(minutes=59), timedelta(minutes=61))
    found = sums_of(acme, *({"state": "sent", "sent_at": now - age} for age in ages))

    assert (found.sent, found.parts) == (2, {"fresh": 1})


def test_the_minutes_that_a_period_begins_and_ends_within_are_kept_apart(acme: Metered) -> None:
    with unit_of_work(acme.workspace_id) as session:
        starts_at = session.scalars(select(UsagePeriod.starts_at)).one()
    first = starts_at.replace(second=0, microsecond=0) + timedelta(minutes=starts_at.second > 0)
    last = (starts_at + timedelta(days=1)).replace(second=0, microsecond=0)
    instant = timedelta(microseconds=1)
    moments = {
        first - instant: 1,
        first: 10,
        last - instant: 100,
        last: 1000,
        # a period may have been cut after it was sent
        last + timedelta(hours=1): 10000,
    }
    rows = [{"state": "sent", "sent_at": at, "at": at, "quantity": count} for at, count in moments.items()]
    found = sums_of(acme, *rows, ends_at=last + timedelta(seconds=30))

    assert (found.edges, found.sent) == (11001, 110)
    assert found.whole == found.metered - 11001


def test_a_period_that_begins_and_ends_with_a_minute_has_no_such_minutes(acme: Metered) -> None:
    now = acme.gateways.clock.now()
    ends_at = now.replace(second=0, microsecond=0) + timedelta(days=1)
    found = sums_of(
        acme, {"state": "sent", "sent_at": now, "at": ends_at - timedelta(seconds=1)}, ends_at=ends_at
    )

    assert (found.edges, found.sent) == (0, 1)
