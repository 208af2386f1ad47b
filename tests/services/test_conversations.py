"""Conversation events taken in: once each, in any order, and what they come to in the same commit."""

from datetime import timedelta

import pytest

from portal.gateways import Gateways
from tests import factories
from tests.services.using import HOUR, HandClock, Workspace, happened, subscribe


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand."""
    return HandClock()


@pytest.fixture
def acme(gateways: Gateways, workspace: factories.Account, clock: HandClock) -> Workspace:
    """A workspace with a live subscription."""
    subscribe(gateways, workspace.workspace_id)
    return Workspace(gateways, workspace.workspace_id)


def test_a_confirmed_answer_is_one_unit_in_ledger_rollup_and_outbox(
    acme: Workspace, clock: HandClock
) -> None:
    now = clock.now()
    taken = acme.feed(
        happened("c1", "ai_answered", now - HOUR, id="a"), happened("c1", "customer_confirmed", now, id="b")
    )

    assert [(each.id, each.result) for each in taken] == [("a", "accepted"), ("b", "accepted")]
    assert acme.states("c1") == ["billable"]
    assert [(e.source, e.kind, e.quantity, e.at, e.charge) for e in acme.entries()] == [
        ("c1#1", "billable", 1, now, "meter")
    ]
    assert [(d.confirmed, d.assumed, d.quantity, d.charged, d.reversed) for d in acme.days()] == [
        (1, 0, 1, 1, 0)
    ]
    assert [(m.state, m.quantity, m.key) for m in acme.outbox()] == [("waiting", 1, "resolution")]
    assert [p.used for p in acme.periods()] == [1]


def test_a_unit_matures_at_the_very_second(acme: Workspace, clock: HandClock) -> None:
    answered = clock.now()
    acme.feed(happened("c1", "ai_answered", answered))
    clock.advance(hours=24, microseconds=-1)
    early = acme.catch_up()
    clock.advance(microseconds=1)
    due = acme.catch_up()

    assert (early, due) == (0, 1)
    assert [(u.state, u.kind, u.billable_at) for u in acme.units()] == [
        ("billable", "assumed", answered + timedelta(hours=24))
    ]
    assert acme.catch_up() == 0
