"""What became of rows that nobody can ask about any more: told by what Stripe's meter adds up to.

A row whose sending (or cancelling) has had no answer for a day may not be tried again: Stripe may count it
twice. So the sum of its customer's events of that minute is read and held against the rows whose fate is
known; the rest arrived. All rows of the minute are held meanwhile, so that none is sent while it is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError, StripeUnknownError
from portal.models import MeterEvent
from portal.services import attempt_states, incidents, meter_countering, usage_periods
from portal.services.meter_events import (
    CANCELLED,
    CANCELLING,
    FAILED,
    SENDING,
    SENT,
    WAITING,
)
from portal.services.usage_periods import Periods

log = structlog.get_logger()

MINUTE = timedelta(minutes=1)
# after the last try within Stripe's day, and long enough for Stripe's sums to have caught up
SETTLE_AFTER = timedelta(hours=25)
# an invoice that is final ends all trying, for its month
SETTLE_AFTER_CLOSING = timedelta(hours=2)
BATCH = 100
CLAIM = timedelta(seconds=120)
# where the sum does not tell, Stripe's may still be behind
LOOK_AGAIN = timedelta(hours=1)
# of rows with quantities that differ; with more of them too many sums would fit
MOST_COMBINED = 200

# minutes in which a row waits for this: too old to be tried again, or of a month that is billed
GROUPS = text("""
SELECT DISTINCT e.workspace_id, e.stripe_customer_id, e.event_name, date_trunc('minute', e.at) AS minute
FROM meter_event e
LEFT JOIN usage_period p ON p.workspace_id = e.workspace_id AND p.starts_at = e.period_start
  AND p.state = 'closed'
WHERE e.state IN ('waiting', 'sending', 'cancelling') AND e.state <> 'waiting'
  AND (e.claimed_until IS NULL OR e.claimed_until <= clock_timestamp())
  AND (coalesce(e.cancel_tried_at, CASE WHEN e.state = 'sending' THEN e.first_tried_at END) <= :old
    OR e.state = 'sending' AND greatest(p.closed_at, e.first_tried_at) <= :closed)
LIMIT :batch
""")


@dataclass(frozen=True)
class Minute:
    """One customer's events of one meter in one minute."""

    workspace_id: int
    customer_id: str
    event_name: str
    start: datetime


def settle(gateways: Gateways) -> int:
    """Settle every row that can no longer be tried; how many minutes were looked at.

    Ends when Stripe does not answer.
    """
    now = gateways.clock.now()
    facts = {"old": now - SETTLE_AFTER, "closed": now - SETTLE_AFTER_CLOSING, "batch": BATCH}
    with unit_of_work(system=True) as session:
        found = [Minute(*row) for row in session.execute(GROUPS, facts)]
    if not found:
        return 0
    try:
        meters = gateways.stripe.meters.ids()
        for minute in found:
            _settle(gateways, minute, meters.get(minute.event_name))
    except StripeUnknownError as error:
        log.warning("settling_waits", reason=str(error))
    return len(found)


def _settle(gateways: Gateways, minute: Minute, meter_id: str | None) -> None:
    with unit_of_work(minute.workspace_id) as session:
        if not _hold(session, minute):
            return
    try:
        counted = (
            gateways.stripe.meters.used(meter_id, minute.customer_id, minute.start, minute.start + MINUTE)
            if meter_id
            else 0
        )
    except StripeRefusedError:
        # the customer is gone, and with it whatever was counted
        counted = 0
    with unit_of_work(minute.workspace_id) as session:
        _write(session, gateways, minute, counted)


def rows_of(session: Session, minute: Minute) -> Sequence[MeterEvent]:
    """The minute's rows of the outbox, locked."""
    return session.scalars(
        select(MeterEvent)
        .where(
            MeterEvent.stripe_customer_id == minute.customer_id,
            MeterEvent.event_name == minute.event_name,
            MeterEvent.at >= minute.start,
            MeterEvent.at < minute.start + MINUTE,
        )
        .order_by(MeterEvent.identifier)
        .with_for_update()
    ).all()


def _hold(session: Session, minute: Minute) -> bool:
    """Take all of the minute's rows that somebody could send or cancel; not while somebody has one."""
    open_rows = [row for row in rows_of(session, minute) if row.state in (WAITING, SENDING, CANCELLING)]
    now = attempt_states.database_time(session)
    if any(row.claimed_until is not None and row.claimed_until > now for row in open_rows):
        return False
    for row in open_rows:
        row.claimed_until = now + CLAIM
    return True


def is_unknown(row: MeterEvent) -> bool:
    """Whether the meter may or may not have the row."""
    if row.state == CANCELLING:
        return row.cancel_tried_at is not None or row.sent_at is None
    return row.state == SENDING and row.first_tried_at is not None


def is_counted(row: MeterEvent) -> bool:
    """Whether the meter has it for certain."""
    if row.sent_at is None or row.state in (CANCELLED, FAILED):
        return False
    return not is_unknown(row)


def _write(session: Session, gateways: Gateways, minute: Minute, counted: int) -> None:
    moment = gateways.clock.now()
    # in the order in which whoever takes a unit back locks
    periods = usage_periods.locked(session, since=minute.start, until=moment, now=moment)
    rows = rows_of(session, minute)
    unknown = [row for row in rows if is_unknown(row)]
    missing = counted - sum(row.quantity for row in rows if is_counted(row))
    there = which([(row.identifier, row.quantity) for row in unknown], missing)
    now = attempt_states.database_time(session)
    if there is None and unknown:
        _tell(session, gateways, minute, counted, [row.identifier for row in unknown])
    for row in rows:
        if row.state not in (WAITING, SENDING, CANCELLING):
            continue
        row.claimed_until = None
        if row in unknown:
            if there is None:
                row.claimed_until = now + LOOK_AGAIN
            else:
                _settle_row(session, row, periods, arrived=row.identifier in there)


def _settle_row(session: Session, row: MeterEvent, periods: Periods, *, arrived: bool) -> None:
    log.info("meter_event_settled", identifier=row.identifier, state=row.state, arrived=arrived)
    if row.state == CANCELLING:
        if arrived:
            row.sent_at = row.sent_at or row.first_tried_at
            meter_countering.counter(session, row, periods)
        else:
            row.state, row.cancelled_at = CANCELLED, row.cancel_tried_at or periods.now
    elif arrived:
        row.state, row.sent_at, row.error = SENT, row.first_tried_at, None
    else:
        row.state, row.first_tried_at, row.attempts = WAITING, None, 0


def which(quantities: Sequence[tuple[str, int]], total: int) -> set[str] | None:
    """Rows that add up to ``total``; None when there are none such, or too many to say.

    Rows of the same quantity are alike: which of them it is makes no difference to anybody.
    """
    if len({quantity for _, quantity in quantities}) == 1:
        each = quantities[0][1]
        number, rest = divmod(total, each)
        fits = rest == 0 and 0 <= number <= len(quantities)
        return {identifier for identifier, _ in quantities[:number]} if fits else None
    if len(quantities) > MOST_COMBINED:
        return None
    reached: dict[int, tuple[str, ...]] = {0: ()}
    for identifier, quantity in quantities:
        for sum_so_far, chosen in list(reached.items()):
            reached.setdefault(sum_so_far + quantity, (*chosen, identifier))
    found = reached.get(total)
    return None if found is None else set(found)


def _tell(
    session: Session, gateways: Gateways, minute: Minute, counted: int, identifiers: Sequence[str]
) -> None:
    incidents.report(
        session,
        gateways,
        "meter_unsettled",
        dedupe_key=f"meter_unsettled:{minute.workspace_id}:{minute.event_name}:{minute.start:%Y-%m-%dT%H:%M}",
        workspace_id=minute.workspace_id,
        summary="It cannot be told from Stripe's meter which usage arrived there; it is looked at again",
        details={
            "meter": minute.event_name,
            "minute": minute.start.isoformat(),
            "counted": counted,
            "identifiers": list(identifiers[:20]),
        },
    )
