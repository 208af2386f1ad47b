"""Alerts: at 50, 80 and 100 %, by the forecast, and at the cap; each once a period, to whom was chosen."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import AuditEntry, Mail, Member, UsageAlert, UsageDay, Workspace
from portal.services import alerts, allowances, limits
from portal.services.alerts import Chosen, RecipientsError
from tests import factories
from tests.services.limiting import ENDS, STARTS, Company, november
from tests.services.using import HandClock


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    return november()


@pytest.fixture
def company(gateways: Gateways, workspace: factories.Account, clock: HandClock) -> Company:
    made = Company(gateways, workspace.workspace_id, workspace.user_id, clock)
    made.subscribe()
    choose(made, forecast=False)
    return made


def choose(company: Company, **chosen: object) -> None:
    alerts.save(company.gateways, company.workspace_id, company.user_id, Chosen(**chosen))  # type: ignore[arg-type]


def look(company: Company) -> list[str]:
    return alerts.look(company.gateways, company.workspace_id)


def mails(company: Company, kind: str = "usage_alert") -> list[tuple[str, str]]:
    """(recipient, subject) of every mail, oldest first."""
    with unit_of_work(company.workspace_id) as session:
        statement = select(Mail.recipient, Mail.subject).where(Mail.kind == kind).order_by(Mail.id)
        return [(recipient, subject) for recipient, subject in session.execute(statement)]


def texts(company: Company, kind: str = "usage_alert") -> list[Mail]:
    with unit_of_work(company.workspace_id) as session:
        return list(session.scalars(select(Mail).where(Mail.kind == kind).order_by(Mail.id)))


def test_each_share_of_a_cap_is_told_once(company: Company, workspace: factories.Account) -> None:
    company.limit(cap_units=10)
    told = []
    for _ in range(10):
        company.use(1)
        told += [look(company), look(company)]

    assert [names for names in told if names] == [["cap_50"], ["cap_80"], ["cap_100"]]
    assert mails(company) == [
        (workspace.email, "50% of your cap on resolutions is used"),
        (workspace.email, "80% of your cap on resolutions is used"),
        (workspace.email, "The AI has reached your cap"),
    ]


def test_who_passes_all_shares_at_once_gets_one_mail_and_sees_all(company: Company) -> None:
    company.limit(cap_units=10)
    company.use(10)

    assert look(company) == ["cap_50", "cap_80", "cap_100"]
    assert [subject for _, subject in mails(company)] == ["The AI has reached your cap"]
    with unit_of_work(company.workspace_id) as session:
        found = alerts.of_period(session, STARTS)
        assert [(each.name, each.mailed) for each in found] == [
            ("cap_100", 1),
            ("cap_80", 0),
            ("cap_50", 0),
        ]


def test_a_budget_counts_what_may_still_be_billed(company: Company) -> None:
    company.limit(budget=990)
    company.use(4)
    before = look(company)
    company.answer("a")

    assert before == []
    assert look(company) == ["budget_50"]
    assert [subject for _, subject in mails(company)] == ["50% of your usage budget is used"]
    assert "has used $4.95 of $9.90 in the period until 1 December 2026" in texts(company)[0].text_body


def test_a_soft_cap_warns_and_says_that_nothing_stops(company: Company) -> None:
    company.limit(cap_units=2, hard=False)
    company.use(3)
    look(company)

    assert [subject for _, subject in mails(company)] == ["Your soft cap is reached"]
    assert "The AI goes on, and what it resolves is billed." in texts(company)[0].text_body


def test_what_is_held_for_answers_counts_only_where_it_stops_the_ai(company: Company) -> None:
    company.limit(cap_units=4)
    for _ in range(3):
        company.hold()
    early = look(company)
    company.hold()

    assert early == []
    assert look(company) == ["cap_50", "cap_80", "cap_100"]


def test_a_new_period_warns_anew(company: Company, clock: HandClock) -> None:
    company.limit(cap_units=2)
    company.use(1)
    first = look(company)
    clock.at = ENDS
    quiet = look(company)
    company.use(1)

    assert (first, quiet, look(company)) == (["cap_50"], [], ["cap_50"])


def test_a_limit_that_was_moved_out_of_reach_warns_anew(company: Company) -> None:
    company.limit(cap_units=2)
    company.use(1)
    first = look(company)
    company.limit(cap_units=4)
    moved = look(company)
    company.use(1)

    assert (first, moved, look(company)) == (["cap_50"], [], ["cap_50"])


def test_a_reversal_warns_nobody_twice(company: Company) -> None:
    company.limit(cap_units=2)
    company.answer("a")
    company.bill("a")
    first = look(company)
    company.take_back("a")
    look(company)
    company.use(1)

    assert (first, look(company)) == (["cap_50"], [])


def test_what_was_not_chosen_is_not_told(company: Company) -> None:
    company.limit(cap_units=10)
    choose(company, shares=frozenset({80}), forecast=False)
    company.use(10)

    assert look(company) == ["cap_80"]


def test_who_was_chosen_is_told_and_nobody_else(app: Flask, company: Company) -> None:
    chosen = factories.member(app, company.workspace_id)
    leaver = factories.member(app, company.workspace_id)
    company.limit(cap_units=2)
    choose(company, forecast=False, recipients=(chosen.email.upper(), leaver.email))
    with unit_of_work(company.workspace_id) as session:
        session.delete(session.scalars(select(Member).where(Member.user_id == leaver.user_id)).one())
    company.use(2)
    look(company)

    assert [recipient for recipient, _ in mails(company)] == [chosen.email]


def test_without_a_choice_those_who_may_see_money_are_told(app: Flask, company: Company) -> None:
    for role in ("admin", "billing", "member"):
        factories.member(app, company.workspace_id, role=role, email=f"{role}@acme.example")
    company.limit(cap_units=1)
    company.use(1)
    look(company)

    assert {recipient for recipient, _ in mails(company)} >= {"admin@acme.example", "billing@acme.example"}
    assert len(mails(company)) == 3


@pytest.mark.parametrize("recipients", [("x@y.example",), tuple(f"{n}@y.example" for n in range(51))])
def test_strangers_and_crowds_are_not_told(company: Company, recipients: tuple[str, ...]) -> None:
    with pytest.raises(RecipientsError):
        choose(company, recipients=recipients)


def test_a_choice_of_alerts_is_on_record(company: Company, workspace: factories.Account) -> None:
    choose(company, shares=frozenset({100}), forecast=False, recipients=(workspace.email,))
    with unit_of_work(company.workspace_id) as session:
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()

    assert (entry.action, entry.actor) == ("usage_alert.chosen", workspace.email)
    assert (entry.after or {})["warned_at"] == "100 %"


# --- the approver --------------------------------------------------------------------------------------


def test_the_approver_is_asked_once_for_each_cap(app: Flask, company: Company) -> None:
    approver = factories.member(app, company.workspace_id)
    company.limit(cap_units=2, at_cap="ask_approver", approver=approver.email)
    company.use(2)
    first, second = look(company), look(company)
    limits.allow_more(company.gateways, company.workspace_id, approver.user_id, 1, seen=2)
    look(company)
    company.use(1)
    third = look(company)

    assert "approval_2" in first
    assert second == []
    assert "approval_3" in third
    assert mails(company, "cap_approval") == [
        (approver.email, "May the AI resolve more than 2 conversations?"),
        (approver.email, "May the AI resolve more than 3 conversations?"),
    ]
    assert "http://localhost/usage/limits/more" in texts(company, "cap_approval")[0].text_body


def test_for_an_approver_who_has_left_those_in_charge_are_asked(
    app: Flask, company: Company, workspace: factories.Account
) -> None:
    approver = factories.member(app, company.workspace_id)
    company.limit(cap_units=1, at_cap="ask_approver", approver=approver.email)
    with unit_of_work(company.workspace_id) as session:
        session.delete(session.scalars(select(Member).where(Member.user_id == approver.user_id)).one())
    company.use(1)
    look(company)

    assert [recipient for recipient, _ in mails(company, "cap_approval")] == [workspace.email]


def test_a_trial_warns_of_its_cap_and_asks_nobody(
    gateways: Gateways, workspace: factories.Account, clock: HandClock
) -> None:
    company = Company(gateways, workspace.workspace_id, workspace.user_id, clock)
    company.subscribe(trial=True)
    company.limit(cap_units=80, at_cap="ask_approver", approver=workspace.email)
    company.use(40)
    eighty = look(company)
    company.use(10)

    assert eighty == ["cap_50", "cap_80"]
    assert look(company) == ["cap_100"]
    assert [subject for _, subject in mails(company)] == [
        "80% of your trial's resolutions are used",
        "The AI has used up the resolutions of your trial",
    ]
    assert mails(company, "cap_approval") == []


# --- the forecast --------------------------------------------------------------------------------------


def days(company: Company, units: int) -> None:
    """So many units on each of the first nine days of November."""
    with unit_of_work(company.workspace_id) as session:
        for day in range(1, 10):
            session.add(
                UsageDay(
                    period_start=STARTS,
                    key="resolution",
                    channel="chat",
                    day=datetime(2026, 11, day, tzinfo=UTC).date(),
                    quantity=units,
                    charged=units,
                )
            )
    with unit_of_work(company.workspace_id) as session:
        allowances.locked(session, company.clock.now()).used = 9 * units


def test_the_forecast_warns_before_a_budget_or_a_cap_is_passed(company: Company) -> None:
    choose(company)
    company.limit(budget=29_700, cap_units=400)
    days(company, 10)
    quiet = look(company)
    company.limit(budget=29_000, cap_units=290, hard=False)

    # 90 so far, the ninth whole day being the last, and ten a day for the 20.5 days that are left: 295
    assert quiet == []
    assert look(company) == ["budget_forecast", "cap_forecast"]
    assert look(company) == []
    assert [subject for _, subject in mails(company)] == [
        "Your usage will probably pass your budget of $290.00",
        "The AI will probably reach your cap of 290 resolutions",
    ]
    assert "will have used $292.05 by 1 December 2026" in texts(company)[0].text_body


def test_a_share_and_the_forecast_that_come_together_are_two_mails(company: Company) -> None:
    choose(company, shares=frozenset({80}))
    days(company, 10)
    company.limit(budget=11_000)

    # 90 so far cost 89.10, which is 81 % of 110.00; at the end it will be more than all of it
    assert look(company) == ["budget_80", "budget_forecast"]
    assert [subject for _, subject in mails(company)] == [
        "80% of your usage budget is used",
        "Your usage will probably pass your budget of $110.00",
    ]


def test_a_hard_cap_keeps_the_forecast_of_the_cost_below_it(company: Company) -> None:
    choose(company)
    company.limit(budget=29_000, cap_units=290)
    days(company, 10)

    assert look(company) == ["cap_forecast"]


def test_a_few_hours_foretell_nothing(company: Company, clock: HandClock) -> None:
    choose(company)
    clock.at = STARTS.replace(hour=3)
    company.limit(budget=10_000)
    company.use(10)

    assert look(company) == []


# --- sweeping and wording ------------------------------------------------------------------------------


def test_the_sweeper_looks_at_what_has_changed_and_at_the_rest_once_an_hour(
    company: Company, clock: HandClock
) -> None:
    company.limit(cap_units=2)
    clock.advance(seconds=1)
    first = alerts.sweep(company.gateways)
    clock.advance(seconds=1)
    idle = alerts.sweep(company.gateways)
    company.use(1)
    clock.advance(seconds=1)
    changed = alerts.sweep(company.gateways)
    clock.advance(minutes=59)
    quiet = alerts.sweep(company.gateways)
    clock.advance(minutes=1)

    assert (first, idle, changed, quiet, alerts.sweep(company.gateways)) == (1, 0, 1, 0, 1)
    assert [subject for _, subject in mails(company)] == ["50% of your cap on resolutions is used"]


def test_what_could_not_be_told_is_told_by_the_next_sweep(company: Company, clock: HandClock) -> None:
    company.limit(cap_units=2)
    company.use(2)
    clock.advance(seconds=1)
    alerts.sweep(replace(company.gateways, letters=SimpleNamespace(write=None)))  # cannot be called
    alerts.sweep(company.gateways)

    assert [subject for _, subject in mails(company)] == ["The AI has reached your cap"]


def test_what_was_passed_before_it_was_chosen_is_told_at_once(company: Company, clock: HandClock) -> None:
    choose(company, shares=frozenset(), forecast=False)
    company.limit(cap_units=2)
    company.use(1)
    clock.advance(seconds=1)
    alerts.sweep(company.gateways)
    choose(company, shares=frozenset((50,)), forecast=False)
    alerts.sweep(company.gateways)

    assert [subject for _, subject in mails(company)] == ["50% of your cap on resolutions is used"]


def test_who_has_no_limit_is_not_looked_at(company: Company) -> None:
    company.use(1)

    assert alerts.sweep(company.gateways) == 0


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({}, "At the cap the AI stops until 1 December 2026. Nothing above it is billed."),
        ({"at_cap": "hand_over"}, "At the cap the AI hands conversations to people until 1 December 2026."),
        ({"at_cap": "ask_approver"}, "At the cap the AI waits until more is allowed, or until 1 December"),
    ],
)
def test_the_mail_says_what_happens_at_the_cap(
    company: Company, workspace: factories.Account, wanted: dict[str, str], words: str
) -> None:
    with unit_of_work(company.workspace_id) as session:
        session.execute(update(Workspace).values(name="R&D <Acme>"))
    company.limit(cap_units=2, approver=workspace.email, **wanted)
    company.use(1)
    look(company)
    [mail] = texts(company)

    assert words in mail.text_body
    assert "R&D <Acme> has 1 of 2 resolutions" in mail.text_body
    assert "Used: 1; may still be billed: 0; held for answers: 0." in mail.text_body
    assert "R&amp;D &lt;Acme&gt; has 1 of 2 resolutions" in (mail.html_body or "")


def test_what_is_told_at_the_same_moment_by_two_is_told_once(company: Company) -> None:
    company.limit(cap_units=2)
    company.use(1)
    look(company)
    with unit_of_work(company.workspace_id) as session:
        assert session.scalars(select(UsageAlert.name)).all() == ["cap_50"]
