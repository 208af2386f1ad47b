"""Stripe's state into our rows: fetched anew, written once, never an older state over a newer one.

How old a state is, is told by the database's time at which its fetching *began*: whatever happened before is
in it, and whatever happens later has an event of its own. The writing is serialised per workspace.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, NotFoundError
from portal.gateways import Gateways
from portal.gateways.stripe_words import Intent, Invoice, Subscription
from portal.models import Attempt, BillingDetails, CatalogPrice
from portal.models import Invoice as StoredInvoice
from portal.models import Subscription as StoredSubscription
from portal.services import (
    attempt_states,
    audit,
    billing_details,
    catalogs,
    change_states,
    credit_extending,
    credit_lots,
    credit_proofs,
    credit_purchase_states,
    credit_repricing,
    final_matches,
    invoices,
    late_debits,
    notices,
    owed_invoices,
    payment_actions,
    plan_effects,
    seats,
    subscriptions,
    usage_matches,
    usage_periods,
)

WRITING = text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))")
FINAL_STATES = ("open", "paid", "void", "uncollectible")
PAYMENT_INTENT = "pi_"
NOT_OURS = "not a customer of this portal"


@dataclass(frozen=True)
class Outcome:
    """What a projection did, in one line for the developer; ``workspace_id`` None: it is nobody's here.

    ``read``: the ids of what was read anew, so that what waits about them is told too.
    """

    text: str
    workspace_id: int | None = None
    invoice_id: str | None = None
    read: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Facts:
    """What was read at Stripe for one purchase, and when the reading began (database time)."""

    read_at: datetime
    subscription: Subscription | None
    invoice: Invoice | None
    payment: Intent | None
    setup: Intent | None

    def ids(self) -> frozenset[str]:
        """Of the subscription, the invoice and its payment, as far as they were read."""
        return frozenset(each.id for each in (self.subscription, self.invoice, self.payment) if each)


def refresh_subscription(gateways: Gateways, subscription_id: str) -> Outcome:
    """Fetch a subscription with its latest invoice and write both; one line about what came of it.

    Raises the gateway's errors; NotFoundError when Stripe does not have it.
    """
    read_at = database_time()
    subscription = gateways.stripe.subscription(subscription_id)
    workspace_id = billing_details.workspace_of(subscription.customer_id)
    if workspace_id is None:
        return Outcome(NOT_OURS)
    return _refresh(gateways, workspace_id, read_at, subscription)


def _refresh(gateways: Gateways, workspace_id: int, read_at: datetime, subscription: Subscription) -> Outcome:
    invoice = (
        gateways.stripe.invoice(subscription.latest_invoice_id) if subscription.latest_invoice_id else None
    )
    if subscription.status == "incomplete" and invoice and invoice.status == "paid":
        # paid between the two readings: its receipt is not to go out beside a purchase that waits
        subscription = gateways.stripe.subscription(subscription.id)
    outcome = _write(gateways, workspace_id, _read_more(gateways, read_at, subscription, invoice))
    return replace(outcome, invoice_id=subscription.latest_invoice_id)


def refresh_invoice(gateways: Gateways, invoice_id: str) -> Outcome:
    """Fetch an invoice, and the subscription that it belongs to, and write them.

    A subscription is always read before its invoice, and that before its payment: a payment in between then
    shows up in the later readings, never as an invoice that an active subscription has left unpaid. The
    subscription is read again where its first invoice was paid in between.
    """
    read_at = database_time()
    invoice = gateways.stripe.invoice(invoice_id)
    workspace_id = billing_details.workspace_of(invoice.customer_id)
    if workspace_id is None:
        return Outcome(NOT_OURS)
    if invoice.subscription_id is None:
        return _write(gateways, workspace_id, _read_more(gateways, read_at, None, invoice))
    subscription = gateways.stripe.subscription(invoice.subscription_id)
    latest = _refresh(gateways, workspace_id, read_at, subscription)
    if latest.invoice_id == invoice.id:
        return latest
    outcome = _write(gateways, workspace_id, _read_more(gateways, read_at, None, invoice))
    # whether an older invoice is still owed decides on access
    latest = refresh_subscription(gateways, invoice.subscription_id)
    return Outcome(f"{outcome.text}; {latest.text}", workspace_id, read=outcome.read | latest.read)


def refresh_intent(gateways: Gateways, intent_id: str) -> Outcome:
    """A payment or setup intent moved: refresh the purchase that waits for it."""
    with unit_of_work(system=True) as session:
        subscription_id = session.scalar(
            select(Attempt.stripe_subscription_id).where(Attempt.stripe_intent_id == intent_id)
        )
    if subscription_id is not None:
        return refresh_subscription(gateways, subscription_id)
    if not intent_id.startswith(PAYMENT_INTENT):
        return Outcome("no purchase waits for this intent")
    # no event of the invoice's tells that a debit for it is on its way
    invoice_id = gateways.stripe.payments.invoice_paid_by(intent_id)
    return (
        refresh_invoice(gateways, invoice_id) if invoice_id else Outcome("no invoice is paid by this intent")
    )


def database_time() -> datetime:
    """The time by which the age of what is about to be read is told."""
    with unit_of_work() as session:
        return attempt_states.database_time(session)


def _read_more(
    gateways: Gateways, read_at: datetime, subscription: Subscription | None, invoice: Invoice | None
) -> Facts:
    payment = setup = None
    if invoice is not None and invoice.intent_id:
        payment = gateways.stripe.payment_intent(invoice.intent_id)
    if subscription is not None and subscription.setup_intent_id:
        setup = gateways.stripe.setup_intent(subscription.setup_intent_id)
    return Facts(read_at, subscription, invoice, payment, setup)


def _write(gateways: Gateways, workspace_id: int, facts: Facts) -> Outcome:
    try:
        return _write_once(gateways, workspace_id, facts)
    except IntegrityError as error:
        # another subscription of the workspace is still live in our rows: what we know of it may be old
        if facts.subscription is None or "uq_subscription_live" not in str(error.orig):
            raise
        _refresh_other(gateways, workspace_id, facts.subscription.id)
    try:
        return _write_once(gateways, workspace_id, facts)
    except IntegrityError as error:
        raise ConflictError(
            N_("This workspace has two live subscriptions at Stripe; cancel one of them there."),
            log=str(error.orig),
        ) from error


def _refresh_other(gateways: Gateways, workspace_id: int, subscription_id: str) -> None:
    with unit_of_work(workspace_id) as session:
        other = subscriptions.other_live(session, subscription_id)
    if other is not None:
        refresh_subscription(gateways, other)


def _write_once(gateways: Gateways, workspace_id: int, facts: Facts) -> Outcome:
    with unit_of_work(workspace_id) as session:
        session.execute(WRITING, {"what": f"purchase:{workspace_id}"})
        price_ids = [item.price_id for item in facts.subscription.items] if facts.subscription else []
        lines = [line.price_id for line in facts.invoice.lines] if facts.invoice else []
        prices = catalogs.keys_of_prices(session, [*price_ids, *lines])
        for row in prices.values():
            # prices never change: they are not read again each time something is written
            session.expunge(row)
        details = _details(session)
        done = [
            *_write_invoice(session, gateways, facts, prices, details),
            *_write_subscription(session, gateways, facts, prices, details),
        ]
    return Outcome("; ".join(done) or "nothing new", workspace_id, read=facts.ids())


def _write_invoice(
    session: Session,
    gateways: Gateways,
    facts: Facts,
    prices: dict[str, CatalogPrice],
    details: BillingDetails,
) -> list[str]:
    invoice = facts.invoice
    if invoice is None or invoice.status not in FINAL_STATES:
        return []
    known, compared = invoices.known(session, invoice.id)
    if known is not None and known.synced_at > facts.read_at:
        return [f"invoice {invoice.id} is known in a newer state"]
    before = _invoice_facts(known) if known else None
    stored = invoices.store(session, invoice, facts.payment, prices, synced_at=facts.read_at)
    if not compared:
        final_matches.compare(session, gateways, invoice, prices)
    _close_months(session, gateways, facts, stored, prices)
    if _invoice_facts(stored) != before:
        audit.record(
            session,
            f"invoice.{invoice.status}",
            actor=audit.STRIPE,
            before=before,
            after=_invoice_facts(stored),
            quote_id=change_states.quote_of(session, invoice),
            invoice_id=invoice.id,
        )
    # that it ended the subscription is said with the news of that
    over = facts.subscription is not None and facts.subscription.status in subscriptions.ENDED
    was = (before or {}).get("status")
    attempts = 0 if over else invoice.attempt_count
    notices.about_invoice(session, gateways, details, stored, was=was, attempt_count=attempts)
    _follow_payment(session, gateways, details, stored)
    credit_purchase_states.follow(session, gateways, stored)
    return [f"invoice {invoice.number or invoice.id} {invoice.status}"]


def _close_months(
    session: Session,
    gateways: Gateways,
    facts: Facts,
    stored: StoredInvoice,
    prices: dict[str, CatalogPrice],
) -> None:
    """Close the months that a final invoice bills, and hold it against what was used in them."""
    assert facts.invoice is not None
    if facts.subscription is not None:
        # the last month of one that has ended is as long as this invoice has it
        usage_periods.end_with(session, facts.subscription)
    now = gateways.clock.now()
    usage_periods.close(session, facts.invoice, prices, now=now)
    months = usage_periods.billed_by(session, stored.stripe_id)
    if months:
        usage_matches.compare(session, stored.stripe_id, now)
        credit_proofs.follow(session, gateways, stored, months)


def _follow_payment(
    session: Session, gateways: Gateways, details: BillingDetails, invoice: StoredInvoice
) -> None:
    """Move whoever pays the invoice on the payment page; a debit of theirs that came back is mailed."""
    ended = payment_actions.follow_invoice(session, invoice)
    if ended is None:
        return
    if ended.state == payment_actions.DONE:
        gateways.jobs.defer(session, payment_actions.GO_ON, workspace_id=details.workspace_id)
    if ended.state == payment_actions.REFUSED and not invoice.billing.get("purchase"):
        notices.about_returned_debit(session, gateways, details, invoice, action_id=ended.id)


def _write_subscription(
    session: Session,
    gateways: Gateways,
    facts: Facts,
    prices: dict[str, CatalogPrice],
    details: BillingDetails,
) -> list[str]:
    subscription = facts.subscription
    if subscription is None:
        return []
    own = select(StoredSubscription).where(StoredSubscription.stripe_id == subscription.id)
    known = session.scalars(own).first()
    if known is not None and known.synced_at > facts.read_at:
        return [f"subscription {subscription.id} is known in a newer state"]
    before = _subscription_facts(known) if known else None
    was = (before or {}).get("access")
    paid_by = (known.default_payment_method or {}).get("id") if known else None
    usage_before = usage_periods.facts(known) if known else None
    access = _access(session, gateways, facts, subscription, known.access if known else subscriptions.NONE)
    change = change_states.live(session)
    back = change_states.held_back(session, change)
    stored = subscriptions.store(
        session, subscription, prices, access=access, synced_at=facts.read_at, held_back=back
    )
    after = _subscription_facts(stored)
    if after != before:
        audit.record(
            session,
            "subscription.projected",
            actor=audit.STRIPE,
            before=before,
            after=after,
            quote_id=change_states.quote_behind(session, stored, change, before, after),
        )
    usage_periods.follow(session, stored, before=usage_before)
    attempt_states.follow(session, gateways, stored, facts.payment, facts.setup)
    _follow_changes(session, gateways, subscription, stored, change, paid_by=paid_by)
    unpaid = subscription.ended_because == "payment_failed"
    notices.about_subscription(session, gateways, details, stored, was=was, unpaid=unpaid)
    return [f"subscription {subscription.status}, access {access}"]


def _access(
    session: Session, gateways: Gateways, facts: Facts, subscription: Subscription, before: str
) -> str:
    return subscriptions.access(
        subscription,
        invoice=facts.invoice,
        payment=facts.payment,
        setup=facts.setup,
        before=before,
        owed_since=owed_invoices.owed_since(session, subscription.id),
        now=gateways.clock.now(),
        grace=gateways.settings.grace,
    )


def _follow_changes(
    session: Session,
    gateways: Gateways,
    subscription: Subscription,
    stored: StoredSubscription,
    change: Attempt | None,
    *,
    paid_by: object,
) -> None:
    """Packs follow the price of what they pay, seats are what is paid; then the change of it is finished."""
    lots = credit_lots.counting(session)
    credit_extending.follow(session, gateways, stored, lots)
    credit_repricing.follow(session, gateways, stored, lots)
    seats.follow(session, stored, leavers=partial(change_states.leavers, session, change))
    if change is not None:
        change_states.follow(session, gateways, subscription)
    plan_effects.follow(session, gateways, stored, paid_by=paid_by)
    late_debits.keep_chosen(session, stored, paid_by=paid_by)


def _details(session: Session) -> BillingDetails:
    found = billing_details.current(session)
    if found is None:
        raise NotFoundError(N_("The workspace has no billing details."))
    return found


def _invoice_facts(row: StoredInvoice) -> dict[str, object]:
    return {"status": row.status, "amount_due": row.amount_due, "amount_paid": row.amount_paid}


def _subscription_facts(row: StoredSubscription) -> dict[str, object]:
    return {
        "status": row.status,
        "access": row.access,
        "tier": row.tier,
        "seats": row.seats,
        "interval": row.interval,
    }
