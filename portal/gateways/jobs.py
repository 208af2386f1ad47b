"""The queue, in the same database and the same transaction as the row that the job is about.

PostgreSQL lets only one transaction at a time commit a NOTIFY, and holds the others up until its commit is on
disk. So the library's notifying trigger is dropped (migration 0001), and the worker is told after the commit,
in a transaction of its own that waits for no disk. Should that hint get lost, the worker's next poll finds
the job.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import structlog
from procrastinate import App, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import JobDeferrer
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction

from portal.db import SessionLocal

DEFERRED = "jobs_deferred"
WANTED = "jobs_wanted"
QUEUE = "default"
HINT = text(
    "SELECT set_config('synchronous_commit', 'off', true),"
    """ pg_notify('procrastinate_any_queue_v1', '{"type": "job_inserted", "job_id": 0}')"""
)
# one hint is enough for all who have something for the worker within this time
MOMENT_SECONDS = 0.05
# and one job for all who want the same work done soon within this one
SOON_SECONDS = 1.0

log = structlog.get_logger()


class Bell:
    """Wakes the worker, from a thread of its own: at once, then once for all who rang within a moment."""

    def __init__(self) -> None:
        self._ringer = ThreadPoolExecutor(1, "bell")
        self._rung = False

    def ring(self) -> None:
        """Have the worker look for jobs soon; whoever rings twice in a moment is heard once."""
        engine = SessionLocal.kw["bind"]
        # whoever bound the sessions to one connection has no worker that could see its transaction
        if isinstance(engine, Engine) and not self._rung:
            self._rung = True
            self._ringer.submit(self._hint, engine)

    def rest(self) -> None:
        """Wait until all that was rung was heard, e.g. before the engine is disposed of."""
        self._ringer.submit(bool).result()

    def _hint(self, engine: Engine) -> None:
        # before the hint is sent: what is committed from here on may come too late for it
        self._rung = False
        try:
            with engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").execute(HINT)
        except SQLAlchemyError as error:
            log.warning("hint_lost", error=f"{type(error).__name__}: {error}")
        time.sleep(MOMENT_SECONDS)


BELL = Bell()


@event.listens_for(Session, "after_transaction_end")
def _tell_worker(session: Session, transaction: SessionTransaction) -> None:
    """Wake the worker once the outermost transaction that deferred something is over."""
    if transaction.parent is not None:
        return
    if session.info.pop(DEFERRED, False):
        BELL.ring()
    for name in session.info.pop(WANTED, ()):
        SOON.ask(name)


class Soon:
    """Queues work that many transactions want at once, after them and without their waiting for each other.

    A sweeper of the same work goes by the rows, so a wish that gets lost only takes a few seconds longer.
    """

    def __init__(self) -> None:
        self._clerk = ThreadPoolExecutor(1, "soon")
        self._asked: set[str] = set()

    def ask(self, name: str) -> None:
        """Have the task ``name``, which has no arguments but the timestamp, run soon."""
        # whoever bound the sessions to one connection has no worker that could see its transaction
        if isinstance(SessionLocal.kw["bind"], Engine) and name not in self._asked:
            self._asked.add(name)
            self._clerk.submit(self._defer, name)

    def rest(self) -> None:
        """Wait until all that was asked for is queued, e.g. before the engine is disposed of."""
        self._clerk.submit(bool).result()

    def _defer(self, name: str) -> None:
        # before the job is queued: what is committed from here on may come too late for it
        self._asked.discard(name)
        try:
            with SessionLocal() as session, session.begin():
                Jobs().defer(session, name, queueing_lock=name, timestamp=int(time.time()))
        except SQLAlchemyError as error:
            log.warning("wish_lost", name=name, error=f"{type(error).__name__}: {error}")
        time.sleep(SOON_SECONDS)


SOON = Soon()


def soon(session: Session, name: str) -> None:
    """Have the periodic task ``name`` run once more when this transaction is over."""
    session.info.setdefault(WANTED, set()).add(name)


class Jobs:
    """Defers by name; the functions are in ``portal.tasks`` and run in the worker."""

    def __init__(self) -> None:
        # never opened: every job is written on the connection of the session that defers it
        self._app = App(connector=SyncPsycopgConnector())

    def defer(
        self,
        session: Session,
        name: str,
        /,
        queueing_lock: str | None = None,
        schedule_in: timedelta | None = None,
        **args: Any,
    ) -> bool:
        """Queue the task ``name`` with ``args``; it exists once ``session`` commits, and not before.

        With ``queueing_lock`` at most one such job waits at a time; False says that one already did.
        """
        session.info[DEFERRED] = True
        delay = {"seconds": int(schedule_in.total_seconds())} if schedule_in else None
        if queueing_lock is None:
            self._configured(session, name, None, delay).defer(**args)
            return True
        try:
            # the savepoint begins with the connection's first use inside it
            with session.begin_nested():
                self._configured(session, name, queueing_lock, delay).defer(**args)
        except AlreadyEnqueued:
            return False
        return True

    @staticmethod
    def deferral(name: str, /, **columns: str) -> str:
        """SQL that queues ``name``, for a statement that stores a row and its job in one go.

        ``columns``: the task's arguments, as SQL. Nothing but names of our code may be in it. The caller
        calls ``wake`` afterwards.
        """
        args = ", ".join(f"'{key}', {column}" for key, column in columns.items())
        job = f"ROW('{QUEUE}', '{name}', 0, NULL, NULL, jsonb_build_object({args}), NULL)"
        return f"procrastinate_defer_jobs_v1(ARRAY[{job}::procrastinate_job_to_defer_v1])"

    @staticmethod
    def wake() -> None:
        """Tell the worker that there is something to do."""
        BELL.ring()

    def _configured(
        self, session: Session, name: str, queueing_lock: str | None, delay: dict[str, int] | None
    ) -> JobDeferrer:
        return self._app.configure_task(
            name,
            connection=session.connection().connection.driver_connection,
            queueing_lock=queueing_lock,
            schedule_in=delay,
        )
