"""Receive now, think later: events are stored once, answered, and worked on by the queue.

A row and its job are written in one transaction, and the sweeper goes by the row, so that nothing that was
acknowledged is lost. Doing an event twice changes nothing: only its type and object id steer, the object is
fetched anew. Delivery is at least once and in no order (docs.stripe.com/webhooks).
"""

import traceback
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from psycopg.types.json import Jsonb
from sqlalchemy import Interval, Update, cast, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import run_alone, unit_of_work
from portal.errors import NotFoundError, PortalError
from portal.gateways import Gateways
from portal.gateways.jobs import Jobs
from portal.gateways.stripe_errors import StripeUnknownError
from portal.gateways.stripe_words import Event
from portal.models import InboxEvent
from portal.services import incidents
from portal.services.event_handlers import HANDLERS, Handled, told_together

log = structlog.get_logger()

TASK = "inbox.process"
MOST_TRIES = 8
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=15)
# whoever works on an event holds it for so long; a job that runs now is left alone by the sweeper
CLAIM = timedelta(seconds=90)
SWEEP_BATCH = 200
# longer than Stripe itself keeps events, so that none is ever taken for a new one
KEPT = timedelta(days=60)
LONGEST_OUTCOME = 500
TRACED_FRAMES = -6
NO_USE = "no use for this type"

RECEIVED = "received"
DONE = "done"
IGNORED = "ignored"
PARKED = "parked"
REFUSED = "refused"
# not states of a row: somebody else is at it; Stripe does not answer
BUSY = "busy"
AWAY = "away"
WEBHOOK = "webhook"
POLLER = "poller"

# One statement, and so one transaction; no row if the event is known. The poller may have seen it a moment
# before: then this is its delivery. In plain SQL, since every delivery runs it.
STORED = """
WITH stored AS (
    INSERT INTO inbox_event AS known (
        id, type, source, api_version, livemode, object_id, created, payload, state, outcome, next_try_at
    )
    VALUES (
        %(id)s, %(type)s, %(source)s, %(api_version)s, %(livemode)s, %(object_id)s, %(created)s, %(payload)s,
        %(state)s, %(outcome)s, clock_timestamp() + %(claim)s
    )
    ON CONFLICT (id) DO UPDATE SET source = excluded.source, next_try_at = excluded.next_try_at
        WHERE known.source = 'poller' AND known.state = 'received'
    RETURNING id
)
"""
STORE = f"{STORED} SELECT id FROM stored"  # noqa: S608 (all of it is ours)
STORE_WITH_JOB = f"{STORED} SELECT id, {Jobs.deferral(TASK, event_id='id')} FROM stored"  # noqa: S608


@dataclass(frozen=True)
class Waiting:
    """What an event row says when it is taken up."""

    id: str
    type: str
    object_id: str | None
    tries: int
    source: str
    claimed_at: datetime


def receive(gateways: Gateways, event: Event) -> bool:
    """Store a verified delivery with its job, in one transaction; False if it was known already.

    An event that is not for this portal (mode, account, API version) is stored as refused and never applied.
    """
    objection = gateways.stripe.webhooks.objection(event)
    state, outcome = (REFUSED, objection) if objection else (RECEIVED, None)
    if event.type not in HANDLERS:
        state, outcome = IGNORED, NO_USE
    if state == REFUSED:
        return _refuse(gateways, event, outcome or "")
    if state == IGNORED:
        event = replace(event, payload={"id": event.id, "type": event.type, "object_id": event.object_id})
    statement = STORE_WITH_JOB if state == RECEIVED else STORE
    stored = run_alone(statement, _values(event, state, outcome)) is not None
    if stored and state == RECEIVED:
        gateways.jobs.wake()
    return stored


def _refuse(gateways: Gateways, event: Event, objection: str) -> bool:
    with unit_of_work() as session:
        values = _values(event, REFUSED, objection)
        stored = session.connection().exec_driver_sql(STORE, values).first() is not None
        if stored:
            _report_refusal(session, gateways, event, objection)
    return stored


def _values(event: Event, state: str, outcome: str | None) -> dict[str, object]:
    row = _row(event, WEBHOOK)
    return row | {"payload": Jsonb(row["payload"]), "state": state, "outcome": outcome, "claim": CLAIM}


def _row(event: Event, source: str) -> dict[str, object]:
    return {
        "id": event.id,
        "type": event.type,
        "source": source,
        "api_version": event.api_version,
        "livemode": event.livemode,
        "object_id": event.object_id,
        "created": event.created,
        "payload": dict(event.payload),
    }


def _report_refusal(session: Session, gateways: Gateways, event: Event, objection: str) -> None:
    incidents.report(
        session,
        gateways,
        "webhook_refused",
        dedupe_key=f"webhook_refused:{objection}",
        summary="Stripe sends events that are not for this portal; check the webhook endpoint",
        details={"event": event.id, "type": event.type, "objection": objection},
    )


def keep_for_later(session: Session, event: Event, patience: timedelta) -> bool:
    """Store an event that the poller saw, to be worked on unless its webhook comes within ``patience``.

    False if it is known. One that was refused for its API version only is taken up again: the list of events
    tells what happened, whatever version the endpoint is pinned to.
    """
    statement = insert(InboxEvent).values(
        **_row(event, POLLER), state=RECEIVED, next_try_at=func.clock_timestamp() + patience
    )
    again = {"state": RECEIVED, "source": POLLER, "next_try_at": statement.excluded.next_try_at}
    refused_version = (InboxEvent.state == REFUSED) & InboxEvent.outcome.startswith("API version")
    return (
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[InboxEvent.id], set_=again, where=refused_version
            ).returning(InboxEvent.id)
        ).first()
        is not None
    )


def process(gateways: Gateways, event_id: str) -> str:
    """Work on one event, unless it is done or somebody does; its state afterwards, or BUSY or AWAY.

    A failure is tried again later, and parked with its reason after MOST_TRIES; while Stripe is away an event
    waits as long as it takes.
    """
    event = _claim(event_id)
    if event is None:
        return BUSY
    handler = HANDLERS.get(event.type)
    if handler is None or event.object_id is None:
        return _finish(event, IGNORED, Handled(NO_USE))
    try:
        handled = handler(gateways, event.object_id)
    except StripeUnknownError as error:
        _wait(event, f"Stripe is away: {error}", count=False)
        return AWAY
    except NotFoundError as error:
        return _finish(event, IGNORED, Handled(f"gone at Stripe: {error}"))
    except Exception as error:
        where = "".join(traceback.format_exception(error, limit=TRACED_FRAMES))
        log.error("event_failed", event_id=event.id, type=event.type, tries=event.tries, where=where)
        reason = f"{type(error).__name__}: {error}"
        return _park(gateways, event, reason) if event.tries >= MOST_TRIES else _wait(event, reason)
    return _finish(event, DONE if handled.ours else IGNORED, handled, with_others=True)


def _claim(event_id: str) -> Waiting | None:
    mine = (
        select(InboxEvent.id)
        .where(InboxEvent.id == event_id, InboxEvent.state == RECEIVED)
        .where(or_(InboxEvent.tries == 0, InboxEvent.next_try_at <= func.clock_timestamp()))
        .with_for_update(skip_locked=True)
    )
    now = func.clock_timestamp()
    statement = (
        update(InboxEvent)
        .where(InboxEvent.id.in_(mine.cte("mine").select()))
        .values(tries=InboxEvent.tries + 1, next_try_at=now + cast(CLAIM, Interval))
        .returning(
            InboxEvent.id, InboxEvent.type, InboxEvent.object_id, InboxEvent.tries, InboxEvent.source, now
        )
    )
    with unit_of_work() as session:
        row = session.execute(statement).first()
    return Waiting(*row) if row else None


def _finish(event: Waiting, state: str, handled: Handled, *, with_others: bool = False) -> str:
    settled: dict[str, object] = {
        "state": state,
        "workspace_id": handled.workspace_id,
        "handled_at": func.clock_timestamp(),
    }
    outcome = handled.outcome[:LONGEST_OUTCOME]
    with unit_of_work() as session:
        session.execute(
            update(InboxEvent).where(InboxEvent.id == event.id).values(outcome=outcome, **settled)
        )
        if with_others:
            why = f"with {event.id}: {outcome}"[:LONGEST_OUTCOME]
            session.execute(_told_by(event, handled.read).values(outcome=why, **settled))
    log.info("event_handled", event_id=event.id, type=event.type, state=state, outcome=handled.outcome)
    return state


def _told_by(event: Waiting, read: frozenset[str]) -> Update:
    """Those that wait and whose news this event's reading has brought: it began after they had arrived.

    A burst about one object, or about one purchase, is one reading, so that a backlog is worked off faster
    than it came. What only the poller saw is left out: that its webhook is missing is still to be found.
    So is what somebody else is just settling, who may be waiting for this one.
    """
    theirs = (
        select(InboxEvent.id)
        .where(
            InboxEvent.object_id.in_(sorted({event.object_id, *read} - {None})),
            InboxEvent.type.in_(told_together(event.type)),
            InboxEvent.state == RECEIVED,
            InboxEvent.source == WEBHOOK,
            InboxEvent.received_at < event.claimed_at,
        )
        .with_for_update(skip_locked=True)
    )
    return update(InboxEvent).where(InboxEvent.id.in_(theirs.cte("theirs").select()))


def _wait(event: Waiting, reason: str, *, count: bool = True) -> str:
    wait = min(FIRST_WAIT * 2 ** (event.tries - 1), LONGEST_WAIT)
    with unit_of_work() as session:
        session.execute(
            update(InboxEvent)
            .where(InboxEvent.id == event.id)
            .values(
                outcome=reason[:LONGEST_OUTCOME],
                tries=InboxEvent.tries if count else InboxEvent.tries - 1,
                next_try_at=func.clock_timestamp() + cast(wait, Interval),
            )
        )
    log.warning("event_waits", event_id=event.id, type=event.type, reason=reason)
    return RECEIVED


def _park(gateways: Gateways, event: Waiting, reason: str) -> str:
    with unit_of_work() as session:
        session.execute(
            update(InboxEvent)
            .where(InboxEvent.id == event.id)
            .values(state=PARKED, outcome=reason[:LONGEST_OUTCOME])
        )
        incidents.report(
            session,
            gateways,
            "event_parked",
            dedupe_key=f"event_parked:{event.id}",
            summary=f"{event.type} could not be worked on; replay it once the cause is mended",
            details={"event": event.id, "object": event.object_id, "reason": reason},
        )
    return PARKED


def sweep(gateways: Gateways) -> int:
    """Work on every event that is due and has no job (any more); returns how many were due.

    While Stripe is away one event is enough to find that out; the others wait for the next time.
    """
    with unit_of_work() as session:
        due = session.execute(
            select(InboxEvent.id, InboxEvent.source)
            .where(InboxEvent.state == RECEIVED, InboxEvent.next_try_at <= func.clock_timestamp())
            .order_by(InboxEvent.created)
            .limit(SWEEP_BATCH)
        ).all()
        missed = [event_id for event_id, source in due if source == POLLER]
        if missed:
            _report_gap(session, gateways, missed)
    for event_id, _source in due:
        if process(gateways, event_id) == AWAY:
            break
    return len(due)


def prune(before: datetime) -> int:
    """Forget events that were settled before that time; returns how many. What is parked or refused stays."""
    with unit_of_work() as session:
        gone = session.execute(
            delete(InboxEvent)
            .where(InboxEvent.state.in_((DONE, IGNORED)), InboxEvent.received_at < before)
            .returning(InboxEvent.id)
        ).all()
    return len(gone)


def _report_gap(session: Session, gateways: Gateways, missed: list[str]) -> None:
    incidents.report(
        session,
        gateways,
        "webhooks_missed",
        dedupe_key=f"webhooks_missed:{missed[0]}",
        summary="Stripe's webhooks did not arrive; the events were found by asking and are being worked on",
        details={"events": missed},
    )


def listing(session: Session, *, state: str | None = None, limit: int = 50) -> list[InboxEvent]:
    """Events, newest first, of one state or all."""
    statement = select(InboxEvent).order_by(InboxEvent.received_at.desc()).limit(limit)
    return list(session.scalars(statement.where(InboxEvent.state == state) if state else statement))


def replay(gateways: Gateways, event_id: str) -> str:
    """Take an event up again, whatever became of it, and work on it now; its state afterwards.

    Raises NotFoundError for an unknown one and PortalError for one of another account or mode.
    """
    with unit_of_work() as session:
        row = session.get(InboxEvent, event_id, with_for_update=True)
        if row is None:
            raise NotFoundError(f"There is no event {event_id} in the inbox.")
        if row.state == REFUSED and not (row.outcome or "").startswith("API version"):
            raise PortalError(f"Event {event_id} is not for this portal: {row.outcome}.")
        row.state, row.tries = RECEIVED, 0
        row.next_try_at = session.execute(text("SELECT clock_timestamp()")).scalar_one()
    return process(gateways, event_id)
