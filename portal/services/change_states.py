"""How the attempt at a change follows what Stripe says about its invoice; whose invoice a change's is."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.gateways.stripe_words import Invoice, Subscription
from portal.models import Attempt, CatalogPrice, PlannedChange, Quote
from portal.models import Invoice as StoredInvoice
from portal.models import Subscription as StoredSubscription
from portal.services import attempt_states as states
from portal.services import (
    audit,
    change_matches,
    change_quotes,
    holdings,
    matches,
    planned_changes,
    quotes,
)

Facts = Mapping[str, object]

UPDATE_REASON = "subscription_update"
FAILED = "debit_failed"
# a change with something planned is not begun, and not waited for, in the last minutes before the renewal
QUIET_BEFORE_RENEWAL = timedelta(minutes=30)


def of_invoice(session: Session, invoice: Invoice) -> Attempt | None:
    """The change that made this invoice."""
    if invoice.billing_reason != UPDATE_REASON:
        return None
    mark = invoice.metadata.get("change")
    own = select(Attempt).where(Attempt.kind == quotes.CHANGE)
    found = session.scalars(own.where(Attempt.stripe_invoice_id == invoice.id)).first()
    if found is not None or mark is None:
        return found
    return session.scalars(
        own.where(Attempt.id == mark, Attempt.stripe_invoice_id.is_(None), Attempt.state == states.OPEN)
    ).first()


def quote_of(session: Session, invoice: Invoice) -> str | None:
    """The quote that the invoice was made from: the change's, else the first purchase's."""
    change = of_invoice(session, invoice)
    return change.quote_id if change else invoice.metadata.get("quote")


def quote_behind(
    session: Session, row: StoredSubscription, change: Attempt | None, before: Facts | None, after: Facts
) -> str | None:
    """The quote that made the subscription what it is now; none where there was none, as at a renewal.

    ``change`` is the one under way.
    """
    first = session.scalars(select(Attempt).where(Attempt.id == row.attempt_id)).first()
    if before is None or first is None or first.state != states.SUCCEEDED:
        return row.quote_id
    sold = any(before[each] != after[each] for each in ("tier", "seats", "interval"))
    return change.quote_id if change is not None and sold else None


def compare(
    session: Session, gateways: Gateways, invoice: Invoice, prices: Mapping[str, CatalogPrice]
) -> bool:
    """Hold the final invoice of a change against its quote; False when it is none of a change."""
    attempt = of_invoice(session, invoice)
    if attempt is None:
        return False
    quote = session.scalars(select(Quote).where(Quote.id == attempt.quote_id)).one()
    if invoice.status == "void":
        return True
    keys = change_quotes.keys(quote, prices)
    found = change_matches.differences(change_matches.quoted(quote), invoice, keys)
    matches.settle(session, gateways, quote, invoice, found)
    return True


def any_carried_out(session: Session, subscription_id: str | None) -> bool:
    """Whether the subscription was ever changed."""
    found = select(Attempt.id).where(
        Attempt.kind == quotes.CHANGE,
        Attempt.state == states.SUCCEEDED,
        Attempt.stripe_subscription_id == subscription_id,
    )
    return session.scalars(found.limit(1)).first() is not None


def live(session: Session) -> Attempt | None:
    """The change that is under way."""
    return session.scalars(
        select(Attempt).where(Attempt.kind == quotes.CHANGE, Attempt.state.in_(states.LIVE))
    ).first()


def keeps_a_plan_waiting(session: Session, attempt: Attempt, now: datetime) -> bool:
    """Whether an unpaid change stands in the way of what is planned for a renewal that is near."""
    quote = session.scalars(select(Quote).where(Quote.id == attempt.quote_id)).one()
    if is_near(holdings.plan(session), now):
        return True
    return any(now >= end - QUIET_BEFORE_RENEWAL for end in change_quotes.ends_of(quote))


def is_near(plan: PlannedChange | None, now: datetime) -> bool:
    """Whether something that is planned takes effect in a moment."""
    if plan is None:
        return False
    rates_at = plan.rates_at or plan.effective_at
    soon = now + QUIET_BEFORE_RENEWAL
    return plan.effective_at <= soon or now < rates_at <= soon


def leavers(session: Session, attempt: Attempt | None) -> list[Mapping[str, object]]:
    """Whom the change under way (``attempt``), or the planned one, takes the seats from.

    They count only when it does.
    """
    planned = holdings.planned_row(session)
    found: object = planned.leavers if planned else None
    # what a change leaves for the renewal is planned while its debit is on its way
    if attempt is not None and not (planned is not None and attempt.state == states.PROCESSING):
        quote = session.scalars(select(Quote).where(Quote.id == attempt.quote_id)).one()
        found = (quote.terms or {}).get("leavers") or found
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def collecting(session: Session) -> Attempt | None:
    """The change whose payment is waited for, locked until the transaction ends."""
    return session.scalars(
        select(Attempt)
        .where(Attempt.kind == quotes.CHANGE, Attempt.state.in_(states.LIVE), Attempt.step == states.COLLECT)
        .with_for_update()
        # whoever looked at it before, without the lock, has what it was then
        .execution_options(populate_existing=True)
    ).first()


def follow(session: Session, gateways: Gateways, subscription: Subscription) -> None:
    """Move the change that waits for its payment to where that is; the projections have just been written.

    One that is being undone, or whose invoice has not been compared yet, is left alone.
    """
    attempt = collecting(session)
    if attempt is None or attempt.stripe_subscription_id != subscription.id:
        return
    invoice = session.scalars(
        select(StoredInvoice).where(StoredInvoice.stripe_id == attempt.stripe_invoice_id)
    ).first()
    if invoice is None:
        return
    payment = invoice.payment or {}
    attempt.intent_status = str(payment["state"]) if payment.get("state") else attempt.intent_status
    error = payment.get("error")
    attempt.error = error if isinstance(error, dict) else None
    if invoice.status == "paid":
        # read in this order: a subscription that still waits was read before it was paid
        if subscription.pending is None:
            paid(session, gateways, attempt)
    elif _closed(invoice.status, attempt.intent_status):
        attempt.error = {"code": "expired"}
        _go_on(session, gateways, attempt, states.TAKE_BACK)
    elif attempt.intent_status == "processing":
        if attempt.state != states.PROCESSING:
            states.move(session, attempt, states.PROCESSING, actor=audit.STRIPE)
            _plan_meanwhile(session, gateways, attempt)
    elif attempt.state == states.PROCESSING:
        attempt.error = (attempt.error or {}) | {"code": FAILED}
        _go_on(session, gateways, attempt, states.VOID)


def _plan_meanwhile(session: Session, gateways: Gateways, attempt: Attempt) -> None:
    """The renewal does not wait for the debit: what is wanted from then on is planned already."""
    quote = session.scalars(select(Quote).where(Quote.id == attempt.quote_id)).one()
    planned_changes.replace(session, quote, user_id=attempt.created_by)
    gateways.jobs.defer(session, planned_changes.MIRROR, workspace_id=attempt.workspace_id)


def _closed(status: str, intent_status: str | None) -> bool:
    """Whether the invoice will not be paid; a debit that is on its way still pays one that was given up."""
    return status == "void" or (status == "uncollectible" and intent_status != "processing")


def paid(session: Session, gateways: Gateways, attempt: Attempt) -> None:
    """What was to be paid now is paid; the part that waits for the renewal comes next."""
    quote = session.scalars(select(Quote).where(Quote.id == attempt.quote_id)).one()
    if change_quotes.ends_of(quote) or holdings.plan(session):
        states.move(session, attempt, states.OPEN, actor=audit.STRIPE)
        _go_on(session, gateways, attempt, states.PLAN)
    else:
        succeed(session, attempt, quote, actor=audit.STRIPE)


def _go_on(session: Session, gateways: Gateways, attempt: Attempt, step: str) -> None:
    attempt.step = step
    gateways.jobs.defer(session, states.RESUME, workspace_id=attempt.workspace_id, attempt_id=attempt.id)


def succeed(session: Session, attempt: Attempt, quote: Quote, *, actor: str = audit.SYSTEM) -> None:
    """The change is carried out, in every part."""
    attempt.step, attempt.error = states.DONE, None
    states.move(session, attempt, states.SUCCEEDED, actor=actor)
    terms = quote.terms or {}
    if (terms["before"], terms["catalog_before"]) == (terms["now"], terms["catalog"]):
        return  # all of it waits for the renewal
    audit.record(
        session,
        "subscription.changed",
        user_id=attempt.created_by,
        before={"selection": terms["before"], "catalog": terms["catalog_before"]},
        after={
            "selection": terms["now"],
            "catalog": terms["catalog"],
            "later": terms["later"],
            "later_at": terms["later_at"],
        },
        quote_id=quote.id,
        invoice_id=attempt.stripe_invoice_id,
    )


def held_back(session: Session, attempt: Attempt | None) -> dict[str, object] | None:
    """What was had before ``attempt``, a change whose debit is on its way: seats count when it is paid."""
    if attempt is None or _nothing_owed(session, attempt):
        return None
    quote = session.scalars(select(Quote).where(Quote.id == attempt.quote_id)).one()
    terms = quote.terms or {}
    update, before = terms.get("update"), terms.get("before")
    waits = not isinstance(update, dict) or update["waits"] or terms.get("trialing")
    return None if waits or not isinstance(before, dict) else before


def _nothing_owed(session: Session, attempt: Attempt) -> bool:
    """Whether the change under way is paid, or was found to cost nothing."""
    if attempt.stripe_invoice_id is None:
        return attempt.step not in (states.RELEASE, states.UPDATE)
    status = select(StoredInvoice.status).where(StoredInvoice.stripe_id == attempt.stripe_invoice_id)
    return session.scalar(status) == "paid"
