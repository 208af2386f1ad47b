"""The states of an attempt: who may work on it, and how it follows what Stripe says about its purchase."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_words import Intent
from portal.models import Attempt, BillingDetails, Quote, Subscription
from portal.services import audit, claims, subscriptions

OPEN = "open"
AWAITING_PAYMENT = "awaiting_payment"
PROCESSING = "processing"
SUCCEEDED = "succeeded"
REFUSED = "refused"
ABANDONED = "abandoned"
FAILED = "failed"
LIVE = (OPEN, AWAITING_PAYMENT, PROCESSING)

CREATE = "create_subscription"
COMPARE = "compare"
COLLECT = "collect"
VOID = "void_invoice"
CANCEL = "cancel_subscription"
DONE = "done"
UNDOING = (VOID, CANCEL)

# the steps of a change, beside compare, collect and void_invoice
RELEASE = "release_schedule"
UPDATE = "update_subscription"
PLAN = "plan"
TAKE_BACK = "take_back"
RESTORE = "restore_plan"
UNDOING_CHANGE = (VOID, TAKE_BACK, RESTORE)
UNDOING_ANY = (*UNDOING, TAKE_BACK, RESTORE)

# of a pack of credits, beside compare, collect and void_invoice
FINALIZE = "finalize_invoice"

# one call takes at most three tries of 15 seconds and the pauses between them
CLAIM = timedelta(seconds=60)
RESUME = "attempts.resume"


def follow(
    session: Session, gateways: Gateways, row: Subscription, payment: Intent | None, setup: Intent | None
) -> None:
    """Move the attempt that made this subscription to where its payment is.

    One that is being undone is left alone, and so is one whose invoice has not been compared yet.
    """
    attempt = session.scalars(select(Attempt).where(Attempt.id == row.attempt_id).with_for_update()).first()
    if attempt is None or attempt.step not in (COLLECT, DONE):
        return
    intent = payment if payment is not None and payment.status != "canceled" else setup
    if intent is not None:
        attempt.intent_status = intent.status
        attempt.error = intent.error.as_dict() if intent.error else None
    state = _state(attempt.state, row)
    if state == attempt.state:
        return
    attempt.step = COLLECT if state in LIVE else DONE
    move(session, attempt, state, actor=audit.STRIPE)
    if state == FAILED:
        # a subscription that was never paid must not renew
        attempt.step = CANCEL
        gateways.jobs.defer(session, RESUME, workspace_id=attempt.workspace_id, attempt_id=attempt.id)
    if state == SUCCEEDED:
        _note_trial(session, attempt, row, gateways.clock.now())


def _state(state: str, row: Subscription) -> str:
    if row.access in (subscriptions.ACTIVE, subscriptions.OVER):
        return SUCCEEDED if state in LIVE else state
    if row.access == subscriptions.PAYMENT_PENDING:
        return PROCESSING if state in LIVE else state
    if row.access == subscriptions.LIMITED:
        return FAILED if state in LIVE else state
    if row.status in subscriptions.ENDED and state in LIVE:
        return ABANDONED
    return state


def move(session: Session, attempt: Attempt, state: str, *, actor: str, user_id: int | None = None) -> None:
    """Set the attempt's state and keep the change in the history."""
    before: dict[str, object] = {"state": attempt.state}
    attempt.state = state
    audit.record(
        session,
        f"attempt.{state}",
        user_id=user_id,
        actor=actor,
        before=before,
        after={"state": state, "step": attempt.step, "error": attempt.error},
        quote_id=attempt.quote_id,
    )


def _note_trial(session: Session, attempt: Attempt, row: Subscription, now: datetime) -> None:
    quote = session.scalars(select(Quote).where(Quote.id == attempt.quote_id)).one()
    if quote.trial_days:
        details = session.scalars(select(BillingDetails)).one()
        details.trial_used_at = details.trial_used_at or row.started_at or now


def locked(session: Session, attempt_id: str) -> Attempt:
    """The attempt, locked until the transaction ends."""
    return session.scalars(select(Attempt).where(Attempt.id == attempt_id).with_for_update()).one()


def database_time(session: Session) -> datetime:
    """The database's time, by which claims run out."""
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now


def claim(workspace_id: int, attempt_id: str) -> bool:
    """Take the attempt to work on it; False while somebody else does."""
    return claims.take(workspace_id, Attempt, Attempt.id == attempt_id, lasting=CLAIM)


def release(workspace_id: int, attempt_id: str) -> None:
    """Let others work on it."""
    claims.let_go(workspace_id, Attempt, Attempt.id == attempt_id)


def advance(session: Session, attempt: Attempt, step: str) -> None:
    """Note that the next step begins, and hold the claim for as long as it may take."""
    attempt.step = step
    attempt.claimed_until = database_time(session) + CLAIM


def close(workspace_id: int, attempt_id: str, state: str, error: dict[str, object] | None = None) -> None:
    """End the attempt in ``state``; an error given before is kept unless there is a new one."""
    with unit_of_work(workspace_id) as session:
        attempt = locked(session, attempt_id)
        attempt.step = DONE
        attempt.error = error or attempt.error
        if attempt.state != state:
            move(session, attempt, state, actor=audit.SYSTEM)
