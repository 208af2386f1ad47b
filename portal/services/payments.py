"""Paying an invoice that is open: what is owed and until when work goes on, and the one click that pays it.

An invoice has one payment intent at Stripe, so that it is paid once, whatever is pressed where. A click is an
action, committed before Stripe hears of it; its id and step are the idempotency key.
"""

from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Interval, Select, cast, func, or_, select, update
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, PortalError
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError, StripeUnknownError
from portal.models import Invoice, PaymentAction
from portal.services import dues, invoices, projections, second_click
from portal.services import payment_actions as actions
from portal.services import payment_methods as methods
from portal.services.payment_actions import RefusedError, StillWorkingError

log = structlog.get_logger()

NEEDS_SCRIPT = N_("A new card or account is typed into a form of Stripe's, which needs JavaScript.")

# Stripe forgets a key after 24 hours; what was not settled by then is not charged any more
KEY_LIFETIME = timedelta(hours=23)
ASK_STRIPE_EVERY = timedelta(seconds=2)


@dataclass(frozen=True)
class Payment:
    """What came of a click: ``name`` is paid, processing, action (the bank asks) or collect (type it in).

    With the last two the browser goes on with ``client_secret``.
    """

    name: str
    client_secret: str | None = None


# --- paying --------------------------------------------------------------------------------------------


def pay(
    gateways: Gateways, workspace_id: int, user_id: int | None, invoice_id: str, method_id: str | None
) -> Payment:
    """Pay the invoice from a stored method; without one, what the browser needs to pay with a new one.

    A second click gets the first one's result. Raises NotFoundError, NotPayableError, OnItsWayError,
    RefusedError (with ``decline``), StillWorkingError.
    """
    with unit_of_work(workspace_id) as session:
        if invoices.get(session, invoice_id).status == "paid":
            return Payment("paid")
        dues.payable(session, invoice_id)
        chosen = methods.get(session, method_id).id if method_id else None
        under_way = actions.paying(session, invoice_id)
        if under_way is not None and under_way.state == actions.AWAITING:
            actions.move(session, actions.locked(session, under_way.id), actions.REPLACED)
            under_way = None
    if under_way is not None:
        return _result_of(gateways, workspace_id, under_way.id)
    return _begin(gateways, workspace_id, user_id, invoice_id, chosen)


def _begin(
    gateways: Gateways, workspace_id: int, user_id: int | None, invoice_id: str, method_id: str | None
) -> Payment:
    step = actions.CHARGE if method_id else actions.COLLECT
    with unit_of_work(workspace_id) as session:
        action = actions.begin(
            session,
            actions.PAY,
            step=step,
            user_id=user_id,
            stripe_invoice_id=invoice_id,
            stripe_method_id=method_id,
        )
        if action is None:
            under_way = actions.paying(session, invoice_id)
            if under_way is None:
                raise StillWorkingError(log=f"invoice {invoice_id} was paid by another click just now")
            action_id = under_way.id
    if action is None:
        return _result_of(gateways, workspace_id, action_id)
    return carry_out(gateways, workspace_id, action.id)


def _result_of(gateways: Gateways, workspace_id: int, action_id: str) -> Payment:
    """What the first click led to; wait for it, and go on in its place should it have died."""
    for _look in second_click.looks():
        if actions.load(workspace_id, action_id).state != actions.OPEN:
            return _outcome(gateways, actions.load(workspace_id, action_id))
        if actions.claim(workspace_id, action_id):
            return carry_out(gateways, workspace_id, action_id)
    raise StillWorkingError(log=f"action {action_id} is still being worked on")


def carry_out(gateways: Gateways, workspace_id: int, action_id: str) -> Payment:
    """Take a claimed action as far as it goes without the person, and let it go.

    Raises RefusedError, StillWorkingError (the sweeper goes on, under the same key).
    """
    action = actions.load(workspace_id, action_id)
    try:
        if action.state == actions.OPEN and action.step == actions.CHARGE:
            _charge(gateways, workspace_id, action)
        if action.state == actions.OPEN:
            _look(gateways, workspace_id, action)
        return _outcome(gateways, actions.load(workspace_id, action_id))
    except StripeUnknownError as unknown:
        raise StillWorkingError(log=str(unknown)) from unknown
    finally:
        actions.release(workspace_id, action_id)


def _charge(gateways: Gateways, workspace_id: int, action: PaymentAction) -> None:
    with unit_of_work() as session:
        now = session.execute(select(func.clock_timestamp())).scalar_one()
    if now - action.created_at > KEY_LIFETIME:
        actions.settle(workspace_id, action.id, actions.REPLACED, error={"code": "expired"})
        return
    try:
        gateways.stripe.payments.pay(
            str(action.stripe_invoice_id),
            str(action.stripe_method_id),
            key=f"{action.id}:{action.step}",
            # what is bought by itself is paid while nobody is there
            present=action.created_by is not None,
        )
    except StripeRefusedError as refusal:
        invoice = gateways.stripe.invoice(str(action.stripe_invoice_id))
        if invoice.status == "open":
            actions.settle(workspace_id, action.id, actions.REFUSED, error=actions.refusal(refusal))


def _look(gateways: Gateways, workspace_id: int, action: PaymentAction) -> None:
    """Read how the invoice now stands; our rows follow. What waits for the browser is its turn."""
    projections.refresh_invoice(gateways, str(action.stripe_invoice_id))
    intent_id = gateways.stripe.invoice(str(action.stripe_invoice_id)).intent_id
    with unit_of_work(workspace_id) as session:
        action = actions.locked(session, action.id)
        action.stripe_intent_id = intent_id
        if action.state == actions.OPEN:
            actions.move(session, action, actions.AWAITING, step=actions.COLLECT)


def _outcome(gateways: Gateways, action: PaymentAction) -> Payment:
    match action.state:
        case actions.DONE:
            return Payment("paid")
        case actions.PROCESSING:
            return Payment("processing")
        case actions.REFUSED | actions.REPLACED:
            error = action.error or {}
            raise Declined(error)
    invoice = gateways.stripe.invoice(str(action.stripe_invoice_id))
    if invoice.status == "paid":
        return Payment("paid")
    return Payment("action" if action.stripe_method_id else "collect", invoice.client_secret)


class Declined(RefusedError):
    """The payment was refused; ``decline`` is {"code", "decline_code", "message"}."""

    code = "declined"

    def __init__(self, decline: dict[str, object]) -> None:
        message = str(decline.get("message") or N_("This payment was not completed. Nothing was charged."))
        super().__init__(message, log=f"declined: {decline.get('decline_code') or decline.get('code')}")
        self.decline = decline


# --- waiting and resuming ------------------------------------------------------------------------------


def standing(gateways: Gateways, workspace_id: int, invoice_id: str, *, ask_stripe: bool = False) -> str:
    """How the payment stands: paid, processing, waiting (Stripe has not said yet), declined, or open.

    With ``ask_stripe`` Stripe is asked first, at most every two seconds. Raises NotFoundError.
    """
    if ask_stripe:
        _ask(gateways, workspace_id, invoice_id)
    with unit_of_work(workspace_id) as session:
        invoice = invoices.get(session, invoice_id)
        action = actions.last_of_invoice(session, invoice_id)
        behind = _behind(session, invoice)
    if invoice.status == "paid":
        return "waiting" if behind else "paid"
    if invoice.status != "open":
        return "closed"
    if dues.processing(invoice):
        return "processing"
    if action is None or action.state == actions.REPLACED:
        return "open"
    if action.state == actions.REFUSED:
        return "declined"
    return "waiting" if not ask_stripe or action.state == actions.OPEN else "open"


def _ask(gateways: Gateways, workspace_id: int, invoice_id: str) -> None:
    with unit_of_work(workspace_id) as session:
        action = actions.last_of_invoice(session, invoice_id)
        if action is None or not _may_ask(session, action.id):
            return
    try:
        resume(gateways, workspace_id, action.id)
        go_on(gateways, workspace_id)
    except PortalError as error:
        log.warning("stripe_not_asked", action=action.id, reason=str(error))


def _may_ask(session: Session, action_id: str) -> bool:
    now = func.clock_timestamp()
    asked = PaymentAction.asked_at
    free = or_(asked.is_(None), asked <= now - cast(ASK_STRIPE_EVERY, Interval))
    noted = update(PaymentAction).where(PaymentAction.id == action_id, free).values(asked_at=now)
    return session.execute(noted.returning(PaymentAction.id)).first() is not None


def resume(gateways: Gateways, workspace_id: int, action_id: str) -> None:
    """Take a payment a step on, whatever it waits for. Nothing happens while somebody works on it."""
    action = actions.load(workspace_id, action_id)
    if action.state == actions.OPEN:
        if actions.claim(workspace_id, action_id):
            carry_out(gateways, workspace_id, action_id)
    elif action.state in actions.LIVE:
        projections.refresh_invoice(gateways, str(action.stripe_invoice_id))


def _behind(session: Session, paid: Invoice) -> bool:
    """Whether further invoices of an unpaid subscription are about to be made final."""
    row = methods.live_subscription(session)
    mine = row is not None and row.stripe_id == paid.stripe_subscription_id and row.status == "unpaid"
    return mine and not dues.following(session, paid)


def go_on(gateways: Gateways, workspace_id: int) -> int:
    """Make an unpaid subscription's drafts final, once what was open is paid; returns how many.

    Stripe leaves them as drafts for good; the subscription is active again when the newest is paid. A planned
    change of one in good standing keeps the method that has just paid.
    Source: docs.stripe.com/billing/subscriptions/overview#unpaid.
    """
    with unit_of_work(workspace_id) as session:
        row = methods.live_subscription(session)
        if row is None:
            return 0
        held = row.status == "unpaid" and not dues.owed(session, row, grace=gateways.settings.grace)
        paid = session.scalar(_last_paid())
    if not held:
        if paid is not None:
            gateways.stripe.payments.align_schedule(row.stripe_id, key=f"{paid}:schedule")
        return 0
    drafts = gateways.stripe.payments.drafts(row.stripe_id)
    for invoice_id in drafts:
        try:
            gateways.stripe.payments.finalize(invoice_id, key=f"finalize:{invoice_id}")
        except StripeRefusedError as refusal:  # by another of us, a moment ago
            log.warning("draft_not_final", invoice=invoice_id, reason=str(refusal))
        projections.refresh_invoice(gateways, invoice_id)
    return len(drafts)


def _last_paid() -> Select[str]:
    """The id of the action that paid last."""
    statement = select(PaymentAction.id).where(
        PaymentAction.kind == actions.PAY, PaymentAction.state == actions.DONE
    )
    return statement.order_by(PaymentAction.updated_at.desc()).limit(1)
