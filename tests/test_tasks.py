"""A real worker on a real queue."""

import os
import signal
import threading
import time
from pathlib import Path

import psycopg
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
from tests.database import TestDatabase, TestServer

LEFT = text("SELECT task_name, status FROM procrastinate_jobs WHERE task_name = 'mails.deliver'")
TERMINATED = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = :name AND application_name = :worker AND wait_event_type = 'Lock'"
)
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


def test_a_worker_that_lost_the_database_goes_on_until_it_is_asked_to_stop(
    settings: Settings, gateways: Gateways, committing: TestDatabase, server: TestServer
) -> None:
    assert isinstance(gateways.mail, FolderMail)
    read, owner = gateways.mail.read, tasks.conninfo(committing.owner_url)

    def disturb() -> None:
        """End what the worker has just asked the database, as a restart does; then one job; then the end."""
        try:
            with server.admin.connect() as admin, psycopg.connect(owner) as holding:
                holding.execute("LOCK procrastinate_periodic_defers")
                while not admin.scalar(TERMINATED, {"name": committing.name, "worker": tasks.APPLICATION}):
                    time.sleep(0.05)
            queue_mail(gateways)
            while not read():
                time.sleep(0.05)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    tasks.run_worker(settings, gateways)
    disturbing.join()

    assert len(read()) == 1


def test_a_task_of_the_timetable_never_waits_twice() -> None:
    due = [each.task for each in tasks.queue.periodic_registry.periodic_tasks.values()]

    assert {task.name for task in due} >= {"mails.sweep", "jobs.rescue", "housekeeping", "inbox.sweep"}
    assert [task.name for task in due if task.queueing_lock != task.name] == []
