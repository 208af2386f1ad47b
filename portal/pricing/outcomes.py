"""What counts as a resolution: the events of one conversation become its units.

The AI agent's last real answer opens a window of 24 hours. The unit is billable when the customer confirms in
it, or at the very second at which it ends without a request for more help. Whoever comes back afterwards gets
it reversed, and the next answer begins a new episode.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from portal.pricing.checks import one_of, whole, whole_number

DAY = 86_400
# No window is longer than a year, written in microseconds.
MAX_WINDOW = 366 * DAY * 10**6

AI_GREETED, AI_ANSWERED, CUSTOMER_CONFIRMED = "ai_greeted", "ai_answered", "customer_confirmed"
CUSTOMER_ASKED, HUMAN_REQUESTED = "customer_asked", "human_requested"
HUMAN_REPLIED, REOPENED = "human_replied", "reopened"
# In the order in which they count at the same instant, so that a tie favours the customer: an answer before
# what is done about it, and a wish for help before a confirmation.
EVENT_TYPES = (
    AI_GREETED,
    AI_ANSWERED,
    CUSTOMER_ASKED,
    HUMAN_REQUESTED,
    HUMAN_REPLIED,
    REOPENED,
    CUSTOMER_CONFIRMED,
)
_RANKS = {event_type: rank for rank, event_type in enumerate(EVENT_TYPES)}
# what ends the window without a charge
HELP = frozenset((CUSTOMER_ASKED, HUMAN_REQUESTED, HUMAN_REPLIED, REOPENED))
# what takes a charge back; a person's reply alone is none: the customer did not come back
RETURNS = HELP - {HUMAN_REPLIED}

OPEN, PENDING, BILLABLE, NOT_BILLABLE, REVERSED = "open", "pending", "billable", "not_billable", "reversed"
STATES = (OPEN, PENDING, BILLABLE, NOT_BILLABLE, REVERSED)
CONFIRMED, ASSUMED = "confirmed", "assumed"
KINDS = (CONFIRMED, ASSUMED)

NO_ANSWER, GREETING_ONLY, TEST, WAITING = "no_answer", "greeting_only", "test", "waiting"
# Each code of ``because`` with the sentence that the program answers; pages translate the code.
BECAUSE = {
    NO_ANSWER: "The AI agent has not given a real answer yet.",
    GREETING_ONLY: "The AI agent only greeted; a greeting is no answer.",
    TEST: "The conversation is a test.",
    WAITING: "The AI agent answered, and the customer may still ask for more help within 24 hours of that.",
    CONFIRMED: "The customer confirmed that the AI agent's answer helped.",
    ASSUMED: "24 hours passed after the AI agent's last answer without a request for more help.",
    CUSTOMER_ASKED: "The customer asked again within 24 hours of the AI agent's last answer.",
    HUMAN_REQUESTED: "The customer wanted a person within 24 hours of the AI agent's last answer.",
    HUMAN_REPLIED: "A person replied within 24 hours of the AI agent's last answer.",
    REOPENED: "The conversation was reopened within 24 hours of the AI agent's last answer.",
    f"{CUSTOMER_ASKED}_after": "The customer asked again after the resolution had become billable.",
    f"{HUMAN_REQUESTED}_after": "The customer wanted a person after the resolution had become billable.",
    f"{REOPENED}_after": "The conversation was reopened after the resolution had become billable.",
}
BEFORE_CONFIRMATION, WITHIN_WINDOW = "before_confirmation", "within_window"
# Each code of ``prevented_by`` with its sentence.
PREVENTED_BY = {
    BEFORE_CONFIRMATION: "A question, a wish for a person, a person's reply or a reopening before the "
    "customer confirmed would have prevented the charge.",
    WITHIN_WINDOW: "A question, a wish for a person, a person's reply or a reopening within the 24 hours "
    "would have prevented the charge.",
}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a conversation: one of EVENT_TYPES, ``at`` an integer in any one unit.

    Raises PricingError (params ``type``, ``at``).
    """

    type: str
    at: int

    def __post_init__(self) -> None:
        one_of(self.type, "type", EVENT_TYPES)
        whole_number(self.at, "at")


@dataclass(frozen=True, slots=True)
class Episode:
    """One unit of a conversation, from an answer of the AI agent to the next after its end.

    ``number`` counts from 1. ``kind`` is set once the unit was billable, and stays when it is reversed.
    ``answered_at`` is the last real answer that counts, None without any. ``matures_at`` is set while the
    unit is pending only: later it would be a moment at which nothing happened. ``because`` is a code of
    BECAUSE.
    """

    number: int
    state: str
    kind: str | None
    answered_at: int | None
    matures_at: int | None
    billable_at: int | None
    reversed_at: int | None
    because: str

    @property
    def prevented_by(self) -> str | None:
        """What would have prevented the charge, a code of PREVENTED_BY; None where nothing is charged."""
        if self.state not in (PENDING, BILLABLE):
            return None
        return BEFORE_CONFIRMATION if self.kind == CONFIRMED else WITHIN_WINDOW

    def as_dict(self) -> dict[str, object]:
        """Return the episode for JSON: the codes as sentences, moments as they were given."""
        return {
            "number": self.number,
            "state": self.state,
            "kind": self.kind,
            "answered_at": self.answered_at,
            "matures_at": self.matures_at,
            "billable_at": self.billable_at,
            "reversed_at": self.reversed_at,
            "because": BECAUSE[self.because],
            "prevented_by": PREVENTED_BY[self.prevented_by] if self.prevented_by else None,
        }


_NOTHING = Episode(1, OPEN, None, None, None, None, None, NO_ANSWER)


def episodes(
    events: Iterable[Event], *, now: int, test: bool = False, window: int = DAY
) -> tuple[Episode, ...]:
    """Return all episodes of a conversation as they stand at ``now``, the oldest first; at least one.

    The order and repetition of ``events`` change nothing, and those later than ``now`` are not looked at.
    At the same instant an answer counts before what the customer or a person does. The window is half-open:
    what happens exactly at its end finds a unit that is billable. A test is one episode that is not billable.
    ``now`` and ``window`` are in the unit of the events; the default is a day in seconds.
    Raises PricingError (params ``now``, ``window``).
    """
    whole_number(now, "now")
    whole(window, "window", minimum=1, maximum=MAX_WINDOW)
    ordered = sorted({event for event in events if event.at <= now}, key=_order)
    if test:
        return (_of_test(ordered),)
    ended: list[Episode] = []
    current = _NOTHING
    for event in ordered:
        current = _matured(current, event.at, window)
        if event.type == AI_ANSWERED:
            if current.state in (NOT_BILLABLE, REVERSED) and current.because != GREETING_ONLY:
                ended.append(current)
            current = _answered(current, event.at, window, number=len(ended) + 1)
        else:
            current = _after(current, event)
    return (*ended, _matured(current, now, window))


def resolve(events: Iterable[Event], *, now: int, test: bool = False, window: int = DAY) -> Episode:
    """Return the last episode of a conversation, ``open`` if the AI agent did nothing; see ``episodes()``."""
    return episodes(events, now=now, test=test, window=window)[-1]


def _order(event: Event) -> tuple[int, int]:
    return event.at, _RANKS[event.type]


def _of_test(ordered: list[Event]) -> Episode:
    answers = [event.at for event in ordered if event.type == AI_ANSWERED]
    return replace(_NOTHING, state=NOT_BILLABLE, answered_at=answers[-1] if answers else None, because=TEST)


def _matured(unit: Episode, at: int, window: int) -> Episode:
    """Return the unit as it is at ``at`` if nothing happened since: pending may have become billable."""
    if unit.matures_at is None or at < unit.matures_at:
        return unit
    return replace(
        unit, state=BILLABLE, kind=ASSUMED, matures_at=None, billable_at=unit.matures_at, because=ASSUMED
    )


def _answered(unit: Episode, at: int, window: int, *, number: int) -> Episode:
    """Return the unit after a real answer: the window runs from it, but for what is billable already."""
    if unit.state == BILLABLE:
        return unit
    return Episode(number, PENDING, None, at, at + window, None, None, WAITING)


def _after(unit: Episode, event: Event) -> Episode:
    """Return the unit after anything but a real answer."""
    if unit.state == OPEN and event.type == AI_GREETED:
        return replace(unit, state=NOT_BILLABLE, because=GREETING_ONLY)
    if unit.state == PENDING and event.type == CUSTOMER_CONFIRMED:
        return replace(
            unit, state=BILLABLE, kind=CONFIRMED, matures_at=None, billable_at=event.at, because=CONFIRMED
        )
    if unit.state == PENDING and event.type in HELP:
        return replace(unit, state=NOT_BILLABLE, matures_at=None, because=event.type)
    if unit.state == BILLABLE and event.type in RETURNS:
        return replace(unit, state=REVERSED, reversed_at=event.at, because=f"{event.type}_after")
    return unit
