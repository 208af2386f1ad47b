"""Units of channels taken in: messages, conversations, calls; each sending once, however often it comes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.models import UsageEntry
from portal.services import conversations, meter_events, subscriptions, usage_ledger, usage_periods
from portal.services.conversations import ACCEPTED, AHEAD, DUPLICATE, EVENT_ID_LENGTH, OLDEST, REJECTED, is_id
from portal.services.usage_ledger import Entry
from portal.services.usage_periods import Place

BATCH = 1000  # sendings in one call
MOST = 1_000_000  # units of one sending
SECONDS = "phone_seconds"
MINUTE = 60
LONGEST_CALL = 86_400  # seconds
# what is sent → what is counted, and the channel that it is shown under
KEYS = {
    "sms": ("sms", "sms"),
    "whatsapp": ("whatsapp", "whatsapp"),
    SECONDS: ("phone_minute", "phone"),
    "bulk_email": ("bulk_email", "email"),
    "proactive_message": ("proactive_message", "proactive"),
}

# why a sending is not taken in; the code is stable, the sentence is for whoever builds the integration
REASONS = {
    "id_invalid": conversations.REASONS["id_invalid"],
    "key_unknown": f"The key must be one of {', '.join(KEYS)}.",
    "quantity_invalid": f"The quantity must be 1 to {MOST}, of {SECONDS} 1 to {LONGEST_CALL}.",
    "time_without_zone": "occurred_at must have a time zone.",
    "in_the_future": f"occurred_at is more than {AHEAD.seconds // 60} minutes ahead of our clock.",
    "too_old": f"occurred_at is more than {OLDEST.days} days ago.",
    "id_reused": "This id was used with other content before.",
    "no_subscription": "No subscription covers this time, or none is live.",
    "not_sold": "The subscription does not include this; add it before it is used.",
}


@dataclass(frozen=True, slots=True)
class ChannelUsage:
    """One sending: ``quantity`` units of ``key``, of a call its seconds; ``occurred_at`` is aware."""

    id: str
    key: str
    quantity: int
    occurred_at: datetime

    @property
    def units(self) -> int:
        """What is counted: each call is rounded up to a minute."""
        return -(-self.quantity // MINUTE) if self.key == SECONDS else self.quantity


Body = tuple[str, int | None, datetime | None]  # what an id stands for: key, what was sent, when it occurred


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one sending: accepted, duplicate, or rejected with a code of REASONS."""

    id: str
    result: str
    reason: str | None = None

    @property
    def message(self) -> str | None:
        """The reason in a sentence."""
        return REASONS[self.reason] if self.reason else None


def take_in(
    session: Session, gateways: Gateways, workspace_id: int, sent: Sequence[ChannelUsage]
) -> list[Taken]:
    """Put sendings that are new in the ledger, with the rollup and what Stripe is told; in the order given.

    In the caller's transaction, which holds the usage periods until it ends.
    """
    now = gateways.clock.now()
    refused = {i: reason for i, usage in enumerate(sent) if (reason := _fault(usage, now))}
    first: dict[str, int] = {}
    for position, usage in enumerate(sent):
        if position not in refused:
            first.setdefault(usage.id, position)
    wanted = [sent[position] for position in first.values()]
    results, holds = _take_in(session, workspace_id, wanted, now) if wanted else ({}, {})
    return [
        Taken(usage.id, REJECTED, refused[position])
        if position in refused
        else results[usage.id]
        if position == first[usage.id]
        else _of_another(usage, holds.get(usage.id), results[usage.id])
        for position, usage in enumerate(sent)
    ]


def _of_another(usage: ChannelUsage, held: Body | None, result: Taken) -> Taken:
    """The answer to a further sending with an id in the batch; ``held`` is what the id stands for by now."""
    return result if held is None else _of_repeated(usage, held)


def _of_repeated(usage: ChannelUsage, held: Body) -> Taken:
    same = held == _body(usage)
    return Taken(usage.id, DUPLICATE) if same else Taken(usage.id, REJECTED, "id_reused")


def _body(usage: ChannelUsage) -> Body:
    return KEYS[usage.key][0], usage.quantity, usage.occurred_at


def _fault(usage: ChannelUsage, now: datetime) -> str | None:
    """Why the sending cannot be taken in, by itself."""
    if not is_id(usage.id, EVENT_ID_LENGTH):
        return "id_invalid"
    if usage.key not in KEYS:
        return "key_unknown"
    if not 1 <= usage.quantity <= (LONGEST_CALL if usage.key == SECONDS else MOST):
        return "quantity_invalid"
    if usage.occurred_at.tzinfo is None:
        return "time_without_zone"
    if usage.occurred_at > now + AHEAD:
        return "in_the_future"
    return "too_old" if usage.occurred_at < now - OLDEST else None


def _take_in(
    session: Session, workspace_id: int, wanted: Sequence[ChannelUsage], now: datetime
) -> tuple[dict[str, Taken], dict[str, Body]]:
    """Book what is new; the answer to each, and what each id stands for, unless nothing came to."""
    at = [usage.occurred_at for usage in wanted]
    periods = usage_periods.locked(session, since=min(at), until=max(at), now=now)
    # after the lock, so that what was sent twice at once is seen by the second
    stored = _stored(session, [usage.id for usage in wanted])
    results = {usage.id: _of_repeated(usage, stored[usage.id]) for usage in wanted if usage.id in stored}
    entries = []
    for usage in wanted:
        if usage.id in stored:
            continue
        place = periods.place(usage.occurred_at)
        fault = "no_subscription" if place is None else None
        results[usage.id] = Taken(usage.id, REJECTED if fault else ACCEPTED, fault)
        if place is not None:
            entries.append(_entry(workspace_id, usage, place))
    entries = _sold(session, entries, results)
    if entries:
        usage_ledger.write(session, workspace_id, entries, customer_id=periods.customer_id)
    stored |= {usage.id: _body(usage) for usage in wanted if results[usage.id].result == ACCEPTED}
    return results, stored


def _stored(session: Session, ids: Sequence[str]) -> dict[str, Body]:
    rows = session.execute(
        select(UsageEntry.source, UsageEntry.key, UsageEntry.sent_quantity, UsageEntry.occurred_at).where(
            UsageEntry.key.in_([key for key, _ in KEYS.values()]),
            UsageEntry.source.in_(ids),
            UsageEntry.kind == usage_ledger.USAGE,
        )
    )
    return {row.source: (row.key, row.sent_quantity, row.occurred_at) for row in rows}


def _sold(session: Session, entries: Sequence[Entry], results: dict[str, Taken]) -> list[Entry]:
    """The entries that the subscription has a metered item for; Stripe bills no others."""
    if not entries:
        return []
    subscription = subscriptions.bought(session)
    items = {item["key"] for item in subscription.items if item["metered"]} if subscription else set()
    for entry in entries:
        if entry.key not in items:
            results[entry.source] = Taken(entry.source, REJECTED, "not_sold")
    return [entry for entry in entries if entry.key in items]


def _entry(workspace_id: int, usage: ChannelUsage, place: Place) -> Entry:
    key, channel = KEYS[usage.key]
    free = place.period.trial or place.was_trial
    entry = Entry(
        place.period.starts_at,
        key,
        usage.id,
        usage_ledger.USAGE,
        usage.units,
        place.at,
        channel,
        usage_ledger.TRIAL if free else usage_ledger.METER,
        note=usage_ledger.LATE if place.late else None,
        occurred_at=usage.occurred_at,
        sent_quantity=usage.quantity,
    )
    if not free:
        entry.outbox = meter_events.WAITING
        entry.identifier = meter_events.identifier(workspace_id, usage.id, key=key)
    return entry
