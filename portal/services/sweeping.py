"""Purchases that a crash, a lost event or a closed tab left behind are taken up again, by the row."""

from datetime import timedelta
from functools import partial

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Attempt, Invoice, Subscription
from portal.services import attempt_states as states
from portal.services import (
    attempts,
    change_attempts,
    change_states,
    claims,
    credit_attempts,
    projections,
    quotes,
    subscriptions,
    turns,
    undoing,
)

BATCH = 100
# a request that is still at work is left alone
LEFT_BEHIND_AFTER = timedelta(seconds=30)
# Stripe lets an unpaid first invoice live for 23 hours
PAYMENT_LIFETIME = timedelta(hours=23)
ASK_AGAIN_AFTER = timedelta(minutes=10)


def sweep_attempts(gateways: Gateways, *, left_behind_after: timedelta = LEFT_BEHIND_AFTER) -> int:
    """Take up every attempt that nobody works on: finish it, ask Stripe about it, or let it expire.

    Returns how many. One that fails is logged and does not keep the others from their turn.
    """
    with unit_of_work(system=True) as session:
        due = _unfinished(session, left_behind_after) + _waiting(session)
    return turns.give(due, partial(resume, gateways), waits="attempt_waits")


def sweep_grace(gateways: Gateways) -> int:
    """Look again at subscriptions whose renewal failed: no event tells that their grace is over.

    A batch at a time, in any order, so that none that always fails stands in the way; returns how many.
    """
    with unit_of_work(system=True) as session:
        late = session.execute(
            select(Subscription.workspace_id, Subscription.stripe_id)
            .where(
                or_(Subscription.status == "past_due", _owes(gateways)),
                Subscription.status.in_(subscriptions.LIVE),
                Subscription.access == subscriptions.ACTIVE,
            )
            .order_by(func.random())
            .limit(BATCH)
        ).all()
    return turns.give(late, partial(_look_again, gateways), waits="grace_waits")


def _owes(gateways: Gateways) -> ColumnElement[bool]:
    """An invoice is open for longer than the grace, whatever the subscription's status."""
    return exists().where(
        Invoice.workspace_id == Subscription.workspace_id,
        Invoice.stripe_subscription_id == Subscription.stripe_id,
        Invoice.status == "open",
        Invoice.issued_at <= gateways.clock.now() - gateways.settings.grace,
    )


def _look_again(gateways: Gateways, _workspace_id: int, stripe_id: str) -> None:
    projections.refresh_subscription(gateways, stripe_id)


def _unfinished(session: Session, left_behind_after: timedelta) -> list[tuple[int, str]]:
    now = func.clock_timestamp()
    undone = Attempt.step.in_(states.UNDOING_ANY)
    begun = or_(Attempt.state == states.OPEN, undone)
    statement = (
        select(Attempt.workspace_id, Attempt.id)
        .where(begun, claims.is_free(Attempt), Attempt.updated_at < now - left_behind_after)
        .order_by(Attempt.updated_at)
        .limit(BATCH)
    )
    return [(workspace_id, attempt_id) for workspace_id, attempt_id in session.execute(statement)]


def _waiting(session: Session) -> list[tuple[int, str]]:
    statement = (
        select(Attempt.workspace_id, Attempt.id)
        .where(
            Attempt.state.in_((states.AWAITING_PAYMENT, states.PROCESSING)),
            Attempt.step == states.COLLECT,
            Attempt.updated_at < func.clock_timestamp() - ASK_AGAIN_AFTER,
        )
        .order_by(Attempt.updated_at)
        .limit(BATCH)
    )
    return [(workspace_id, attempt_id) for workspace_id, attempt_id in session.execute(statement)]


def resume(gateways: Gateways, workspace_id: int, attempt_id: str) -> None:
    """Take one attempt a step on, whatever it waits for. Nothing happens while somebody works on it."""
    with unit_of_work(workspace_id) as session:
        attempt = session.scalars(select(Attempt).where(Attempt.id == attempt_id)).one()
    if attempt.kind == quotes.CHANGE:
        _resume_change(gateways, workspace_id, attempt)
    elif attempt.kind == quotes.CREDITS:
        _note_look(workspace_id, attempt)
        credit_attempts.resume(gateways, workspace_id, attempt_id)
    elif attempt.step in states.UNDOING:
        _undo(gateways, workspace_id, attempt_id)
    elif attempt.state == states.OPEN and states.claim(workspace_id, attempt_id):
        attempts.carry_out(gateways, workspace_id, attempt_id)
    elif attempt.state in (states.AWAITING_PAYMENT, states.PROCESSING):
        _look(gateways, workspace_id, attempt)


def _resume_change(gateways: Gateways, workspace_id: int, attempt: Attempt) -> None:
    """A change has steps of its own; one not paid in time, or before the renewal, is given up."""
    _note_look(workspace_id, attempt)
    change_attempts.resume(gateways, workspace_id, attempt.id)
    with unit_of_work(workspace_id) as session:
        attempt = session.scalars(select(Attempt).where(Attempt.id == attempt.id)).one()
        now = gateways.clock.now()
        late = now - attempt.created_at > PAYMENT_LIFETIME
        late = late or change_states.keeps_a_plan_waiting(session, attempt, now)
    if attempt.state == states.AWAITING_PAYMENT and attempt.step == states.COLLECT and late:
        change_attempts.abandon(gateways, workspace_id, attempt.id, "expired")


def _note_look(workspace_id: int, attempt: Attempt) -> None:
    with unit_of_work(workspace_id) as session:
        session.execute(
            update(Attempt).where(Attempt.id == attempt.id).values(updated_at=func.clock_timestamp())
        )


def _undo(gateways: Gateways, workspace_id: int, attempt_id: str) -> None:
    if not states.claim(workspace_id, attempt_id):
        return
    try:
        undoing.undo(gateways, workspace_id, attempt_id)
    finally:
        states.release(workspace_id, attempt_id)


def _look(gateways: Gateways, workspace_id: int, attempt: Attempt) -> None:
    """Ask Stripe how the payment stands; what has not been paid in time is given up."""
    _note_look(workspace_id, attempt)
    if attempt.stripe_subscription_id is not None:
        projections.refresh_subscription(gateways, attempt.stripe_subscription_id)
    with unit_of_work(workspace_id) as session:
        attempt = session.scalars(select(Attempt).where(Attempt.id == attempt.id)).one()
    late = gateways.clock.now() - attempt.created_at > PAYMENT_LIFETIME
    if attempt.state == states.AWAITING_PAYMENT and late:
        attempts.abandon(gateways, workspace_id, attempt.id, "expired")
