"""Limits: what can be chosen, from when it counts, what is billed at most, and more at the cap."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.errors import ConflictError
from portal.gateways import Gateways
from portal.models import AuditEntry, CapRaise
from portal.services import limits
from portal.services.limits import LimitError, NotTheApproverError, Problem
from portal.services.reservations import Held, Refused
from tests import factories
from tests.services.limiting import ENDS, Company, november
from tests.services.using import HandClock, Workspace, happened, sent


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    return november()


@pytest.fixture
def new(gateways: Gateways, workspace: factories.Account, clock: HandClock) -> Company:
    """A company that has bought nothing."""
    return Company(gateways, workspace.workspace_id, workspace.user_id, clock)


@pytest.fixture
def company(new: Company) -> Company:
    new.subscribe()
    return new


def problems(company: Company, **wanted: object) -> dict[str, Problem]:
    with pytest.raises(LimitError) as refusal:
        company.limit(**wanted)
    return refusal.value.fields


def test_a_cap_counts_at_once(company: Company) -> None:
    company.use(4)
    before = company.state()
    company.limit(cap_units=5)
    held, refused = company.hold(), company.hold()

    assert (before.cap, before.left, before.may_answer) == (None, None, True)
    assert isinstance(held, Held)
    assert isinstance(refused, Refused)


def test_a_cap_that_is_chosen_before_the_purchase_counts_in_the_first_period(new: Company) -> None:
    new.limit(cap_units=2)
    new.subscribe()
    answers = [new.hold() for _ in range(3)]

    assert [type(each) for each in answers] == [Held, Held, Refused]


def test_nothing_is_capped_below_what_has_accrued(company: Company) -> None:
    company.use(3)
    company.answer("a", "b")
    company.hold("c")

    assert problems(company, cap_units=5) == {"cap_units": Problem("too_low", 6)}
    assert problems(company, cap_amount=593) == {"cap_amount": Problem("too_low", 594)}
    assert problems(company, budget=593) == {"budget": Problem("too_low", 594)}
    assert company.limit(cap_units=6, budget=594).state.left == 0


def test_a_soft_cap_has_the_same_least_and_stops_nothing(company: Company) -> None:
    company.use(3)

    assert problems(company, cap_units=2, hard=False) == {"cap_units": Problem("too_low", 3)}
    standing = company.limit(cap_units=3, hard=False)
    assert (standing.cap, standing.state.cap, standing.state.may_answer) == (3, None, True)
    assert company.use(2) == ["meter", "meter"]


def test_what_was_passed_meanwhile_can_stay(company: Company) -> None:
    company.limit(cap_units=3, hard=False)
    company.use(5)

    standing = company.limit(cap_units=3, hard=False, budget=1000)
    assert (standing.limit.budget, standing.cap) == (1000, 3)


def test_a_soft_cap_that_was_passed_cannot_become_hard_below_what_has_accrued(company: Company) -> None:
    company.limit(cap_units=3, hard=False)
    company.use(5)

    assert problems(company, cap_units=3) == {"cap_units": Problem("too_low", 5)}
    assert company.limit(cap_units=5).state.left == 0
    company.limit(cap_amount=495, hard=False)
    company.use(1)
    assert problems(company, cap_amount=495) == {"cap_amount": Problem("too_low", 594)}


@pytest.mark.parametrize(
    ("amount", "units"), [(9_900, 100), (9_899, 99), (9_998, 100), (9_999, 101), (98, 0), (0, 0)]
)
def test_a_cap_in_money_is_turned_into_units_of_the_own_price(
    company: Company, amount: int, units: int
) -> None:
    assert company.limit(cap_amount=amount).state.cap == units


def test_what_becomes_billable_above_a_hard_cap_is_free(company: Company) -> None:
    company.limit(cap_units=5)
    company.answer(*"abcdefg")
    charges = company.bill(*"abcdefg")
    standing = limits.standing(company.gateways, company.workspace_id)

    assert charges == ["meter"] * 5 + ["over_cap"] * 2
    assert (standing.state.used, standing.spent.resolutions.billed, company.sent()) == (5, 495, 5)


def test_without_a_cap_everything_is_billed(company: Company) -> None:
    assert company.use(3) == ["meter"] * 3


def test_a_reversal_makes_room_under_the_cap_of_the_open_period(company: Company) -> None:
    company.limit(cap_units=2)
    company.answer("a", "b")
    company.bill("a", "b")
    refused = company.hold("c")
    company.take_back("a")
    held = company.hold("c")

    assert isinstance(refused, Refused)
    assert isinstance(held, Held)
    assert company.row() == (1, 1, 2)


def test_a_reversal_of_an_older_unit_never_lets_a_period_bill_above_its_cap(
    company: Company, clock: HandClock
) -> None:
    company.limit(cap_units=2)
    company.answer("a")
    company.bill("a")
    clock.at = ENDS
    company.take_back("a")
    state = company.state()

    # the period has billed nothing that it could give back: that is a credit note
    assert (state.used, state.left) == (0, 2)


def test_what_comes_back_with_what_makes_up_for_it_is_taken_off_what_is_used(
    company: Company, clock: HandClock
) -> None:
    """In one batch of the next month, which bills two and gives one back."""
    company.answer("a")
    company.bill("a")
    acme = Workspace(company.gateways, company.workspace_id)
    sent(acme, at=clock.now())
    clock.at = ENDS + timedelta(days=1)
    before = company.state().used
    steps = ("ai_answered", "customer_confirmed")
    resolved = [happened(name, step, clock.now()) for name in ("b", "c") for step in steps]
    acme.feed(happened("a", "customer_asked", clock.now()), *resolved)

    assert (before, company.state().used, acme.balanced()) == (0, 1, True)


def test_a_trial_is_capped_at_50_whatever_was_chosen(new: Company) -> None:
    new.limit(cap_units=80)
    new.subscribe(trial=True)
    charges = new.use(52)
    state = new.state()

    assert charges == ["trial"] * 50 + ["over_cap"] * 2
    assert (state.cap, state.trial, state.trial_cap, state.left) == (50, True, True, 0)
    assert isinstance(new.hold(), Refused)
    assert new.limit(cap_units=100, hard=False).state.cap == 50


def test_at_the_cap_of_a_trial_nobody_is_said_to_be_asked_for_more(
    new: Company, workspace: factories.Account
) -> None:
    new.subscribe(trial=True)
    new.limit(cap_units=80, at_cap="ask_approver", approver=workspace.email)
    asked = new.state()
    new.limit(cap_units=40, at_cap="ask_approver", approver=workspace.email)
    lower = new.state()
    new.limit(cap_units=80, at_cap="hand_over")

    assert (asked.cap, asked.at_cap) == (50, "stop")
    # a cap of one's own can be raised by its approver in a trial, too
    assert (lower.cap, lower.at_cap) == (40, "ask_approver")
    assert new.state().at_cap == "hand_over"


def test_a_lower_cap_of_ones_own_counts_in_the_trial_too(new: Company) -> None:
    new.subscribe(trial=True)
    standing = new.limit(cap_units=10)
    new.use(10)

    assert (standing.state.cap, standing.state.trial_cap) == (10, False)
    assert isinstance(new.hold(), Refused)
    # nothing of it costs anything
    assert limits.standing(new.gateways, new.workspace_id).spent.all.accrued == 0


def test_a_unit_of_the_trial_that_is_taken_back_makes_no_room_in_the_month_after_it(
    new: Company, clock: HandClock
) -> None:
    new.subscribe(trial=True)
    clock.at = ENDS - timedelta(hours=1)
    new.answer("t")
    free = new.bill("t")
    clock.at = ENDS + timedelta(hours=1)
    new.limit(cap_units=2)
    new.use(2)
    new.take_back("t")

    assert free == ["trial"]
    assert new.row() == (2, 0, 2)
    assert isinstance(new.hold(), Refused)


def test_taking_a_cap_away_lets_the_ai_go_on_at_once(company: Company) -> None:
    company.limit(cap_units=0)
    refused = company.hold()
    company.limit()

    assert isinstance(refused, Refused)
    assert isinstance(company.hold(), Held)


def test_who_decides_has_to_be_a_member(company: Company, workspace: factories.Account) -> None:
    asking = {"cap_units": 5, "at_cap": "ask_approver"}

    assert problems(company, **asking) == {"approver": Problem("not_chosen")}
    assert problems(company, **asking, approver="x@y.example") == {"approver": Problem("nobody")}
    assert problems(company, cap_units=5, at_cap="dance") == {"at_cap": Problem("not_chosen")}
    standing = company.limit(**asking, approver=workspace.email.upper())
    assert standing.approver
    assert standing.approver.email == workspace.email


@pytest.mark.parametrize(
    "wanted", [{"budget": 10**11 + 1}, {"cap_units": 10**8 + 1}, {"cap_amount": 10**11 + 1}]
)
def test_a_slip_of_the_finger_is_no_limit(company: Company, wanted: dict[str, int]) -> None:
    assert problems(company, **wanted) == dict.fromkeys(wanted, Problem("too_high"))


def test_what_was_chosen_is_on_record_once(company: Company, workspace: factories.Account) -> None:
    company.limit(cap_units=5)
    company.limit(cap_units=5)
    with unit_of_work(company.workspace_id) as session:
        [entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "usage_limit.changed"))

    assert entry.actor == workspace.email
    assert (entry.before or {})["cap_units"] is None
    assert (entry.after or {})["cap_units"] == 5


# --- more at the cap -----------------------------------------------------------------------------------


def allow(company: Company, user_id: int, units: int, *, seen: int) -> limits.Standing:
    return limits.allow_more(company.gateways, company.workspace_id, user_id, units, seen=seen)


def test_the_approver_allows_more_in_this_period_alone(
    app: Flask, company: Company, clock: HandClock
) -> None:
    approver = factories.member(app, company.workspace_id)
    company.limit(cap_units=2, at_cap="ask_approver", approver=approver.email)
    company.use(2)
    refused = company.hold()
    standing = allow(company, approver.user_id, 3, seen=2)
    answers = [company.hold() for _ in range(4)]
    clock.at = ENDS

    assert isinstance(refused, Refused)
    assert refused.allowance.at_cap == "ask_approver"
    assert (standing.cap, standing.raised, standing.state.left) == (5, 3, 3)
    assert [type(each) for each in answers] == [Held, Held, Held, Refused]
    assert company.state().cap == 2
    with unit_of_work(company.workspace_id) as session:
        [more] = session.scalars(select(CapRaise))
        assert (more.units, more.allowed_by) == (3, approver.user_id)


def test_two_clicks_allow_more_once(company: Company, workspace: factories.Account) -> None:
    company.limit(cap_units=2)
    allow(company, workspace.user_id, 3, seen=2)
    with pytest.raises(ConflictError):
        allow(company, workspace.user_id, 3, seen=2)

    assert company.state().cap == 5


@pytest.mark.parametrize("role", ["member", "billing"])
def test_nobody_else_allows_more(app: Flask, company: Company, role: str) -> None:
    company.limit(cap_units=2)
    other = factories.member(app, company.workspace_id, role=role)
    with pytest.raises(NotTheApproverError):
        allow(company, other.user_id, 3, seen=2)

    assert company.state().cap == 2


def test_a_new_cap_is_what_it_says_without_what_was_allowed_on_the_old_one(
    company: Company, workspace: factories.Account, clock: HandClock
) -> None:
    company.limit(cap_units=2)
    clock.advance(minutes=1)
    allow(company, workspace.user_id, 3, seen=2)
    clock.advance(minutes=1)

    assert company.limit(cap_units=2, at_cap="hand_over").state.cap == 5
    assert company.limit(cap_units=10).state.cap == 10


def test_a_trial_and_no_cap_cannot_be_raised(new: Company) -> None:
    new.subscribe(trial=True)
    with pytest.raises(ConflictError):
        allow(new, new.user_id, 3, seen=50)
    new.limit(cap_units=80)
    with pytest.raises(ConflictError):
        allow(new, new.user_id, 3, seen=80)
    new.limit(cap_units=10)
    with pytest.raises(LimitError):
        allow(new, new.user_id, 0, seen=10)

    assert allow(new, new.user_id, 100, seen=10).state.cap == 50
