"""Asking Stripe what happened, so that a webhook that never came is noticed and made up for."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_words import Event
from portal.models import PollCursor
from portal.services import inbox
from portal.services.event_handlers import EVENT_TYPES

CURSOR = "stripe_events"
THIN_CURSOR = "stripe_thin_events"
# events of one second do not become visible at once, and clocks differ
OVERLAP = timedelta(minutes=5)
# Stripe keeps events for 30 days
LONGEST_LOOK_BACK = timedelta(days=29)
# a webhook is usually here within a second; what is not here by then has been missed
PATIENCE = timedelta(seconds=60)


def poll(gateways: Gateways, *, patience: timedelta = PATIENCE) -> int:
    """Read all events since the last time and keep those that no webhook has brought; returns how many.

    They are worked on by the inbox's sweeper after ``patience``, which then reports the gap.
    """

    def snapshots(start: int) -> list[Event]:
        return gateways.stripe.events_since(start, EVENT_TYPES)

    def thin(start: int) -> list[Event]:
        return gateways.stripe.meters.errors_since(datetime.fromtimestamp(start, UTC))

    kept = _poll(gateways, CURSOR, snapshots, patience)
    return kept + _poll(gateways, THIN_CURSOR, thin, patience)


def _poll(gateways: Gateways, name: str, read: Callable[[int], list[Event]], patience: timedelta) -> int:
    now = int(gateways.clock.now().timestamp())
    with unit_of_work() as session:
        cursor = session.get(PollCursor, name)
        since = cursor.value if cursor else now
    earliest = now - int(LONGEST_LOOK_BACK.total_seconds())
    events = read(max(since - int(OVERLAP.total_seconds()), earliest))
    newest = max((event.created for event in events), default=since)
    with unit_of_work() as session:
        kept = [event for event in events if inbox.keep_for_later(session, event, patience)]
        _move_cursor(session, name, max(newest, since))
    return len(kept)


def _move_cursor(session: Session, name: str, value: int) -> None:
    statement = insert(PollCursor).values(name=name, value=value)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[PollCursor.name],
            set_={
                "value": func.greatest(PollCursor.value, statement.excluded.value),
                "updated_at": func.clock_timestamp(),
            },
        )
    )
