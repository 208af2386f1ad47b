"""A bank debit that settles after another method was chosen: Stripe makes what paid the default again."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.gateways.stripe_change_words import DELAYED_METHODS
from portal.models import AuditEntry, PaymentAction, PaymentMethod, Subscription
from portal.services import payment_actions as actions

# what somebody pays for there and then
PAYING = ("quote.confirmed", "invoice.payment_asked")


def keep_chosen(session: Session, row: Subscription, *, paid_by: object) -> PaymentAction | None:
    """Begin to take the next payments from what was chosen last, if a debit from before took its place.

    The projection of the subscription has just been written; ``paid_by`` is the id of the method that stood
    there before. The sweeper carries the action out. A debit that somebody began after choosing is left: who
    pays with something new chooses it.
    """
    now_by = row.default_payment_method or {}
    if paid_by == now_by.get("id") or now_by.get("type") not in DELAYED_METHODS:
        return None
    chosen = session.scalars(
        select(PaymentAction)
        .where(PaymentAction.kind == actions.DEFAULT, PaymentAction.state == actions.DONE)
        .order_by(PaymentAction.created_at.desc())
        .limit(1)
    ).first()
    if chosen is None or chosen.stripe_method_id == now_by["id"]:
        return None
    # before its first payment a subscription has no method of its own, the customer has
    if paid_by not in (None, chosen.stripe_method_id) or _paid_since(session, chosen):
        return None
    kept = select(PaymentMethod.stripe_id).where(
        PaymentMethod.stripe_id == chosen.stripe_method_id, PaymentMethod.removed_at.is_(None)
    )
    if session.scalar(kept) is None:
        return None
    action = actions.begin(
        session,
        actions.DEFAULT,
        step=actions.SUBSCRIPTION,
        user_id=None,
        was=str(now_by["id"]),
        stripe_method_id=chosen.stripe_method_id,
    )
    if action is not None:
        action.claimed_until = None
    return action


def _paid_since(session: Session, chosen: PaymentAction) -> bool:
    """Whether somebody bought, changed or paid something after choosing, by the order of the history."""
    asked = f"{actions.NOUNS[actions.DEFAULT]}_asked"
    written = select(func.max(AuditEntry.id))
    choice = session.scalar(
        written.where(AuditEntry.action == asked, AuditEntry.after["action"].astext == chosen.id)
    )
    paying = session.scalar(written.where(AuditEntry.action.in_(PAYING)))
    return choice is None or (paying or 0) > choice
