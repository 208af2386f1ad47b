"""The queue's functions and timetable: the services that run there, each of which may run twice.

Services defer by name (``gateways.jobs.defer(session, "mails.deliver", mail_id=…)``); they run here.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

import structlog
from procrastinate import App, JobContext, PsycopgConnector, RetryStrategy, SyncPsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.middleware import AsyncCallNext
from procrastinate.worker import Worker

from portal.config import Settings
from portal.db import PATIENCE
from portal.gateways import Gateways
from portal.services import (
    alerts,
    allowances,
    attempt_states,
    contests,
    corrections,
    credit_by_hand,
    credit_disputes,
    credit_endings,
    credit_further_grants,
    credit_grants,
    credit_ledger,
    credit_purchase_states,
    credit_purchase_sweeping,
    credit_reconcile,
    credit_refunds,
    credit_renewals,
    credit_repricing,
    credit_top_ups,
    deletion,
    housekeeping,
    inbox,
    leaving,
    mails,
    meter_countering,
    meter_errors,
    meter_events,
    meter_sending,
    meter_settling,
    negotiated_discounts,
    notices,
    outcomes,
    payment_actions,
    payment_sweeping,
    payments,
    planned_changes,
    polling,
    reconcile,
    reservations,
    sweeping,
    usage_credits,
    usage_matches,
    usage_moves,
    usage_periods,
)

# what its connections are called at the database
APPLICATION = "portal worker"
CONCURRENCY = 4
CONNECTIONS = 4
POLL_SECONDS = 1.0
GRACEFUL_SECONDS = 20.0
STALLED_SECONDS = 30
AGAIN_SECONDS = 1.0
Service = Callable[..., object]
STOPS = (signal.SIGTERM, signal.SIGINT)

# tries again after 2, 4, 8 … seconds; what still fails is found by the sweepers, which go by our rows
RETRY = RetryStrategy(max_attempts=4, exponential_wait=2)

log = structlog.get_logger("portal.worker")
queue = App(connector=SyncPsycopgConnector())


def conninfo(url: str) -> str:
    """The database's address as libpq reads it, which decodes %20 but takes a + for a plus."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def run_worker(settings: Settings, gateways: Gateways, *, until_idle: bool = False) -> None:
    """Work until SIGTERM or SIGINT, then finish what runs; or, with ``until_idle``, until nothing is due."""
    connector = PsycopgConnector(
        conninfo=conninfo(settings.database_url),
        min_size=1,
        max_size=CONNECTIONS,
        kwargs=PATIENCE.arguments() | {"application_name": APPLICATION},
    )
    options: dict[str, Any] = {
        "concurrency": CONCURRENCY,
        "fetch_job_polling_interval": POLL_SECONDS,
        "shutdown_graceful_timeout": GRACEFUL_SECONDS,
        "delete_jobs": "successful",
        "additional_context": {"gateways": gateways},
        "worker_middleware": [_logged],
        "wait": not until_idle,
        "listen_notify": not until_idle,
        # ours are for all the workers that follow one another
        "install_signal_handlers": False,
    }
    with queue.replace_connector(connector) as app:
        app.run_worker(**options) if until_idle else asyncio.run(_work(app, options))


async def _work(app: App, options: dict[str, Any]) -> None:
    """Run workers one after the other until a signal asks to stop.

    The queue's worker ends when it loses the database, be it for the second that a restart takes.
    """
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOPS:
        loop.add_signal_handler(number, asked.set)
    stopping = asyncio.create_task(asked.wait())
    async with app.open_async():
        while not asked.is_set():
            working = asyncio.create_task(app.run_worker_async(**options))
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            with suppress(asyncio.CancelledError, ConnectorException):
                await working
            if not asked.is_set():
                log.error("worker_ended", again_after_seconds=AGAIN_SECONDS)
                await asyncio.wait({stopping}, timeout=AGAIN_SECONDS)


async def _logged(call_next: AsyncCallNext, context: JobContext, worker: Worker) -> Any:
    """One line per job that failed, and its name and number on whatever its service logs."""
    with structlog.contextvars.bound_contextvars(job=context.job.task_name, job_id=context.job.id):
        try:
            return await call_next()
        except Exception:
            log.exception("job_failed", attempts=context.job.attempts)
            raise


def gateways_of(context: JobContext) -> Gateways:
    """The worker's neighbours."""
    return cast(Gateways, context.additional_context["gateways"])


# --- what services ask for -----------------------------------------------------------------------------


def on_demand(name: str, *services: Service, retry: RetryStrategy | bool = RETRY) -> None:
    """Have ``services`` run, in their order, whenever one defers ``name``, with the facts that it gave."""

    @queue.task(name=name, pass_context=True, retry=retry)
    def run(context: JobContext, **facts: Any) -> None:
        for service in services:
            service(gateways_of(context), **facts)


on_demand(mails.TASK, lambda gateways, mail_id: mails.deliver(gateways.mail, mail_id))
# what cannot be handled waits in the inbox
on_demand(inbox.TASK, inbox.process, retry=False)
on_demand(attempt_states.RESUME, sweeping.resume)
on_demand(planned_changes.MIRROR, planned_changes.catch_up)
on_demand(payment_actions.GO_ON, payments.go_on)
on_demand(credit_purchase_states.GRANT, credit_grants.make, credit_further_grants.make)
on_demand(credit_refunds.RESUME, credit_refunds.carry_out)


# --- the timetable -------------------------------------------------------------------------------------


def timed(name: str, cron: str, *services: Service) -> None:
    """Have ``services`` run, in their order, whenever ``cron`` says; none waits twice for its turn."""

    @queue.periodic(cron=cron)
    @queue.task(name=name, pass_context=True, queueing_lock=name)
    def run(context: JobContext, timestamp: int) -> None:
        for service in services:
            service(gateways_of(context))


@queue.periodic(cron="* * * * * */10")
@queue.task(name="jobs.rescue", pass_context=True, queueing_lock="jobs.rescue")
async def rescue_jobs(context: JobContext, timestamp: int) -> None:
    """Give jobs of a killed worker to a living one."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
        await manager.retry_job(job)


@queue.periodic(cron="17 3 * * *")
@queue.task(name="inbox.prune", queueing_lock="inbox.prune")
def prune_inbox(timestamp: int) -> None:
    inbox.prune(datetime.fromtimestamp(timestamp, UTC) - inbox.KEPT)


timed("mails.sweep", "* * * * * */20", mails.sweep)
timed("housekeeping", "17 * * * *", lambda gateways: housekeeping.forget(gateways.settings))
timed("inbox.sweep", "* * * * * */10", inbox.sweep)
timed("inbox.poll", "* * * * * */30", polling.poll)

timed("attempts.sweep", "* * * * * */20", sweeping.sweep_attempts)
timed("attempts.grace", "*/10 * * * *", sweeping.sweep_grace)
timed("changes.sweep", "* * * * * */20", planned_changes.sweep, negotiated_discounts.sweep)
timed("corrections.sweep", "* * * * * */30", corrections.sweep)
timed("payments.sweep", "* * * * * */20", payment_sweeping.sweep)
timed("cards.announce", "*/10 * * * *", payment_sweeping.announce_expiring)
timed("trials.remind", "*/5 * * * *", notices.sweep_trials)
timed("leaving.sweep", "* * * * * */20", leaving.sweep)
timed("deletion.sweep", "*/10 * * * *", deletion.sweep)

timed(
    "credits.sweep",
    "* * * * * */20",
    credit_purchase_sweeping.sweep,
    credit_disputes.sweep,
    credit_by_hand.sweep,
    credit_refunds.sweep,
    credit_repricing.sweep,
    credit_further_grants.sweep,
)
timed("credits.top_up", "* * * * * */20", credit_top_ups.sweep)
timed("credits.renew", "* * * * *", credit_renewals.sweep)
timed("credits.lapse", "*/10 * * * *", credit_ledger.sweep)
timed("credits.announce", "* * * * * */20", credit_endings.sweep)
timed("credits.reconcile", "27 4 * * *", credit_reconcile.run)

timed("outcomes.mature", "* * * * * */5", outcomes.mature)
timed("contests.sweep", "* * * * *", contests.sweep)
timed("usage_periods.sweep", "*/10 * * * *", usage_periods.sweep)
timed("reservations.sweep", "* * * * * */20", reservations.sweep)
timed("reservations.prune", "37 3 * * *", reservations.prune)
timed("allowances.repair", "47 3 * * *", allowances.repair)
timed("alerts.sweep", "* * * * * */20", alerts.sweep)
timed(meter_events.REPORT, "* * * * * */5", meter_sending.report, meter_countering.cancel)
timed("meter_events.settle", "* * * * *", meter_settling.settle)
timed("meter_errors.examine", "* * * * *", meter_errors.examine)
timed("usage_moves.sweep", "* * * * *", usage_moves.sweep)
timed("usage_credits.sweep", "* * * * * */20", usage_credits.sweep)
timed("usage_matches.sweep", "* * * * *", usage_matches.sweep)
timed("usage.reconcile", "11 2 * * *", reconcile.run)
