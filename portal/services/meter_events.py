"""The outbox to Stripe's meters: what is to be counted there, and what is to be taken back.

Rows are written in the commit of the ledger entry that they are about and carried out afterwards.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from portal.models import MeterEvent

WAITING, SENDING, SENT, FAILED = "waiting", "sending", "sent", "failed"
DROPPED, CANCELLING, CANCELLED = "dropped", "cancelling", "cancelled"
# owed as a credit note: there is no open period left from which Stripe could take it
CREDITING, CREDITED = "crediting", "credited"

# the task that carries them out
REPORT = "meter_events.report"

# Stripe cancels for 24 hours from when it received the event; the rest is the way there
CANCEL_WITHIN = timedelta(hours=23)

# written for the entries that are to be counted at Stripe, within the statement that adds the entries
ENQUEUE = """
INSERT INTO meter_event
  (workspace_id, identifier, key, event_name, stripe_customer_id, quantity, at, period_start, entry_id, state)
SELECT
  e.workspace_id, s.identifier, e.key, e.key, %(customer)s, e.quantity, e.at, e.period_start, e.id, s.outbox
FROM entry e JOIN sent s USING (key, source, kind)
WHERE s.outbox IS NOT NULL
"""


def identifier(workspace_id: int, source: str, *, key: str = "resolution", reversal: bool = False) -> str:
    """What Stripe knows a unit by: the workspace, and a hash of all; 85 characters at most of Stripe's 100.

    The workspace stands in front, so that the row is found by what Stripe reports.
    """
    # no id has a line break in it, so that no two units can be called the same
    of_key = "" if key == "resolution" else f"{key}\n"
    what = f"{workspace_id}:{of_key}{source}{':reversal' if reversal else ''}"
    return f"{workspace_id}-{hashlib.sha256(what.encode()).hexdigest()}"


@dataclass(frozen=True)
class TakenBack:
    """What became of a unit's meter event: it is dropped or being cancelled, or it must be countered.

    ``period_start`` and ``entry_id`` name the ledger's entry that it was about.
    """

    period_start: datetime
    entry_id: int
    dropped: bool = False
    cancelling: bool = False
    counter: bool = False


def take_back(
    session: Session,
    workspace_id: int,
    sources: Collection[str],
    *,
    now: datetime,
    final_periods: Collection[datetime],
) -> Mapping[str, TakenBack]:
    """Take the meter events of these sources back; what became of each, by source.

    Not yet sent: dropped, nothing goes out. Sent within Stripe's day, or perhaps sent, and its period not yet
    invoiced (``final_periods``: starts of those that are): to be cancelled. Otherwise it must be countered by
    a negative one, or by a credit note: the caller knows which and writes it with its ledger entry.
    """
    by_identifier = {identifier(workspace_id, source): source for source in sources}
    rows = _locked(session, by_identifier)
    while resent := {row.resent_as: by_identifier[row.identifier] for row in rows if row.resent_as}:
        # what counts is the one that was sent in its stead
        by_identifier |= resent
        rows = [row for row in rows if not row.resent_as] + _locked(session, resent)
    done: dict[str, TakenBack] = {}
    moved: dict[str, list[str]] = {DROPPED: [], CANCELLING: []}
    for row in rows:
        taken = _decide(row, now, final=row.period_start in final_periods)
        done[by_identifier[row.identifier]] = taken
        if taken.dropped:
            moved[DROPPED].append(row.identifier)
        if taken.cancelling:
            moved[CANCELLING].append(row.identifier)
    for state, identifiers in moved.items():
        if identifiers:
            session.execute(
                update(MeterEvent).where(MeterEvent.identifier.in_(identifiers)).values(state=state)
            )
    return done


def _locked(session: Session, identifiers: Collection[str]) -> list[Row[Any]]:
    return list(
        session.execute(
            select(
                MeterEvent.identifier,
                MeterEvent.state,
                MeterEvent.first_tried_at,
                MeterEvent.sent_at,
                MeterEvent.period_start,
                MeterEvent.entry_id,
                MeterEvent.resent_as,
            )
            .where(MeterEvent.identifier.in_(identifiers))
            .order_by(MeterEvent.identifier)
            .with_for_update()
        )
    )


def _decide(row: Row[Any], now: datetime, *, final: bool) -> TakenBack:
    """A try whose result is unknown counts as sent: cancelling what is not there does no harm."""
    taken = TakenBack(row.period_start, row.entry_id)
    if row.state in (DROPPED, CANCELLING, CANCELLED, CREDITING, CREDITED):
        return taken
    if row.state == FAILED or (row.state == WAITING and row.first_tried_at is None):
        return replace(taken, dropped=True)
    reached = row.sent_at or row.first_tried_at
    if not final and (reached is None or now - reached < CANCEL_WITHIN):
        return replace(taken, cancelling=True)
    return replace(taken, counter=True)
