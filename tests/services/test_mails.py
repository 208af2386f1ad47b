"""Mail is a row first, goes out once, and is tried again while it cannot."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from portal.db import unit_of_work
from portal.errors import UnavailableError
from portal.gateways import Gateways
from portal.gateways.mail import FolderMail, Message
from portal.models import Mail
from portal.services import mails


class Down:
    """A mail server that takes nothing, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def send(self, message: Message) -> None:
        self.asked += 1
        raise UnavailableError("The mail server did not take the mail.", log="SMTPServerDisconnected: gone")


@pytest.fixture
def down() -> Down:
    return Down()


def queue(gateways: Gateways, **changes: str) -> int | None:
    with unit_of_work() as session:
        facts = {"kind": "receipt", "recipient": "ada@acme.example", "subject": "Receipt", "text": "Paid."}
        return mails.queue(session, gateways.jobs, **{**facts, **changes})  # type: ignore[arg-type]


def sent(mail_id: int | None) -> Mail:
    with unit_of_work(system=True) as session:
        return session.get_one(Mail, mail_id)


def test_a_queued_mail_goes_out(
    gateways: Gateways, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    mail_id = queue(gateways)
    ran = run_jobs()

    assert ran == ["mails.deliver"]
    assert [mail["Subject"] for _, mail in mailbox.read()] == ["Receipt"]
    assert sent(mail_id).sent_at is not None


def test_what_was_sent_keeps_no_text_and_what_waits_does(
    gateways: Gateways, mailbox: FolderMail, down: Down
) -> None:
    mail_id = queue(gateways, html="<p>Paid.</p>") or 0
    mails.deliver(down, mail_id)
    waits = sent(mail_id)
    with unit_of_work(system=True) as session:
        session.execute(update(Mail).values(next_try_at=func.clock_timestamp()))
    mails.deliver(mailbox, mail_id)
    gone = sent(mail_id)

    assert (waits.text_body, waits.html_body) == ("Paid.", "<p>Paid.</p>")
    assert (gone.text_body, gone.html_body) == ("", None)


def test_a_mail_of_a_transaction_that_fails_never_existed(
    gateways: Gateways, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    with pytest.raises(ZeroDivisionError), unit_of_work() as session:
        mails.queue(session, gateways.jobs, kind="receipt", recipient="a@b.example", subject="No", text="No")
        raise ZeroDivisionError

    assert run_jobs() == []
    assert mailbox.read() == []


def test_the_same_mail_is_queued_once(gateways: Gateways) -> None:
    first = queue(gateways, dedupe_key="receipt:in_1")
    second = queue(gateways, dedupe_key="receipt:in_1")

    assert first is not None
    assert second is None


def test_delivering_twice_sends_once(gateways: Gateways, mailbox: FolderMail) -> None:
    mail_id = queue(gateways)
    assert mail_id is not None
    outcomes = [mails.deliver(mailbox, mail_id), mails.deliver(mailbox, mail_id)]

    assert outcomes == [True, False]
    assert len(mailbox.read()) == 1


def test_a_mail_that_could_not_be_handed_over_waits_with_its_reason(gateways: Gateways, down: Down) -> None:
    mail_id = queue(gateways)
    assert mail_id is not None
    mails.deliver(down, mail_id)
    mail = sent(mail_id)
    with unit_of_work(system=True) as session:
        wait = session.scalars(select(Mail.next_try_at - func.clock_timestamp())).one()

    assert (mail.sent_at, mail.tries, mail.error) == (None, 1, "SMTPServerDisconnected: gone")
    assert timedelta(seconds=25) < wait <= timedelta(seconds=30)


def test_the_sweeper_queues_what_is_due_and_leaves_the_rest(
    gateways: Gateways, mailbox: FolderMail, down: Down, run_jobs: Callable[[], list[str]]
) -> None:
    mail_id = queue(gateways)
    assert mail_id is not None
    mails.deliver(down, mail_id)
    too_early = mails.sweep(gateways)
    with unit_of_work(system=True) as session:
        session.execute(update(Mail).values(next_try_at=func.clock_timestamp()))
    due = mails.sweep(gateways)
    run_jobs()

    assert (too_early, due) == (0, 1)
    assert len(mailbox.read()) == 1


def test_sweeping_twice_queues_one_job(gateways: Gateways, run_jobs: Callable[[], list[str]]) -> None:
    queue(gateways)
    run_jobs()
    with unit_of_work(system=True) as session:
        session.execute(update(Mail).values(next_try_at=func.clock_timestamp(), sent_at=None))
    mails.sweep(gateways)
    mails.sweep(gateways)

    assert run_jobs() == ["mails.deliver"]


def test_after_the_last_try_a_mail_is_left_alone(gateways: Gateways, down: Down) -> None:
    mail_id = queue(gateways)
    assert mail_id is not None
    for _ in range(mails.MOST_TRIES + 3):
        mails.deliver(down, mail_id)

    assert down.asked == mails.MOST_TRIES


def test_a_repeated_mail_carries_the_same_message_id(gateways: Gateways, mailbox: FolderMail) -> None:
    mail_id = queue(gateways)
    assert mail_id is not None
    mails.deliver(mailbox, mail_id)
    with unit_of_work(system=True) as session:
        session.execute(update(Mail).values(sent_at=None))
    mails.deliver(mailbox, mail_id)

    assert len({mail["Message-ID"] for _, mail in mailbox.read()}) == 1


def test_a_subject_cannot_add_headers(
    gateways: Gateways, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    queue(gateways, subject="Receipt\r\nBcc: everybody@evil.example")
    run_jobs()
    mail = mailbox.read()[0][1]

    assert mail["Bcc"] is None
    assert mail["Subject"] == "Receipt Bcc: everybody@evil.example"


def test_nothing_is_sent_while_the_mail_server_is_away_and_nothing_else_fails(
    gateways: Gateways, down: Down, run_jobs: Callable[[], list[str]]
) -> None:
    mail_id = queue(gateways)
    without_mail = replace(gateways, mail=down)

    assert mails.deliver(without_mail.mail, mail_id or 0) is False
    assert run_jobs() == ["mails.deliver"]
