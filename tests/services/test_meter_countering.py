"""Taking back what Stripe was told: dropped, cancelled within its day, countered after it, or credited."""

from contextlib import suppress

import pytest

from portal.services import meter_countering, meter_settling, usage_moves
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.metering import Metered
from tests.services.using import happened

CANCEL = "/v1/billing/meter_event_adjustments"


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that has bought and may use."""
    return Metered.buy(customer)


def returns(acme: Metered, conversation_id: str) -> None:
    """The customer comes back to the conversation."""
    acme.feed(happened(conversation_id, "reopened", acme.gateways.clock.now()))


def cancel(acme: Metered) -> int:
    acme.free()
    return meter_countering.cancel(acme.gateways)


def test_what_was_not_sent_is_dropped(acme: Metered) -> None:
    [unit] = acme.use(1)
    acme.customer.shop.advance(minutes=5)
    returns(acme, unit)
    acme.report()

    assert (acme.outbox_states(), acme.counted(), acme.used()) == (["dropped"], 0, 0)


def test_what_was_sent_within_the_day_is_cancelled_once(acme: Metered) -> None:
    [unit, _other] = acme.use(2)
    acme.report()
    acme.customer.shop.advance(hours=2)
    returns(acme, unit)

    assert acme.outbox_states() == ["cancelling", "sent"]
    assert (cancel(acme), acme.outbox_states(), acme.counted()) == (1, ["cancelled", "sent"], 1)
    assert (cancel(acme), acme.used()) == (0, 1)


def test_later_it_is_countered_by_one_negative_event(acme: Metered) -> None:
    [unit, _other] = acme.use(2)
    acme.report()
    acme.customer.shop.advance(hours=25)
    returns(acme, unit)
    acme.report()

    assert [row.quantity for row in acme.outbox()] == [1, 1, -1]
    assert (acme.outbox_states(), acme.counted(), acme.used()) == (["sent"] * 3, 1, 1)


def test_a_cancel_that_stripe_refuses_becomes_a_negative_event(acme: Metered) -> None:
    [unit, _other] = acme.use(2)
    acme.report()
    acme.customer.shop.advance(hours=2)
    returns(acme, unit)
    acme.customer.shop.advance(hours=23)
    cancel(acme)
    acme.report()

    assert [row.quantity for row in acme.outbox()] == [1, 1, -1]
    assert (acme.outbox_states(), acme.counted(), acme.used()) == (["sent"] * 3, 1, 1)


@pytest.mark.parametrize(("seconds", "state"), [(0, "cancelled"), (1, "sent")])
def test_stripe_has_the_say_at_the_edge_of_its_day(acme: Metered, seconds: int, state: str) -> None:
    [unit] = acme.use(1)
    acme.report()
    acme.customer.shop.advance(hours=1)
    returns(acme, unit)
    sent = acme.outbox()[0].sent_at
    assert sent is not None
    to_the_edge = 24 * 3600 - (acme.gateways.clock.now() - sent).seconds
    acme.customer.shop.advance(seconds=to_the_edge + seconds)
    cancel(acme)

    assert acme.outbox_states()[0] == state


@pytest.mark.parametrize(
    "kind", ["timeout_after", "timeout_before", "error_after", "kill_before", "kill_after"]
)
def test_a_cancel_without_an_answer_is_asked_again(acme: Metered, kind: str) -> None:
    [unit] = acme.use(1)
    acme.report()
    acme.customer.shop.advance(hours=2)
    returns(acme, unit)
    acme.customer.shop.faults.fail(kind, CANCEL)
    with suppress(Killed):
        cancel(acme)
    between = acme.outbox_states()
    cancel(acme)

    assert (between, acme.outbox_states(), acme.counted()) == (["cancelling"], ["cancelled"], 0)


@pytest.mark.parametrize(
    ("kind", "states"),
    [("timeout_after", ["cancelled", "sent"]), ("timeout_before", ["sent", "sent", "waiting"])],
)
def test_an_unheard_cancel_past_its_day_is_settled_by_the_sum(
    acme: Metered, kind: str, states: list[str]
) -> None:
    [unit, _other] = acme.use(2)
    acme.report()
    acme.customer.shop.advance(hours=2)
    returns(acme, unit)
    acme.customer.shop.faults.fail(kind, CANCEL)
    cancel(acme)
    acme.customer.shop.advance(hours=24)
    refused = (cancel(acme), acme.outbox_states())
    acme.customer.shop.advance(hours=2)
    acme.free()
    meter_settling.settle(acme.gateways)

    assert refused == (0, ["cancelling", "sent"])
    assert acme.outbox_states() == states
    acme.report()
    assert acme.counted() == 1


def test_what_comes_back_while_it_is_on_its_way_is_cancelled(acme: Metered) -> None:
    [unit] = acme.use(1)
    acme.customer.shop.advance(minutes=2)
    acme.customer.shop.faults.fail(
        "then", "/v2/billing/meter_event_stream", action=lambda: returns(acme, unit)
    )
    acme.report()

    assert acme.outbox_states() == ["cancelling"]
    assert (cancel(acme), acme.outbox_states(), acme.counted()) == (1, ["cancelled"], 0)


def test_what_comes_back_and_never_arrived_is_let_go(acme: Metered) -> None:
    [unit] = acme.use(1)
    acme.customer.shop.advance(minutes=2)
    acme.customer.shop.faults.fail("timeout_before", "/v2/billing/meter_event_stream")
    acme.report()
    returns(acme, unit)
    early = cancel(acme)
    acme.customer.shop.advance(hours=2)

    assert early == 0
    assert (cancel(acme), acme.outbox_states(), acme.counted()) == (1, ["cancelled"], 0)


def test_a_sum_never_falls_below_zero_a_credit_is_owed_instead(acme: Metered) -> None:
    [unit] = acme.use(1)
    acme.report()
    acme.advance(days=33)
    returns(acme, unit)

    assert acme.outbox_states() == ["sent", "crediting"]
    assert [(entry.charge, entry.quantity) for entry in acme.entries()] == [("meter", 1), ("credited", -1)]


def test_a_late_reversal_of_an_invoiced_unit_lessens_the_open_month(acme: Metered) -> None:
    [unit] = acme.use(1)
    acme.report()
    acme.advance(days=33)
    acme.use(2)
    acme.report()
    returns(acme, unit)
    acme.report()

    assert [row.quantity for row in acme.outbox()] == [1, 1, 1, -1]
    assert acme.outbox_states() == ["sent"] * 4
    [first, second] = acme.periods()[:2]
    assert [row.period_start for row in acme.outbox()] == [first.starts_at] + [second.starts_at] * 3


def test_what_waits_when_its_month_is_billed_moves_into_the_open_one(acme: Metered) -> None:
    acme.use(2)
    acme.advance(days=33)
    before = acme.counted()
    moved = usage_moves.sweep(acme.gateways)
    acme.report()
    [first, second] = acme.periods()[:2]

    assert (before, moved, acme.counted()) == (0, 2, 2)
    assert {row.period_start for row in acme.outbox()} == {second.starts_at}
    sums = {period.starts_at: 0 for period in (first, second)}
    for entry in acme.entries():
        sums[entry.period_start] += entry.quantity
    assert list(sums.values()) == [0, 2]
    assert {unit.period_start for unit in acme.units()} == {second.starts_at}
    assert {entry.note for entry in acme.entries()} == {None, "late"}
    assert usage_moves.sweep(acme.gateways) == 0


def test_a_moved_unit_that_comes_back_is_taken_back_where_it_stands(acme: Metered) -> None:
    [unit, _other] = acme.use(2)
    acme.advance(days=33)
    usage_moves.sweep(acme.gateways)
    acme.report()
    acme.customer.shop.advance(hours=1)
    returns(acme, unit)
    cancel(acme)

    assert (sorted(acme.outbox_states()), acme.counted(), acme.used()) == (["cancelled", "sent"], 1, 1)


def test_a_moved_unit_whose_cancel_is_refused_is_countered_too(acme: Metered) -> None:
    [unit, *_others] = acme.use(3)
    acme.advance(days=33)
    usage_moves.sweep(acme.gateways)
    acme.report()
    acme.customer.shop.advance(hours=22)
    returns(acme, unit)
    acme.customer.shop.advance(hours=3)
    cancel(acme)
    acme.report()

    assert [row.quantity for row in acme.outbox()] == [1, 1, 1, -1]
    assert (acme.outbox_states(), acme.counted(), acme.used()) == (["sent"] * 4, 2, 2)
