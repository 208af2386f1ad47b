"""Contesting a resolution: what its events prove comes back at once, the rest when support says so."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.errors import ConflictError, NotFoundError
from portal.models import AuditEntry, Contest, Incident, Mail
from portal.services import contests
from portal.services.contests import NotContestableError
from tests.services.buying import Customer
from tests.services.metering import Metered
from tests.services.using import happened


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that has bought and may use."""
    return Metered.buy(customer)


def ask(acme: Metered, conversation_id: str, reason: str, comment: str = "") -> Contest:
    user_id = acme.customer.account.user_id
    return contests.contest(
        acme.gateways, acme.workspace_id, user_id, conversation_id, 1, reason=reason, comment=comment
    )


def assumed(acme: Metered, *also: str, after: str | None = None, channel: str = "chat") -> str:
    """A unit that nobody confirmed: answered two days ago, ``also`` sent then, and ``after`` its day."""
    answered = acme.gateways.clock.now() - timedelta(hours=48)
    name = f"c-{'-'.join(also)}-{after}-{channel}"
    events = [happened(name, each, answered, channel=channel) for each in also]
    events.append(happened(name, "ai_answered", answered, channel=channel))
    if after:
        events.append(happened(name, after, answered + timedelta(hours=30), channel=channel))
    acme.feed(*events)
    acme.catch_up()
    return name


def actions(acme: Metered) -> list[tuple[str, str]]:
    with unit_of_work(acme.workspace_id) as session:
        own = select(AuditEntry).where(AuditEntry.action.startswith("contest."))
        return [(row.action, row.actor) for row in session.scalars(own.order_by(AuditEntry.id))]


def mails(acme: Metered) -> list[str]:
    with unit_of_work(acme.workspace_id) as session:
        return list(session.scalars(select(Mail.subject).where(Mail.kind == "contest_answer")))


@pytest.mark.parametrize(
    ("reason", "before", "after", "channel"),
    [
        ("human_replied", (), "human_replied", "chat"),
        ("greeting", ("ai_greeted",), None, "chat"),
        ("test", (), None, "Sandbox"),
    ],
)
def test_what_the_conversations_events_prove_is_taken_back_at_once(
    acme: Metered, reason: str, before: tuple[str, ...], after: str | None, channel: str
) -> None:
    conversation = assumed(acme, *before, after=after, channel=channel)
    made = ask(acme, conversation, reason)

    assert (made.state, made.by_rule) == ("accepted", True)
    assert [(entry.kind, entry.quantity, entry.note) for entry in acme.entries()] == [
        ("billable", 1, None),
        ("correction", -1, "contested"),
    ]
    assert acme.units(conversation)[0].contest == "accepted"
    assert acme.balanced()
    assert actions(acme) == [("contest.made", acme.customer.account.email), ("contest.accepted", "system")]
    assert acme.customer.incidents() == []


@pytest.mark.parametrize("reason", contests.REASONS)
def test_what_they_do_not_prove_waits_for_support_and_stays_billed(acme: Metered, reason: str) -> None:
    conversation = acme.resolve()
    made = ask(acme, conversation, reason, comment="It was wrong.")
    with unit_of_work(system=True) as session:
        waiting = [(row.conversation_id, row.comment) for row in contests.unanswered(session)]

    assert (made.state, made.by_rule) == ("open", False)
    assert waiting == [(conversation, "It was wrong.")]
    assert [entry.quantity for entry in acme.entries()] == [1]
    assert acme.customer.incidents() == ["contest"]


def test_a_silent_customer_whom_the_ai_greeted_and_then_answered_was_not_only_greeted(acme: Metered) -> None:
    conversation = assumed(acme)
    answered = acme.units(conversation)[0].answered_at
    assert answered is not None
    acme.feed(happened(conversation, "ai_greeted", answered - timedelta(minutes=1)))

    assert ask(acme, conversation, "greeting").state == "open"


def test_support_agrees_and_the_money_comes_back_after_the_invoice(acme: Metered) -> None:
    conversation, _other = acme.use(2)
    acme.report()
    acme.advance(days=33)
    ask(acme, conversation, "other")
    done = contests.decide(
        acme.gateways, acme.workspace_id, conversation, 1, accepted=True, answer="You are right."
    )
    acme.credit()

    assert done.state == "accepted"
    assert acme.billed() == [2]
    assert [(credit.state, credit.total) for credit in acme.credits()] == [("done", 99)]
    assert mails(acme) == ["The resolution that you contested is taken back"]
    assert actions(acme)[-1] == ("contest.accepted", "support")


def test_support_does_not_agree_and_says_why(acme: Metered) -> None:
    conversation = acme.resolve("[chat]~7")
    ask(acme, conversation, "other")
    contests.decide(
        acme.gateways, acme.workspace_id, conversation, 1, accepted=False, answer="They thanked the AI."
    )
    with unit_of_work(acme.workspace_id) as session:
        [text] = session.scalars(select(Mail.text_body).where(Mail.kind == "contest_answer"))

    assert [entry.quantity for entry in acme.entries()] == [1]
    assert acme.units(conversation)[0].contest == "refused"
    assert "They thanked the AI." in str(text)
    assert "/usage/resolutions/~5Bchat~5D~7E7/1" in str(text)
    with pytest.raises(ConflictError, match="refused already"):
        contests.decide(acme.gateways, acme.workspace_id, conversation, 1, accepted=True, answer="")


def test_asking_twice_gets_what_came_of_the_first(acme: Metered) -> None:
    conversation = assumed(acme, after="human_replied")
    states = [ask(acme, conversation, reason).state for reason in ("human_replied", "other")]

    assert states == ["accepted", "accepted"]
    assert [entry.quantity for entry in acme.entries()] == [1, -1]


def test_what_is_not_charged_or_long_ago_cannot_be_contested(acme: Metered) -> None:
    returned, old = acme.use(2)
    acme.returns(returned)
    with pytest.raises(NotContestableError, match="Nothing is charged"):
        ask(acme, returned, "other")
    acme.advance(days=61)

    with pytest.raises(NotContestableError, match="for 60 days"):
        ask(acme, old, "other")
    with pytest.raises(NotFoundError):
        ask(acme, "nothing", "other")


def test_a_customer_who_comes_back_while_support_looks_is_not_paid_twice(acme: Metered) -> None:
    conversation = acme.resolve()
    ask(acme, conversation, "other")
    acme.returns(conversation)
    contests.decide(acme.gateways, acme.workspace_id, conversation, 1, accepted=True, answer="")

    assert [entry.quantity for entry in acme.entries()] == [1, -1]
    assert acme.balanced()


def test_support_cannot_say_that_it_stays_when_the_customer_has_come_back(acme: Metered) -> None:
    conversation = acme.resolve()
    ask(acme, conversation, "other")
    acme.returns(conversation)
    with pytest.raises(ConflictError, match="taken back already"):
        contests.decide(acme.gateways, acme.workspace_id, conversation, 1, accepted=False, answer="It stays.")

    assert mails(acme) == []
    assert acme.units(conversation)[0].contest == "open"


def test_what_its_conversation_took_back_since_is_accepted_by_itself_and_mailed_once(acme: Metered) -> None:
    stays, returned = acme.use(2)
    for each in (stays, returned):
        ask(acme, each, "other")
    acme.returns(returned)
    swept = [contests.sweep(acme.gateways) for _time in range(2)]

    assert swept == [1, 0]
    assert mails(acme) == ["The resolution that you contested is taken back"]
    assert [acme.units(each)[0].contest for each in (stays, returned)] == ["open", "accepted"]
    assert actions(acme)[-1] == ("contest.accepted", "system")
    assert acme.balanced()


def test_one_incident_tells_support_what_to_do(acme: Metered) -> None:
    ask(acme, acme.resolve(), "other")
    with unit_of_work(system=True) as session:
        [summary] = session.scalars(select(Incident.summary))

    assert (
        summary == "A customer contests a resolution; see flask support contest show, then accept or refuse"
    )


def test_support_works_through_what_waits_on_the_command_line(app: Flask, acme: Metered) -> None:
    first, second = acme.use(2)
    for each in (first, second):
        ask(acme, each, "other", comment="Not solved.")
    run = app.test_cli_runner().invoke
    place = str(acme.workspace_id)
    listed = run(args=["support", "contest", "list"])
    shown = run(args=["support", "contest", "show", place, first, "1"])
    accepted = run(args=["support", "contest", "accept", place, first, "1"])
    silent = run(args=["support", "contest", "refuse", place, second, "1"])
    refused = run(args=["support", "contest", "refuse", place, second, "1", "--answer", "It was solved."])
    again = run(args=["support", "contest", "refuse", place, second, "1", "--answer", "It was solved."])

    assert [line.split()[1] for line in listed.output.splitlines()] == [first, second]
    assert "billable: The customer confirmed that the AI agent's answer helped." in shown.output
    assert "ai_answered  chat\n" in shown.output
    assert (accepted.exit_code, refused.exit_code) == (0, 0)
    assert "accepted" in accepted.output
    assert (silent.exit_code, again.exit_code) == (2, 2)
    assert again.stderr.strip() == "This contest is refused already."


def test_support_sees_the_channel_of_each_event_and_which_was_a_test(app: Flask, acme: Metered) -> None:
    conversation = assumed(acme, channel="email")
    ask(acme, conversation, "other")
    at = acme.gateways.clock.now()
    acme.feed(happened(conversation, "ai_answered", at, channel="preview", test=True))
    place = (str(acme.workspace_id), conversation, "1")
    shown = app.test_cli_runner().invoke(args=["support", "contest", "show", *place]).output

    assert [line.split()[4:] for line in shown.splitlines()[2:]] == [["email"], ["preview", "test"]]
