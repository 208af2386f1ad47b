"""Runs the queue's jobs on the test's own connection, where a real worker would not see them."""

import asyncio
import inspect
import time

from procrastinate import JobContext
from procrastinate.jobs import Job
from sqlalchemy import Connection, text

from portal import tasks
from portal.gateways import Gateways

MOST_JOBS = 500
REGISTER = text("SELECT worker_id FROM procrastinate_register_worker_v1()")
FETCH = text("SELECT * FROM procrastinate_fetch_job_v2(NULL, :worker) WHERE id IS NOT NULL")
FINISH = text("SELECT procrastinate_finish_job_v1(:id, CAST(:status AS procrastinate_job_status), true)")
RETRY = text("SELECT procrastinate_retry_job_v2(:id, now(), NULL, NULL, NULL)")


def run_jobs(connection: Connection, gateways: Gateways) -> list[str]:
    """Run every job that is due, and those that they defer; returns the tasks' names in their order.

    A job that fails runs again at once for as long as its task's retries allow; then its exception is raised.
    """
    worker = connection.execute(REGISTER).scalar_one()
    done: list[str] = []
    while (row := connection.execute(FETCH, {"worker": worker}).mappings().first()) is not None:
        assert len(done) < MOST_JOBS, f"the queue never empties: {done[-5:]}"
        job = Job.from_row({**row, "queue_name": row["queue_name"]})
        done.append(job.task_name)
        _run(connection, gateways, job)
    return done


def _run(connection: Connection, gateways: Gateways, job: Job) -> None:
    task = tasks.queue.tasks[job.task_name]
    context = JobContext(
        app=tasks.queue,
        job=job,
        start_timestamp=time.time(),
        additional_context={"gateways": gateways},
        abort_reason=lambda: None,
    )
    try:
        result = task.func(context, **job.task_kwargs) if task.pass_context else task.func(**job.task_kwargs)
        if inspect.iscoroutine(result):
            asyncio.run(result)
    except Exception as error:
        strategy = task.retry_strategy
        if strategy and strategy.get_retry_decision(exception=error, job=job):
            connection.execute(RETRY, {"id": job.id})
            return
        connection.execute(FINISH, {"id": job.id, "status": "failed"})
        raise
    connection.execute(FINISH, {"id": job.id, "status": "succeeded"})
