"""What a crash, a silent Stripe or a closed tab left of payments; and cards that are about to expire."""

from datetime import date, datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import BillingDetails, PaymentAction, PaymentMethod, Subscription
from portal.services import (
    claims,
    letters,
    method_changes,
    payment_methods,
    payments,
    subscriptions,
    turns,
)
from portal.services import payment_actions as actions
from portal.services.sweeping import ASK_AGAIN_AFTER, BATCH, LEFT_BEHIND_AFTER, PAYMENT_LIFETIME

log = structlog.get_logger()

# how many days before a card's last day it is mailed
NOTICES = (7, 30)


def sweep(gateways: Gateways, *, left_behind_after: timedelta = LEFT_BEHIND_AFTER) -> int:
    """Take up every action that nobody works on; returns how many. One that fails stops no other."""
    with unit_of_work(system=True) as session:
        due = _due(session, left_behind_after)
    return turns.give(due, partial(resume, gateways), waits="payment_waits")


def _due(session: Session, left_behind_after: timedelta) -> list[tuple[int, str]]:
    now = func.clock_timestamp()
    left = (PaymentAction.state == actions.OPEN) & (PaymentAction.updated_at < now - left_behind_after)
    waits = PaymentAction.state.in_((actions.AWAITING, actions.PROCESSING))
    asked = waits & (PaymentAction.updated_at < now - ASK_AGAIN_AFTER)
    statement = (
        select(PaymentAction.workspace_id, PaymentAction.id)
        .where(claims.is_free(PaymentAction), or_(left, asked))
        .order_by(PaymentAction.updated_at)
        .limit(BATCH)
    )
    return [(workspace_id, action_id) for workspace_id, action_id in session.execute(statement)]


def resume(gateways: Gateways, workspace_id: int, action_id: str) -> None:
    """Take one action a step on, whatever it waits for; what nobody went on with is closed."""
    action = actions.load(workspace_id, action_id)
    with unit_of_work(workspace_id) as session:
        actions.locked(session, action_id).updated_at = now = _now(session)
    if action.kind == actions.PAY:
        payments.resume(gateways, workspace_id, action_id)
    elif action.state == actions.AWAITING:
        method_changes.follow_setup(gateways, workspace_id, action_id)
    elif action.kind != actions.ADD and actions.claim(workspace_id, action_id):
        method_changes.arrange(gateways, workspace_id, action_id)
    given_up = action.state == actions.AWAITING or action.kind == actions.ADD
    if given_up and now - action.created_at > PAYMENT_LIFETIME:
        actions.settle(workspace_id, action_id, actions.REPLACED)


def _now(session: Session) -> datetime:
    now: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return now


# --- cards that expire ---------------------------------------------------------------------------------


def announce_expiring(gateways: Gateways) -> int:
    """Mail of cards that pay a live subscription and end within thirty days, and again within seven.

    Returns how many mails were queued; each is queued once for each card and date.
    """
    today = gateways.clock.now().date()
    soonest = func.make_date(PaymentMethod.exp_year, PaymentMethod.exp_month, 1)
    with unit_of_work(system=True) as session:
        due = session.scalars(
            select(PaymentMethod.workspace_id)
            .distinct()
            .where(
                PaymentMethod.removed_at.is_(None),
                PaymentMethod.exp_month.between(1, 12),
                PaymentMethod.exp_year.between(2000, 9998),
                soonest <= today + timedelta(days=max(NOTICES)),
                soonest >= today - timedelta(days=31),
                Subscription.workspace_id == PaymentMethod.workspace_id,
                Subscription.status.in_(subscriptions.LIVE),
            )
        ).all()
    return sum(_announce(gateways, workspace_id, today) for workspace_id in due)


def _announce(gateways: Gateways, workspace_id: int, today: date) -> bool:
    try:
        with unit_of_work(workspace_id) as session:
            return _announce_one(session, gateways, today)
    except Exception:
        log.exception("expiry_not_announced", workspace=workspace_id)
        return False


def _announce_one(session: Session, gateways: Gateways, today: date) -> bool:
    live = payment_methods.live_subscription(session)
    method = payment_methods.expiring(session, today) if live else None
    details = session.scalars(select(BillingDetails)).first()
    if method is None or method.last_day is None or details is None or method.last_day < today:
        return False
    left = (method.last_day - today).days
    notice = next(days for days in NOTICES if left <= days)
    return letters.tell(
        session,
        gateways,
        details,
        "card_expiring",
        f"card_expiring:{method.id}:{method.last_day.isoformat()}:{notice}",
        {"method": method.as_dict(), "last_day": method.last_day},
    )
