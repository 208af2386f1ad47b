"""The reporter: what waits in the outbox is sent to Stripe's meters, each unit once.

Claim, commit, send, note. A row says since when it may have reached Stripe *before* it is sent, so a process
killed anywhere leaves a row that the next one takes up: with the same identifier, which Stripe counts once
within a day; after that by reading what the meter adds up to (``meter_settling``), never by sending again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways import stripe_meters as words
from portal.services import incidents
from portal.services.meter_events import FAILED, SENDING, SENT, WAITING

log = structlog.get_logger()

BATCH = words.MOST_EVENTS
# of batches, in one run
ROUNDS = 200
# Stripe knows an identifier for 24 hours from when it received it; the rest is for clocks that differ
RESEND_WITHIN = timedelta(hours=23)
# Stripe looks 35 days back
OLDEST = timedelta(days=35) - timedelta(hours=1)
# one call takes 15 seconds at most, and of those sent one by one the first without an answer is the last
CLAIM = timedelta(seconds=120)
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=10)
# Stripe's clock is behind ours by more than it allows: what is ahead of it will not be for long
UNTIL_PAST = timedelta(minutes=5)
LONGEST_ERROR = 500

# Those that can still be billed with their period, and that Stripe would not count twice. The states are
# spelled as the index has them. In plain SQL: one statement claims a batch, whatever else is claiming. Read
# once before anything is joined to it: read again inside the join, each time it would lock the next batch.
CLAIMED = text("""
WITH due AS MATERIALIZED (
  SELECT workspace_id, identifier FROM meter_event e
  WHERE state IN ('waiting', 'sending', 'cancelling') AND state <> 'cancelling'
    AND (claimed_until IS NULL OR claimed_until <= clock_timestamp())
    AND (first_tried_at IS NULL OR first_tried_at > :tried_since)
    AND at > :oldest
    AND NOT EXISTS (SELECT FROM usage_period p
      WHERE p.workspace_id = e.workspace_id AND p.starts_at = e.period_start AND p.state = 'closed')
  ORDER BY at LIMIT :batch FOR UPDATE SKIP LOCKED
)
UPDATE meter_event m SET
  state = 'sending', attempts = m.attempts + 1, first_tried_at = coalesce(m.first_tried_at, :now),
  claimed_until = clock_timestamp() + :claim
FROM due WHERE m.workspace_id = due.workspace_id AND m.identifier = due.identifier
RETURNING m.workspace_id, m.identifier, m.event_name, m.stripe_customer_id, m.quantity, m.at, m.attempts
""")

# What was taken back while it was on its way keeps that state: whoever cancels it needs to know since when it
# may be there. A state is given by what the row was when it was sent, and by what has come of it.
NOTED = text("""
UPDATE meter_event m SET
  state = CASE WHEN m.state = 'sending' THEN r.state WHEN r.state IN ('waiting', 'failed') THEN 'dropped'
    ELSE m.state END,
  sent_at = CASE WHEN r.state = 'sent' THEN coalesce(m.sent_at, :now) ELSE m.sent_at END,
  first_tried_at = CASE WHEN r.state = 'waiting' THEN NULL ELSE m.first_tried_at END,
  attempts = m.attempts - r.untried,
  claimed_until = clock_timestamp() + r.wait * interval '1 second',
  error = r.error
FROM jsonb_to_recordset(:results) AS r
  (workspace_id bigint, identifier text, state text, untried int, wait float, error text)
WHERE m.workspace_id = r.workspace_id AND m.identifier = r.identifier AND m.state IN ('sending', 'cancelling')
""")


@dataclass(frozen=True)
class Claimed:
    """A row that is this worker's to send for a while; ``attempts`` counts this one."""

    workspace_id: int
    message: words.Message
    attempts: int


def report(gateways: Gateways) -> int:
    """Send what waits, the oldest first, a batch at a time; how many rows were sent.

    Ends when Stripe does not answer: the next run begins with one batch again.
    """
    sent = 0
    for _round in range(ROUNDS):
        batch = claim(gateways.clock.now())
        if not batch:
            break
        results = gateways.stripe.meters.send([row.message for row in batch])
        note(gateways, batch, results)
        sent += sum(result.outcome == words.ACCEPTED for result in results)
        if any(result.outcome in (words.UNKNOWN, words.UNTRIED) for result in results):
            break
    return sent


def claim(now: datetime, *, batch: int = BATCH) -> list[Claimed]:
    """Take rows to send, and note that they may reach Stripe from ``now`` on; committed.

    Two workers never get the same row. ``now`` is the time by which Stripe reckons.
    """
    facts = {
        "now": now,
        "claim": CLAIM,
        "tried_since": now - RESEND_WITHIN,
        "oldest": now - OLDEST,
        "batch": batch,
    }
    with unit_of_work(system=True) as session:
        rows = session.execute(CLAIMED, facts).all()
    claimed = [
        Claimed(
            row.workspace_id,
            words.Message(row.identifier, row.event_name, row.stripe_customer_id, row.quantity, row.at),
            row.attempts,
        )
        for row in rows
    ]
    return sorted(claimed, key=lambda each: (each.message.at, each.message.identifier))


def note(gateways: Gateways, batch: Sequence[Claimed], results: Sequence[words.Result]) -> None:
    """Write what became of a batch. Refusals are told to support first, so that none goes untold."""
    _tell(gateways, batch, results)
    now = gateways.clock.now()
    rows = [_row(now, claimed, result) for claimed, result in zip(batch, results, strict=True)]
    with unit_of_work(system=True) as session:
        session.execute(NOTED, {"results": Jsonb(rows), "now": now})


def _row(now: datetime, claimed: Claimed, result: words.Result) -> dict[str, object]:
    state, wait = _after(now, claimed, result)
    error = f"{result.code or result.outcome}: {result.message}"[:LONGEST_ERROR] if result.message else None
    return {
        "workspace_id": claimed.workspace_id,
        "identifier": claimed.message.identifier,
        "state": state,
        "untried": int(result.outcome == words.UNTRIED),
        "wait": wait.total_seconds(),
        "error": None if state == SENT else error,
    }


def _after(now: datetime, claimed: Claimed, result: words.Result) -> tuple[str, timedelta]:
    """The state of a row after a try, and for how long it is left alone."""
    if result.outcome == words.ACCEPTED:
        return SENT, timedelta()
    if result.outcome == words.REFUSED:
        return (WAITING, UNTIL_PAST) if is_ahead(now, claimed, result) else (FAILED, timedelta())
    if result.outcome == words.UNTRIED and claimed.attempts == 1:
        return WAITING, timedelta()
    return SENDING, min(FIRST_WAIT * 2 ** (claimed.attempts - 1), LONGEST_WAIT)


def is_ahead(now: datetime, claimed: Claimed, result: words.Result) -> bool:
    """Whether Stripe refused the row for its time though it is a recent one: clocks differ."""
    return result.param == "timestamp" and now - claimed.message.at < timedelta(days=1)


def _tell(gateways: Gateways, batch: Sequence[Claimed], results: Sequence[words.Result]) -> None:
    now = gateways.clock.now()
    for claimed, result in zip(batch, results, strict=True):
        if result.outcome == words.REFUSED and not is_ahead(now, claimed, result):
            with unit_of_work() as session:
                tell_of_refusal(session, gateways, claimed, result, now)
    shut_out = next((each for each in results if each.code == "stripe_misconfigured"), None)
    if shut_out is not None:
        with unit_of_work() as session:
            incidents.report(
                session,
                gateways,
                "meter_shut_out",
                dedupe_key=f"meter_shut_out:{now:%Y-%m-%d}",
                summary="Stripe lets no usage in: look at the secret key. It waits and is sent afterwards",
                details={"answer": shut_out.message},
            )


def tell_of_refusal(
    session: Session, gateways: Gateways, claimed: Claimed, result: words.Result, now: datetime
) -> None:
    """An incident for the first refusal of a day and reason; the rows say it one by one."""
    incidents.report(
        session,
        gateways,
        "meter_refused",
        dedupe_key=f"meter_refused:{claimed.message.event_name}:{result.code}:{now:%Y-%m-%d}",
        summary="Stripe's meter refuses usage, which is not billed; see flask usage errors",
        details={
            "meter": claimed.message.event_name,
            "identifier": claimed.message.identifier,
            "code": result.code,
            "answer": result.message,
        },
    )
