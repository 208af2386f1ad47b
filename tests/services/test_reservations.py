"""A unit is held before it is used: once, within the cap, until it is settled or nobody answered."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.errors import NotFoundError
from portal.gateways import Gateways
from portal.models import Allowance, Resolution, Subscription
from portal.services import allowances, reservations, usage_periods
from portal.services.allowances import LIMITED, NOT_SUBSCRIBED
from portal.services.reservations import Held, Refused
from tests import factories
from tests.services.limiting import ENDS, NEXT_ENDS, Company, november
from tests.services.using import HandClock, Workspace, happened


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    return november()


@pytest.fixture
def company(gateways: Gateways, workspace: factories.Account, clock: HandClock) -> Company:
    made = Company(gateways, workspace.workspace_id, workspace.user_id, clock)
    made.subscribe()
    return made


def test_a_unit_is_held_for_a_quarter_of_an_hour_without_an_answer(
    company: Company, clock: HandClock
) -> None:
    company.limit(cap_units=1)
    first = company.hold("a")
    clock.advance(minutes=14, seconds=59)
    refused = company.hold("b")
    clock.advance(seconds=1)
    second = company.hold("b")

    assert isinstance(first, Held)
    assert (first.state, first.left, first.until, first.repeated) == ("held", 0, ENDS, False)
    assert isinstance(refused, Refused)
    assert isinstance(second, Held)
    assert company.reservation_states() == ["lapsed", "held"]
    assert company.row() == (0, 1, 1)


def test_the_sweeper_lets_go_too_and_the_page_never_waits_for_it(company: Company, clock: HandClock) -> None:
    company.limit(cap_units=5)
    company.hold("a")
    company.hold("b")
    clock.advance(minutes=15)

    assert company.state().left == 5
    company.hold("c")
    clock.advance(minutes=15)
    assert reservations.sweep(company.gateways) == 1
    assert reservations.sweep(company.gateways) == 0
    assert company.reservation_states() == ["lapsed", "lapsed", "lapsed"]
    assert company.row() == (0, 0, 5)


def test_after_an_answer_the_unit_is_held_until_it_is_settled(company: Company, clock: HandClock) -> None:
    company.limit(cap_units=2)
    company.hold("a")
    company.hold("b")
    company.answer("a", "b")
    clock.advance(hours=20)
    refused = company.hold("c")
    company.drop("a")
    free = company.state()
    company.bill("b")
    after = company.state()

    assert isinstance(refused, Refused)
    assert (free.pending, free.used, free.left) == (1, 0, 1)
    assert (after.pending, after.used, after.left) == (0, 1, 1)
    assert company.reservation_states() == ["settled", "settled"]


def test_who_looks_at_a_lapsed_one_is_told_so_before_the_sweeper_came(
    company: Company, clock: HandClock
) -> None:
    made = company.hold("a")
    assert isinstance(made, Held)
    look = [company.gateways, company.workspace_id, made.id]
    before = reservations.look(*look).state  # type: ignore[arg-type]
    clock.advance(minutes=15)

    assert (before, reservations.look(*look).state) == ("held", "lapsed")  # type: ignore[arg-type]
    with pytest.raises(NotFoundError):
        reservations.look(company.gateways, company.workspace_id, "R-0000000000")


def test_asking_again_for_a_conversation_answers_the_same(company: Company, clock: HandClock) -> None:
    company.limit(cap_units=1)
    first = company.hold("a")
    clock.advance(minutes=5)
    again = company.hold("a")
    company.answer("a")
    clock.advance(hours=3)
    answered = company.hold("a")

    assert isinstance(first, Held)
    assert isinstance(again, Held)
    assert isinstance(answered, Held)
    assert first.id == again.id == answered.id
    assert (again.expires_at, again.repeated, answered.state) == (first.expires_at, True, "answered")
    assert company.row() == (0, 1, 1)


def test_what_lapsed_is_taken_anew_by_the_same_conversation(company: Company, clock: HandClock) -> None:
    company.limit(cap_units=1)
    first = company.hold("a")
    clock.advance(minutes=20)
    second = company.hold("a")

    assert isinstance(first, Held)
    assert isinstance(second, Held)
    assert first.id != second.id
    assert (second.repeated, company.row()) == (False, (0, 1, 1))


def test_a_batch_that_answers_settles_and_does_both_follows_what_is_held_at_once(
    company: Company, clock: HandClock
) -> None:
    """Each with and without a unit that was held; in one conversation both, with another answer after it."""
    company.limit(cap_units=20)
    for name in ("answered", "settled", "passed", "again"):
        company.hold(name)
    company.answer("settled", "settled-too")
    before = company.row()
    clock.advance(minutes=2)
    now = clock.now()
    earlier = now - timedelta(minutes=1)
    acme = Workspace(company.gateways, company.workspace_id)
    acme.feed(
        *(happened(name, "ai_answered", now) for name in ("answered", "answered-too")),
        *(happened(name, "customer_confirmed", now) for name in ("settled", "settled-too")),
        *(
            happened(name, kind, at)
            for name in ("passed", "passed-too", "again")
            for kind, at in (("ai_answered", earlier), ("customer_confirmed", earlier))
        ),
        happened("again", "reopened", earlier + timedelta(seconds=1)),
        happened("again", "ai_answered", now),
    )

    assert before == (0, 5, 20)
    # pending are answered, answered-too and the second episode of again
    assert company.row() == (4, 3, 20)
    # of again, answered, passed and settled
    assert company.reservation_states() == ["answered", "answered", "settled", "settled"]
    assert allowances.repair(company.gateways) == 0


def test_an_answer_without_asking_is_counted_all_the_same(company: Company) -> None:
    company.limit(cap_units=3)
    company.answer("x", "y", "z")
    refused = company.hold("a")

    assert isinstance(refused, Refused)
    assert refused.allowance.pending == 3
    assert company.row() == (0, 3, 3)


def test_an_answer_after_the_reservation_lapsed_counts_once(company: Company, clock: HandClock) -> None:
    company.limit(cap_units=3)
    company.hold("a")
    clock.advance(minutes=16)
    company.answer("a")

    assert company.row() == (0, 1, 3)
    assert company.bill("a") == ["meter"]
    assert company.row() == (1, 0, 3)


def test_a_unit_that_is_given_back_is_free_and_an_answered_one_is_not(company: Company) -> None:
    company.limit(cap_units=2)
    a, b = company.hold("a"), company.hold("b")
    assert isinstance(a, Held)
    assert isinstance(b, Held)
    company.answer("b")
    for each in (a, a, b):
        reservations.release(company.gateways, company.workspace_id, each.id)

    assert company.reservation_states() == ["released", "answered"]
    assert company.row() == (0, 1, 2)


def test_without_a_cap_everything_is_held_and_nothing_refused(company: Company) -> None:
    answer = company.hold()

    assert isinstance(answer, Held)
    assert (answer.left, answer.until) == (None, ENDS)
    assert company.row() == (0, 1, None)


def test_open_reservations_count_in_the_next_period_until_they_are_settled(
    company: Company, clock: HandClock
) -> None:
    company.limit(cap_units=3)
    company.use(1)
    clock.at = ENDS - timedelta(hours=1)
    company.hold("a")
    company.hold("b")
    company.answer("a", "b")
    full = company.hold("c")
    clock.at = ENDS
    state = company.state()
    third, fourth = company.hold("d"), company.hold("e")
    charges = company.bill("a", "b")

    assert isinstance(full, Refused)
    assert (state.used, state.pending, state.left, state.starts_at) == (0, 2, 1, ENDS)
    assert isinstance(third, Held)
    assert isinstance(fourth, Refused)
    assert charges == ["meter", "meter"]
    assert company.row() == (2, 1, 3)


def test_what_ends_in_the_old_period_counts_there_after_the_new_one_began(
    company: Company, clock: HandClock
) -> None:
    company.limit(cap_units=3)
    company.use(2)
    clock.at = ENDS - timedelta(hours=1)
    company.answer("a", "b")
    clock.at = ENDS + timedelta(minutes=1)
    company.state()
    # confirmed a second before the period's end, heard of a minute after it
    charges = company.bill("a", "b", at=ENDS - timedelta(seconds=1))

    assert charges == ["meter", "over_cap"]
    assert company.row() == (0, 0, 3)


def test_the_first_who_asks_in_a_new_period_turns_it_before_stripe_tells(
    company: Company, clock: HandClock
) -> None:
    company.limit(cap_units=1)
    company.use(1)
    clock.at = ENDS
    answer, refused = company.hold("a"), company.hold("b")

    assert isinstance(answer, Held)
    assert isinstance(refused, Refused)
    assert (answer.left, answer.until) == (0, NEXT_ENDS)


def test_a_trial_that_ends_early_ends_its_cap_at_once(
    gateways: Gateways, workspace: factories.Account, clock: HandClock
) -> None:
    company = Company(gateways, workspace.workspace_id, workspace.user_id, clock)
    company.subscribe(trial=True)
    company.use(50)
    refused = company.hold("a")
    clock.advance(hours=1)
    with unit_of_work(company.workspace_id) as session:
        subscription = session.scalars(select(Subscription)).one()
        now = int(clock.now().timestamp())
        subscription.status, subscription.trial_end = "active", clock.now()
        subscription.anchor = clock.now()
        subscription.items = [
            item | {"period_start": now, "period_end": now + 30 * 86_400} for item in subscription.items
        ]
        session.flush()
        usage_periods.follow(session, subscription)
    answer = company.hold("a")

    assert isinstance(refused, Refused)
    assert isinstance(answer, Held)
    assert (company.state().cap, company.state().used) == (None, 0)


@pytest.mark.parametrize(("access", "reason"), [("limited", LIMITED), ("ended", NOT_SUBSCRIBED)])
def test_without_a_subscription_in_good_standing_nothing_is_held(
    gateways: Gateways, workspace: factories.Account, clock: HandClock, access: str, reason: str
) -> None:
    company = Company(gateways, workspace.workspace_id, workspace.user_id, clock)
    company.subscribe(access=access)
    answer = company.hold()

    assert isinstance(answer, Refused)
    assert (answer.allowance.reason, answer.allowance.may_answer) == (reason, False)


def test_who_has_bought_nothing_is_refused(
    gateways: Gateways, workspace: factories.Account, clock: HandClock
) -> None:
    company = Company(gateways, workspace.workspace_id, workspace.user_id, clock)
    answer = company.hold()

    assert isinstance(answer, Refused)
    assert (answer.allowance.reason, answer.allowance.until) == (NOT_SUBSCRIBED, None)


def test_what_is_over_is_forgotten_after_a_month(company: Company, clock: HandClock) -> None:
    company.hold("a")
    company.hold("b")
    company.answer("b")
    clock.advance(minutes=15)
    reservations.sweep(company.gateways)
    clock.advance(days=29)
    assert reservations.prune(company.gateways) == 0
    clock.advance(days=2)

    assert reservations.prune(company.gateways) == 1
    assert company.reservation_states() == ["answered"]


def test_units_that_were_there_before_the_row_are_counted_by_it(company: Company) -> None:
    with unit_of_work(company.workspace_id) as session:
        # what another way of bringing data in, such as a seeded history, has left
        for number in range(3):
            facts = {"state": "pending", "because": "waiting", "channel": "chat"}
            session.add(Resolution(conversation_id=f"p{number}", episode=1, **facts))

    assert company.state().pending == 3
    assert company.row() == (0, 3, None)


def test_a_row_that_has_drifted_is_found_and_put_right_at_night(company: Company) -> None:
    company.limit(cap_units=9)
    company.use(2)
    company.answer("a")
    company.hold("b")
    quiet = allowances.repair(company.gateways)
    with unit_of_work(company.workspace_id) as session:
        session.execute(update(Allowance).values(used=7, held=-1))

    assert quiet == 0
    assert allowances.repair(company.gateways) == 1
    assert company.row() == (2, 2, 9)
