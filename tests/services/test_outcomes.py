"""What units mean for the ledger, for the month that they belong to, and for what Stripe is told."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import BillingDetails, Resolution
from portal.services import meter_events, outcomes
from tests import factories
from tests.services.using import (
    DAY,
    HOUR,
    HandClock,
    Workspace,
    end_subscription,
    happened,
    ledger,
    outbox,
    sent,
    subscribe,
)

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
# ten days before, and a month after that
BEGAN, ENDS = datetime(2026, 11, 10, 12, tzinfo=UTC), datetime(2026, 12, 10, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand."""
    return HandClock(START)


# --- maturing -----------------------------------------------------------------------------------------------


def test_a_unit_matures_at_the_very_second(acme: Workspace, clock: HandClock) -> None:
    answered = clock.now()
    acme.feed(happened("c1", "ai_answered", answered))
    clock.advance(hours=24, microseconds=-1)
    early = acme.catch_up()
    clock.advance(microseconds=1)
    due = acme.catch_up()

    assert (early, due) == (0, 1)
    assert [(u.state, u.kind, u.because, u.matures_at) for u in acme.units()] == [
        ("billable", "assumed", "assumed", None)
    ]
    assert ledger(acme) == [("billable", 1, answered + DAY, BEGAN, "meter", None)]
    assert (acme.catch_up(), acme.balanced()) == (0, True)


def test_the_sweeper_matures_every_workspace_and_one_that_fails_stops_no_other(
    app: Flask, acme: Workspace, gateways: Gateways, clock: HandClock
) -> None:
    others = [Workspace(gateways, factories.account(app).workspace_id) for _ in range(2)]
    for other in others:
        subscribe(gateways, other.workspace_id)
    for each in (acme, *others):
        each.feed(happened("c1", "ai_answered", clock.now()), happened("c2", "ai_answered", clock.now()))
    # Stripe's customer is unknown: a unit cannot be charged
    with unit_of_work(others[0].workspace_id) as session:
        session.execute(update(BillingDetails).values(stripe_customer_id=None))
    clock.advance(days=1)
    done = outcomes.mature(gateways)

    assert done == 4
    assert [each.states("c1") for each in (acme, *others)] == [["billable"], ["pending"], ["billable"]]


def test_what_is_asked_at_the_very_end_of_the_day_reverses_what_is_billable(
    acme: Workspace, clock: HandClock
) -> None:
    answered = clock.now()
    acme.feed(happened("c1", "ai_answered", answered))
    clock.advance(days=1)
    acme.feed(happened("c1", "customer_asked", clock.now()))

    assert [(u.state, u.billable_at, u.reversed_at) for u in acme.units()] == [
        ("reversed", answered + DAY, answered + DAY)
    ]
    assert ledger(acme) == [
        ("billable", 1, answered + DAY, BEGAN, "meter", None),
        ("reversal", -1, answered + DAY, BEGAN, "meter", None),
    ]
    assert (outbox(acme), acme.balanced()) == ([("dropped", 1)], True)


# --- taken back ---------------------------------------------------------------------------------------------


def test_what_was_not_sent_yet_is_dropped_and_both_entries_stand(acme: Workspace, clock: HandClock) -> None:
    conversation = acme.resolve()
    clock.advance(hours=30)
    acme.feed(happened(conversation, "reopened", clock.now()))

    assert [(kind, quantity) for kind, quantity, *_ in ledger(acme)] == [("billable", 1), ("reversal", -1)]
    assert outbox(acme) == [("dropped", 1)]
    assert [(d.confirmed, d.reversed, d.quantity) for d in acme.days()] == [(1, 0, 1), (0, 1, -1)]


def test_what_was_sent_within_a_day_is_cancelled(acme: Workspace, clock: HandClock) -> None:
    conversation = acme.resolve()
    sent(acme, at=clock.now())
    clock.advance(hours=22, minutes=59)
    acme.feed(happened(conversation, "customer_asked", clock.now()))

    assert outbox(acme) == [("cancelling", 1)]


@pytest.mark.parametrize("state", ["sending", "waiting"])
def test_what_may_have_been_sent_is_cancelled_too(acme: Workspace, clock: HandClock, state: str) -> None:
    conversation = acme.resolve()
    sent(acme, at=clock.now(), state=state, sent_at=None)
    clock.advance(minutes=1)
    acme.feed(happened(conversation, "customer_asked", clock.now()))

    assert outbox(acme) == [("cancelling", 1)]


def test_what_was_sent_longer_ago_gets_one_negative_event(acme: Workspace, clock: HandClock) -> None:
    conversation, other = acme.resolve(), acme.resolve()
    sent(acme, at=clock.now())
    clock.advance(hours=23)
    asked = clock.now()
    acme.feed(happened(conversation, "customer_asked", asked))

    assert outbox(acme) == [("sent", 1), ("sent", 1), ("waiting", -1)]
    negative = acme.outbox()[-1]
    assert (negative.at, negative.period_start) == (asked, BEGAN)
    assert negative.identifier == meter_events.identifier(
        acme.workspace_id, f"{conversation}#1", reversal=True
    )
    assert acme.states(other) == ["billable"]


def test_what_would_make_the_months_sum_negative_is_owed_as_a_credit_note(
    acme: Workspace, clock: HandClock
) -> None:
    """Two come back in the month after, in which only one was resolved."""
    first, second = acme.resolve(), acme.resolve()
    sent(acme, at=clock.now())
    clock.at = ENDS + DAY
    acme.resolve()
    acme.feed(happened(first, "customer_asked", clock.now()), happened(second, "customer_asked", clock.now()))

    assert outbox(acme) == [("sent", 1), ("sent", 1), ("waiting", 1), ("waiting", -1), ("crediting", -1)]
    assert [p.used for p in acme.periods()] == [2, -1]
    assert acme.balanced()


def test_after_the_subscription_a_reversal_is_owed_as_a_credit_note(
    acme: Workspace, clock: HandClock
) -> None:
    conversation = acme.resolve()
    sent(acme, at=clock.now())
    end_subscription(acme, START + HOUR)
    clock.advance(hours=48)
    taken = acme.feed(
        happened(conversation, "customer_asked", clock.now()), happened("new", "ai_answered", clock.now())
    )

    assert [(each.result, each.reason) for each in taken] == [
        ("accepted", None),
        ("rejected", "no_subscription"),
    ]
    last = START + HOUR - timedelta(microseconds=1)
    assert ledger(acme)[-1] == ("reversal", -1, last, BEGAN, "credited", "after_end")
    assert (outbox(acme), acme.balanced()) == ([("sent", 1), ("crediting", -1)], True)


def test_what_is_pending_when_the_subscription_ends_is_paid_by_nobody(
    acme: Workspace, clock: HandClock
) -> None:
    acme.feed(happened("c1", "ai_answered", clock.now()))
    end_subscription(acme, START + HOUR)
    clock.advance(days=2)
    acme.catch_up()

    assert [(u.state, u.charge, u.period_start, u.counts) for u in acme.units()] == [
        ("billable", None, None, False)
    ]
    assert (acme.entries(), acme.outbox()) == ([], [])


# --- trials and contests ------------------------------------------------------------------------------------


def test_what_a_trial_resolves_is_free_and_never_sent(
    gateways: Gateways, workspace: factories.Account, clock: HandClock
) -> None:
    subscribe(gateways, workspace.workspace_id, since=START - DAY, trial_days=14)
    trying = Workspace(gateways, workspace.workspace_id)
    trying.resolve()
    trying.feed(happened("late", "ai_answered", START + timedelta(minutes=1)))
    # found out when the trial's month is over: still free
    clock.at = START + 14 * DAY
    trying.catch_up()
    trying.resolve()

    assert [(e.charge, e.note) for e in trying.entries()] == [
        ("trial", None),
        ("trial", "late"),
        ("meter", None),
    ]
    assert [(p.trial, p.used) for p in trying.periods()] == [(True, 1), (False, 2)]
    assert [sum(d.charged for d in trying.days()), outbox(trying)] == [1, [("waiting", 1)]]


def test_a_contested_unit_is_taken_out_for_good(acme: Workspace, clock: HandClock) -> None:
    conversation = acme.resolve()
    with unit_of_work(acme.workspace_id) as session:
        first = outcomes.take_out(session, acme.gateways, acme.workspace_id, conversation, 1)
        second = outcomes.take_out(session, acme.gateways, acme.workspace_id, conversation, 1)
        session.execute(update(Resolution).values(contest="accepted"))
    acme.feed(happened(conversation, "customer_confirmed", clock.now()))
    clock.advance(minutes=1)
    acme.feed(happened(conversation, "customer_asked", clock.now()))

    assert (first, second) == (True, False)
    assert [(kind, quantity, note) for kind, quantity, *_, note in ledger(acme)] == [
        ("billable", 1, None),
        ("correction", -1, "contested"),
    ]
    assert (acme.states(conversation), outbox(acme), acme.balanced()) == (
        ["reversed"],
        [("dropped", 1)],
        True,
    )


def test_nothing_is_counted_for_greetings_and_tests(acme: Workspace, clock: HandClock) -> None:
    acme.feed(
        happened("c1", "ai_greeted", clock.now() - HOUR),
        happened("c2", "ai_answered", clock.now() - HOUR, test=True),
        happened("c2", "customer_confirmed", clock.now()),
    )
    clock.advance(days=2)
    acme.catch_up()

    assert [(u.state, u.because) for u in acme.units()] == [
        ("not_billable", "greeting_only"),
        ("not_billable", "test"),
    ]
    assert acme.entries() == []
