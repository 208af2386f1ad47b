"""A job lives and dies with the transaction that wanted it."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from portal.db import unit_of_work
from portal.gateways.jobs import Jobs
from portal.models import PollCursor
from tests.database import TestDatabase

WAITING = text("SELECT task_name, args FROM procrastinate_jobs WHERE status = 'todo' ORDER BY id")


def waiting() -> list[tuple[str, dict[str, object]]]:
    with unit_of_work() as session:
        return [(row.task_name, row.args) for row in session.execute(WAITING)]


def test_a_job_exists_once_its_transaction_is_committed(committing: TestDatabase) -> None:
    with unit_of_work() as session:
        Jobs().defer(session, "mails.deliver", mail_id=7)
        before = waiting()

    assert before == []
    assert waiting() == [("mails.deliver", {"mail_id": 7})]


def test_a_job_of_a_transaction_that_fails_never_existed(committing: TestDatabase) -> None:
    with pytest.raises(ZeroDivisionError), unit_of_work() as session:
        Jobs().defer(session, "mails.deliver", mail_id=7)
        raise ZeroDivisionError

    assert waiting() == []


def test_a_queueing_lock_keeps_one_waiting_and_the_transaction_whole(committing: TestDatabase) -> None:
    with unit_of_work() as session:
        first = Jobs().defer(session, "inbox.process", queueing_lock="evt_1", event_id="evt_1")
    with unit_of_work() as session:
        second = Jobs().defer(session, "inbox.process", queueing_lock="evt_1", event_id="evt_1")
        session.add(PollCursor(name="acme", value=1))

    assert (first, second) == (True, False)
    assert len(waiting()) == 1
    with unit_of_work() as session:
        assert session.scalars(select(PollCursor.name)).all() == ["acme"]


def test_a_later_job_is_not_due_yet(committing: TestDatabase) -> None:
    with unit_of_work() as session:
        Jobs().defer(session, "mails.deliver", schedule_in=timedelta(hours=1), mail_id=7)
        due = text("SELECT count(*) FROM procrastinate_jobs WHERE scheduled_at <= now()")
        in_time = text("SELECT extract(epoch FROM scheduled_at - now()) FROM procrastinate_jobs")

        assert session.execute(due).scalar_one() == 0
        assert session.execute(in_time).scalar_one() == pytest.approx(3600, abs=5)
