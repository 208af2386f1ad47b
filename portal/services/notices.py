"""Mails that follow from money: receipts, failed payments, trials that end. Each is queued once."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import BillingDetails, Invoice, Mail, Quote, Subscription
from portal.services import incidents, letters, owed_invoices, subscriptions
from portal.services.unbilled_periods import UnbilledPeriod

TRIAL_REMINDER = timedelta(days=3)
BATCH = 100

log = structlog.get_logger()


def about_invoice(
    session: Session,
    gateways: Gateways,
    details: BillingDetails,
    invoice: Invoice,
    *,
    was: object,
    attempt_count: int,
) -> None:
    """The receipt of an invoice that ``was`` not paid and is, or word of a renewal that was not collected."""
    if invoice.billing.get("corrects"):
        _corrected(session, gateways, details, invoice)
    elif invoice.status == "paid" and was != "paid" and invoice.subtotal > 0:
        letters.tell(
            session, gateways, details, "receipt", f"receipt:{invoice.stripe_id}", _invoice_facts(invoice)
        )
    # a pack that was not paid is not bought, and nothing is owed for it
    failed = (
        attempt_count and subscriptions.collection_failed(invoice) and not invoice.billing.get("purchase")
    )
    if failed and not owed_invoices.is_paid_elsewhere(session, invoice):
        key = f"payment_failed:{invoice.stripe_id}:{attempt_count}"
        letters.tell(
            session, gateways, details, "payment_failed", key, _owed_facts(session, gateways, invoice)
        )


def _corrected(session: Session, gateways: Gateways, details: BillingDetails, invoice: Invoice) -> None:
    """Word of an invoice that took another's place, once it is settled; nothing was received for it."""
    if invoice.status != "paid":
        return
    replaced = session.scalars(
        select(Invoice).where(Invoice.stripe_id == str(invoice.billing["corrects"]))
    ).first()
    facts = _invoice_facts(invoice) | {"replaced": replaced.number if replaced else None}
    letters.tell(session, gateways, details, "correction", f"correction:{invoice.stripe_id}", facts)


def about_returned_debit(
    session: Session, gateways: Gateways, details: BillingDetails, invoice: Invoice, *, action_id: str
) -> None:
    """Word of a bank debit that somebody began on the payment page and that came back days later."""
    key = f"debit_returned:{action_id}"
    letters.tell(session, gateways, details, "payment_failed", key, _owed_facts(session, gateways, invoice))


def about_subscription(
    session: Session,
    gateways: Gateways,
    details: BillingDetails,
    subscription: Subscription,
    *,
    was: object,
    unpaid: bool = False,
) -> None:
    """Word of a debit that failed late, and of a trial that is about to end."""
    if was == subscriptions.PAYMENT_PENDING and subscription.access == subscriptions.LIMITED:
        key = f"debit_failed:{subscription.stripe_id}"
        letters.tell(
            session, gateways, details, "debit_failed", key, _subscription_facts(session, subscription)
        )
    if was == subscriptions.ACTIVE and subscription.access == subscriptions.LIMITED:
        _limited(session, gateways, details, subscription)
    worked = was in (subscriptions.ACTIVE, subscriptions.LIMITED)
    if worked and subscription.access == subscriptions.OVER:
        tell = _ended_unpaid if unpaid else _ended
        tell(session, gateways, details, subscription)
    if _trial_ends_soon(subscription, gateways.clock.now()):
        remind(session, gateways, details, subscription)


def _limited(
    session: Session, gateways: Gateways, details: BillingDetails, subscription: Subscription
) -> None:
    """The days of grace are over, or a debit came back after them."""
    invoice = _oldest_owed(session, subscription)
    if invoice is not None:
        key = f"access_limited:{invoice.stripe_id}"
        letters.tell(
            session, gateways, details, "access_limited", key, _owed_facts(session, gateways, invoice)
        )


def _ended(session: Session, gateways: Gateways, details: BillingDetails, subscription: Subscription) -> None:
    """It ended because somebody wanted it to."""
    ended_at = subscription.ended_at or gateways.clock.now()
    trial = subscriptions.ends_in_trial(subscription, ended_at)
    facts: dict[str, object] = {"ends_at": ended_at, "trial": trial}
    key = f"subscription_ended:{subscription.stripe_id}"
    letters.tell(session, gateways, details, "subscription_ended", key, facts)


def _ended_unpaid(
    session: Session, gateways: Gateways, details: BillingDetails, subscription: Subscription
) -> None:
    """Stripe gave up collecting and ended the subscription; what is still owed, a person decides."""
    invoice = _oldest_owed(session, subscription)
    if invoice is None:
        return
    key = f"ended_unpaid:{subscription.stripe_id}"
    letters.tell(session, gateways, details, "ended_unpaid", key, _owed_facts(session, gateways, invoice))
    incidents.report(
        session,
        gateways,
        "ended_unpaid",
        dedupe_key=key,
        workspace_id=details.workspace_id,
        summary=f"A subscription ended unpaid; void invoice {invoice.number} or collect what of it is owed",
        details={"subscription": subscription.stripe_id, "invoice": invoice.stripe_id},
    )


def _oldest_owed(session: Session, subscription: Subscription) -> Invoice | None:
    rows = session.scalars(
        select(Invoice)
        .where(Invoice.stripe_subscription_id == subscription.stripe_id, Invoice.status == "open")
        .order_by(Invoice.issued_at)
    )
    return next((row for row in rows if subscriptions.collection_failed(row)), None)


def about_unpaid_change(
    session: Session,
    gateways: Gateways,
    attempt_id: str,
    *,
    renewed: bool,
    planned_on: datetime | None,
    unbilled: UnbilledPeriod | None,
) -> None:
    """Word of a change whose debit failed days later: it was taken back, or ``renewed`` is on an invoice.

    ``planned_on``: when a change comes that is planned apart from it; ``unbilled``: what no renewal billed.
    """
    details = session.scalars(select(BillingDetails)).one()
    facts: dict[str, object] = {"renewed": renewed, "planned_on": planned_on}
    if unbilled is not None:
        facts |= {"since": unbilled.begun, "billed": unbilled.total, "currency": unbilled.currency}
    letters.tell(session, gateways, details, "change_unpaid", f"change_unpaid:{attempt_id}", facts)


def about_missed_change(session: Session, gateways: Gateways, planned_id: str, on: datetime) -> None:
    """Word of a planned change that the renewal went by without."""
    details = session.scalars(select(BillingDetails)).one()
    letters.tell(session, gateways, details, "change_missed", f"change_missed:{planned_id}", {"on": on})


def remind(session: Session, gateways: Gateways, details: BillingDetails, subscription: Subscription) -> bool:
    """Queue the reminder that a trial ends; False if it was queued before."""
    key = f"trial_reminder:{subscription.stripe_id}"
    return letters.tell(
        session, gateways, details, "trial_reminder", key, _subscription_facts(session, subscription)
    )


def sweep_trials(gateways: Gateways) -> int:
    """Remind of trials that end within three days, should Stripe's word of them have been lost.

    A batch at a time of those not yet reminded; one that fails does not keep the others from theirs.
    """
    now = gateways.clock.now()
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(Subscription.workspace_id, Subscription.stripe_id)
            .where(
                Subscription.status == "trialing",
                Subscription.access == subscriptions.ACTIVE,
                Subscription.cancel_at.is_(None),
                Subscription.trial_end > now,
                Subscription.trial_end <= now + TRIAL_REMINDER,
                ~exists().where(Mail.dedupe_key == func.concat("trial_reminder:", Subscription.stripe_id)),
            )
            .order_by(func.random())  # none that always fails can stand in the way of the others
            .limit(BATCH)
        ).all()
    return sum(remind_one(gateways, workspace_id, stripe_id) for workspace_id, stripe_id in due)


def remind_one(gateways: Gateways, workspace_id: int, stripe_id: str) -> bool:
    """Remind of one trial that goes on and has a way to pay; False if it was done before or cannot be."""
    try:
        with unit_of_work(workspace_id) as session:
            row = session.scalars(select(Subscription).where(Subscription.stripe_id == stripe_id)).one()
            details = session.scalars(select(BillingDetails)).one()
            return _trial_runs(row) and remind(session, gateways, details, row)
    except Exception:
        log.exception("reminder_failed", subscription=stripe_id)
        return False


def _trial_ends_soon(subscription: Subscription, now: datetime) -> bool:
    end = subscription.trial_end
    return _trial_runs(subscription) and end is not None and now < end <= now + TRIAL_REMINDER


def _trial_runs(subscription: Subscription) -> bool:
    """Whether a charge follows the trial: none does where the subscription ends with it."""
    runs = subscription.status == "trialing" and subscription.access == subscriptions.ACTIVE
    return runs and subscription.cancel_at is None


def _owed_facts(session: Session, gateways: Gateways, invoice: Invoice) -> dict[str, object]:
    """What a mail about an invoice that could not be collected says: until when work goes on, and more."""
    since = invoice.issued_at
    if invoice.stripe_subscription_id:
        since = owed_invoices.owed_since(session, invoice.stripe_subscription_id) or since
    until = (since or gateways.clock.now()) + gateways.settings.grace
    planned = (invoice.payment or {}).get("next_attempt")
    return _invoice_facts(invoice) | {
        "limited_on": until,
        "limited": until <= gateways.clock.now(),
        "next_attempt": subscriptions.moment(planned) if isinstance(planned, int) else None,
    }


def _invoice_facts(invoice: Invoice) -> dict[str, object]:
    return {
        "invoice_id": invoice.stripe_id,
        "number": invoice.number,
        "currency": invoice.currency,
        "lines": invoice.lines,
        "subtotal": invoice.subtotal,
        "discount": invoice.discount,
        "credits": invoice.credits,
        "tax": invoice.tax,
        "total": invoice.total,
        "amount_due": invoice.amount_due,
        "amount_paid": invoice.amount_paid,
        "paid_at": invoice.paid_at,
        "payment": invoice.payment,
        "hosted_invoice_url": invoice.hosted_invoice_url,
        "invoice_pdf": invoice.invoice_pdf,
    }


def _subscription_facts(session: Session, subscription: Subscription) -> dict[str, object]:
    quote = session.scalars(select(Quote).where(Quote.id == subscription.quote_id)).first()
    return {
        "tier": subscription.tier,
        "seats": subscription.seats,
        "interval": subscription.interval,
        "currency": subscription.currency,
        "trial_end": subscription.trial_end,
        "total": quote.total if quote else None,
        "payment_method": subscription.default_payment_method,
    }
