"""What changed units mean for the ledger, the rollup, Stripe's meter and what is held; and what matures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Resolution
from portal.pricing import outcomes as rules
from portal.services import reservations, units, usage_booking, usage_ledger
from portal.services.units import Happened, Unit
from portal.services.usage_booking import Booking, Change

log = structlog.get_logger()

BATCH = 1000  # units that mature in one transaction
LISTED = 5000  # due units whose workspaces are looked for at a time
ROUNDS = 20  # of listing, in one run of the sweeper
MOST_FAILED = 100  # workspaces, before a run is given up


def follow(
    session: Session,
    workspace_id: int,
    conversations: Mapping[str, Sequence[Happened]],
    *,
    known: Mapping[str, Sequence[Unit]],
    now: datetime,
) -> None:
    """Derive the units of conversations from all of their events and write what that changes.

    The caller has locked the conversations and their ``known`` units.
    """
    changes = []
    for conversation_id, events in conversations.items():
        before = {unit.episode: unit for unit in known.get(conversation_id, ())}
        for unit in units.derive(conversation_id, events, now):
            old = before.pop(unit.episode, None)
            changes.append(Change(old, units.carry_over(unit, old)))
        changes += [Change(old, units.nothing_left(old)) for old in before.values()]
    changes = [change for change in changes if change.known != change.unit]
    settle(session, workspace_id, changes, now=now)
    if changes:
        units.store(session, workspace_id, [change.unit for change in changes])


def settle(session: Session, workspace_id: int, changes: Sequence[Change], *, now: datetime) -> None:
    """Write what changed units mean for all but their own rows; notes on each unit what the ledger has of it.

    Never puts a unit in twice: the ledger's key guards it, whatever runs at the same time.
    """
    booked = [change for change in changes if change.touches_ledger]
    if booked:
        Booking(session, workspace_id, usage_booking.periods_of(session, booked, now)).carry_out(booked)
    conversations = {
        name: [c.unit.conversation_id for c in changes if (c.opens, c.settles) == which]
        for name, which in (("opened", (True, False)), ("settled", (False, True)), ("passed", (True, True)))
    }
    reservations.follow(session, now, **conversations)


def take_out(
    session: Session, gateways: Gateways, workspace_id: int, conversation_id: str, episode: int
) -> bool:
    """Take a unit out of the ledger for good, as its contest was accepted; whether it stood there.

    In the caller's transaction, which locks the unit here and notes the contest on it itself.
    """
    now = gateways.clock.now()
    found = units.load(session, [conversation_id]).get(conversation_id, [])
    known = next((unit for unit in found if unit.episode == episode), None)
    if known is None or not known.counts:
        return False
    change = Change(known, replace(known))
    booking = Booking(session, workspace_id, usage_booking.periods_of(session, [change], now))
    booking.carry_out([change], note=usage_ledger.CONTESTED)
    units.store(session, workspace_id, [change.unit])
    session.expire_all()
    return True


def mature(gateways: Gateways) -> int:
    """Let every unit whose 24 hours are over become billable, at that very second; how many.

    A workspace that fails is logged and does not keep the others from their turn.
    """
    total, failed = 0, set[int]()
    for _round in range(ROUNDS):
        done = 0
        for workspace_id in _workspaces_with_due(gateways.clock.now(), failed):
            try:
                done += catch_up(gateways, workspace_id)
            except Exception:
                log.exception("maturing_failed", workspace=workspace_id)
                failed.add(workspace_id)
        total += done
        # what is left is being worked on by somebody, or fails; either way the next run looks again
        if not done or len(failed) >= MOST_FAILED:
            break
    return total


def _workspaces_with_due(now: datetime, without: set[int]) -> Sequence[int]:
    listed = (
        select(Resolution.workspace_id)
        .where(
            Resolution.state == rules.PENDING,
            Resolution.matures_at <= now,
            Resolution.workspace_id.not_in(without),
        )
        .order_by(Resolution.matures_at)
        .limit(LISTED)
        .subquery()
    )
    with unit_of_work(system=True) as session:
        return session.scalars(select(listed.c.workspace_id).distinct()).all()


def catch_up(gateways: Gateways, workspace_id: int) -> int:
    """Let what is due in one workspace become billable, a batch at a time; how many units."""
    total = 0
    while True:
        with unit_of_work(workspace_id) as session:
            done = _mature_batch(session, workspace_id, gateways.clock.now())
        total += done
        if done < BATCH:
            return total


def _mature_batch(session: Session, workspace_id: int, now: datetime) -> int:
    changes = [Change(unit, _matured(unit)) for unit in units.due(session, now, BATCH)]
    if changes:
        settle(session, workspace_id, changes, now=now)
        units.store(session, workspace_id, [change.unit for change in changes])
    return len(changes)


def _matured(unit: Unit) -> Unit:
    """No event lies between the answer and now, or it would have been derived from it already."""
    return replace(
        unit,
        state=rules.BILLABLE,
        kind=rules.ASSUMED,
        because=rules.ASSUMED,
        billable_at=unit.matures_at,
        matures_at=None,
    )
