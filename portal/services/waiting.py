"""Where a purchase stands, for the page that waits for it: our rows first, then, if asked, Stripe itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Interval, cast, func, or_, select, update
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, PortalError
from portal.gateways import Gateways
from portal.models import Attempt, Invoice, Quote, Subscription
from portal.services import attempt_states as states
from portal.services import attempts, invoices, projections, quotes, subscriptions, sweeping

log = structlog.get_logger()

# however often the page is loaded; an answer is several readings at Stripe
ASK_STRIPE_EVERY = timedelta(seconds=2)

MESSAGES = {
    "quoted": N_("This price is waiting for your confirmation."),
    "awaiting_payment": N_("Complete the payment to begin."),
    "requires_action": N_("Your bank asks you to confirm the payment."),
    "processing": N_("Your payment is on its way. Your bank needs a few days to send it; you can start now."),
    "confirming": N_("Your purchase is being confirmed. This page updates by itself."),
    "active": N_("Your subscription is active."),
    "trialing": N_("Your trial has begun."),
    "declined": N_("The payment was declined. Try again or use another way to pay."),
    "expired": N_("This price has expired. Nothing was charged."),
    "abandoned": N_("This purchase was not completed. Nothing was charged."),
    "failed": N_("The payment failed. Nothing was charged."),
}


@dataclass(frozen=True)
class PurchaseState:
    """Where a quote stands, of a first purchase or a change; ``message`` says ``name`` to the person.

    ``asked``: Stripe has just been asked and has answered, so that "not paid" is true and not merely late.
    """

    name: str
    message: str
    quote: Quote
    attempt: Attempt | None
    subscription: Subscription | None
    invoice: Invoice | None
    asked: bool = False


def state(gateways: Gateways, workspace_id: int, quote_id: str, *, ask_stripe: bool = False) -> PurchaseState:
    """How the purchase of ``quote_id`` stands; with ``ask_stripe`` as Stripe has it, if a webhook is late.

    Raises NotFoundError. A Stripe that does not answer changes nothing: our rows are shown.
    """
    asked = ask_stripe and ask(gateways, workspace_id, quote_id)
    with unit_of_work(workspace_id) as session:
        quote = quotes.load(session, quote_id)
        attempt = attempts.of_quote(session, quote_id)
        invoice = None
        subscription = _subscription_of(session, attempt) if attempt is not None else None
        if attempt is not None and attempt.stripe_invoice_id:
            invoice = invoices.stored(session, attempt.stripe_invoice_id)
    name = without_attempt(gateways, quote) if attempt is None else _with_attempt(attempt, subscription)
    if name in ("active", "trialing") and not asked and _method_missing(attempt, subscription):
        name = "confirming"
    return PurchaseState(name, message(MESSAGES, name, attempt), quote, attempt, subscription, invoice, asked)


def ask(gateways: Gateways, workspace_id: int, quote_id: str) -> bool:
    """Whether our rows are now as Stripe sees the purchase."""
    with unit_of_work(workspace_id) as session:
        attempt = attempts.of_quote(session, quote_id)
        if attempt is None:
            return True
        missing = _method_missing(attempt, _subscription_of(session, attempt))
        if attempt.state not in states.LIVE and not missing:
            return True
        if not _may_ask(session, attempt.id):
            return False
    try:
        if missing and attempt.stripe_subscription_id:
            projections.refresh_subscription(gateways, attempt.stripe_subscription_id)
        sweeping.resume(gateways, workspace_id, attempt.id)
    except PortalError as error:
        log.warning("stripe_not_asked", attempt=attempt.id, reason=str(error))
        return False
    return True


def _subscription_of(session: Session, attempt: Attempt) -> Subscription | None:
    return session.scalars(
        select(Subscription).where(Subscription.stripe_id == attempt.stripe_subscription_id)
    ).first()


def _method_missing(attempt: Attempt | None, subscription: Subscription | None) -> bool:
    """Whether what was set up is not stored yet: its news comes a moment after that of the subscription."""
    setup = attempt is not None and attempt.collect == "setup" and attempt.kind == quotes.FIRST_PURCHASE
    return setup and subscription is not None and not subscription.default_payment_method


def _may_ask(session: Session, attempt_id: str) -> bool:
    """Whether nobody has asked Stripe about the attempt just now; notes that it is being asked."""
    now = func.clock_timestamp()
    free = or_(Attempt.asked_at.is_(None), Attempt.asked_at <= now - cast(ASK_STRIPE_EVERY, Interval))
    noted = update(Attempt).where(Attempt.id == attempt_id, free).values(asked_at=now).returning(Attempt.id)
    return session.execute(noted).first() is not None


def without_attempt(gateways: Gateways, quote: Quote) -> str:
    if quote.replaced_at is not None:
        return "abandoned"
    return "expired" if gateways.clock.now() >= quote.expires_at else "quoted"


def given_up(attempt: Attempt) -> str | None:
    """The name of how an attempt ended that came to nothing; None for any other."""
    if attempt.state in (states.REFUSED, states.FAILED):
        return "failed"
    if attempt.state == states.ABANDONED:
        return "expired" if (attempt.error or {}).get("code") == "expired" else "abandoned"
    return None


def of_attempt(attempt: Attempt) -> str | None:
    """The name of how an attempt stands, whatever it is for; None for one that has succeeded."""
    if attempt.state == states.SUCCEEDED:
        return None
    if end := given_up(attempt):
        return end
    # a debit that came back is undone before its attempt has failed
    if attempt.state == states.OPEN or attempt.step in states.UNDOING_ANY:
        return "confirming"
    if attempt.state == states.PROCESSING:
        return "processing"
    if attempt.intent_status == "requires_action":
        return "requires_action"
    if attempt.intent_status in ("succeeded", "processing"):
        return "confirming"
    declined = attempt.error is not None and attempt.intent_status == "requires_payment_method"
    return "declined" if declined else "awaiting_payment"


def _with_attempt(attempt: Attempt, subscription: Subscription | None) -> str:
    name = of_attempt(attempt)
    if name is None:
        return "trialing" if subscription is not None and subscription.status == "trialing" else "active"
    active = subscription is not None and subscription.access == subscriptions.ACTIVE
    return "confirming" if active and name == "awaiting_payment" else name


def message(words: Mapping[str, str], name: str, attempt: Attempt | None) -> str:
    """What ``name`` is to the person: a refusal in the words of whoever refused, else as in ``words``."""
    error = (attempt.error or {}) if attempt is not None else {}
    if name in ("declined", "failed") and error.get("message"):
        return str(error["message"])
    return words[name]
