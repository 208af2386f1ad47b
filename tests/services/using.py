"""A workspace that uses what it bought: a subscription, conversations fed to it, and what they came to.

The subscription is written without Stripe, which takes no time; tests that need Stripe's side buy one with
``tests.services.buying`` instead and feed conversations to that workspace.
"""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import (
    BillingDetails,
    MeterEvent,
    Resolution,
    Subscription,
    UsageDay,
    UsageEntry,
    UsagePeriod,
)
from portal.pricing import periods as calendar
from portal.services import conversations, outcomes, usage_periods
from portal.services.conversations import ConversationEvent, Taken

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

_numbers = itertools.count(1)


@dataclass
class HandClock:
    """A clock that is turned by hand."""

    at: datetime = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def advance(self, **delta: float) -> None:
        self.at += timedelta(**delta)


def subscribe(
    gateways: Gateways,
    workspace_id: int,
    *,
    since: datetime | None = None,
    trial_days: int = 0,
    **values: Any,
) -> Subscription:
    """Give the workspace a live subscription that began at ``since`` (ten days ago); its period opens."""
    now = gateways.clock.now()
    start = (since or now - 10 * DAY).replace(microsecond=0)
    anchor = start + trial_days * DAY
    row = _subscription(start, anchor, now)
    for name, value in values.items():
        setattr(row, name, value)
    with unit_of_work(workspace_id) as session:
        session.add(row)
        details = session.get(BillingDetails, workspace_id)
        if details is not None:
            details.stripe_customer_id = details.stripe_customer_id or f"cus_{workspace_id}"
        session.flush()
        usage_periods.follow(session, row)
    return row


def _subscription(start: datetime, anchor: datetime, now: datetime) -> Subscription:
    first, end = (start, anchor) if now < anchor else _month(anchor, now)
    item = {
        "key": "resolution",
        "metered": True,
        "period_start": int(first.timestamp()),
        "period_end": int(end.timestamp()),
    }
    return Subscription(
        stripe_id=f"sub_{next(_numbers)}",
        status="trialing" if now < anchor else "active",
        access="active",
        catalog="2026-11",
        tier="advanced",
        interval="month",
        seats=5,
        currency="usd",
        items=[item],
        discounts=[],
        started_at=start,
        anchor=anchor,
        trial_end=anchor if anchor > start else None,
        usage_period_end=end,
        synced_at=now,
    )


def _month(anchor: datetime, now: datetime) -> tuple[datetime, datetime]:
    start, end = calendar.containing(int(anchor.timestamp()), "month", int(now.timestamp()))
    return datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)


def happened(
    conversation_id: str,
    type: str,
    at: datetime,
    *,
    id: str | None = None,
    channel: str = "chat",
    test: bool = False,
) -> ConversationEvent:
    """One event; its id is new unless given."""
    return ConversationEvent(id or f"e{next(_numbers)}", conversation_id, type, at, channel, test)


@dataclass(frozen=True)
class Workspace:
    """A workspace under test: what is fed to it and what it then holds."""

    gateways: Gateways
    workspace_id: int

    def feed(self, *events: ConversationEvent) -> list[Taken]:
        """Send the events in one batch."""
        with unit_of_work(self.workspace_id) as session:
            return conversations.take_in(session, self.gateways, self.workspace_id, list(events))

    def resolve(self, conversation_id: str | None = None, *, channel: str = "chat") -> str:
        """A conversation that was answered and confirmed a moment ago: one billable unit; its id."""
        conversation_id = conversation_id or f"c{next(_numbers)}"
        now = self.gateways.clock.now()
        self.feed(
            happened(conversation_id, "ai_answered", now - timedelta(minutes=2), channel=channel),
            happened(conversation_id, "customer_confirmed", now - timedelta(minutes=1), channel=channel),
        )
        return conversation_id

    def catch_up(self) -> int:
        """Let what is due become billable; how many units."""
        return outcomes.catch_up(self.gateways, self.workspace_id)

    def units(self, conversation_id: str | None = None) -> list[Resolution]:
        """The units, by conversation and episode."""
        statement = select(Resolution).order_by(Resolution.conversation_id, Resolution.episode)
        if conversation_id is not None:
            statement = statement.where(Resolution.conversation_id == conversation_id)
        with unit_of_work(self.workspace_id) as session:
            return list(session.scalars(statement))

    def states(self, conversation_id: str) -> list[str]:
        """The states of a conversation's units, the first episode first."""
        return [unit.state for unit in self.units(conversation_id)]

    def entries(self) -> list[UsageEntry]:
        """The ledger, in the order in which it was written."""
        with unit_of_work(self.workspace_id) as session:
            return list(session.scalars(select(UsageEntry).order_by(UsageEntry.id)))

    def days(self) -> list[UsageDay]:
        """The rollup, oldest day first."""
        order = (UsageDay.period_start, UsageDay.key, UsageDay.channel, UsageDay.day)
        with unit_of_work(self.workspace_id) as session:
            return list(session.scalars(select(UsageDay).order_by(*order)))

    def outbox(self) -> list[MeterEvent]:
        """What waits for Stripe's meters, or went there."""
        with unit_of_work(self.workspace_id) as session:
            return list(session.scalars(select(MeterEvent).order_by(MeterEvent.entry_id)))

    def periods(self) -> list[UsagePeriod]:
        """The usage periods, oldest first."""
        with unit_of_work(self.workspace_id) as session:
            return list(session.scalars(select(UsagePeriod).order_by(UsagePeriod.starts_at)))

    def used(self, key: str = "resolution") -> int:
        """The ledger's sum."""
        with unit_of_work(self.workspace_id) as session:
            total = select(func.coalesce(func.sum(UsageEntry.quantity), 0)).where(UsageEntry.key == key)
            return int(session.scalar(total) or 0)
