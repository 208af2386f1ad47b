"""The rows of what people ask about paying: begun once, claimed by whoever works on them, then followed.

An action's id and step are the idempotency key at Stripe; every step can be done again.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, UnavailableError
from portal.gateways.stripe_errors import StripeRefusedError
from portal.models import Invoice, PaymentAction, PaymentMethod
from portal.models.base import JSON
from portal.services import audit, claims
from portal.services.attempt_states import CLAIM
from portal.services.ids import new_id

ADD = "add"
DEFAULT = "default"
REMOVE = "remove"
PAY = "pay"

OPEN = "open"
AWAITING = "awaiting"
PROCESSING = "processing"
DONE = "done"
REFUSED = "refused"
REPLACED = "replaced"
LIVE = (OPEN, AWAITING, PROCESSING)

SETUP = "setup"
COLLECT = "collect"
CUSTOMER = "customer"
SUBSCRIPTION = "subscription"
DETACH = "detach"
CHARGE = "charge"
FINISH = "finish"
ENDED = "ended"

GO_ON = "payments.go_on"

NOUNS = {ADD: "payment_method.add", DEFAULT: "payment_method.default", REMOVE: "payment_method.remove"}


class StillWorkingError(UnavailableError):
    """It is not known yet what Stripe did; the action goes on by itself, and nothing is done twice."""

    code = "still_working"

    def __init__(self, log: str | None = None) -> None:
        super().__init__(
            N_("Stripe has not answered yet. We go on by ourselves, and nothing is done twice."), log=log
        )


class ArrangingError(ConflictError):
    """Somebody changes the payment methods at this moment."""

    code = "arranging"

    def __init__(self) -> None:
        super().__init__(
            N_("Somebody changes the payment methods at this moment. Look at the list and try again.")
        )


class RefusedError(ConflictError):
    """Stripe said a definite no."""

    code = "payment_action_refused"


def begin(
    session: Session,
    kind: str,
    *,
    step: str,
    user_id: int | None,
    action_id: str | None = None,
    was: str | None = None,
    **facts: object,
) -> PaymentAction | None:
    """Write the intent, claimed by the caller; nothing when one of its kind is in the way.

    ``was``: the id of the method that another takes the place of.
    """
    now = session.execute(select(func.clock_timestamp())).scalar_one()
    action = PaymentAction(
        id=action_id or new_id("P"),
        kind=kind,
        state=OPEN,
        step=step,
        created_by=user_id,
        claimed_until=now + CLAIM,
        created_at=now,
        updated_at=now,
        **facts,
    )
    try:
        with session.begin_nested():
            session.add(action)
    except IntegrityError:
        return None
    audit.record(
        session,
        _noun(kind, "asked"),
        user_id=user_id,
        **_from_what_to_what(session, action, was),
        invoice_id=action.stripe_invoice_id,
    )
    return action


def _from_what_to_what(session: Session, action: PaymentAction, was: str | None) -> dict[str, Any]:
    """The method before and after, by name; what is removed has no after."""
    asked = {"method": _named(session, action.stripe_method_id)}
    if action.kind == REMOVE:
        return {"before": asked, "after": {"action": action.id, "method": None}}
    return {"before": {"method": _named(session, was)}, "after": {"action": action.id, **asked}}


def _named(session: Session, method_id: str | None) -> JSON | None:
    row = session.scalars(select(PaymentMethod).where(PaymentMethod.stripe_id == method_id)).first()
    return {name: getattr(row, name) for name in ("type", "brand", "last4", "email")} if row else None


def _noun(kind: str, verb: str) -> str:
    return f"invoice.payment_{verb}" if kind == PAY else f"{NOUNS[kind]}_{verb}"


def find(session: Session, action_id: str) -> PaymentAction | None:
    """One action of the entered workspace, or nothing."""
    return session.scalars(select(PaymentAction).where(PaymentAction.id == action_id)).first()


def locked(session: Session, action_id: str) -> PaymentAction:
    """The action, locked until the transaction ends."""
    return session.scalars(select(PaymentAction).where(PaymentAction.id == action_id).with_for_update()).one()


def load(workspace_id: int, action_id: str) -> PaymentAction:
    """The action as it now is."""
    with unit_of_work(workspace_id) as session:
        return session.scalars(select(PaymentAction).where(PaymentAction.id == action_id)).one()


def of_intent(intent_id: str) -> tuple[int, str] | None:
    """Workspace and id of the action that waits for this setup intent, if one does."""
    with unit_of_work(system=True) as session:
        found = session.execute(
            select(PaymentAction.workspace_id, PaymentAction.id).where(
                PaymentAction.kind == ADD, PaymentAction.stripe_intent_id == intent_id
            )
        ).first()
    return (found[0], found[1]) if found else None


def paying(session: Session, invoice_id: str) -> PaymentAction | None:
    """The live action that pays this invoice, if there is one."""
    return session.scalars(
        select(PaymentAction).where(
            PaymentAction.kind == PAY,
            PaymentAction.stripe_invoice_id == invoice_id,
            PaymentAction.state.in_(LIVE),
        )
    ).first()


def last_of_invoice(session: Session, invoice_id: str) -> PaymentAction | None:
    """The newest action that was to pay this invoice."""
    return session.scalars(
        select(PaymentAction)
        .where(PaymentAction.kind == PAY, PaymentAction.stripe_invoice_id == invoice_id)
        .order_by(PaymentAction.created_at.desc())
        .limit(1)
    ).first()


def arranging(session: Session) -> PaymentAction | None:
    """The live change of the default or removal of a method, if there is one."""
    return session.scalars(
        select(PaymentAction).where(PaymentAction.kind.in_((DEFAULT, REMOVE)), PaymentAction.state.in_(LIVE))
    ).first()


def claim(workspace_id: int, action_id: str) -> bool:
    """Take the action to work on it; False while somebody else does."""
    return claims.take(workspace_id, PaymentAction, PaymentAction.id == action_id, lasting=CLAIM)


def release(workspace_id: int, action_id: str) -> None:
    """Let others work on it."""
    claims.let_go(workspace_id, PaymentAction, PaymentAction.id == action_id)


def move(
    session: Session,
    action: PaymentAction,
    state: str,
    *,
    step: str | None = None,
    error: Mapping[str, object] | None = None,
    actor: str = audit.SYSTEM,
) -> None:
    """Set state and step, hold the claim for as long as the next call may take, and keep the history."""
    now = session.execute(select(func.clock_timestamp())).scalar_one()
    before, action.state = action.state, state
    action.step = step or (ENDED if state not in LIVE else action.step)
    action.updated_at = now
    action.claimed_until = now + CLAIM if state == OPEN else None
    if error is not None or state == DONE:
        action.error = dict(error) if error else None
    if state != before:
        audit.record(
            session,
            _noun(action.kind, state),
            actor=actor,
            before={"state": before},
            after={"state": state, "action": action.id, "error": action.error},
            invoice_id=action.stripe_invoice_id,
        )


def advance(workspace_id: int, action_id: str, step: str) -> PaymentAction:
    """The action after one more step is done."""
    with unit_of_work(workspace_id) as session:
        action = locked(session, action_id)
        move(session, action, action.state, step=step)
    return action


def settle(
    workspace_id: int, action_id: str, state: str, *, error: Mapping[str, object] | None = None
) -> PaymentAction:
    """The action with a new state, unless it has ended already."""
    with unit_of_work(workspace_id) as session:
        action = locked(session, action_id)
        if action.state in LIVE:
            move(session, action, state, error=error)
    return action


def refusal(error: StripeRefusedError) -> dict[str, object]:
    """What is kept of a definite no."""
    return {"code": error.stripe_code, "decline_code": error.decline_code, "message": str(error.message)}


def follow_invoice(session: Session, invoice: Invoice) -> PaymentAction | None:
    """Move the action that pays this invoice to where its payment is, as Stripe says; that if it ended."""
    action = paying(session, invoice.stripe_id)
    if action is None:
        return None
    action = locked(session, action.id)
    payment = invoice.payment or {}
    error = payment.get("error")
    if invoice.status == "paid":
        move(session, action, DONE, actor=audit.STRIPE)
    elif invoice.status != "open":
        move(session, action, REPLACED, actor=audit.STRIPE)
    elif payment.get("state") == "processing":
        move(session, action, PROCESSING, actor=audit.STRIPE)
    elif action.state == PROCESSING and payment.get("state") == "requires_payment_method":
        move(session, action, REFUSED, error=error if isinstance(error, dict) else None, actor=audit.STRIPE)
    return None if action.state in LIVE else action
