"""Which catalogue a customer may move to: the current one, and back until the end of the day."""

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.models import Attempt, Quote
from portal.services import attempt_states as states
from portal.services import quotes
from portal.services.holdings import Holding


def offered(session: Session, gateways: Gateways, held: Holding, now: datetime) -> str:
    """The version that can be moved to: the current one, or for those on it the one they came from today."""
    current = gateways.settings.default_catalog
    if held.catalog != current:
        return current
    return came_from(session, held, now) or current


def came_from(session: Session, held: Holding, now: datetime) -> str | None:
    """The catalogue that the workspace left today (UTC): until midnight it may go back there."""
    moves = session.scalars(
        select(Quote)
        .join(Attempt, (Attempt.workspace_id == Quote.workspace_id) & (Attempt.quote_id == Quote.id))
        .where(
            Attempt.kind == quotes.CHANGE,
            Attempt.state == states.SUCCEEDED,
            Quote.confirmed_at >= now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0),
        )
        .order_by(Quote.confirmed_at.desc())
    )
    for quote in moves:
        terms = quote.terms or {}
        before = terms.get("catalog_before")
        if before != terms.get("catalog") and terms.get("catalog") == held.catalog:
            return str(before)
    return None
