"""Usage that was taken back after Stripe had counted it: cancelled within its day, else countered.

A cancel that Stripe refuses, or that comes after the month's invoice, is countered by one negative event in
the open month; where that would bring its sum below zero, or no month is open, by a credit note.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways import stripe_meters as words
from portal.models import MeterEvent, UsageEntry
from portal.services import attempt_states, usage_invoices, usage_ledger, usage_moves, usage_periods
from portal.services.meter_events import CANCELLED, CANCELLING, CREDITING, DROPPED, SENT, WAITING
from portal.services.usage_moves import Moved
from portal.services.usage_periods import Periods

log = structlog.get_logger()

BATCH = 50
ROUNDS = 40
CLAIM = timedelta(seconds=120)
# what Stripe has accepted it may not have stored yet
UNTIL_STORED = timedelta(hours=1)
LOOK_AGAIN = timedelta(minutes=2)
# until only the sum can tell whether an earlier try was heard
UNTIL_SETTLED = timedelta(hours=1)
MISSING = "resource_missing"
# of the identifier of what counters a row, after the row's own
REVERSAL = "-back"

# One read, as when units are claimed to be sent (``meter_sending.CLAIMED``).
CLAIMED = text("""
WITH due AS MATERIALIZED (
  SELECT workspace_id, identifier, cancel_tried_at AS tried_before, EXISTS (SELECT FROM usage_period p
      WHERE p.workspace_id = e.workspace_id AND p.starts_at = e.period_start AND p.state = 'closed') AS billed
  FROM meter_event e
  WHERE state IN ('waiting', 'sending', 'cancelling') AND state = 'cancelling'
    AND (claimed_until IS NULL OR claimed_until <= clock_timestamp())
    AND (cancel_tried_at IS NULL OR cancel_tried_at > :tried_since)
  ORDER BY at LIMIT :batch FOR UPDATE SKIP LOCKED
)
UPDATE meter_event m SET
  cancel_tried_at = coalesce(m.cancel_tried_at, :now), claimed_until = clock_timestamp() + :claim
FROM due WHERE m.workspace_id = due.workspace_id AND m.identifier = due.identifier
RETURNING m.workspace_id, m.identifier, m.event_name, m.at, m.first_tried_at, m.sent_at, due.tried_before,
  due.billed
""")
# longer than Stripe lets anything be cancelled: after that only reading tells
TRY_WITHIN = timedelta(hours=25)


@dataclass(frozen=True)
class Claimed:
    """A row whose cancelling is this worker's for a while; ``billed``: the month's invoice is final."""

    workspace_id: int
    identifier: str
    event_name: str
    at: datetime
    first_tried_at: datetime | None
    sent_at: datetime | None
    tried_before: datetime | None
    billed: bool


def cancel(gateways: Gateways) -> int:
    """Have Stripe not count what was taken back; how many rows were decided. Ends when it does not answer."""
    decided = 0
    for _round in range(ROUNDS):
        batch = _claim(gateways.clock.now())
        for claimed in batch:
            result = _ask(gateways, claimed)
            decided += _note(gateways, claimed, result)
            if result.outcome in (words.UNKNOWN, words.UNTRIED):
                return decided
        if not batch:
            break
    return decided


def _claim(now: datetime) -> list[Claimed]:
    facts = {"now": now, "claim": CLAIM, "batch": BATCH, "tried_since": now - TRY_WITHIN}
    with unit_of_work(system=True) as session:
        return [Claimed(*row) for row in session.execute(CLAIMED, facts)]


def _ask(gateways: Gateways, claimed: Claimed) -> words.Result:
    """Stripe's answer; without asking where the answer would be of no use."""
    if claimed.first_tried_at is None:
        return words.Result(words.ACCEPTED)
    if claimed.billed and claimed.tried_before is None:
        return words.Result(words.REFUSED, "billed")
    return gateways.stripe.meters.cancel(claimed.event_name, claimed.identifier)


def _note(gateways: Gateways, claimed: Claimed, result: words.Result) -> bool:
    """Write what came of it; whether the row is decided."""
    now = gateways.clock.now()
    with unit_of_work(claimed.workspace_id) as session:
        # in the order in which whoever takes a unit back locks
        periods = usage_periods.locked(session, since=min(claimed.at, now), until=now, now=now)
        row = session.scalars(
            select(MeterEvent)
            .where(MeterEvent.identifier == claimed.identifier, MeterEvent.state == CANCELLING)
            .with_for_update()
        ).first()
        if row is None:
            return False
        decided = _decide(session, row, claimed, result, periods)
        wait = UNTIL_SETTLED if result.outcome == words.REFUSED and claimed.tried_before else LOOK_AGAIN
        row.claimed_until = None if decided else attempt_states.database_time(session) + wait
        return decided


def _decide(
    session: Session, row: MeterEvent, claimed: Claimed, result: words.Result, periods: Periods
) -> bool:
    if result.outcome == words.ACCEPTED:
        row.state = CANCELLED if claimed.first_tried_at else DROPPED
        row.cancelled_at = periods.now
        return True
    never_heard = result.outcome == words.UNTRIED or result.code == MISSING
    if result.outcome != words.REFUSED or result.code == MISSING:
        reached = claimed.sent_at or claimed.first_tried_at or periods.now
        if result.code == MISSING and periods.now - reached >= UNTIL_STORED:
            # Stripe has never had it, or could not use it
            row.state, row.cancelled_at = CANCELLED, periods.now
            return True
        if never_heard and claimed.tried_before is None:
            row.cancel_tried_at = None
        return False
    if claimed.tried_before is not None:
        # an earlier try had no answer, so this refusal may be of what is done already: the sum will tell
        return False
    log.info("cancel_refused", identifier=row.identifier, code=result.code, answer=result.message)
    counter(session, row, periods)
    return True


def counter(session: Session, row: MeterEvent, periods: Periods) -> None:
    """Let a row stay counted and take it back by a negative one, or a credit note; once.

    The caller holds the periods' locks.
    """
    if row.state == CANCELLING:
        row.state = SENT
    back = _taken_back(session, row)
    if back is None:
        return
    now, own = periods.now, periods.starting(back.period_start)
    place = Moved(back.id, back.period_start, back.at)
    if own is None or not own.takes(now):
        place = usage_moves.move(session, row.workspace_id, back, periods)
    elif own.starts_at <= now < own.ends_at:
        place = replace(place, at=now)
    made = session.scalars(
        insert(MeterEvent)
        .values(
            identifier=f"{row.identifier}{REVERSAL}",
            key=row.key,
            event_name=row.event_name,
            stripe_customer_id=row.stripe_customer_id,
            quantity=-row.quantity,
            at=place.at,
            period_start=place.period_start,
            entry_id=place.entry_id or back.id,
            state=WAITING if place.entry_id else CREDITING,
        )
        .on_conflict_do_nothing()
        .returning(MeterEvent)
    ).first()
    if made is None or made.state != WAITING:
        return
    moved = made.period_start != row.period_start
    if moved and usage_invoices.is_repriced(session, row.period_start, row.key):
        # a negative event in the open month would give back that month's price
        entry = usage_moves.entry_of(session, made)
        usage_moves.credit_instead(session, row.workspace_id, entry, customer_id=periods.customer_id)
        made.state = CREDITING
    else:
        usage_moves.keep_above_zero(session, row.workspace_id, made, periods)


def _taken_back(session: Session, row: MeterEvent) -> UsageEntry | None:
    """The ledger's entry that took the row's unit back."""
    # of a unit that was moved into its month the entry has another name than the unit
    source = usage_moves.base(usage_moves.entry_of(session, row).source)
    kinds = (usage_ledger.REVERSAL, usage_ledger.CORRECTION)
    return session.scalars(
        select(UsageEntry)
        .where(UsageEntry.key == row.key, UsageEntry.source == source, UsageEntry.kind.in_(kinds))
        .where(UsageEntry.quantity < 0)
    ).first()
