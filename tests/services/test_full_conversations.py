"""Conversations with as many events as they may have."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.services.using import HandClock, Workspace, happened

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand."""
    return HandClock(START)


def test_a_conversation_has_room_for_a_thousand_events(acme: Workspace) -> None:
    events = [happened("c1", "ai_answered", START - timedelta(seconds=i)) for i in range(999)]
    acme.feed(*events)
    last = acme.feed(happened("c1", "customer_asked", START), happened("c2", "customer_asked", START))
    full = acme.feed(happened("c1", "ai_answered", START), events[0])

    assert [each.result for each in last] == ["accepted", "accepted"]
    assert [(each.result, each.reason) for each in full] == [
        ("rejected", "conversation_full"),
        ("duplicate", None),
    ]


def test_a_customer_who_comes_back_to_a_full_conversation_pays_nothing_for_it(
    acme: Workspace, clock: HandClock
) -> None:
    acme.feed(*(happened("c1", "ai_answered", START - timedelta(seconds=i)) for i in range(1000)))
    clock.advance(days=1)
    acme.catch_up()
    counted = [unit.state for unit in acme.units("c1")]
    back = [happened("c1", "reopened", clock.now() + timedelta(seconds=i)) for i in range(101)]
    taken = acme.feed(*back[:100])
    [beyond] = acme.feed(back[100])

    assert counted == ["billable"]
    assert {each.result for each in taken} == {"accepted"}
    assert beyond.reason == "conversation_full"
    assert [unit.state for unit in acme.units("c1")] == ["reversed"]
