"""A workspace that uses what it bought: a subscription, conversations fed to it, and what they came to.

The subscription is written without Stripe, which takes no time; tests that need Stripe's side buy one with
``tests.services.buying`` instead and feed conversations to that workspace.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import (
    Allowance,
    BillingDetails,
    MeterEvent,
    Reservation,
    Resolution,
    Subscription,
    UsageDay,
    UsageEntry,
    UsagePeriod,
)
from portal.pricing import periods as calendar
from portal.services import conversations, outcomes, usage_periods
from portal.services.conversations import ConversationEvent, Taken
from portal.services.units import source_of

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# conversations in one sending
BATCH = 50
METERED = ("resolution", "sms", "whatsapp", "phone_minute", "bulk_email")

_numbers = itertools.count(1)


def new_conversation() -> str:
    """An id that no other conversation of the run has."""
    return f"c{next(_numbers)}-"


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
    span = {"metered": True, "period_start": int(first.timestamp()), "period_end": int(end.timestamp())}
    return Subscription(
        stripe_id=f"sub_{next(_numbers)}",
        status="trialing" if now < anchor else "active",
        access="active",
        catalog="2026-11",
        tier="advanced",
        interval="month",
        seats=5,
        currency="usd",
        items=[{"key": key} | span for key in METERED],
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


def _days(entries: Sequence[UsageEntry]) -> dict[tuple[object, ...], tuple[int, ...]]:
    """The rollup that the ledger's entries add up to."""
    days: dict[tuple[object, ...], tuple[int, ...]] = {}
    for entry in entries:
        day = (entry.period_start, entry.key, entry.channel, entry.at.astimezone(UTC).date())
        back = entry.kind == "reversal"
        more = (
            entry.quantity,
            entry.quantity if entry.charge == "meter" else 0,
            entry.quantity if entry.basis == "confirmed" and not back else 0,
            entry.quantity if entry.basis == "assumed" and not back else 0,
            1 if back else 0,
        )
        days[day] = tuple(map(sum, zip(days.get(day, (0,) * 5), more, strict=True)))
    return days


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
        """A conversation that was answered a minute ago and is confirmed now: one billable unit; its id."""
        conversation_id = conversation_id or new_conversation()
        self.feed(*self._resolved(conversation_id, channel))
        return conversation_id

    def resolve_many(self, count: int) -> list[str]:
        """So many new conversations of that kind, sent in batches; their ids."""
        ids = [new_conversation() for _number in range(count)]
        for start in range(0, count, BATCH):
            self.feed(
                *(event for each in ids[start : start + BATCH] for event in self._resolved(each, "chat"))
            )
        return ids

    def _resolved(self, conversation_id: str, channel: str) -> tuple[ConversationEvent, ConversationEvent]:
        now = self.gateways.clock.now()
        return (
            happened(conversation_id, "ai_answered", now - timedelta(minutes=1), channel=channel),
            happened(conversation_id, "customer_confirmed", now, channel=channel),
        )

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

    def balanced(self) -> bool:
        """Whether units, ledger, rollup and periods say the same, to the unit; fails where they do not."""
        entries = self.entries()
        assert {day: sums for day, sums in _days(entries).items() if any(sums)} == {
            (d.period_start, d.key, d.channel, d.day): sums
            for d in self.days()
            if any(sums := (d.quantity, d.charged, d.confirmed, d.assumed, d.reversed))
        }
        used, net = Counter[datetime](), Counter[str]()
        for entry in entries:
            if entry.key == "resolution":
                used[entry.period_start] += entry.quantity
                net[entry.source] += entry.quantity
        assert {p.starts_at: p.used for p in self.periods() if p.used} == {
            at: n for at, n in used.items() if n
        }
        assert {source: 1 for source, total in net.items() if total} == {
            source_of(u.conversation_id, u.episode, u.times): 1 for u in self.units() if u.counts
        }
        assert set(net.values()) <= {0, 1}
        with unit_of_work(self.workspace_id) as session:
            held = session.scalar(select(func.sum(Allowance.held))) or 0
            reserved = session.scalar(select(func.count()).where(Reservation.state == "held"))
        assert held == reserved + sum(unit.state == "pending" for unit in self.units())
        return True

    def used(self, key: str = "resolution") -> int:
        """The ledger's sum."""
        with unit_of_work(self.workspace_id) as session:
            total = select(func.coalesce(func.sum(UsageEntry.quantity), 0)).where(UsageEntry.key == key)
            return int(session.scalar(total) or 0)


def end_subscription(workspace: Workspace, at: datetime) -> None:
    """The workspace's subscription ended then."""
    with unit_of_work(workspace.workspace_id) as session:
        row = session.scalars(select(Subscription)).one()
        row.status, row.access, row.ended_at = "canceled", "ended", at
        session.flush()
        usage_periods.follow(session, row)


def ledger(workspace: Workspace) -> list[tuple[Any, ...]]:
    """Kind, quantity, instant, the month's day of start, charge and note of each entry."""
    return [(e.kind, e.quantity, e.at, e.period_start, e.charge, e.note) for e in workspace.entries()]


def outbox(workspace: Workspace) -> list[tuple[str, int]]:
    """State and quantity of each meter event."""
    return [(event.state, event.quantity) for event in workspace.outbox()]


def sent(workspace: Workspace, *, at: datetime, state: str = "sent", **values: Any) -> None:
    """Everything in the outbox went to Stripe."""
    with unit_of_work(workspace.workspace_id) as session:
        session.execute(
            update(MeterEvent)
            .where(MeterEvent.state == "waiting")
            .values(**{"state": state, "first_tried_at": at, "sent_at": at} | values)
        )
