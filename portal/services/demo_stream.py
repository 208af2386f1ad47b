"""A made-up stream of conversations as help desks send them: late, out of order, more than once.

The same seed makes the same stream. Pure: it takes the time that it is given.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from portal.pricing import outcomes
from portal.services.conversations import ConversationEvent

CHANNELS = ("chat", "chat", "chat", "email", "email", "whatsapp")
# of a hundred conversations: how each goes on after the AI's first answer
COURSES = (
    ("confirmed", 34),
    ("silent", 30),
    ("asked", 10),
    ("human", 9),
    ("reopened", 3),
    ("greeted", 5),
    ("test", 3),
    ("returned", 6),
)
# of a hundred events: sent again, and sent late by up to LATEST
AGAIN, LATE = 6, 12
LATEST = timedelta(hours=3)
SOON = timedelta(seconds=2)


@dataclass(frozen=True)
class Sent:
    """An event and the moment at which it is sent, which may be long after it happened."""

    at: datetime
    event: ConversationEvent


def stream(seed: int, size: int, since: datetime, until: datetime) -> list[Sent]:
    """The events of ``size`` conversations that begin in [since, until), in the order in which they are sent.

    Nothing happens or is sent after ``until``.
    """
    chance = random.Random(seed)  # noqa: S311 (nothing secret)
    sent: list[Sent] = []
    for number in range(size):
        for event in _conversation(chance, f"s{seed}-{since:%Y%m%d}-{number:06d}", since, until):
            sent += _sendings(chance, event, until)
    return sorted(sent, key=lambda each: (each.at, each.event.id))


def events(seed: int, size: int, since: datetime, until: datetime) -> list[ConversationEvent]:
    """The same without the moments."""
    return [each.event for each in stream(seed, size, since, until)]


def batches(found: Iterable[ConversationEvent], size: int) -> Iterator[Sequence[ConversationEvent]]:
    """The events in groups of at most ``size``."""
    rest = iter(found)
    while batch := list(islice(rest, size)):
        yield batch


def _sendings(chance: random.Random, event: ConversationEvent, until: datetime) -> list[Sent]:
    """When an event is sent: at once or late, once or twice."""
    delay = chance.random() * LATEST if chance.randrange(100) < LATE else SOON * chance.random()
    times = [event.occurred_at + delay]
    if chance.randrange(100) < AGAIN:
        times.append(times[0] + chance.random() * LATEST)
    return [Sent(min(at, until), event) for at in times]


def _conversation(
    chance: random.Random, name: str, since: datetime, until: datetime
) -> list[ConversationEvent]:
    course = chance.choices([each for each, _ in COURSES], [weight for _, weight in COURSES])[0]
    channel = chance.choice(CHANNELS)
    at = since + chance.random() * (until - since)
    steps = _steps(chance, course)
    found = []
    for number, (kind, wait) in enumerate(steps):
        at += wait
        if at >= until:
            break
        at = at.replace(microsecond=0) if at.replace(microsecond=0) >= since else at
        found.append(ConversationEvent(f"{name}.{number}", name, kind, at, channel, course == "test"))
    return found


def _steps(chance: random.Random, course: str) -> list[tuple[str, timedelta]]:
    """What happens in a conversation, each after a while."""

    def after(low: float, high: float) -> timedelta:
        return timedelta(minutes=chance.uniform(low, high))

    greeting = [(outcomes.AI_GREETED, timedelta())] if chance.random() < 0.5 else []
    if course == "greeted":
        return [(outcomes.AI_GREETED, timedelta())]
    answered = [*greeting, (outcomes.AI_ANSWERED, after(0.1, 2))]
    match course:
        case "confirmed":
            return [*answered, (outcomes.CUSTOMER_CONFIRMED, after(1, 30))]
        case "asked":
            again = [(outcomes.CUSTOMER_ASKED, after(1, 60)), (outcomes.AI_ANSWERED, after(0.1, 2))]
            return [*answered, *again, (outcomes.CUSTOMER_CONFIRMED, after(1, 30))]
        case "human":
            return [
                *answered,
                (outcomes.HUMAN_REQUESTED, after(1, 20)),
                (outcomes.HUMAN_REPLIED, after(5, 90)),
            ]
        case "reopened":
            return [*answered, (outcomes.REOPENED, after(30, 600))]
        case "returned":
            thanks = (outcomes.CUSTOMER_CONFIRMED, after(1, 15))
            return [*answered, thanks, (outcomes.CUSTOMER_ASKED, after(60, 480))]
        case _:
            return answered
