"""A made-up stream: the same for the same seed, with all that goes wrong, and judged by the rules."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from portal.services import demo_playing, demo_stream
from tests.services.using import HandClock, Workspace

SINCE = datetime(2026, 11, 19, 12, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=1)


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand: 20 November 2026, noon."""
    return HandClock()


def test_a_seed_makes_the_same_stream_again() -> None:
    assert demo_stream.stream(7, 50, SINCE, UNTIL) == demo_stream.stream(7, 50, SINCE, UNTIL)
    assert demo_stream.stream(7, 50, SINCE, UNTIL) != demo_stream.stream(8, 50, SINCE, UNTIL)


def test_it_has_repetitions_late_arrivals_and_returns() -> None:
    sent = demo_stream.stream(1, 500, SINCE, UNTIL)
    ids = [each.event.id for each in sent]
    kinds = {each.event.type for each in sent}

    assert len(ids) > len(set(ids))
    assert any(each.at - each.event.occurred_at > timedelta(hours=1) for each in sent)
    assert any(a.event.occurred_at > b.event.occurred_at for a, b in pairwise(sent))
    assert {"customer_asked", "reopened", "human_replied", "ai_greeted"} <= kinds
    assert any(each.event.test for each in sent)


def test_nothing_happens_after_its_end_or_is_sent_before_it_happened() -> None:
    sent = demo_stream.stream(3, 300, SINCE, UNTIL)

    assert all(SINCE <= each.event.occurred_at < UNTIL for each in sent)
    assert all(each.event.occurred_at <= each.at <= UNTIL for each in sent)


def test_the_steps_of_a_stream_have_all_of_it_in_order() -> None:
    sent = demo_stream.stream(3, 100, SINCE, UNTIL)
    steps = list(demo_playing.hours(sent, SINCE, timedelta(hours=1)))

    assert [each for _, ready in steps for each in ready] == sent
    assert all(each.at <= end for end, ready in steps for each in ready)


def test_what_is_taken_in_is_what_the_rules_make_of_it(acme: Workspace, clock: HandClock) -> None:
    events = demo_stream.events(5, 200, SINCE, UNTIL)
    for batch in demo_stream.batches(events, 97):
        acme.feed(*batch)
    clock.advance(days=2)
    units = demo_playing.settle(acme.gateways, acme.workspace_id)

    assert units == acme.used() == demo_playing.expected(events, clock.now())
    assert 120 < units < 180
