"""A number of the usage page is the length of the list that it leads to, whatever became of the units."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from portal.db import unit_of_work
from portal.models import UsagePeriod
from portal.services import outcomes
from tests.services.counting import listed, shown
from tests.services.using import DAY, HOUR, HandClock, Workspace, end_subscription, happened, ledger, sent

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
# ten days before, and a month after that
BEGAN, ENDS = datetime(2026, 11, 10, 12, tzinfo=UTC), datetime(2026, 12, 10, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand."""
    return HandClock(START)


def of(acme: Workspace, month: datetime) -> dict[str, int]:
    """What a month shows in all, having seen that every list is as long as its number."""
    assert listed(acme) == shown(acme)
    return {str(name[1]): count for name, count in shown(acme).items() if name[0] == month and len(name) == 2}


def take_out(acme: Workspace, conversation_id: str) -> None:
    """What an accepted contest does."""
    with unit_of_work(acme.workspace_id) as session:
        outcomes.take_out(session, acme.gateways, acme.workspace_id, conversation_id, 1)


def close(acme: Workspace) -> None:
    """The invoice of the months that are over is final."""
    with unit_of_work(acme.workspace_id) as session:
        over = UsagePeriod.ends_at <= acme.gateways.clock.now()
        session.execute(update(UsagePeriod).where(over).values(state="closed"))


def test_what_a_contest_took_out_of_its_own_month_is_in_neither(acme: Workspace) -> None:
    acme.resolve("c1")
    acme.resolve("c2")
    take_out(acme, "c1")

    assert of(acme, BEGAN) == {"confirmed": 1}


def test_what_was_never_to_be_counted_is_in_neither(acme: Workspace, clock: HandClock) -> None:
    """A person had replied within the day, which was heard of later."""
    acme.feed(happened("c1", "ai_answered", clock.now()))
    clock.advance(days=2)
    acme.catch_up()
    assert of(acme, BEGAN) == {"assumed": 1}
    acme.feed(happened("c1", "human_replied", START + HOUR))

    assert of(acme, BEGAN) == {}


def test_what_came_back_and_was_never_to_be_counted_either_is_in_both(
    acme: Workspace, clock: HandClock
) -> None:
    """It was counted and taken back, and only then heard that a person had replied within the day."""
    acme.feed(happened("c1", "ai_answered", clock.now()))
    clock.advance(days=2)
    acme.catch_up()
    acme.feed(happened("c1", "customer_asked", clock.now()))
    acme.feed(happened("c1", "human_replied", START + HOUR))

    assert acme.states("c1") == ["not_billable"]
    assert of(acme, BEGAN) == {"assumed": 1, "reversed": 1}


def test_a_late_event_leaves_kind_and_day_of_what_was_billed(acme: Workspace, clock: HandClock) -> None:
    acme.feed(happened("c1", "ai_answered", clock.now()))
    clock.advance(days=1)
    acme.catch_up()
    clock.at = ENDS + DAY
    close(acme)
    acme.feed(happened("c1", "customer_confirmed", START + HOUR))

    assert [unit.kind for unit in acme.units()] == ["confirmed"]
    assert of(acme, BEGAN) == {"assumed": 1}


def test_another_answer_in_time_moves_the_unit_to_its_channel(acme: Workspace) -> None:
    acme.feed(
        happened("c1", "ai_answered", START - 3 * HOUR), happened("c1", "customer_confirmed", START - HOUR)
    )
    acme.feed(happened("c1", "ai_answered", START - 2 * HOUR, channel="email"))

    assert of(acme, BEGAN) == {"confirmed": 1}
    assert shown(acme)[BEGAN, "email", "confirmed"] == 1
    assert acme.balanced()


def test_what_was_heard_of_too_late_stands_on_the_day_on_which_it_is_billed(
    acme: Workspace, clock: HandClock
) -> None:
    clock.at = ENDS + DAY
    close(acme)
    acme.feed(
        happened("c1", "ai_answered", ENDS - 3 * HOUR), happened("c1", "customer_confirmed", ENDS - HOUR)
    )

    assert of(acme, ENDS) == {"confirmed": 1}
    assert shown(acme)[ENDS, clock.now().date(), "confirmed"] == 1


def test_what_was_taken_back_after_its_month_stays_taken_back(acme: Workspace, clock: HandClock) -> None:
    """Billed; then a person had replied; then, later still, the customer had confirmed before that."""
    acme.feed(happened("c1", "ai_answered", START))
    clock.advance(days=1)
    acme.catch_up()
    sent(acme, at=clock.now())
    clock.at = ENDS + DAY
    close(acme)
    acme.feed(happened("c1", "human_replied", START + 2 * HOUR))
    acme.feed(happened("c1", "customer_confirmed", START + HOUR))

    assert [(kind, quantity) for kind, quantity, *_ in ledger(acme)] == [("billable", 1), ("reversal", -1)]
    assert (of(acme, BEGAN), of(acme, ENDS)) == ({"assumed": 1}, {"reversed": 1})


def test_who_comes_back_after_the_subscription_stands_in_its_last_month(
    acme: Workspace, clock: HandClock
) -> None:
    acme.resolve("c1")
    sent(acme, at=clock.now())
    end_subscription(acme, START + HOUR)
    clock.advance(hours=48)
    acme.feed(happened("c1", "customer_asked", clock.now()))

    assert of(acme, BEGAN) == {"confirmed": 1, "reversed": 1}
