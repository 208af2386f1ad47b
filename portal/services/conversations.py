"""Conversation events taken in: each once, whatever the order and however often they are sent.

A batch is one transaction of a few statements for all of its events. Its conversations are locked, or if they
are many, their whole workspace: whoever holds a conversation sees all of its events and is the only one who
derives its units.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zlib import crc32

from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.pricing.outcomes import CUSTOMER_ASKED, EVENT_TYPES, HUMAN_REQUESTED, REOPENED
from portal.services import bulk, outcomes, subscriptions, units
from portal.services.units import Happened

ACCEPTED, DUPLICATE, REJECTED = "accepted", "duplicate", "rejected"

BATCH = 1000  # events in one call
EVENT_ID_LENGTH = 100
CONVERSATION_ID_LENGTH = 200
CHANNEL_LENGTH = 40
EVENTS_PER_CONVERSATION = 1000
# beyond these a conversation may still show that the customer came back: one such event settles its last
# unit, and none can begin after it
RETURNS = (CUSTOMER_ASKED, HUMAN_REQUESTED, REOPENED)
MORE_RETURNS = 100
# visible ASCII but for what addresses and the ledger put between their parts: " # % / ? \
ID_PATTERN = r"^[!$&-.0-9:->@-\[\]-~]+$"
ID_CHARACTERS = 'visible ASCII without " # % / ? and \\'
CHANNEL_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$"
_ID, _CHANNEL = re.compile(ID_PATTERN), re.compile(CHANNEL_PATTERN)
# how far a sender's clock may be ahead of ours; Stripe allows its meters no more
AHEAD = timedelta(minutes=5)
# Stripe's meters look 35 days back; a unit matures within a day of its answer, and a month is 31 days
OLDEST = timedelta(days=40)

# why an event is not taken in; the code is stable, the sentence is for whoever builds the integration
REASONS = {
    "id_invalid": f"The id must have 1 to {EVENT_ID_LENGTH} characters, {ID_CHARACTERS}.",
    "conversation_id_invalid": (
        f"The conversation_id must have 1 to {CONVERSATION_ID_LENGTH} characters, {ID_CHARACTERS}."
    ),
    "channel_invalid": (
        f"The channel must have 1 to {CHANNEL_LENGTH} letters, digits, spaces, dots, dashes and underscores,"
        " a letter or digit first."
    ),
    "type_unknown": f"The type must be one of {', '.join(EVENT_TYPES)}.",
    "time_without_zone": "occurred_at must have a time zone.",
    "in_the_future": f"occurred_at is more than {AHEAD.seconds // 60} minutes ahead of our clock.",
    "too_old": f"occurred_at is more than {OLDEST.days} days ago.",
    "id_reused": "This id was used with other content before.",
    "no_subscription": "The workspace has no live subscription, and the conversation is not known.",
    "conversation_full": f"The conversation has {EVENTS_PER_CONVERSATION} events already.",
}

# Keys apart from other advisory locks', which are hashes of all 64 bits. A batch takes few of them at a time:
# the server has room for some 64 in each of its connections.
_OF_CONVERSATION, _OF_WORKSPACE = 0x636F << 48, 0x6370 << 48
MOST_LOCKS = 64
# as many rows as a plan that is made for any array reckons with
FEW_EVENTS = 10
_LIVE, _BOUGHT = bulk.array(subscriptions.LIVE), bulk.array(subscriptions.BOUGHT)
_RETURNS = bulk.array(RETURNS)
# The workspace's first, in the order of the keys; with the question that has to be asked anyway.
# Prepared plans outlive the moment: one made while a table was small would read all of it ever after. For a
# few events none is made anew, which takes longer than carrying it out.
LOCK = """
SELECT CASE WHEN %(shared)s AND i = 1 THEN pg_advisory_xact_lock_shared(k)::text
  ELSE pg_advisory_xact_lock(k)::text END,
  EXISTS (SELECT FROM subscription WHERE status = ANY(%(live)s::text[]) AND access = ANY(%(bought)s::text[])),
  set_config('enable_seqscan', 'off', true), set_config('plan_cache_mode', %(plans)s, true)
FROM unnest(%(keys)s::bigint[]) WITH ORDINALITY AS u (k, i)
"""
KNOWN = "SELECT DISTINCT conversation_id FROM resolution WHERE conversation_id = ANY(%(ids)s::text[])"
# A statement sees what was there when it began: that comes back beside what is added. Looked up one by one
# (OFFSET 0 keeps it so), or a plan that was made without statistics reads all conversations of a workspace.
ADD = """
WITH sent AS MATERIALIZED (
  SELECT * FROM unnest(%(id)s::text[], %(conversation_id)s::text[], %(type)s::text[],
    %(occurred_at)s::timestamptz[], %(channel)s::text[], %(test)s::boolean[])
    AS s (id, conversation_id, type, occurred_at, channel, test)
), before AS MATERIALIZED (
  SELECT e.* FROM (SELECT DISTINCT conversation_id FROM sent) s, LATERAL (
    SELECT id, conversation_id, type, occurred_at, channel, test FROM conversation_event e
    WHERE e.workspace_id = %(workspace)s AND e.conversation_id = s.conversation_id OFFSET 0) e
), added AS (
  INSERT INTO conversation_event
    (workspace_id, id, conversation_id, type, occurred_at, channel, test, received_at)
  SELECT %(workspace)s, s.id, s.conversation_id, s.type, s.occurred_at, s.channel, s.test, %(now)s
  FROM sent s LEFT JOIN (
    SELECT conversation_id, count(*) AS there FROM before GROUP BY 1) b USING (conversation_id)
  WHERE coalesce(b.there, 0) < CASE WHEN s.type = ANY(%(returns)s::text[]) THEN %(full)s ELSE %(most)s END
  ORDER BY s.id
  ON CONFLICT DO NOTHING
  RETURNING id
)
SELECT id, conversation_id, type, occurred_at, channel, test, true AS stored FROM before
UNION ALL
SELECT id, null, null, null, null, null, false FROM sent WHERE id NOT IN (SELECT id FROM added)
"""
EVENT = ("id", "conversation_id", "type", "occurred_at", "channel", "test")
STORED = """
SELECT id, conversation_id, type, occurred_at, channel, test FROM conversation_event
WHERE id = ANY(%(ids)s::text[])
"""


@dataclass(frozen=True, slots=True)
class ConversationEvent:
    """One event as it is sent; ``occurred_at`` is aware, the id is the sender's."""

    id: str
    conversation_id: str
    type: str
    occurred_at: datetime
    channel: str = "chat"
    test: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one event: accepted, duplicate, or rejected with a code of REASONS."""

    id: str
    result: str
    reason: str | None = None

    @property
    def message(self) -> str | None:
        """The reason in a sentence."""
        return REASONS[self.reason] if self.reason else None


def take_in(
    session: Session, gateways: Gateways, workspace_id: int, events: Sequence[ConversationEvent]
) -> list[Taken]:
    """Store events that are new and write what their conversations come to by them; in the order given.

    In the caller's transaction, which should end soon after: the conversations stay locked until then.
    """
    now = gateways.clock.now()
    refused = {i: reason for i, event in enumerate(events) if (reason := _fault(event, now))}
    # of those with one id in the same batch the first counts
    first: dict[str, int] = {}
    for position, event in enumerate(events):
        if position not in refused:
            first.setdefault(event.id, position)
    wanted = {id: events[position] for id, position in first.items()}
    results, holds = _take_in(session, workspace_id, wanted, now) if wanted else ({}, {})
    return [
        Taken(event.id, REJECTED, refused[position])
        if position in refused
        else results[event.id]
        if position == first[event.id]
        else _of_another(event, holds.get(event.id), results[event.id])
        for position, event in enumerate(events)
    ]


def _of_another(event: ConversationEvent, held: ConversationEvent | None, result: Taken) -> Taken:
    """The answer to a further event with an id in the batch; ``held`` is what the id stands for by now."""
    if held is None:
        return result
    return Taken(event.id, DUPLICATE) if event == held else Taken(event.id, REJECTED, "id_reused")


def _fault(event: ConversationEvent, now: datetime) -> str | None:
    """Why the event cannot be taken in, by itself."""
    if not is_id(event.id, EVENT_ID_LENGTH):
        return "id_invalid"
    if not is_id(event.conversation_id, CONVERSATION_ID_LENGTH):
        return "conversation_id_invalid"
    if not (len(event.channel) <= CHANNEL_LENGTH and _CHANNEL.fullmatch(event.channel)):
        return "channel_invalid"
    if event.type not in EVENT_TYPES:
        return "type_unknown"
    if event.occurred_at.tzinfo is None:
        return "time_without_zone"
    if event.occurred_at > now + AHEAD:
        return "in_the_future"
    return "too_old" if event.occurred_at < now - OLDEST else None


def is_id(text: str, length: int) -> bool:
    """Whether the text may be an id of an event or a conversation."""
    return len(text) <= length and _ID.fullmatch(text) is not None


def _take_in(
    session: Session, workspace_id: int, wanted: Mapping[str, ConversationEvent], now: datetime
) -> tuple[dict[str, Taken], dict[str, ConversationEvent]]:
    """Store events and follow them, with their conversations locked.

    Returns the answer to each and what each id stands for, unless nothing came to stand for it.
    """
    results: dict[str, Taken] = {}
    if not _lock(session, workspace_id, wanted):
        known = _known(session, wanted)
        results = {
            event.id: Taken(event.id, REJECTED, "no_subscription")
            for event in wanted.values()
            if event.conversation_id not in known
        }
        wanted = {id: event for id, event in wanted.items() if id not in results}
    if not wanted:
        return results, {}
    added, before = _add(session, workspace_id, wanted, now)
    results |= {id: Taken(id, ACCEPTED) for id in added}
    holds = {id: wanted[id] for id in added}
    repeated = [event for id, event in wanted.items() if id not in holds]
    holds |= _stored(session, [event.id for event in repeated], before)
    results |= {event.id: _of_repeated(event, holds.get(event.id)) for event in repeated}
    conversations: dict[str, list[Happened]] = {}
    for id in added:
        conversations.setdefault(wanted[id].conversation_id, []).append(_happened(wanted[id]))
    if conversations:
        _follow(session, workspace_id, conversations, before, now)
    return results, holds


def _lock(session: Session, workspace_id: int, wanted: Mapping[str, ConversationEvent]) -> bool:
    """Lock the conversations; whether the workspace has a live subscription."""
    of_workspace = f"{workspace_id}:".encode()
    keys = {crc32(of_workspace + event.conversation_id.encode()) for event in wanted.values()}
    few = len(keys) < MOST_LOCKS
    locked = sorted(keys) if few else []
    values = {
        "shared": few,
        "keys": bulk.array([_OF_WORKSPACE + workspace_id, *(_OF_CONVERSATION + key for key in locked)]),
        "plans": "force_generic_plan" if len(wanted) <= FEW_EVENTS else "auto",
        "live": _LIVE,
        "bought": _BOUGHT,
    }
    return bool(bulk.run(session, LOCK, values)[0][1])


def _known(session: Session, wanted: Mapping[str, ConversationEvent]) -> set[str]:
    """The conversations that have a unit: what is said about them may take back what was charged."""
    ids = {event.conversation_id for event in wanted.values()}
    return {row[0] for row in bulk.run(session, KNOWN, {"ids": bulk.array(list(ids))})}


Stored = dict[str, dict[str, ConversationEvent]]


def _add(
    session: Session, workspace_id: int, wanted: Mapping[str, ConversationEvent], now: datetime
) -> tuple[list[str], Stored]:
    """Insert the events; the ids of those that are new, and what was there of their conversations, by id."""
    values = bulk.columns(list(wanted.values()), EVENT) | {
        "workspace": workspace_id,
        "now": now,
        "most": EVENTS_PER_CONVERSATION,
        "full": EVENTS_PER_CONVERSATION + MORE_RETURNS,
        "returns": _RETURNS,
    }
    repeated = set[str]()
    before: Stored = {}
    for *row, stored in bulk.run(session, ADD, values):
        if stored:
            before.setdefault(row[1], {})[row[0]] = ConversationEvent(*row)
        else:
            repeated.add(row[0])
    return [id for id in wanted if id not in repeated], before


def _stored(session: Session, ids: Sequence[str], before: Stored) -> dict[str, ConversationEvent]:
    """What stands under these ids already: mostly in their own conversation, but not always."""
    if not ids:
        return {}
    known = {id: event for events in before.values() for id, event in events.items()}
    elsewhere = [id for id in ids if id not in known]
    if elsewhere:
        for row in bulk.run(session, STORED, {"ids": bulk.array(elsewhere)}):
            known[row[0]] = ConversationEvent(*row)
    return {id: known[id] for id in ids if id in known}


def _of_repeated(event: ConversationEvent, stored: ConversationEvent | None) -> Taken:
    """The answer to an event that was not added: it is there, another is, or there was no room."""
    if stored is None:
        return Taken(event.id, REJECTED, "conversation_full")
    return Taken(event.id, DUPLICATE) if event == stored else Taken(event.id, REJECTED, "id_reused")


def _follow(
    session: Session,
    workspace_id: int,
    conversations: Mapping[str, list[Happened]],
    before: Stored,
    now: datetime,
) -> None:
    """Have the units of conversations derived anew, now that events were added to them."""
    older = [id for id in conversations if id in before]
    for id in older:
        conversations[id] += [_happened(event) for event in before[id].values()]
    # a conversation without events has no units
    known = units.load(session, older) if older else {}
    outcomes.follow(session, workspace_id, conversations, known=known, now=now)


def _happened(event: ConversationEvent) -> Happened:
    return Happened(event.type, event.occurred_at, event.channel, event.test)
