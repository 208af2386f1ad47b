"""The units of conversations: derived from their events by ``pricing.outcomes``, read and written in sets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy.orm import Session

from portal.pricing import outcomes as rules
from portal.services import bulk

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000  # in the unit in which the rules are asked: microseconds
WINDOW = rules.DAY * SECOND
DAY = timedelta(seconds=rules.DAY)

SOURCE_TIMES = "~"
ACCEPTED = "accepted"  # of a contest


class Happened(NamedTuple):
    """What the rules need of an event."""

    type: str
    at: datetime
    channel: str
    test: bool


@dataclass(slots=True)
class Unit:
    """A row of ``resolution``."""

    conversation_id: str
    episode: int
    state: str
    kind: str | None
    because: str
    channel: str
    answered_at: datetime | None
    matures_at: datetime | None
    billable_at: datetime | None
    reversed_at: datetime | None
    taken_back_at: datetime | None = None
    period_start: datetime | None = None
    counted_at: datetime | None = None
    counted_as: str | None = None
    counted_on: str | None = None
    charge: str | None = None
    counts: bool = False
    times: int = 0
    contest: str | None = None

    @property
    def source(self) -> str:
        """What the ledger calls it, as it stands there last."""
        return source_of(self.conversation_id, self.episode, self.times)


COLUMNS = tuple(field.name for field in fields(Unit))
SELECT = f"SELECT {', '.join(COLUMNS)} FROM resolution"  # noqa: S608
LOAD = f"{SELECT} WHERE conversation_id = ANY(%(ids)s::text[]) ORDER BY conversation_id, episode FOR UPDATE"
DUE = (
    f"{SELECT} WHERE state = 'pending' AND matures_at <= %(now)s"
    " ORDER BY matures_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED"
)
_KEY = ("conversation_id", "episode")
_TYPES = {
    "episode": "int",
    "counts": "boolean",
    "times": "int",
    **dict.fromkeys(
        (
            *("answered_at", "matures_at", "billable_at", "reversed_at", "taken_back_at", "period_start"),
            "counted_at",
        ),
        "timestamptz",
    ),
}
STORE = f"""
INSERT INTO resolution (workspace_id, {", ".join(COLUMNS)})
SELECT %(workspace)s, s.* FROM unnest(
  {", ".join(f"%({name})s::{_TYPES.get(name, 'text')}[]" for name in COLUMNS)}) AS s
ON CONFLICT (workspace_id, conversation_id, episode) DO UPDATE SET
  {", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name not in _KEY)}
"""  # noqa: S608
REMOVE = "DELETE FROM resolution WHERE conversation_id = %(conversation_id)s AND episode = %(episode)s"


def source_of(conversation_id: str, episode: int, times: int = 1) -> str:
    """What the ledger calls a unit: ``c7#1``, and ``c7#1~2`` once it has become billable a second time.

    Read from the right it is unambiguous, whatever characters a conversation's id has.
    """
    return f"{conversation_id}#{episode}" + (f"{SOURCE_TIMES}{times}" if times > 1 else "")


def unit_of(source: str) -> tuple[str, int]:
    """The conversation and the episode that a source of the ledger names."""
    conversation_id, _, rest = source.rpartition("#")
    return conversation_id, int(rest.partition(SOURCE_TIMES)[0])


def times_of(source: str) -> int:
    """Which time a source names at which its unit became billable: 1, 2 …"""
    return int(source.rpartition("#")[2].partition(SOURCE_TIMES)[2] or 1)


def derive(conversation_id: str, events: Sequence[Happened], now: datetime) -> list[Unit]:
    """The conversation's units as they stand at ``now``, which nothing but the set of events decides.

    A sender's clock may be ahead by a few minutes: what it says has happened has happened.
    """
    latest, test = now, False
    # the instants that the rules answer with are those that they were asked with, or a day after one
    moments: dict[int | None, datetime] = {}
    asked = []
    for event in events:
        micros = _micros(event.at)
        moments[micros] = event.at
        moments[micros + WINDOW] = event.at + DAY
        latest, test = max(latest, event.at), test or event.test
        asked.append(rules.Event(event.type, micros))
    found = rules.episodes(asked, now=_micros(latest), test=test, window=WINDOW)
    return [_unit(conversation_id, episode, events, moments) for episode in found]


def _unit(
    conversation_id: str,
    episode: rules.Episode,
    events: Sequence[Happened],
    moments: Mapping[int | None, datetime],
) -> Unit:
    answered_at = moments.get(episode.answered_at)
    return Unit(
        conversation_id,
        episode.number,
        episode.state,
        episode.kind,
        episode.because,
        _channel(events, answered_at),
        answered_at,
        moments.get(episode.matures_at),
        moments.get(episode.billable_at),
        moments.get(episode.reversed_at),
    )


def _channel(events: Sequence[Happened], answered_at: datetime | None) -> str:
    """Where it was answered; before that, where the conversation began."""
    if answered_at is None:
        return min((event.at, event.channel) for event in events)[1]
    return min(e.channel for e in events if e.at == answered_at and e.type == rules.AI_ANSWERED)


def _micros(at: datetime) -> int:
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


def carry_over(unit: Unit, known: Unit | None) -> Unit:
    """The unit with what the ledger has of it already."""
    if known is None:
        return unit
    return replace(
        unit,
        taken_back_at=known.taken_back_at,
        period_start=known.period_start,
        counted_at=known.counted_at,
        counted_as=known.counted_as,
        counted_on=known.counted_on,
        charge=known.charge,
        counts=known.counts,
        times=known.times,
        contest=known.contest,
    )


def nothing_left(known: Unit) -> Unit:
    """What is left of a unit whose episode is none any more, now that a late event arrived."""
    unit = Unit(
        known.conversation_id,
        known.episode,
        rules.OPEN,
        None,
        rules.NO_ANSWER,
        known.channel,
        None,
        None,
        None,
        None,
    )
    return carry_over(unit, known)


def load(session: Session, conversation_ids: Iterable[str]) -> dict[str, list[Unit]]:
    """The known units of conversations, the first episode first, locked."""
    found: dict[str, list[Unit]] = {}
    for row in bulk.run(session, LOAD, {"ids": bulk.array(list(conversation_ids))}):
        found.setdefault(row[0], []).append(Unit(*row))
    return found


def due(session: Session, now: datetime, limit: int) -> list[Unit]:
    """Units that are to become billable, the first due first, locked; not those that somebody works on."""
    return [Unit(*row) for row in bulk.run(session, DUE, {"now": now, "limit": limit})]


def store(session: Session, workspace_id: int, units: Sequence[Unit]) -> None:
    """Write units over what is known of them; one whose episode is none any more and never counted goes."""
    kept = [unit for unit in units if not _is_nothing(unit)]
    if kept:
        values = bulk.columns(kept, COLUMNS) | {"workspace": workspace_id}
        bulk.run(session, STORE, values)
    for unit in filter(_is_nothing, units):
        bulk.run(session, REMOVE, {"conversation_id": unit.conversation_id, "episode": unit.episode})


def _is_nothing(unit: Unit) -> bool:
    return unit.state == rules.OPEN and unit.episode > 1 and not unit.times
