"""The queue's functions and timetable. Each body calls one service and may run twice.

Services defer by name (``gateways.jobs.defer(session, "mails.deliver", mail_id=…)``); they run here.
"""

import asyncio
import signal
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
    corrections,
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


@queue.task(name=mails.TASK, pass_context=True, retry=RETRY)
def deliver_mail(context: JobContext, mail_id: int) -> None:
    mails.deliver(gateways_of(context).mail, mail_id)


@queue.periodic(cron="* * * * * */20")
@queue.task(name="mails.sweep", pass_context=True, queueing_lock="mails.sweep")
def sweep_mails(context: JobContext, timestamp: int) -> None:
    mails.sweep(gateways_of(context))


@queue.periodic(cron="* * * * * */10")
@queue.task(name="jobs.rescue", pass_context=True, queueing_lock="jobs.rescue")
async def rescue_jobs(context: JobContext, timestamp: int) -> None:
    """Give jobs of a killed worker to a living one."""
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
        await manager.retry_job(job)


@queue.periodic(cron="17 * * * *")
@queue.task(name="housekeeping", pass_context=True, queueing_lock="housekeeping")
def keep_house(context: JobContext, timestamp: int) -> None:
    housekeeping.forget(gateways_of(context).settings)


@queue.task(name=inbox.TASK, pass_context=True)
def process_event(context: JobContext, event_id: str) -> None:
    inbox.process(gateways_of(context), event_id)


@queue.periodic(cron="* * * * * */10")
@queue.task(name="inbox.sweep", pass_context=True, queueing_lock="inbox.sweep")
def sweep_inbox(context: JobContext, timestamp: int) -> None:
    inbox.sweep(gateways_of(context))


@queue.periodic(cron="* * * * * */30")
@queue.task(name="inbox.poll", pass_context=True, queueing_lock="inbox.poll")
def poll_events(context: JobContext, timestamp: int) -> None:
    polling.poll(gateways_of(context))


@queue.task(name=attempt_states.RESUME, pass_context=True, retry=RETRY)
def resume_attempt(context: JobContext, workspace_id: int, attempt_id: str) -> None:
    sweeping.resume(gateways_of(context), workspace_id, attempt_id)


@queue.periodic(cron="* * * * * */20")
@queue.task(name="attempts.sweep", pass_context=True, queueing_lock="attempts.sweep")
def sweep_attempts(context: JobContext, timestamp: int) -> None:
    sweeping.sweep_attempts(gateways_of(context))


@queue.periodic(cron="* * * * * */30")
@queue.task(name="corrections.sweep", pass_context=True, queueing_lock="corrections.sweep")
def sweep_corrections(context: JobContext, timestamp: int) -> None:
    corrections.sweep(gateways_of(context))


@queue.task(name=credit_purchase_states.GRANT, pass_context=True, retry=RETRY)
def grant_credits(context: JobContext, workspace_id: int, purchase_id: str) -> None:
    gateways = gateways_of(context)
    credit_grants.make(gateways, workspace_id, purchase_id)
    credit_further_grants.make(gateways, workspace_id, purchase_id)


@queue.periodic(cron="* * * * * */20")
@queue.task(name="credits.sweep", pass_context=True, queueing_lock="credits.sweep")
def sweep_credit_purchases(context: JobContext, timestamp: int) -> None:
    credit_purchase_sweeping.sweep(gateways_of(context))
    credit_disputes.sweep(gateways_of(context))
    credit_refunds.sweep(gateways_of(context))
    credit_further_grants.sweep(gateways_of(context))


@queue.periodic(cron="* * * * *")
@queue.task(name="credits.renew", pass_context=True, queueing_lock="credits.renew")
def renew_credits(context: JobContext, timestamp: int) -> None:
    credit_renewals.sweep(gateways_of(context))


@queue.periodic(cron="* * * * * */20")
@queue.task(name="credits.top_up", pass_context=True, queueing_lock="credits.top_up")
def top_credits_up(context: JobContext, timestamp: int) -> None:
    credit_top_ups.sweep(gateways_of(context))


@queue.task(name=credit_refunds.RESUME, pass_context=True, retry=RETRY)
def refund_credits(context: JobContext, workspace_id: int, refund_id: str) -> None:
    credit_refunds.carry_out(gateways_of(context), workspace_id, refund_id)


@queue.periodic(cron="*/10 * * * *")
@queue.task(name="credits.lapse", pass_context=True, queueing_lock="credits.lapse")
def lapse_credits(context: JobContext, timestamp: int) -> None:
    credit_ledger.sweep(gateways_of(context))


@queue.periodic(cron="23 * * * *")
@queue.task(name="credits.announce", pass_context=True, queueing_lock="credits.announce")
def announce_ending_credits(context: JobContext, timestamp: int) -> None:
    credit_endings.sweep(gateways_of(context))


@queue.periodic(cron="27 4 * * *")
@queue.task(name="credits.reconcile", pass_context=True, queueing_lock="credits.reconcile")
def reconcile_credits(context: JobContext, timestamp: int) -> None:
    credit_reconcile.run(gateways_of(context))


@queue.task(name=planned_changes.MIRROR, pass_context=True, retry=RETRY)
def mirror_planned_changes(context: JobContext, workspace_id: int) -> None:
    planned_changes.catch_up(gateways_of(context), workspace_id)


@queue.periodic(cron="* * * * * */20")
@queue.task(name="changes.sweep", pass_context=True, queueing_lock="changes.sweep")
def sweep_planned_changes(context: JobContext, timestamp: int) -> None:
    planned_changes.sweep(gateways_of(context))
    negotiated_discounts.sweep(gateways_of(context))


@queue.periodic(cron="*/10 * * * *")
@queue.task(name="attempts.grace", pass_context=True, queueing_lock="attempts.grace")
def sweep_grace(context: JobContext, timestamp: int) -> None:
    sweeping.sweep_grace(gateways_of(context))


@queue.periodic(cron="17 3 * * *")
@queue.task(name="inbox.prune", queueing_lock="inbox.prune")
def prune_inbox(timestamp: int) -> None:
    inbox.prune(datetime.fromtimestamp(timestamp, UTC) - inbox.KEPT)


@queue.periodic(cron="*/5 * * * *")
@queue.task(name="trials.remind", pass_context=True, queueing_lock="trials.remind")
def remind_of_trials(context: JobContext, timestamp: int) -> None:
    notices.sweep_trials(gateways_of(context))


@queue.task(name=payment_actions.GO_ON, pass_context=True, retry=RETRY)
def go_on_paying(context: JobContext, workspace_id: int) -> None:
    payments.go_on(gateways_of(context), workspace_id)


@queue.periodic(cron="* * * * * */20")
@queue.task(name="payments.sweep", pass_context=True, queueing_lock="payments.sweep")
def sweep_payments(context: JobContext, timestamp: int) -> None:
    payment_sweeping.sweep(gateways_of(context))


@queue.periodic(cron="*/10 * * * *")
@queue.task(name="cards.announce", pass_context=True, queueing_lock="cards.announce")
def announce_expiring_cards(context: JobContext, timestamp: int) -> None:
    payment_sweeping.announce_expiring(gateways_of(context))


@queue.periodic(cron="* * * * * */20")
@queue.task(name="leaving.sweep", pass_context=True, queueing_lock="leaving.sweep")
def sweep_cancellations(context: JobContext, timestamp: int) -> None:
    leaving.sweep(gateways_of(context))


@queue.periodic(cron="*/10 * * * *")
@queue.task(name="deletion.sweep", pass_context=True, queueing_lock="deletion.sweep")
def sweep_deletions(context: JobContext, timestamp: int) -> None:
    deletion.sweep(gateways_of(context))


@queue.periodic(cron="* * * * * */5")
@queue.task(name="outcomes.mature", pass_context=True, queueing_lock="outcomes.mature")
def mature_outcomes(context: JobContext, timestamp: int) -> None:
    outcomes.mature(gateways_of(context))


@queue.periodic(cron="*/10 * * * *")
@queue.task(name="usage_periods.sweep", pass_context=True, queueing_lock="usage_periods.sweep")
def sweep_usage_periods(context: JobContext, timestamp: int) -> None:
    usage_periods.sweep(gateways_of(context))


@queue.periodic(cron="* * * * * */20")
@queue.task(name="reservations.sweep", pass_context=True, queueing_lock="reservations.sweep")
def sweep_reservations(context: JobContext, timestamp: int) -> None:
    reservations.sweep(gateways_of(context))


@queue.periodic(cron="37 3 * * *")
@queue.task(name="reservations.prune", pass_context=True, queueing_lock="reservations.prune")
def prune_reservations(context: JobContext, timestamp: int) -> None:
    reservations.prune(gateways_of(context))


@queue.periodic(cron="47 3 * * *")
@queue.task(name="allowances.repair", pass_context=True, queueing_lock="allowances.repair")
def repair_allowances(context: JobContext, timestamp: int) -> None:
    allowances.repair(gateways_of(context))


@queue.periodic(cron="* * * * * */20")
@queue.task(name="alerts.sweep", pass_context=True, queueing_lock="alerts.sweep")
def sweep_alerts(context: JobContext, timestamp: int) -> None:
    alerts.sweep(gateways_of(context))


@queue.periodic(cron="* * * * * */5")
@queue.task(name=meter_events.REPORT, pass_context=True, queueing_lock=meter_events.REPORT)
def report_usage(context: JobContext, timestamp: int) -> None:
    meter_sending.report(gateways_of(context))
    meter_countering.cancel(gateways_of(context))


@queue.periodic(cron="* * * * *")
@queue.task(name="usage_moves.sweep", pass_context=True, queueing_lock="usage_moves.sweep")
def move_usage(context: JobContext, timestamp: int) -> None:
    usage_moves.sweep(gateways_of(context))


@queue.periodic(cron="* * * * *")
@queue.task(name="meter_events.settle", pass_context=True, queueing_lock="meter_events.settle")
def settle_usage(context: JobContext, timestamp: int) -> None:
    meter_settling.settle(gateways_of(context))


@queue.periodic(cron="* * * * *")
@queue.task(name="meter_errors.examine", pass_context=True, queueing_lock="meter_errors.examine")
def examine_meter_errors(context: JobContext, timestamp: int) -> None:
    meter_errors.examine(gateways_of(context))


@queue.periodic(cron="* * * * *")
@queue.task(name="usage_credits.sweep", pass_context=True, queueing_lock="usage_credits.sweep")
def credit_usage(context: JobContext, timestamp: int) -> None:
    usage_credits.sweep(gateways_of(context))


@queue.periodic(cron="* * * * *")
@queue.task(name="usage_matches.sweep", pass_context=True, queueing_lock="usage_matches.sweep")
def match_usage(context: JobContext, timestamp: int) -> None:
    usage_matches.sweep(gateways_of(context))


@queue.periodic(cron="11 2 * * *")
@queue.task(name="usage.reconcile", pass_context=True, queueing_lock="usage.reconcile")
def reconcile_usage(context: JobContext, timestamp: int) -> None:
    reconcile.run(gateways_of(context))
