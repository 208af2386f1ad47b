"""Events that arrive late, and the months that units belong to."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from portal.db import unit_of_work
from portal.models import UsagePeriod
from portal.services.units import source_of, unit_of
from tests.services.using import DAY, HOUR, HandClock, Workspace, happened, ledger, outbox, sent

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
# ten days before, and a month after that
BEGAN, ENDS = datetime(2026, 11, 10, 12, tzinfo=UTC), datetime(2026, 12, 10, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand."""
    return HandClock(START)


def test_a_late_event_corrects_the_day_on_which_the_unit_was_counted(
    acme: Workspace, clock: HandClock
) -> None:
    """It was never to be counted: on the day itself nothing is left of it."""
    answered = clock.now()
    acme.feed(happened("c1", "ai_answered", answered))
    clock.advance(days=3)
    acme.catch_up()
    acme.feed(happened("c1", "human_replied", answered + HOUR))

    assert acme.states("c1") == ["not_billable"]
    assert ledger(acme) == [
        ("billable", 1, answered + DAY, BEGAN, "meter", None),
        ("correction", -1, answered + DAY, BEGAN, "meter", "late_event"),
    ]
    assert [(d.assumed, d.reversed, d.quantity, d.charged) for d in acme.days()] == [(0, 0, 0, 0)]
    assert outbox(acme) == [("dropped", 1)]


def test_a_unit_that_late_events_take_and_bring_again_is_counted_once_under_a_new_name(
    acme: Workspace, clock: HandClock
) -> None:
    answered = clock.now()
    acme.feed(happened("c1", "ai_answered", answered))
    clock.advance(days=3)
    acme.catch_up()
    acme.feed(happened("c1", "customer_asked", answered + 2 * HOUR))
    acme.feed(happened("c1", "customer_confirmed", answered + HOUR))

    # asked after it was confirmed: billable and reversed
    assert acme.states("c1") == ["reversed"]
    acme.feed(happened("c1", "ai_answered", answered + 3 * HOUR))
    assert acme.states("c1") == ["reversed", "billable"]
    assert [(e.source, e.kind) for e in acme.entries()] == [
        ("c1#1", "billable"),
        ("c1#1", "correction"),
        ("c1#1~2", "billable"),
        ("c1#1~2", "reversal"),
        ("c1#2", "billable"),
    ]
    assert (acme.used(), acme.balanced()) == (1, True)


def test_a_late_confirmation_moves_the_unit_to_its_own_day_and_kind(
    acme: Workspace, clock: HandClock
) -> None:
    answered = clock.now()
    acme.feed(happened("c1", "ai_answered", answered))
    clock.advance(days=3)
    acme.catch_up()
    acme.feed(happened("c1", "customer_confirmed", answered + HOUR))

    assert [(u.state, u.kind, u.billable_at) for u in acme.units()] == [
        ("billable", "confirmed", answered + HOUR)
    ]
    assert [(d.day.day, d.confirmed, d.assumed) for d in acme.days()] == [(20, 1, 0), (21, 0, 0)]
    assert (outbox(acme), acme.used()) == ([("dropped", 1), ("waiting", 1)], 1)


def test_sources_are_read_back_whatever_a_conversation_is_called() -> None:
    for conversation_id in ("c1", "c#1", "c#1~2", "#", "~", "c1#2~"):
        for episode, times in ((1, 1), (12, 3)):
            assert unit_of(source_of(conversation_id, episode, times)) == (conversation_id, episode)


# --- months -------------------------------------------------------------------------------------------------


def test_a_unit_belongs_to_the_month_in_which_it_became_billable(acme: Workspace, clock: HandClock) -> None:
    """Answered in the first month; the day ends exactly with the month, which is the next one's instant."""
    clock.at = ENDS - DAY
    acme.feed(
        happened("before", "ai_answered", clock.now() - timedelta(microseconds=1)),
        happened("exactly", "ai_answered", clock.now()),
    )
    clock.at = ENDS + timedelta(minutes=10)
    acme.catch_up()

    assert [(e.source, e.period_start, e.note) for e in acme.entries()] == [
        ("before#1", BEGAN, None),
        ("exactly#1", ENDS, None),
    ]
    assert [(p.starts_at, p.ends_at) for p in acme.periods()] == [
        (BEGAN, ENDS),
        (ENDS, datetime(2027, 1, 10, 12, tzinfo=UTC)),
    ]
    assert acme.balanced()


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "too late to be sent for it"])
def test_what_becomes_billable_in_a_month_that_is_closed_is_in_the_open_one_stamped_now(
    acme: Workspace, clock: HandClock, closed: bool
) -> None:
    clock.at = ENDS + timedelta(minutes=31 if not closed else 5)
    if closed:
        with unit_of_work(acme.workspace_id) as session:
            session.execute(update(UsagePeriod).values(state="closed"))
    acme.feed(
        happened("c1", "ai_answered", ENDS - 3 * HOUR), happened("c1", "customer_confirmed", ENDS - HOUR)
    )

    assert ledger(acme) == [("billable", 1, clock.now(), ENDS, "meter", "late")]
    assert [(m.at, m.period_start) for m in acme.outbox()] == [(clock.now(), ENDS)]
    assert [(u.billable_at, u.period_start) for u in acme.units()] == [(ENDS - HOUR, ENDS)]
    assert acme.balanced()


def test_a_return_in_the_next_month_is_taken_off_that_month(acme: Workspace, clock: HandClock) -> None:
    conversation, _other = acme.resolve(), acme.resolve()
    sent(acme, at=clock.now())
    clock.at = ENDS + 3 * DAY
    acme.resolve()
    acme.feed(happened(conversation, "reopened", clock.now() - DAY))

    assert ledger(acme)[-1] == ("reversal", -1, clock.now() - DAY, ENDS, "meter", None)
    assert outbox(acme) == [("sent", 1), ("sent", 1), ("waiting", 1), ("waiting", -1)]
    assert [p.used for p in acme.periods()] == [2, 0]


def test_a_late_event_about_a_closed_month_leaves_it_as_it_was_billed(
    acme: Workspace, clock: HandClock
) -> None:
    answered = clock.now()
    acme.feed(happened("c1", "ai_answered", answered))
    clock.advance(days=1)
    acme.catch_up()
    sent(acme, at=clock.now())
    clock.at = ENDS + DAY
    acme.resolve()
    acme.feed(happened("c1", "customer_confirmed", answered + HOUR))
    moved = len(acme.entries())
    acme.feed(happened("c1", "human_requested", answered + timedelta(minutes=1)))

    assert moved == 2
    assert ledger(acme)[-1] == ("reversal", -1, clock.now(), ENDS, "meter", "late_event")
    assert [p.used for p in acme.periods()] == [1, 0]
    assert acme.balanced()


def test_what_came_and_went_before_it_was_heard_of_in_a_closed_month_is_in_no_ledger(
    acme: Workspace, clock: HandClock
) -> None:
    clock.at = ENDS + DAY
    acme.feed(
        happened("c1", "ai_answered", ENDS - 5 * HOUR),
        happened("c1", "customer_confirmed", ENDS - 4 * HOUR),
        happened("c1", "customer_asked", ENDS - 3 * HOUR),
    )

    assert (acme.states("c1"), acme.entries()) == (["reversed"], [])
