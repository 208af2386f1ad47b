"""A real worker on a real queue."""

from pathlib import Path

import pytest
from sqlalchemy import text

from portal import tasks
from portal.config import Settings
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.clock import SystemClock
from portal.gateways.jobs import Jobs
from portal.gateways.mail import FolderMail, mail_gateway
from portal.gateways.stripe import connect_stripe
from portal.services import mails
from tests import factories
from tests.database import TestDatabase

LEFT = text("SELECT task_name, status FROM procrastinate_jobs WHERE task_name = 'mails.deliver'")
KILLED = text(
    "WITH gone AS (INSERT INTO procrastinate_workers (last_heartbeat)"
    " VALUES (now() - interval '1 hour') RETURNING id)"
    " UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM gone)"
)


@pytest.fixture
def settings(committing: TestDatabase, tmp_path: Path) -> Settings:
    return factories.settings(database_url=committing.app_url, data_dir=tmp_path)


@pytest.fixture
def gateways(settings: Settings) -> Gateways:
    mail = mail_gateway(settings)
    return Gateways(settings, connect_stripe(settings), SystemClock(), mail, Jobs(), letters=None)  # type: ignore[arg-type]


def queue_mail(gateways: Gateways) -> None:
    with unit_of_work() as session:
        facts = {"kind": "receipt", "recipient": "ada@acme.example", "subject": "Receipt", "text": "Paid."}
        mails.queue(session, gateways.jobs, **facts)  # type: ignore[arg-type]


def test_the_worker_delivers_what_a_transaction_queued(settings: Settings, gateways: Gateways) -> None:
    queue_mail(gateways)
    tasks.run_worker(settings, gateways, until_idle=True)

    assert isinstance(gateways.mail, FolderMail)
    assert [mail["Subject"] for _, mail in gateways.mail.read()] == ["Receipt"]
    with unit_of_work() as session:
        assert session.execute(LEFT).all() == []


def test_a_job_of_a_killed_worker_is_done_by_another(settings: Settings, gateways: Gateways) -> None:
    queue_mail(gateways)
    with unit_of_work() as session:
        session.execute(KILLED)
        gateways.jobs.defer(session, "jobs.rescue", timestamp=0)
    tasks.run_worker(settings, gateways, until_idle=True)
    tasks.run_worker(settings, gateways, until_idle=True)

    assert isinstance(gateways.mail, FolderMail)
    assert len(gateways.mail.read()) == 1


def test_a_task_of_the_timetable_never_waits_twice() -> None:
    due = [each.task for each in tasks.queue.periodic_registry.periodic_tasks.values()]

    assert {task.name for task in due} >= {"mails.sweep", "jobs.rescue", "housekeeping", "inbox.sweep"}
    assert [task.name for task in due if task.queueing_lock != task.name] == []
