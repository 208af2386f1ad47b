"""What Stripe could not use of what it had accepted: taken in from its reports, marked, told, sent again.

A report names a few events of each error. The rest are found by what the meter adds up to, hours later, when
its sums are complete. What failed is sent again by a person's command, once the cause is mended.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice

import structlog
from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError
from portal.gateways.stripe_meters import ErrorReport
from portal.models import MeterError, MeterEvent
from portal.services import incidents, meter_settling, usage_moves, usage_periods
from portal.services.meter_events import FAILED, SENT
from portal.services.meter_sending import LONGEST_ERROR
from portal.services.meter_settling import Minute

log = structlog.get_logger()

# an identifier of ours, which begins with the workspace
OURS = re.compile(r"([0-9]{1,19})-[0-9a-f]{64}(-\w+)*")
SHOWN = 10
LISTED = 50
# when Stripe's sums have caught up with what it has accepted
EXAMINE_AFTER = timedelta(hours=2)
# Stripe's window is of its receiving, ours of its answering
SLACK = timedelta(minutes=5)
MOST_MINUTES = 500
RESEND_BATCH = 200

# what was to be cancelled does not count either
MARK = text("""
UPDATE meter_event
SET state = CASE WHEN state = 'cancelling' THEN 'cancelled' ELSE 'failed' END, error = :error
WHERE workspace_id = ANY(:workspaces) AND identifier = ANY(:identifiers)
  AND state IN ('sent', 'sending', 'cancelling')
RETURNING workspace_id
""")
DOUBTED = text("""
SELECT workspace_id, stripe_customer_id, event_name, date_trunc('minute', at) AS minute,
  array_agg(identifier ORDER BY identifier) AS identifiers
FROM meter_event
WHERE event_name = :event_name AND state = 'sent' AND sent_at >= :since AND sent_at <= :until
GROUP BY 1, 2, 3, 4 ORDER BY 4 LIMIT :most
""")


def take_in(gateways: Gateways, event_id: str) -> str:
    """Read a report, mark the rows that it names and tell support; one line about what came of it.

    A report that was taken in before changes nothing.
    """
    report = gateways.stripe.meters.error_report(event_id)
    names = {meter_id: name for name, meter_id in gateways.stripe.meters.ids().items()}
    event_name = names.get(report.meter_id or "")
    marked = {code: _mark(report, code) for code in report.counts}
    with unit_of_work() as session:
        for code, errors in report.counts.items():
            samples = [each for each in report.samples if each.code == code]
            session.execute(
                insert(MeterError)
                .values(
                    stripe_event_id=report.event_id,
                    code=code,
                    event_name=event_name,
                    errors=errors,
                    marked=len(marked[code]),
                    samples=[{"identifier": s.identifier, "message": s.message} for s in samples],
                    summary=report.summary,
                    window_start=report.window_start,
                    window_end=report.window_end,
                )
                .on_conflict_do_nothing()
            )
        _tell(session, gateways, report, event_name, sorted({w for ids in marked.values() for w in ids}))
    return f"{sum(report.counts.values())} events could not be used, {sum(map(len, marked.values()))} marked"


def _mark(report: ErrorReport, code: str) -> list[int]:
    """Mark the rows that the report names; the workspace of each."""
    samples = [each for each in report.samples if each.code == code and OURS.fullmatch(each.identifier)]
    if not samples:
        return []
    facts = {
        "workspaces": sorted({int(each.identifier.partition("-")[0]) for each in samples}),
        "identifiers": [each.identifier for each in samples],
        "error": f"{code}: {samples[0].message}"[:LONGEST_ERROR],
    }
    with unit_of_work(system=True) as session:
        return list(session.scalars(MARK, facts))


def _tell(
    session: Session, gateways: Gateways, report: ErrorReport, event_name: str | None, workspaces: list[int]
) -> None:
    incidents.report(
        session,
        gateways,
        "meter_errors",
        dedupe_key=f"meter_errors:{report.event_id}",
        summary="Stripe could not use usage that it had accepted: it is not billed; see flask usage errors",
        details={
            "event": report.event_id,
            "meter": event_name or report.meter_id,
            "errors": dict(report.counts),
            "samples": [f"{each.code}: {each.message}" for each in islice(report.samples, SHOWN)],
            "workspaces": workspaces[:SHOWN],
        },
    )


def examine(gateways: Gateways) -> int:
    """Find the events that reports counted and did not name; how many rows are marked.

    Raises StripeUnknownError when Stripe does not answer; the report is then examined the next time.
    """
    now = gateways.clock.now()
    unnamed = (
        MeterError.examined_at.is_(None),
        MeterError.errors > MeterError.marked,
        MeterError.event_name.is_not(None),
        MeterError.window_end <= now - EXAMINE_AFTER,
    )
    with unit_of_work() as session:
        due = session.scalars(select(MeterError).where(*unnamed).limit(LISTED)).all()
    return sum(_examine(gateways, error, now) for error in due)


def _examine(gateways: Gateways, error: MeterError, now: datetime) -> int:
    with unit_of_work(system=True) as session:
        facts = {
            "event_name": error.event_name,
            "since": error.window_start - SLACK,
            "until": error.window_end + SLACK,
            "most": MOST_MINUTES,
        }
        minutes = session.execute(DOUBTED, facts).all()
    meter_id = gateways.stripe.meters.ids().get(str(error.event_name))
    found = 0
    for workspace_id, customer_id, event_name, start, identifiers in minutes:
        minute = Minute(workspace_id, customer_id, event_name, start)
        found += _examine_minute(gateways, minute, meter_id, identifiers, error.code)
    with unit_of_work() as session:
        row = session.get_one(MeterError, (error.stripe_event_id, error.code), with_for_update=True)
        row.examined_at, row.marked = now, row.marked + found
    return found


def _examine_minute(
    gateways: Gateways, minute: Minute, meter_id: str | None, identifiers: Sequence[str], code: str
) -> int:
    try:
        counted = gateways.stripe.meters.used(
            str(meter_id), minute.customer_id, minute.start, minute.start + meter_settling.MINUTE
        )
    except StripeRefusedError:
        counted = 0
    with unit_of_work(minute.workspace_id) as session:
        rows = meter_settling.rows_of(session, minute)
        doubted = [row for row in rows if row.identifier in identifiers and row.state == SENT]
        if any(meter_settling.is_unknown(row) for row in rows):
            return 0
        known = sum(row.quantity for row in rows if row not in doubted and meter_settling.is_counted(row))
        there = meter_settling.which([(row.identifier, row.quantity) for row in doubted], counted - known)
        missing = [row for row in doubted if there is not None and row.identifier not in there]
        for row in missing:
            row.state, row.error = FAILED, f"{code}: Stripe's meter has not counted it"
        return len(missing)


def listing(session: Session) -> list[MeterError]:
    """Reports, newest first."""
    return list(session.scalars(select(MeterError).order_by(MeterError.received_at.desc()).limit(LISTED)))


def failed(session: Session) -> list[tuple[int, str, str, int]]:
    """What failed and was not sent again: (workspace, meter, error, rows); ``session`` is the system's."""
    rows = session.execute(
        select(
            MeterEvent.workspace_id,
            MeterEvent.event_name,
            func.coalesce(MeterEvent.error, "").label("error"),
            func.count(),
        )
        .where(MeterEvent.state == FAILED, MeterEvent.resent_as.is_(None))
        .group_by(MeterEvent.workspace_id, MeterEvent.event_name, MeterEvent.error)
        .order_by(MeterEvent.workspace_id, MeterEvent.event_name)
        .limit(LISTED)
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def resend(gateways: Gateways, *, workspace_id: int | None = None, code: str | None = None) -> int:
    """Put what failed into the outbox again, of one workspace or all, with one error or any; how many rows.

    Stripe refused them for certain, so each goes under an identifier of its own, in its month while that can
    be billed and else in the open one.
    """
    ours: list[ColumnElement[bool]] = [MeterEvent.state == FAILED, MeterEvent.resent_as.is_(None)]
    if code is not None:
        ours.append(MeterEvent.error.startswith(f"{code}:"))
    with unit_of_work(system=True) as session:
        due = set(session.scalars(select(MeterEvent.workspace_id).where(*ours).distinct()))
    total = 0
    for each in sorted(due if workspace_id is None else due & {workspace_id}):
        while done := _resend(gateways, each, ours):
            total += done
    return total


def _resend(gateways: Gateways, workspace_id: int, ours: Sequence[ColumnElement[bool]]) -> int:
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        since = session.scalar(select(func.min(MeterEvent.period_start)).where(*ours))
        if since is None:
            return 0
        periods = usage_periods.locked(session, since=since, until=now, now=now)
        rows = session.scalars(
            select(MeterEvent)
            .where(*ours)
            .order_by(MeterEvent.identifier)
            .limit(RESEND_BATCH)
            .with_for_update()
        ).all()
        return sum(usage_moves.send_again(session, workspace_id, row, periods) is not None for row in rows)
