"""Resolutions one by one: a page of them as a filter leaves them, and the evidence of one.

Each page reads a bounded number of rows in the order of an index, however many there are: a filter that
leaves few of them ends after SCANNED rows and says where it goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, literal, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from portal.models import Resolution
from portal.pricing import outcomes
from portal.services.usage import Period

PER_PAGE = 50
SCANNED = 2_000
COUNTED, BILLABLE, REVERSED, PENDING = "counted", outcomes.BILLABLE, outcomes.REVERSED, outcomes.PENDING
NOT_BILLABLE, CONTESTED, DISPUTED = outcomes.NOT_BILLABLE, "contested", "disputed"
# what a list may be of: all that stands in the period's ledger as counted, whether it was taken back since or
# not; those of it that are charged; what was taken back in the period; those of one state that never counted;
# all that was ever contested, or what of that is not decided yet
LISTS = (COUNTED, BILLABLE, REVERSED, PENDING, NOT_BILLABLE, CONTESTED, DISPUTED)
# the instant by which each list is ordered, newest first
ORDERED_BY: dict[str, InstrumentedAttribute[datetime | None]] = {
    COUNTED: Resolution.counted_at,
    BILLABLE: Resolution.counted_at,
    CONTESTED: Resolution.counted_at,
    DISPUTED: Resolution.counted_at,
    REVERSED: Resolution.taken_back_at,
    PENDING: Resolution.matures_at,
    NOT_BILLABLE: Resolution.answered_at,
}
# lists of what was counted: kind and channel are those that it was counted as
OF_COUNTED = (COUNTED, BILLABLE, CONTESTED, DISPUTED, REVERSED)
# of a contest that is not decided
OPEN = "open"
LAST_CHARACTER = "\U0010ffff"


def as_counted(unit: Resolution) -> tuple[str | None, str]:
    """The kind and the channel of a unit in its month; of one that no month has, as they are known."""
    if unit.counts or unit.taken_back_at is not None:
        return unit.counted_as, unit.counted_on or unit.channel
    return unit.kind, unit.channel


@dataclass(frozen=True)
class Filter:
    """Which resolutions are wanted: a list of a period, narrowed by kind, channel and a day (UTC).

    ``search`` is how the conversation's id begins; with it the period and the day do not matter.
    """

    period: Period | None
    state: str = COUNTED
    kind: str = ""
    channel: str = ""
    day: date | None = None
    search: str = ""

    @property
    def narrowed(self) -> bool:
        """Whether it leaves less than all that was counted in the period."""
        return self != Filter(self.period)


@dataclass(frozen=True)
class Place:
    """Where a list goes on: after the unit with these values. ``at`` is None in a search."""

    at: datetime | None
    conversation_id: str
    episode: int


@dataclass(frozen=True)
class Page:
    """The units of a page. ``further`` is where the next one begins, None at the end."""

    units: Sequence[Resolution]
    further: Place | None


def page(
    session: Session,
    wanted: Filter,
    *,
    after: Place | None = None,
    limit: int = PER_PAGE,
    scanned: int = SCANNED,
) -> Page:
    """The units that the filter leaves, newest first; those of a search by conversation.

    At most ``scanned`` rows are looked at.
    """
    seen = _seen(wanted, after, scanned)
    unit = aliased(Resolution, seen.subquery())
    fitting = select(unit).where(*_fits(unit, wanted)).order_by(*_order(unit, wanted)).limit(limit + 1)
    rows = list(session.scalars(fitting))
    if len(rows) > limit:
        return Page(rows[:limit], _place(rows[limit - 1], wanted))
    last = session.scalars(seen.limit(1).offset(scanned - 1)).first()
    return Page(rows, _place(last, wanted) if last else None)


def _seen(wanted: Filter, after: Place | None, scanned: int) -> Select[Resolution]:
    """The rows that are looked at, in the order of an index."""
    statement = select(Resolution).order_by(*_order(Resolution, wanted)).limit(scanned)
    if wanted.search:
        statement = statement.where(
            Resolution.conversation_id >= wanted.search,
            Resolution.conversation_id < wanted.search + LAST_CHARACTER,
        )
        if after is not None:
            last = tuple_(literal(after.conversation_id), literal(after.episode))
            statement = statement.where(tuple_(Resolution.conversation_id, Resolution.episode) > last)
        return statement
    statement = statement.where(*_listed(wanted))
    if after is not None and after.at is not None:
        at = ORDERED_BY[wanted.state]
        last = tuple_(literal(after.at), literal(after.conversation_id), literal(after.episode))
        statement = statement.where(tuple_(at, Resolution.conversation_id, Resolution.episode) < last)
    return statement


def _listed(wanted: Filter) -> list[ColumnElement[bool]]:
    """What an index finds: the list of the period, or of one of its days."""
    at = ORDERED_BY[wanted.state]
    found: list[ColumnElement[bool]] = []
    if wanted.state in (COUNTED, BILLABLE, CONTESTED, DISPUTED):
        found.append(Resolution.period_start == (wanted.period.starts_at if wanted.period else None))
    elif wanted.state == PENDING:
        found.append(_in_state(PENDING))
    else:
        found += [at.is_not(None), *([] if wanted.state == REVERSED else [_in_state(wanted.state)])]
        if wanted.period:
            found += [at >= wanted.period.starts_at, at < wanted.period.ends_at]
    if wanted.state in (CONTESTED, DISPUTED):
        found.append(Resolution.contest.is_not(None))
    if wanted.day is not None:
        midnight = datetime.combine(wanted.day, time(), UTC)
        found += [at >= midnight, at < midnight + timedelta(days=1)]
    return found


def _in_state(state: str) -> ColumnElement[bool]:
    """As a literal, which a prepared statement's plan can match with the index of that state."""
    return Resolution.state == literal(state, literal_execute=True)


def _fits(unit: Any, wanted: Filter) -> list[ColumnElement[bool]]:
    """What each row that is looked at is asked."""
    found: list[ColumnElement[bool]] = []
    as_counted = wanted.state in OF_COUNTED and not wanted.search
    if wanted.kind:
        found.append((unit.counted_as if as_counted else unit.kind) == wanted.kind)
    if wanted.channel:
        found.append((unit.counted_on if as_counted else unit.channel) == wanted.channel)
    match wanted.state:
        case "counted":
            # what was corrected was never to be counted
            found += [] if wanted.search else [or_(unit.counts, unit.taken_back_at.is_not(None))]
        case "billable":
            found += [unit.state == BILLABLE, unit.counts]
        case "contested":
            found.append(unit.contest.is_not(None))
        case "disputed":
            found.append(unit.contest == OPEN)
        case "reversed":
            found.append(unit.taken_back_at.is_not(None))
        case _:
            found.append(unit.state == wanted.state)
    return found


def _order(unit: Any, wanted: Filter) -> list[ColumnElement[Any]]:
    if wanted.search:
        return [unit.conversation_id.asc(), unit.episode.asc()]
    at = getattr(unit, ORDERED_BY[wanted.state].key)
    return [at.desc(), unit.conversation_id.desc(), unit.episode.desc()]


def _place(unit: Resolution, wanted: Filter) -> Place:
    at = None if wanted.search else getattr(unit, ORDERED_BY[wanted.state].key)
    return Place(at, unit.conversation_id, unit.episode)


def of_conversation(session: Session, conversation_id: str, *, limit: int = PER_PAGE) -> Sequence[Resolution]:
    """The episodes of a conversation, the oldest first; not more than ``limit``."""
    statement = (
        select(Resolution)
        .where(Resolution.conversation_id == conversation_id)
        .order_by(Resolution.episode)
        .limit(limit)
    )
    return session.scalars(statement).all()
