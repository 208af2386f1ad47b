"""What happens around a month's end: every unit is on one invoice, and that invoice's sum is the ledger's."""

from datetime import datetime, timedelta

import pytest

from portal.db import unit_of_work
from portal.services import limits, meter_countering, usage, usage_matches, usage_moves
from portal.services.limits import Wanted
from tests.services.buying import Customer
from tests.services.counting import listed, shown
from tests.services.metering import Metered
from tests.services.test_usage_matches import matches
from tests.services.using import HOUR, happened


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that has bought and may use."""
    return Metered.buy(customer)


def go_to_end(acme: Metered, **after: float) -> None:
    """Turn the clock to the end of the first month, or to some time after (or before) it."""
    until = acme.periods()[0].ends_at + timedelta(**after) - acme.gateways.clock.now()
    acme.advance(seconds=int(until.total_seconds()))


def carry_out(acme: Metered) -> None:
    """What the worker does every few seconds."""
    acme.report()
    acme.free()
    meter_countering.cancel(acme.gateways)
    usage_moves.sweep(acme.gateways)
    usage_matches.sweep(acme.gateways)
    acme.report()


def assumed_and_reported(acme: Metered, conversation_id: str, *, hours: float) -> datetime:
    """Answered so many hours after the month's end, assumed a day later, and reported; when it was answered.

    Ten minutes of the month are left.
    """
    go_to_end(acme, hours=hours)
    answered = acme.gateways.clock.now()
    acme.feed(happened(conversation_id, "ai_answered", answered))
    acme.advance(hours=25)
    acme.catch_up()
    acme.report()
    go_to_end(acme, minutes=-10)
    return answered


def counts(acme: Metered) -> list[tuple[int, int, int, int]]:
    """What each month that was closed shows as confirmed, assumed, reversed and carried.

    Sees that each is the length of its list.
    """
    assert listed(acme) == shown(acme)
    found = []
    with unit_of_work(acme.workspace_id) as session:
        now = acme.gateways.clock.now()
        for period in reversed(usage.periods(session, now)[1:]):
            read = usage.read(session, now, period.starts_at)
            assert read is not None
            count = read.resolutions.count
            found.append((count.confirmed, count.assumed, count.reversed, count.carried))
    return found


# sent within Stripe's day, before that, and not at all
@pytest.mark.parametrize(("hours", "reports"), [(-1, True), (-48, True), (-1, False)])
def test_who_comes_back_before_the_ended_month_is_billed_is_taken_off_that_month(
    acme: Metered, hours: int, reports: bool
) -> None:
    go_to_end(acme, hours=hours)
    [back, _stays] = acme.use(2)
    if reports:
        acme.report()
    go_to_end(acme, minutes=10)
    acme.returns(back)
    carry_out(acme)
    acme.advance(hours=3)

    [ended, present] = acme.periods()
    assert acme.billed() == [1]
    assert matches(acme) == [("resolution", 1, 1, "matched")]
    assert (ended.used, present.used, acme.balanced()) == (1, 0, True)
    acme.advance(days=31)
    assert acme.billed() == [0, 1]
    assert acme.customer.incidents() == []
    assert listed(acme) == shown(acme)


def test_what_no_invoice_had_and_comes_back_leaves_no_trace_on_any(acme: Metered) -> None:
    """Stripe heard of nothing before the month was billed; then the customer returned."""
    [back, _stays] = acme.use(2)
    acme.advance(days=33)
    acme.returns(back)
    carry_out(acme)

    assert matches(acme) == [("resolution", 0, 0, "matched")]
    assert acme.counted() == 1
    acme.advance(days=31)
    assert acme.billed() == [1, 0]
    assert matches(acme) == [("resolution", 0, 0, "matched"), ("resolution", 1, 1, "matched")]
    assert acme.customer.incidents() == []
    assert counts(acme) == [(0, 0, 0, 0), (2, 0, 1, 0)]


def test_what_moves_into_the_open_month_keeps_to_its_cap(acme: Metered) -> None:
    """Stripe heard of nothing before the month was billed, and the next month's cap has room for one."""
    limits.save(acme.gateways, acme.workspace_id, acme.customer.account.user_id, Wanted(cap_units=3))
    acme.use(3)
    acme.advance(days=33)
    acme.use(2)
    carry_out(acme)

    assert sorted(acme.outbox_states()) == ["dropped", "dropped", "sent", "sent", "sent"]
    assert acme.counted() == 3
    assert sorted(unit.charge or "" for unit in acme.units()) == ["meter"] * 3 + ["over_cap"] * 2
    acme.advance(days=31)
    assert acme.billed() == [3, 0]
    assert acme.customer.incidents() == []
    assert counts(acme) == [(0, 0, 0, 0), (5, 0, 0, 0)]


def test_a_return_that_stripe_heard_of_too_late_stands_in_the_month_that_gives_it_back(acme: Metered) -> None:
    go_to_end(acme, hours=-48)
    [back, _stays] = acme.use(2)
    acme.report()
    go_to_end(acme, minutes=-10)
    acme.returns(back)
    go_to_end(acme, hours=3)
    acme.use(1)
    carry_out(acme)
    acme.advance(days=31)

    assert acme.billed() == [0, 2]
    assert counts(acme) == [(2, 0, 0, 0), (1, 0, 1, 0)]
    assert acme.customer.incidents() == []


def test_a_correction_that_stripe_heard_of_too_late_is_carried_into_the_open_month(acme: Metered) -> None:
    """Assumed and reported; then a person had replied within the day: it was never to be counted."""
    answered = assumed_and_reported(acme, "c1", hours=-74)
    acme.feed(happened("c1", "human_replied", answered + HOUR))
    go_to_end(acme, hours=3)
    acme.use(2)
    carry_out(acme)
    acme.advance(days=31)

    assert acme.billed() == [1, 1]
    assert counts(acme) == [(0, 0, 0, 1), (2, 0, 0, -1)]
    assert acme.customer.incidents() == []


def test_what_is_brought_again_after_a_correction_that_is_carried_is_counted_once(acme: Metered) -> None:
    """The person had replied only after the customer confirmed; Stripe is asked to cancel too late."""
    answered = assumed_and_reported(acme, "c1", hours=-30)
    acme.feed(happened("c1", "human_replied", answered + HOUR))
    acme.feed(happened("c1", "customer_confirmed", answered + HOUR / 2))
    acme.report()
    go_to_end(acme, hours=3)
    acme.use(2)
    carry_out(acme)
    acme.advance(days=31)

    assert counts(acme) == [(1, 0, 0, 1), (2, 0, 0, -1)]
    assert acme.billed() == [1, 2]
    assert acme.customer.incidents() == []
