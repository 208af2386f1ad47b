"""Which open invoices of a subscription are owed: not those that a first purchase or a change waits for."""

from datetime import datetime

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session

from portal.models import Attempt, Invoice
from portal.services import attempt_states
from portal.services.change_states import UPDATE_REASON
from portal.services.subscriptions import collection_failed

# of which the attempt may not have heard yet
_BEGUN = and_(Attempt.stripe_invoice_id.is_(None), Attempt.state.in_(attempt_states.LIVE))
# A first purchase has not begun before it is paid, and an unpaid change is taken back by itself: the pages of
# both say at once what was not paid. What else an update bills is owed as a renewal is.
PAID_ELSEWHERE = or_(
    Invoice.billing_reason == "subscription_create",
    and_(
        Invoice.billing_reason == UPDATE_REASON,
        exists().where(or_(Attempt.stripe_invoice_id == Invoice.stripe_id, _BEGUN)),
    ),
)


def is_paid_elsewhere(session: Session, invoice: Invoice) -> bool:
    """Whether the invoice belongs to a first purchase or a change, and is paid on the page of that."""
    statement = select(Invoice.stripe_id).where(Invoice.stripe_id == invoice.stripe_id, PAID_ELSEWHERE)
    return session.scalar(statement) is not None


def owed_since(session: Session, subscription_id: str) -> datetime | None:
    """When the oldest of the subscription's invoices that is still owed became final; None while none is.

    A debit on its way does not count.
    """
    statement = select(Invoice).where(
        Invoice.stripe_subscription_id == subscription_id,
        Invoice.status == "open",
        Invoice.issued_at.is_not(None),
        ~PAID_ELSEWHERE,
    )
    owed = [row for row in session.scalars(statement) if collection_failed(row)]
    return min((row.issued_at for row in owed if row.issued_at), default=None)
