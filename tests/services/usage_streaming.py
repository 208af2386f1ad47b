"""Two months in which everything happens to conversations, heard of in no order and more than once."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from portal.errors import PortalError
from portal.services import contests
from portal.services.conversations import ConversationEvent
from tests.services.metering import Metered
from tests.services.test_month_ends import carry_out, go_to_end
from tests.services.using import happened

RETURNS = ("customer_asked", "reopened", "human_requested", "human_replied")


@dataclass
class UsageStream:
    """What is sent, and what has been sent; ``chance`` decides."""

    acme: Metered
    chance: random.Random
    size: int
    waiting: list[ConversationEvent] = field(default_factory=list)
    sent: list[ConversationEvent] = field(default_factory=list)

    def play(self) -> Iterator[str]:
        """Go through two months and a day; stops where somebody may look, and says where that is."""
        go_to_end(self.acme, days=-4)
        self.happen("m", days=4)
        for hours in (-60, -20, -1):
            go_to_end(self.acme, hours=hours)
            self.work()
        self.contest()
        yield "before the month's end"
        go_to_end(self.acme, minutes=10)
        self.work()
        go_to_end(self.acme, hours=3)
        self.work()
        yield "when its invoice is final"
        self.acme.advance(days=2)
        self.happen("n", days=1)
        self.hear_late()
        self.contest()
        self.acme.advance(days=2)
        self.work()
        yield "in the next month"
        self.waiting, late = [], self.waiting
        self.acme.advance(days=29)
        self.feed(late)
        for _ in range(2):
            self.acme.catch_up()
            carry_out(self.acme)
            self.acme.credit()
        yield "when that is over, too"

    def happen(self, mark: str, *, days: int) -> None:
        """Conversations begin in the days to come, and some go on for a day and more."""
        now = self.acme.gateways.clock.now()
        for number in range(self.size):
            at = now + timedelta(minutes=self.chance.uniform(0, 24 * 60 * days))
            self.waiting += self.conversation(f"{mark}{number}", at)

    def conversation(self, name: str, at: datetime) -> Iterator[ConversationEvent]:
        chance, channel = self.chance, self.chance.choice(("chat", "chat", "email"))
        test = chance.random() < 0.05
        if chance.random() < 0.2:
            yield happened(name, "ai_greeted", at, channel=channel, test=test)
        if chance.random() < 0.05:
            return
        yield happened(name, "ai_answered", at, channel=channel, test=test)
        if chance.random() < 0.5:
            thanks = at + timedelta(minutes=chance.uniform(1, 40))
            yield happened(name, "customer_confirmed", thanks, channel=channel)
        if chance.random() < 0.4:
            back = at + timedelta(minutes=chance.uniform(2, 40 * 60))
            yield happened(name, chance.choice(RETURNS), back, channel=channel)
            if chance.random() < 0.5:
                yield happened(name, "ai_answered", back + timedelta(minutes=3), channel="email")

    def work(self) -> None:
        """Send most of what has happened by now, some of it again, and let Stripe hear of it or not."""
        now = self.acme.gateways.clock.now()
        due = [event for event in self.waiting if event.occurred_at <= now and self.chance.random() < 0.8]
        self.waiting = [event for event in self.waiting if event not in due]
        self.feed(due + self.chance.sample(self.sent, min(len(self.sent), 3)))
        self.acme.catch_up()
        if self.chance.random() < 0.6:
            carry_out(self.acme)

    def hear_late(self) -> None:
        """Of units that were counted long ago something is heard that had happened soon after the answer."""
        counted = [unit for unit in self.acme.units() if unit.counts and unit.answered_at]
        heard = []
        for unit in self.chance.sample(counted, min(len(counted), self.size // 3)):
            assert unit.answered_at is not None
            at = unit.answered_at + timedelta(minutes=self.chance.uniform(0, 60))
            kind = self.chance.choice(("customer_confirmed", "human_replied", "ai_answered"))
            channel = self.chance.choice(("chat", "email"))
            heard.append(happened(unit.conversation_id, kind, at, channel=channel))
            if kind == "human_replied":
                before = at - timedelta(seconds=30)
                heard.append(happened(unit.conversation_id, "customer_confirmed", before))
        now = self.acme.gateways.clock.now()
        for event in heard:
            self.feed([event if event.occurred_at <= now else replace(event, occurred_at=now)])

    def contest(self) -> None:
        """Some are contested: proved by their events, agreed to, refused, or not decided yet."""
        charged = [unit for unit in self.acme.units() if contests.is_charged(unit)]
        account = self.acme.customer.account
        for unit in self.chance.sample(charged, min(len(charged), 4)):
            where = (self.acme.gateways, self.acme.workspace_id)
            which = (unit.conversation_id, unit.episode)
            reason = self.chance.choice(contests.REASONS)
            try:
                made = contests.contest(*where, account.user_id, *which, reason=reason)
            except PortalError:
                continue
            if made.state == contests.OPEN and self.chance.random() < 0.6:
                agreed = self.chance.random() < 0.5
                contests.decide(*where, *which, accepted=agreed, answer="Looked at.")

    def feed(self, events: list[ConversationEvent]) -> None:
        """Send events in no order, a few at a time."""
        self.chance.shuffle(events)
        for start in range(0, len(events), 15):
            self.acme.feed(*events[start : start + 15])
        self.sent += events
