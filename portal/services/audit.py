"""Who did what, from what to what; rows are only added."""

from sqlalchemy import select
from sqlalchemy.orm import Session
from structlog.contextvars import get_contextvars

from portal.models import AuditEntry, User

STRIPE = "Stripe"
SYSTEM = "system"


def record(
    session: Session,
    action: str,
    *,
    user_id: int | None = None,
    actor: str = SYSTEM,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
    quote_id: str | None = None,
    invoice_id: str | None = None,
) -> None:
    """Add an entry to the entered workspace's history, in the caller's transaction.

    ``action`` is noun.verb (``quote.confirmed``). With ``user_id`` the actor is that login's e-mail address.
    """
    if user_id is not None:
        actor = session.scalar(select(User.email).where(User.id == user_id)) or actor
    session.add(
        AuditEntry(
            user_id=user_id,
            actor=actor,
            action=action,
            before=before,
            after=after,
            quote_id=quote_id,
            stripe_invoice_id=invoice_id,
            request_id=get_contextvars().get("request_id"),
        )
    )
