"""What is owed: renewals that could not be collected, and until when work goes on all the same.

Everything here reads our rows, so that the pages work while Stripe is away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from portal.errors import N_, ConflictError
from portal.models import Invoice, Subscription
from portal.services import invoices, subscriptions
from portal.services import payment_actions as actions
from portal.services import payment_methods as methods
from portal.services.change_states import UPDATE_REASON
from portal.services.owed_invoices import PAID_ELSEWHERE, is_paid_elsewhere


class NotPayableError(ConflictError):
    """Nothing is to be paid on this invoice here; the message says why."""

    code = "not_payable"


class OnItsWayError(ConflictError):
    """A debit for the invoice is on its way."""

    code = "on_its_way"

    def __init__(self) -> None:
        super().__init__(N_("A payment for this invoice is on its way. Wait for it before you pay again."))


@dataclass(frozen=True)
class Owed:
    """A renewal that could not be collected; ``until``: so long everything works all the same."""

    invoice: Invoice
    until: datetime
    limited: bool
    processing: bool
    next_attempt: datetime | None


@dataclass(frozen=True)
class Due:
    """What needs attention: failed renewals, a card that expires, and what a subscription ended for."""

    owed: tuple[Owed, ...] = ()
    expiring: methods.Shown | None = None
    ended_for: Invoice | None = None
    ended: Subscription | None = None


_OPEN_RENEWALS = (
    select(Invoice)
    .where(Invoice.stripe_subscription_id == bindparam("subscription_id"), Invoice.status == "open")
    .where(~PAID_ELSEWHERE)
    .order_by(Invoice.issued_at, Invoice.stripe_id)
)


def owed(session: Session, row: Subscription | None, *, grace: timedelta) -> list[Owed]:
    """The failed renewals of a live subscription, oldest first; debits that are on their way too."""
    if row is None or row.status not in subscriptions.LIVE:
        return []
    rows = session.scalars(_OPEN_RENEWALS, {"subscription_id": row.stripe_id}).all()
    failed = [each.issued_at for each in rows if each.issued_at and subscriptions.collection_failed(each)]
    since = min(failed, default=None)
    retried = actions.last_of_invoice
    return [
        Owed(
            invoice,
            until=(since or invoice.issued_at or invoice.synced_at) + grace,
            limited=row.access == subscriptions.LIMITED,
            processing=processing(invoice),
            next_attempt=_next_attempt(invoice),
        )
        for invoice in rows
        if subscriptions.collection_failed(invoice)
        or row.status == "unpaid"
        or (processing(invoice) and retried(session, invoice.stripe_id) is not None)
    ]


def due(session: Session, row: Subscription | None, *, grace: timedelta, today: date) -> Due:
    """What stands in the way of the next payments of the current subscription, all of it from our rows."""
    ended = None
    if row is not None and row.access == subscriptions.OVER:
        open_ones = select(Invoice).where(
            Invoice.stripe_subscription_id == row.stripe_id, Invoice.status == "open"
        )
        ended = next(
            (
                each
                for each in session.scalars(open_ones.order_by(Invoice.issued_at))
                if given_up(session, each)
            ),
            None,
        )
    live = row is not None and row.status in subscriptions.LIVE
    expiring = methods.expiring(session, today) if live else None
    return Due(tuple(owed(session, row, grace=grace)), expiring, ended, row if ended else None)


def processing(invoice: Invoice) -> bool:
    """Whether a debit for the invoice is on its way."""
    return (invoice.payment or {}).get("state") == "processing"


def _next_attempt(invoice: Invoice) -> datetime | None:
    planned = (invoice.payment or {}).get("next_attempt")
    return subscriptions.moment(planned) if isinstance(planned, int) else None


def payable(session: Session, invoice_id: str) -> Invoice:
    """The open invoice, if it is paid on this page. Raises NotFoundError, NotPayableError, OnItsWayError."""
    invoice = invoices.get(session, invoice_id)
    if invoice.status != "open":
        raise NotPayableError(N_("Nothing is to be paid on this invoice any more."))
    if processing(invoice):
        raise OnItsWayError
    if is_paid_elsewhere(session, invoice):
        raise NotPayableError(N_("This invoice belongs to a purchase or a change, and is paid there."))
    if given_up(session, invoice):
        raise NotPayableError(
            N_("The subscription of this invoice has ended, so it is not collected any more. Choose again.")
        )
    return invoice


def staying_due(session: Session) -> list[Invoice]:
    """The open invoices that an end leaves due, oldest first.

    That of a change or of a pack which nobody pays lapses, and nothing is owed for it.
    """
    rows = session.scalars(select(Invoice).where(Invoice.status == "open").order_by(Invoice.issued_at))
    return [each for each in rows if not given_up(session, each) and not _lapses(session, each)]


def _lapses(session: Session, invoice: Invoice) -> bool:
    of_change = invoice.billing_reason == UPDATE_REASON and is_paid_elsewhere(session, invoice)
    return not processing(invoice) and (of_change or bool(invoice.billing.get("purchase")))


def given_up(session: Session, invoice: Invoice) -> bool:
    """Whether the subscription ended because this was not paid: paying it now would bring nothing back."""
    row = _subscription_of(session, invoice)
    if row is None or row.ended_at is None or row.status not in subscriptions.ENDED:
        return False
    return invoice.issued_at is not None and invoice.issued_at < row.ended_at


def _subscription_of(session: Session, invoice: Invoice) -> Subscription | None:
    return session.scalars(
        select(Subscription).where(Subscription.stripe_id == invoice.stripe_subscription_id)
    ).first()


def following(session: Session, invoice: Invoice) -> Sequence[Invoice]:
    """The other invoices that are to be paid before everything works again, oldest first."""
    return session.scalars(
        select(Invoice)
        .where(
            Invoice.stripe_subscription_id == invoice.stripe_subscription_id,
            Invoice.status == "open",
            Invoice.stripe_id != invoice.stripe_id,
            ~PAID_ELSEWHERE,
        )
        .order_by(Invoice.issued_at)
    ).all()
