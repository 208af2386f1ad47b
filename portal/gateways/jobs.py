"""The queue, in the same database and the same transaction as the row that the job is about.

PostgreSQL lets only one transaction at a time commit a NOTIFY, and holds the others up until its commit is on
disk. So the library's notifying trigger is dropped (migration 0001), and the worker is told after the commit,
in a transaction of its own that waits for no disk. Should that hint get lost, the worker's next poll finds
the job.
"""

from datetime import timedelta
from typing import Any

from procrastinate import App, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import JobDeferrer
from sqlalchemy import ColumnElement, Connection, event, literal_column, text
from sqlalchemy.orm import Session, SessionTransaction

from portal.db import autocommit

DEFERRED = "jobs_deferred"
QUEUE = "default"
HINT = text(
    "SELECT set_config('synchronous_commit', 'off', true),"
    """ pg_notify('procrastinate_any_queue_v1', '{"type": "job_inserted", "job_id": 0}')"""
)


@event.listens_for(Session, "after_transaction_end")
def _tell_worker(session: Session, transaction: SessionTransaction) -> None:
    """Wake the worker once the outermost transaction that deferred something is over."""
    if transaction.parent is None and session.info.pop(DEFERRED, False):
        with autocommit() as connection:
            connection.execute(HINT)


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
    def deferral(name: str, /, **columns: str) -> ColumnElement[Any]:
        """An expression that queues ``name``, for a statement that stores a row and its job in one go.

        ``columns``: the task's arguments, as SQL. Nothing but names of our code may be in it. The caller
        calls ``wake`` afterwards.
        """
        args = ", ".join(f"'{key}', {column}" for key, column in columns.items())
        job = f"ROW('{QUEUE}', '{name}', 0, NULL, NULL, jsonb_build_object({args}), NULL)"
        return literal_column(f"procrastinate_defer_jobs_v1(ARRAY[{job}::procrastinate_job_to_defer_v1])")

    @staticmethod
    def wake(connection: Connection) -> None:
        """Tell the worker that there is something to do."""
        connection.execute(HINT)

    def _configured(
        self, session: Session, name: str, queueing_lock: str | None, delay: dict[str, int] | None
    ) -> JobDeferrer:
        return self._app.configure_task(
            name,
            connection=session.connection().connection.driver_connection,
            queueing_lock=queueing_lock,
            schedule_in=delay,
        )
