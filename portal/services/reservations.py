"""One unit held before the AI answers, so that a hard cap holds when a unit is used and not after.

A reservation without an answer lapses after 15 minutes. Once the AI has answered, the unit is held until it
is settled: billed, or not billable. What is held counts against the cap of whatever period it is in, so that
it can never be billed above one. A conversation holds one unit at a time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from portal.db import run_alone, unit_of_work
from portal.errors import N_, NotFoundError
from portal.gateways import Gateways
from portal.models import Allowance, Reservation, Resolution
from portal.services import allowances, bulk, subscriptions
from portal.services.allowances import ANSWERED, HELD, RELEASED, SETTLED, State
from portal.services.ids import new_id

log = structlog.get_logger()

WITHOUT_ANSWER = timedelta(minutes=15)
# for the API's answers and for support; the unit itself is in the resolutions
KEPT = timedelta(days=30)
BATCH = 200
PRUNE_BATCH = 5_000

# One statement, and so one transaction: the cap is looked at anew by whoever waited for the row's lock, since
# PostgreSQL checks the conditions again on the row as the other left it. No row if it was refused, or if
# something has to be mended first. In plain SQL, since every answer of the AI runs it; || keeps it from
# looking through all that is pending, by an index that is made for that.
HOLD = f"""
WITH known AS (
    SELECT id, state, expires_at FROM reservation
    WHERE workspace_id = %(workspace)s AND conversation_id = %(conversation)s
        AND state IN ('{HELD}', '{ANSWERED}') AND (state = '{ANSWERED}' OR expires_at > %(now)s)
), taken AS (
    UPDATE allowance SET held = held + 1, changed_at = %(now)s
    WHERE workspace_id = %(workspace)s AND period_start <= %(now)s AND period_end > %(now)s
        AND (cap IS NULL OR used + held < cap)
        AND NOT EXISTS (SELECT FROM known)
        AND NOT EXISTS (
            SELECT FROM resolution
            WHERE workspace_id = %(workspace)s AND conversation_id = %(conversation)s
                AND state || '' = 'pending'
        )
        AND EXISTS (
            SELECT FROM subscription
            WHERE workspace_id = %(workspace)s AND status = ANY(%(live)s) AND access = ANY(%(working)s)
        )
    RETURNING cap - used - held AS left, period_end
), made AS (
    INSERT INTO reservation (workspace_id, id, conversation_id, expires_at, created_at)
    SELECT %(workspace)s, %(id)s, %(conversation)s, %(expires)s, %(now)s FROM taken
    RETURNING id, state, expires_at
)
SELECT made.id, made.state, made.expires_at, false, taken.left, taken.period_end FROM made, taken
UNION ALL
SELECT known.id, known.state, known.expires_at, true, allowance.cap - used - held, allowance.period_end
FROM known LEFT JOIN allowance ON allowance.workspace_id = %(workspace)s
"""  # noqa: S608 (all of it is ours)

# The row is locked before its reservations, as everywhere; what asks for a count makes it wait for that. A
# conversation that held a unit for an answer and is said to be both holds it for the one that is pending.
FOLLOW = f"""
WITH row AS (
    SELECT FROM allowance WHERE workspace_id = %(workspace)s FOR UPDATE
), answered AS (
    UPDATE reservation SET state = '{ANSWERED}'
    WHERE workspace_id = %(workspace)s AND conversation_id = ANY(%(opened)s::text[])
        AND state = '{HELD}' AND EXISTS (SELECT FROM row)
    RETURNING id
), settled AS (
    UPDATE reservation SET state = '{SETTLED}', settled_at = %(now)s
    WHERE workspace_id = %(workspace)s AND conversation_id = ANY(%(settled)s::text[])
        AND state = '{ANSWERED}' AND EXISTS (SELECT FROM row)
    RETURNING id
), passed AS (
    UPDATE reservation SET state = '{SETTLED}', settled_at = %(now)s
    WHERE workspace_id = %(workspace)s AND conversation_id = ANY(%(passed)s::text[])
        AND conversation_id <> ALL(%(opened)s::text[]) AND state = '{HELD}' AND EXISTS (SELECT FROM row)
    RETURNING id
)
UPDATE allowance SET changed_at = %(now)s, held = held + %(units)s
    - (SELECT count(*) FROM answered) - (SELECT count(*) FROM passed)
WHERE workspace_id = %(workspace)s AND (SELECT count(*) FROM settled) >= 0
RETURNING true
"""  # noqa: S608 (all of it is ours)


@dataclass(frozen=True)
class Held:
    """A unit that is held: the AI may answer. ``repeated``: the conversation held it already.

    ``state``: held (until ``expires_at``) or answered. ``left``: units that the AI may take after this one,
    None without a cap; ``until``: the end of the period.
    """

    id: str
    conversation_id: str
    state: str
    expires_at: datetime
    repeated: bool
    left: int | None
    until: datetime | None


@dataclass(frozen=True)
class Refused:
    """The AI may not answer: ``allowance.reason`` says why, ``allowance.at_cap`` what to do instead."""

    allowance: State


def hold(gateways: Gateways, workspace_id: int, conversation_id: str) -> Held | Refused:
    """Hold one unit for an answer in the conversation; what it holds already is answered with again.

    A unit of work of its own: call it outside of transactions.
    """
    now = gateways.clock.now()
    values = {
        "workspace": workspace_id,
        "conversation": conversation_id,
        "id": new_id("R"),
        "now": now,
        "expires": now + WITHOUT_ANSWER,
        "live": list(subscriptions.LIVE),
        "working": list(allowances.WORKING),
    }
    try:
        row = run_alone(HOLD, values, workspace_id=workspace_id)
    except psycopg.errors.UniqueViolation:
        # another request for the same conversation was a moment faster, or what it held has lapsed unnoticed
        row = None
    return _held(conversation_id, row) if row else _hold_slowly(gateways, workspace_id, values)


def _held(conversation_id: str, row: Sequence[Any]) -> Held:
    reservation_id, state, expires_at, repeated, left, until = row
    left = None if left is None else max(int(left), 0)
    return Held(str(reservation_id), conversation_id, str(state), expires_at, bool(repeated), left, until)


def _hold_slowly(gateways: Gateways, workspace_id: int, values: dict[str, Any]) -> Held | Refused:
    """The same a step at a time: after a period has turned, when something has lapsed, and to say why not."""
    now: datetime = values["now"]
    with unit_of_work(workspace_id) as session:
        row = session.scalars(select(Allowance)).first()
        if _surely_refused(session, row, values):
            return Refused(allowances.state(session, row))  # type: ignore[arg-type]
        # whoever settles the unit waits until its reservation is made, or has it settled before
        session.execute(_pending(values["conversation"]).with_for_update())
        row = allowances.locked(session, now)
        reservation = session.scalars(_open_one(values["conversation"])).first()
        repeated = reservation is not None
        if reservation is None:
            pending = session.execute(_pending(values["conversation"])).first() is not None
            state = allowances.state(session, row)
            if not state.may_answer and not (pending and state.reason == allowances.CAP_REACHED):
                return Refused(state)
            reservation = _make(session, row, values, counted=pending)
        left = None if row.cap is None else max(row.cap - row.used - row.held, 0)
        return Held(
            reservation.id,
            reservation.conversation_id,
            reservation.state,
            reservation.expires_at,
            repeated,
            left,
            row.period_end,
        )


def _surely_refused(session: Session, row: Allowance | None, values: dict[str, Any]) -> bool:
    """Whether the cap is reached and nothing could mend that: then nobody has to wait for the row."""
    now, conversation_id = values["now"], values["conversation"]
    if row is None or row.cap is None or allowances.is_over(row, now) or row.used + row.held < row.cap:
        return False
    mendable = (
        select(Reservation.id).where(Reservation.state == HELD, Reservation.expires_at <= now).limit(1),
        _open_one(conversation_id),
        _pending(conversation_id),
    )
    return all(session.execute(each).first() is None for each in mendable)


def _open_one(conversation_id: str) -> Any:
    return select(Reservation).where(
        Reservation.conversation_id == conversation_id, Reservation.state.in_((HELD, ANSWERED))
    )


def _pending(conversation_id: str) -> Any:
    """The conversation's unit that counts already: another answer in it costs nothing more."""
    return select(Resolution.episode).where(
        Resolution.conversation_id == conversation_id, Resolution.state + "" == "pending"
    )


def _make(session: Session, row: Allowance, values: dict[str, Any], *, counted: bool) -> Reservation:
    made = Reservation(
        id=values["id"],
        conversation_id=values["conversation"],
        state=ANSWERED if counted else HELD,
        expires_at=values["expires"],
        created_at=values["now"],
    )
    session.add(made)
    if not counted:
        row.held += 1
        row.changed_at = values["now"]
    session.flush()
    return made


def get(session: Session, reservation_id: str) -> Reservation:
    """One reservation of the entered workspace, whatever became of it. Raises NotFoundError."""
    found = session.scalars(select(Reservation).where(Reservation.id == reservation_id)).first()
    if found is None:
        raise NotFoundError(N_("There is no such reservation."))
    return found


def look(gateways: Gateways, workspace_id: int, reservation_id: str) -> Reservation:
    """The same as it is at this moment: one that nobody answered in time has lapsed. Raises NotFoundError."""
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        found = get(session, reservation_id)
        if found.state == HELD and found.expires_at <= now:
            allowances.locked(session, now)
            session.refresh(found)
        return found


def release(gateways: Gateways, workspace_id: int, reservation_id: str) -> Reservation:
    """Give a unit back that no answer has used; one that is answered or over already stays as it is.

    Raises NotFoundError.
    """
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        row = allowances.locked(session, now)
        reservation = get(session, reservation_id)
        if reservation.state == HELD:
            reservation.state, reservation.settled_at = RELEASED, now
            row.held -= 1
            row.changed_at = now
        return reservation


# --- what becomes of the units -------------------------------------------------------------------------


def follow(
    session: Session,
    now: datetime,
    *,
    opened: Collection[str] = (),
    settled: Collection[str] = (),
    passed: Collection[str] = (),
) -> None:
    """What becomes of what is held, in the transaction that writes the units: one conversation for each unit.

    ``opened``: the AI has answered, and there is a pending unit from now on, held until it is settled; what
    was held for the answer becomes that, and who answered without holding one is counted all the same.
    ``settled``: that unit is billed, or not billable, and held no longer; what is billed is counted by
    ``limits.charge_for``. ``passed``: the AI has answered and the unit is settled, both at once.
    """
    if not (opened or settled or passed):
        return
    values = {
        "workspace": session.info["workspace_id"],
        "opened": bulk.array(list(opened)),
        "settled": bulk.array(list(settled)),
        "passed": bulk.array(list(passed)),
        "units": len(opened) - len(settled),
        "now": now,
    }
    if not bulk.run(session, FOLLOW, values):
        # the first that this workspace ever uses
        allowances.locked(session, now)
        bulk.run(session, FOLLOW, values)


# --- sweeping ------------------------------------------------------------------------------------------


def sweep(gateways: Gateways) -> int:
    """Let go of what had no answer in time, a batch of workspaces at a time; returns how many workspaces.

    Nothing waits for this: whoever asks for a unit lets go of its own workspace's first.
    """
    now = gateways.clock.now()
    with unit_of_work(system=True) as session:
        late = session.scalars(
            select(Reservation.workspace_id)
            .where(Reservation.state == HELD, Reservation.expires_at <= now)
            .distinct()
            .limit(BATCH)
        ).all()
    for workspace_id in late:
        with unit_of_work(workspace_id) as session:
            allowances.locked(session, now)
    return len(late)


def prune(gateways: Gateways) -> int:
    """Forget what has been over for a month; returns how many rows."""
    before = gateways.clock.now() - KEPT
    with unit_of_work(system=True) as session:
        old = session.scalars(
            select(Reservation.workspace_id).where(Reservation.settled_at < before).distinct()
        ).all()
    return sum(_prune_one(workspace_id, before) for workspace_id in old)


def _prune_one(workspace_id: int, before: datetime) -> int:
    gone = 0
    while True:
        with unit_of_work(workspace_id) as session:
            batch = select(Reservation.id).where(Reservation.settled_at < before).limit(PRUNE_BATCH)
            removed = session.execute(
                delete(Reservation).where(Reservation.id.in_(batch)).returning(Reservation.id)
            ).all()
        gone += len(removed)
        if len(removed) < PRUNE_BATCH:
            return gone
