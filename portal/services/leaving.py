"""Ending the subscription, at the end of what is paid or at once, and keeping it after all.

One row per intent, committed before Stripe hears of it; whoever works on it claims it, and every step can be
done again under the key ``<id>:<step>``. Call nothing here inside a transaction.
"""

from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, UnavailableError
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError, StripeUnknownError
from portal.gateways.stripe_words import Invoice
from portal.gateways.stripe_words import Subscription as AtStripe
from portal.models import Cancellation, Subscription
from portal.services import (
    attempt_states,
    audit,
    claims,
    deletion,
    incidents,
    letters,
    planned_changes,
    projections,
    second_click,
    subscriptions,
    turns,
)
from portal.services import billing_details as details_of
from portal.services.change_errors import NotPlannedError
from portal.services.ids import new_id

log = structlog.get_logger()

AT_PERIOD_END = "at_period_end"
NOW = "now"
KEEP = "keep"
KINDS = (AT_PERIOD_END, NOW, KEEP)

OPEN = "open"
FINISHED = "done"
REFUSED = "refused"

UNDO_PLANNED = "undo_planned"
ASK = "ask"
DONE = "done"

# Stripe's words for why, in the order in which they are offered (docs.stripe.com/api/subscriptions/cancel)
FEEDBACK = (
    "too_expensive",
    "missing_features",
    "switched_service",
    "unused",
    "customer_service",
    "too_complex",
    "low_quality",
    "other",
)
LETTERS = {AT_PERIOD_END: "subscription_ending", NOW: "subscription_ended", KEEP: "subscription_kept"}

LEFT_BEHIND_AFTER = timedelta(seconds=30)
BATCH = 100


class NothingToEndError(ConflictError):
    """The workspace has no subscription that could end or be kept."""

    code = "no_subscription"

    def __init__(self) -> None:
        super().__init__(N_("There is no running subscription here. Nothing was changed."))


class StillEndingError(UnavailableError):
    """It is not known yet what Stripe did; it goes on by itself, and nothing is done twice."""

    code = "still_ending"

    def __init__(self, log: str | None = None) -> None:
        super().__init__(
            N_(
                "We have noted it, and Stripe has not answered yet. It goes on by itself; look again shortly."
            ),
            log=log,
        )


class EndingRefusedError(ConflictError):
    """Stripe said a definite no; nothing changed."""

    code = "ending_refused"


def ask(
    gateways: Gateways,
    workspace_id: int,
    user_id: int | None,
    kind: str,
    *,
    feedback: str | None = None,
    comment: str | None = None,
) -> None:
    """Have it so: ``kind`` is at_period_end, now or keep. Where it is so already, nothing happens.

    Raises NothingToEndError, EndingRefusedError (a definite no) or StillEndingError (it goes on by itself).
    """
    for _look in second_click.looks():
        found = _begin(gateways, workspace_id, user_id, kind, feedback, comment)
        if found is None:
            return
        if _claim(workspace_id, found.id):
            _carry_out(gateways, workspace_id, found.id)
            if found.kind == kind:
                return
    raise StillEndingError(log=f"a cancellation of workspace {workspace_id} is being worked on")


def _begin(
    gateways: Gateways,
    workspace_id: int,
    user_id: int | None,
    kind: str,
    feedback: str | None,
    comment: str | None,
) -> Cancellation | None:
    """The intent to carry out, committed: one that is open already, else a new one, else none."""
    try:
        with unit_of_work(workspace_id) as session:
            if found := under_way(session):
                return found
            subscription = subscriptions.bought(session)
            if subscription is None:
                if kind == NOW and _ended(session):
                    return None
                raise NothingToEndError
            if kind != NOW and (subscription.cancel_at is None) == (kind == KEEP):
                return None
            return _written(session, subscription, user_id, kind, feedback, comment, gateways.clock.now())
    except IntegrityError as error:
        if "uq_cancellation_open" not in str(error.orig):
            raise
    with unit_of_work(workspace_id) as session:
        return under_way(session)


def _written(
    session: Session,
    subscription: Subscription,
    user_id: int | None,
    kind: str,
    feedback: str | None,
    comment: str | None,
    now: datetime,
) -> Cancellation:
    ends_at = {AT_PERIOD_END: period_end(subscription), NOW: now, KEEP: subscription.cancel_at}[kind]
    row = Cancellation(
        id=new_id("E"),
        kind=kind,
        state=OPEN,
        step=ASK if kind == KEEP else UNDO_PLANNED,
        stripe_subscription_id=subscription.stripe_id,
        feedback=feedback,
        comment=comment,
        ends_at=ends_at,
        created_by=user_id,
        created_at=now,
    )
    session.add(row)
    session.flush()
    audit.record(session, "cancellation.asked", user_id=user_id, after=_facts(row))
    return row


def under_way(session: Session) -> Cancellation | None:
    """The intent that is not carried out yet, if there is one."""
    return session.scalars(select(Cancellation).where(Cancellation.state == OPEN)).first()


def _ended(session: Session) -> bool:
    found = subscriptions.current(session)
    return found is not None and found.status in subscriptions.ENDED


def period_end(subscription: Subscription) -> datetime | None:
    """Until when the seats are paid, or tried: when a subscription that is cancelled ends."""
    if subscription.status == "trialing":
        return subscription.trial_end
    return subscription.renews_at


def open_usage(gateways: Gateways, subscription: Subscription) -> Invoice | None:
    """What ending it now would bill; nothing when nothing is open. Raises the gateway's errors."""
    return gateways.stripe.leaving.open_usage(subscription.stripe_id)


# --- carrying out ------------------------------------------------------------------------------------


def _carry_out(gateways: Gateways, workspace_id: int, cancellation_id: str) -> None:
    """Take a claimed intent to its end, from whichever step it had reached, and let it go."""
    try:
        row = _load(workspace_id, cancellation_id)
        if row.state != OPEN:
            return
        if row.step == UNDO_PLANNED:
            _undo_planned(gateways, row)
            _advance(workspace_id, cancellation_id, ASK)
        if row.kind == AT_PERIOD_END:
            _report_if_late(gateways, row)
        answered = _asked(gateways, row)
        projections.refresh_subscription(gateways, answered.id)
        _close(gateways, row, FINISHED)
    except StripeRefusedError as refusal:
        error: dict[str, object] = {"code": refusal.stripe_code, "message": refusal.message}
        _close(gateways, row, REFUSED, error)
        raise EndingRefusedError(refusal.message, log=str(refusal)) from refusal
    except StripeUnknownError as unknown:
        raise StillEndingError(log=str(unknown)) from unknown
    finally:
        _release(workspace_id, cancellation_id)


def _asked(gateways: Gateways, row: Cancellation) -> AtStripe:
    door, key = gateways.stripe.leaving, f"{row.id}:{ASK}"
    if row.kind == KEEP:
        # a schedule may hold the end
        planned_changes.release(gateways, row.workspace_id)
        return door.keep(row.stripe_subscription_id, key=key)
    end = door.end_at_period_end if row.kind == AT_PERIOD_END else door.end_now
    return end(row.stripe_subscription_id, feedback=row.feedback, comment=row.comment, key=key)


def _report_if_late(gateways: Gateways, row: Cancellation) -> None:
    """Asked for in time and carried out after the renewal: it ends a period later, and support gives back."""
    if row.ends_at is None or gateways.clock.now() < row.ends_at:
        return
    with unit_of_work(row.workspace_id) as session:
        incidents.report(
            session,
            gateways,
            "cancellation_late",
            dedupe_key=f"cancellation_late:{row.id}",
            workspace_id=row.workspace_id,
            summary="A subscription renewed before Stripe heard that it was to end; give the renewal back",
            details={"cancellation": row.id, "subscription": row.stripe_subscription_id},
        )


def _undo_planned(gateways: Gateways, row: Cancellation) -> None:
    """A change that waits for the renewal will never come, and its schedule holds the end; it goes first."""
    try:
        planned_changes.undo(gateways, row.workspace_id, row.created_by)
    except NotPlannedError:
        # none, or undone by an earlier try that died before Stripe had heard of it
        log.info("nothing_planned", cancellation=row.id)
    planned_changes.release(gateways, row.workspace_id)


def _load(workspace_id: int, cancellation_id: str) -> Cancellation:
    with unit_of_work(workspace_id) as session:
        return session.scalars(select(Cancellation).where(Cancellation.id == cancellation_id)).one()


def _advance(workspace_id: int, cancellation_id: str, step: str) -> None:
    with unit_of_work(workspace_id) as session:
        row = _locked(session, cancellation_id)
        row.step = step
        row.claimed_until = attempt_states.database_time(session) + attempt_states.CLAIM


def _close(gateways: Gateways, row: Cancellation, state: str, error: dict[str, object] | None = None) -> None:
    with unit_of_work(row.workspace_id) as session:
        locked = _locked(session, row.id)
        if locked.state != OPEN:
            return
        locked.state, locked.step, locked.error = state, DONE, error
        subscription = session.scalars(
            select(Subscription).where(Subscription.stripe_id == locked.stripe_subscription_id)
        ).one()
        if state == FINISHED and locked.kind != KEEP:
            locked.ends_at = subscription.ended_at or subscription.cancel_at
        audit.record(session, f"cancellation.{state}", user_id=locked.created_by, after=_facts(locked))
        # metered prices of a month to come are planned whether it ends later or goes on
        gateways.jobs.defer(session, planned_changes.MIRROR, workspace_id=row.workspace_id)
        if state != FINISHED:
            return
        if locked.kind == NOW and locked.ends_at is not None:
            deletion.count_from(session, locked.ends_at)
        if locked.kind == KEEP:
            deletion.withdraw_because_kept(session, gateways, locked.created_by)
        _tell(session, gateways, locked, subscription)


def _tell(session: Session, gateways: Gateways, row: Cancellation, subscription: Subscription) -> None:
    details = details_of.current(session)
    if details is None:
        return
    # of an end the projection may have told already
    ended = f"subscription_ended:{subscription.stripe_id}"
    letters.tell(
        session,
        gateways,
        details,
        LETTERS[row.kind],
        ended if row.kind == NOW else f"cancellation:{row.id}",
        {
            "ends_at": row.ends_at,
            "renews_at": period_end(subscription),
            "trial": subscriptions.ends_in_trial(subscription, row.ends_at),
        },
    )


def _facts(row: Cancellation) -> dict[str, object]:
    facts: dict[str, object] = {"kind": row.kind, "ends_at": row.ends_at.isoformat() if row.ends_at else None}
    # not the comment: the history is never changed, and a free text may have to be deleted
    given = {"feedback": row.feedback, "error": row.error}
    return facts | {name: value for name, value in given.items() if value}


# --- claims and the sweeper --------------------------------------------------------------------------


def _locked(session: Session, cancellation_id: str) -> Cancellation:
    return session.scalars(
        select(Cancellation).where(Cancellation.id == cancellation_id).with_for_update()
    ).one()


def _claim(workspace_id: int, cancellation_id: str) -> bool:
    own = (Cancellation.id == cancellation_id, Cancellation.state == OPEN)
    return claims.take(workspace_id, Cancellation, *own, lasting=attempt_states.CLAIM)


def _release(workspace_id: int, cancellation_id: str) -> None:
    claims.let_go(workspace_id, Cancellation, Cancellation.id == cancellation_id)


def sweep(gateways: Gateways, *, left_behind_after: timedelta = LEFT_BEHIND_AFTER) -> int:
    """Take up every intent that a crash or a silent Stripe left behind; returns how many.

    One that fails is logged and does not keep the others from their turn.
    """
    late = Cancellation.updated_at < func.clock_timestamp() - left_behind_after
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(Cancellation.workspace_id, Cancellation.id)
            .where(Cancellation.state == OPEN, claims.is_free(Cancellation), late)
            .order_by(Cancellation.updated_at)
            .limit(BATCH)
        ).all()
    return turns.give(due, partial(_go_on, gateways), waits="cancellation_waits")


def _go_on(gateways: Gateways, workspace_id: int, cancellation_id: str) -> None:
    if _claim(workspace_id, cancellation_id):
        _carry_out(gateways, workspace_id, cancellation_id)
