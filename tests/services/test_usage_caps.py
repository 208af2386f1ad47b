"""How near a period is to its hard cap, as the usage page shows it."""

import pytest

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import UsageLimit
from portal.services import allowances, limits, reservations, subscriptions, usage, usage_caps
from portal.services.limits import Wanted
from portal.services.usage_caps import Cap
from tests import factories
from tests.services.using import HandClock, Workspace, happened, subscribe


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand."""
    return HandClock()


def seen(acme: Workspace) -> Cap:
    now = acme.gateways.clock.now()
    with unit_of_work(acme.workspace_id) as session:
        period = usage.find(session, now)
        assert period is not None
        return usage_caps.read(session, now, period, subscriptions.current(session))


def test_without_a_cap_nothing_is_reached(acme: Workspace) -> None:
    acme.resolve()

    assert (seen(acme).used, seen(acme).cap, seen(acme).reached) == (1, None, False)


def test_what_is_used_waits_and_is_held_counts_against_the_cap(
    acme: Workspace, clock: HandClock, workspace: factories.Account
) -> None:
    limits.save(acme.gateways, acme.workspace_id, workspace.user_id, Wanted(cap_units=3))
    acme.resolve()
    acme.feed(happened("waits", "ai_answered", clock.now()))
    reservations.hold(acme.gateways, acme.workspace_id, "next")
    found = seen(acme)

    assert (found.used, found.pending, found.held, found.cap) == (1, 1, 1, 3)
    assert found.reached

    clock.advance(minutes=16)  # what was held for an answer has lapsed

    assert (seen(acme).held, seen(acme).reached) == (0, False)


def test_it_says_the_same_as_the_allowance(acme: Workspace, clock: HandClock) -> None:
    acme.resolve()
    acme.feed(happened("waits", "ai_answered", clock.now()))
    told = allowances.current(acme.gateways, acme.workspace_id)

    assert (seen(acme).used, seen(acme).pending, seen(acme).cap) == (told.used, told.pending, told.cap)


def test_a_trial_has_its_own_cap_before_anything_was_used(
    gateways: Gateways, workspace: factories.Account
) -> None:
    subscribe(gateways, workspace.workspace_id, trial_days=14)
    found = seen(Workspace(gateways, workspace.workspace_id))

    assert (found.cap, found.trial, found.accrued) == (50, True, 0)


def test_in_a_trial_no_pack_is_said_to_be_drawn(gateways: Gateways, workspace: factories.Account) -> None:
    subscribe(gateways, workspace.workspace_id, trial_days=14)
    acme = Workspace(gateways, workspace.workspace_id)
    acme.resolve()
    with unit_of_work(acme.workspace_id) as session:
        session.add(UsageLimit(cap_units=10, hard=True, at_cap="next_pack"))
    told = allowances.current(gateways, acme.workspace_id)

    assert (seen(acme).at_cap, told.at_cap) == ("stop", "stop")
