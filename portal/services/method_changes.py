"""Adding a way to pay, choosing which one is charged, taking one away: asked once, carried out to the end.

Each is an action that is committed before Stripe hears of it; what a crash or a timeout leaves behind is
taken up again by the sweeper, under the same keys.
"""

import re

import structlog

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, NotFoundError
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError, StripeUnknownError
from portal.models import PaymentAction
from portal.services import audit, projections
from portal.services import payment_actions as actions
from portal.services import payment_methods as methods
from portal.services.payment_actions import ArrangingError, RefusedError, StillWorkingError

log = structlog.get_logger()

ACTION_ID = re.compile("P-[0-9A-Z]{10}")
OLD_PAGE = N_("This page is of an earlier visit. Load it again.")


class NoCustomerError(ConflictError):
    """Stripe keeps methods for a customer, which comes with company and address."""

    code = "no_customer"

    def __init__(self) -> None:
        super().__init__(N_("Choose a tier first; the first way to pay is added when you buy."))


def begin_adding(
    gateways: Gateways, workspace_id: int, user_id: int | None, action_id: str, *, make_default: bool
) -> str | None:
    """The client secret with which the browser saves a method; None when this was done already.

    ``action_id`` is the page's: whatever is pressed there again, it is one setup intent. Raises
    NoCustomerError, StillWorkingError, RefusedError.
    """
    customer_id = methods.customer_of(workspace_id)
    if customer_id is None:
        raise NoCustomerError
    with unit_of_work(workspace_id) as session:
        begun = actions.begin(
            session,
            actions.ADD,
            step=actions.SETUP,
            user_id=user_id,
            action_id=action_id,
            make_default=make_default,
        )
        action = begun or actions.find(session, action_id)
        if action is None or action.kind != actions.ADD:
            raise ConflictError(OLD_PAGE)
        action.make_default = make_default if action.state in actions.LIVE else action.make_default
    if action.stripe_intent_id is None:
        action = _set_up(gateways, workspace_id, customer_id, action)
    intent = gateways.stripe.setup_intent(str(action.stripe_intent_id))
    return None if intent.status in ("succeeded", "canceled") else intent.client_secret


def _set_up(gateways: Gateways, workspace_id: int, customer_id: str, action: PaymentAction) -> PaymentAction:
    metadata = {"workspace": str(workspace_id), "action": action.id}
    try:
        intent = gateways.stripe.payments.begin_setup(
            customer_id, metadata, key=f"{action.id}:{actions.SETUP}"
        )
    except StripeRefusedError as refusal:
        actions.settle(workspace_id, action.id, actions.REFUSED, error=actions.refusal(refusal))
        raise RefusedError(refusal.message, log=str(refusal)) from refusal
    except StripeUnknownError as unknown:
        actions.release(workspace_id, action.id)
        raise StillWorkingError(log=str(unknown)) from unknown
    with unit_of_work(workspace_id) as session:
        action = actions.locked(session, action.id)
        action.stripe_intent_id = intent.id
        if action.state == actions.OPEN:
            actions.move(session, action, actions.AWAITING, step=actions.COLLECT)
    return action


def follow_setup(gateways: Gateways, workspace_id: int, action_id: str) -> PaymentAction:
    """Ask Stripe how the saving of a method stands; once it is saved, finish what was asked."""
    action = actions.load(workspace_id, action_id)
    if action.state != actions.AWAITING or action.stripe_intent_id is None:
        return action
    intent = gateways.stripe.setup_intent(action.stripe_intent_id)
    if intent.status == "canceled":
        return actions.settle(workspace_id, action_id, actions.REPLACED)
    if intent.status != "succeeded" or intent.method is None:
        return action
    customer_id = methods.customer_of(workspace_id)
    if customer_id is not None:
        methods.refresh(gateways, customer_id)
    with unit_of_work(workspace_id) as session:
        action = actions.locked(session, action_id)
        if action.state != actions.AWAITING:
            return action
        action.stripe_method_id = intent.method.id
        next_one = None
        if action.make_default:
            next_one = actions.begin(
                session,
                actions.DEFAULT,
                step=actions.CUSTOMER,
                user_id=action.created_by,
                was=methods.default_id(session),
                stripe_method_id=intent.method.id,
            )
            if next_one is None:
                return action  # somebody arranges the methods just now; looked at again by the sweeper
        actions.move(session, action, actions.DONE, actor=audit.STRIPE)
    if next_one is not None:
        _arrange_later(gateways, workspace_id, next_one.id)
    return action


def _arrange_later(gateways: Gateways, workspace_id: int, action_id: str) -> None:
    """Now if Stripe answers, else the sweeper does it."""
    try:
        arrange(gateways, workspace_id, action_id)
    except StillWorkingError as error:
        log.warning("default_waits", action=action_id, reason=str(error))


def adding(gateways: Gateways, workspace_id: int, action_id: str, *, ask_stripe: bool = False) -> str:
    """How the saving of a method stands: waiting, saved, or failed. Raises NotFoundError."""
    with unit_of_work(workspace_id) as session:
        action = actions.find(session, action_id)
        if action is None or action.kind != actions.ADD:
            raise NotFoundError(N_("There is no such page any more."))
    if ask_stripe and action.state == actions.AWAITING:
        try:
            action = follow_setup(gateways, workspace_id, action_id)
        except StripeUnknownError as error:
            log.warning("setup_not_read", action=action_id, reason=str(error))
    if action.state in (actions.REFUSED, actions.REPLACED):
        return "failed"
    with unit_of_work(workspace_id) as session:
        other = actions.arranging(session)
    arranged = other is None or other.stripe_method_id != action.stripe_method_id
    return "saved" if action.state == actions.DONE and arranged else "waiting"


def make_default(gateways: Gateways, workspace_id: int, user_id: int | None, method_id: str) -> None:
    """Take the next payments from this method: the customer's default and the subscription's, both.

    Raises NotFoundError, ArrangingError, RefusedError, StillWorkingError (it goes on by itself).
    """
    _arrange(gateways, workspace_id, user_id, actions.DEFAULT, actions.CUSTOMER, method_id)


def remove(gateways: Gateways, workspace_id: int, user_id: int | None, method_id: str) -> None:
    """Take the method away from Stripe's customer, every repeat of it too.

    Raises NotFoundError, LastMethodError, DefaultMethodError and what make_default raises.
    """
    _arrange(gateways, workspace_id, user_id, actions.REMOVE, actions.DETACH, method_id)


def _arrange(
    gateways: Gateways, workspace_id: int, user_id: int | None, kind: str, step: str, method_id: str
) -> None:
    with unit_of_work(workspace_id) as session:
        earlier = actions.arranging(session)
    if earlier is not None and actions.claim(workspace_id, earlier.id):
        arrange(gateways, workspace_id, earlier.id)
    with unit_of_work(workspace_id) as session:
        check = methods.removable if kind == actions.REMOVE else methods.get
        method = check(session, method_id)
        was = methods.default_id(session)
        action = actions.begin(session, kind, step=step, user_id=user_id, was=was, stripe_method_id=method.id)
    if action is None:
        raise ArrangingError
    done = arrange(gateways, workspace_id, action.id)
    if done.state == actions.REFUSED:
        raise RefusedError(str((done.error or {}).get("message")), log=f"action {done.id}")


def arrange(gateways: Gateways, workspace_id: int, action_id: str) -> PaymentAction:
    """Take a claimed change of the methods to its end, from whichever step it had reached.

    Raises StillWorkingError when Stripe does not answer; the sweeper then goes on, under the same keys.
    """
    action = actions.load(workspace_id, action_id)
    try:
        while action.state == actions.OPEN:
            action = _step(gateways, workspace_id, action)
    except StripeRefusedError as refusal:
        action = actions.settle(workspace_id, action_id, actions.REFUSED, error=actions.refusal(refusal))
        _read_again(gateways, workspace_id)
    except StripeUnknownError as unknown:
        raise StillWorkingError(log=str(unknown)) from unknown
    finally:
        actions.release(workspace_id, action_id)
    return action


def _step(gateways: Gateways, workspace_id: int, action: PaymentAction) -> PaymentAction:
    door, method_id = gateways.stripe.payments, str(action.stripe_method_id)
    key = f"{action.id}:{action.step}"
    with unit_of_work(workspace_id) as session:
        row = methods.live_subscription(session)
    customer_id = str(methods.customer_of(workspace_id))
    match action.step:
        case actions.CUSTOMER:
            door.set_customer_default(customer_id, method_id, key=key)
            return actions.advance(workspace_id, action.id, actions.SUBSCRIPTION)
        case actions.SUBSCRIPTION:
            if row is not None:
                door.set_subscription_default(row.stripe_id, method_id, key=key)
                door.align_schedule(row.stripe_id, key=f"{action.id}:schedule")
            return actions.advance(workspace_id, action.id, actions.FINISH)
        case actions.DETACH:
            with unit_of_work(workspace_id) as session:
                ids = methods.repeats(session, method_id)
            for each in ids:
                door.detach(each, key=f"{key}:{each}")
            return actions.advance(workspace_id, action.id, actions.FINISH)
    _read_again(gateways, workspace_id)
    return actions.settle(workspace_id, action.id, actions.DONE)


def _read_again(gateways: Gateways, workspace_id: int) -> None:
    """Bring our rows to what Stripe now has."""
    customer_id = methods.customer_of(workspace_id)
    if customer_id is not None:
        methods.refresh(gateways, customer_id)
    with unit_of_work(workspace_id) as session:
        row = methods.live_subscription(session)
    if row is not None:
        projections.refresh_subscription(gateways, row.stripe_id)
