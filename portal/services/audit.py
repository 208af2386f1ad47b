"""Who did what, from what to what; rows are only added."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from structlog.contextvars import get_contextvars

from portal.db import unit_of_work
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


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted: of one actor, of actions about one of ``nouns``, in [since, until)."""

    actor: str | None = None
    nouns: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


def listing(
    session: Session, wanted: Filter, *, limit: int, before_id: int | None = None
) -> list[AuditEntry]:
    """Entries of the entered workspace, newest first; ``before_id`` goes on after the last one shown."""
    statement = select(AuditEntry).order_by(AuditEntry.id.desc()).limit(limit)
    if before_id is not None:
        statement = statement.where(AuditEntry.id < before_id)
    if wanted.actor:
        statement = statement.where(AuditEntry.actor == wanted.actor)
    if wanted.nouns:
        statement = statement.where(func.split_part(AuditEntry.action, ".", 1).in_(wanted.nouns))
    if wanted.since:
        statement = statement.where(AuditEntry.at >= wanted.since)
    if wanted.until:
        statement = statement.where(AuditEntry.at < wanted.until)
    return list(session.scalars(statement))


def actors(session: Session) -> list[str]:
    """Everybody who did something in the entered workspace."""
    return list(session.scalars(select(AuditEntry.actor).distinct().order_by(AuditEntry.actor)))


def pages(workspace_id: int, wanted: Filter, *, size: int = 500) -> Iterator[list[AuditEntry]]:
    """All entries that are wanted, a page at a time, each in a unit of work of its own."""
    last = None
    while True:
        with unit_of_work(workspace_id) as session:
            found = listing(session, wanted, limit=size, before_id=last)
        if found:
            yield found
        if len(found) < size:
            return
        last = found[-1].id
