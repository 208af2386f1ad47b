"""What happened in a conversation in the order in which it counts, with the moments that decided the unit."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext

from portal.models import Contest, ConversationEvent
from portal.pricing import outcomes
from portal.services.resolution_evidence import Evidence
from portal.web.usage_words import EVENTS, is_given_back, word

# sent so much later than it happened, an event is said to have arrived late
LATE = timedelta(minutes=5)
LAST = len(outcomes.EVENT_TYPES)


@dataclass(frozen=True)
class Step:
    """An event, or a ``mark``: a moment at which the unit became something without one."""

    at: datetime
    rank: int
    words: str
    mark: bool = False
    last_answer: bool = False
    test: bool = False
    received_at: datetime | None = None

    @property
    def late(self) -> bool:
        """Whether it was heard of long after it happened."""
        return self.received_at is not None and self.received_at - self.at > LATE


def timeline(found: Evidence, contest: Contest | None) -> list[Step]:
    """The events and the marks of one unit, the earliest first; also that its contest was accepted."""
    steps = [_event(each, found) for each in found.events] + _marks(found)
    if contest is not None and contest.decided_at and is_given_back(found.unit):
        words = gettext("Contested, and taken back: nothing is charged")
        steps.append(Step(contest.decided_at, LAST, words, mark=True))
    return sorted(steps, key=lambda step: (step.at, step.rank))


def _event(event: ConversationEvent, found: Evidence) -> Step:
    last = event.type == outcomes.AI_ANSWERED and event.occurred_at == found.unit.answered_at
    rank = outcomes.EVENT_TYPES.index(event.type)
    return Step(
        event.occurred_at,
        rank,
        word(EVENTS, event.type),
        last_answer=last,
        test=event.test,
        received_at=event.received_at,
    )


def _marks(found: Evidence) -> list[Step]:
    unit, marks = found.unit, []
    if unit.billable_at and unit.kind == outcomes.ASSUMED:
        # at the very second: before whatever happens then
        words = gettext("24 hours without a request for more help: billable")
        marks.append(Step(unit.billable_at, -1, words, mark=True))
    elif unit.billable_at:
        marks.append(Step(unit.billable_at, LAST, gettext("Billable"), mark=True))
    if unit.reversed_at:
        marks.append(Step(unit.reversed_at, LAST, gettext("Taken back: nothing is charged"), mark=True))
    if unit.state == outcomes.PENDING and unit.matures_at:
        words = gettext("Becomes billable if nobody asks for more help before")
        marks.append(Step(unit.matures_at, LAST, words, mark=True))
    return marks
