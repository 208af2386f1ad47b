"""A company that has limits: what its AI asks, what it answers, and what came of it."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Allowance, Reservation, UsageEntry
from portal.services import allowances, limits, reservations
from portal.services.allowances import State
from portal.services.limits import Standing, Wanted
from portal.services.reservations import Held, Refused
from tests.services import using
from tests.services.using import HandClock, Workspace, happened

# the usage period that the clock of these tests is in, and the end of the next one
STARTS = datetime(2026, 11, 1, tzinfo=UTC)
ENDS = datetime(2026, 12, 1, tzinfo=UTC)
NEXT_ENDS = datetime(2027, 1, 1, tzinfo=UTC)
_numbers = itertools.count(1)


def november() -> HandClock:
    """The tenth day of the period, at noon."""
    return HandClock(STARTS + timedelta(days=9, hours=12))


@dataclass(frozen=True)
class Company:
    """A workspace with its owner: what is chosen, asked, answered and billed."""

    gateways: Gateways
    workspace_id: int
    user_id: int
    clock: HandClock

    def subscribe(self, *, access: str = "active", trial: bool = False) -> None:
        """A subscription of the newest catalogue, whose usage period is November 2026."""
        days = (ENDS - STARTS).days if trial else 0
        using.subscribe(self.gateways, self.workspace_id, since=STARTS, trial_days=days, access=access)

    def limit(self, **wanted: object) -> Standing:
        """The form of /usage/limits."""
        return limits.save(self.gateways, self.workspace_id, self.user_id, Wanted(**wanted))  # type: ignore[arg-type]

    def hold(self, conversation_id: str | None = None) -> Held | Refused:
        """What is asked before the AI answers; without a name, in a conversation of its own."""
        name = conversation_id or f"h{next(_numbers)}"
        return reservations.hold(self.gateways, self.workspace_id, name)

    def answer(self, *conversation_ids: str) -> None:
        """The AI has answered."""
        self._feed("ai_answered", conversation_ids)

    def drop(self, *conversation_ids: str) -> None:
        """The customer asks again: nothing is billed."""
        self._feed("customer_asked", conversation_ids)

    def bill(self, *conversation_ids: str, at: datetime | None = None) -> list[str]:
        """The customer confirms, so that it is billable at once; how each is charged."""
        self._feed("customer_confirmed", conversation_ids, at)
        return self.charges(*conversation_ids)

    def take_back(self, *conversation_ids: str) -> None:
        """The customer comes back a second after it was billed."""
        self.clock.advance(seconds=1)
        self.drop(*conversation_ids)

    def use(self, units: int) -> list[str]:
        """So many conversations resolved without asking first, in one batch; how each is charged."""
        names = [f"u{next(_numbers):06}" for _ in range(units)]
        now = self.clock.now()
        steps = ("ai_answered", "customer_confirmed")
        self._workspace.feed(*(happened(name, step, now) for name in names for step in steps))
        return self.charges(*names)

    def charges(self, *conversation_ids: str) -> list[str]:
        """How the ledger charges each conversation's first unit."""
        sources = [f"{name}#1" for name in conversation_ids]
        with unit_of_work(self.workspace_id) as session:
            found = select(UsageEntry.source, UsageEntry.charge).where(UsageEntry.kind == "billable")
            by_source = {row.source: row.charge for row in session.execute(found)}
        return [by_source[source] for source in sources]

    def _feed(self, type: str, names: tuple[str, ...], at: datetime | None = None) -> None:
        self._workspace.feed(*(happened(name, type, at or self.clock.now()) for name in names))

    @property
    def _workspace(self) -> Workspace:
        return Workspace(self.gateways, self.workspace_id)

    def sent(self) -> int:
        """The units that Stripe's meter hears of."""
        return sum(event.quantity for event in self._workspace.outbox() if event.state == "waiting")

    def state(self) -> State:
        """What the API answers."""
        return allowances.current(self.gateways, self.workspace_id)

    def standing(self) -> Standing:
        """What the page shows."""
        return limits.standing(self.gateways, self.workspace_id)

    def row(self) -> tuple[int, int, int | None]:
        """Used, held and the hard cap, as the row has them."""
        with unit_of_work(self.workspace_id) as session:
            row = session.scalars(select(Allowance)).one()
            return row.used, row.held, row.cap

    def reservation_states(self) -> list[str]:
        """What became of each reservation, in the order of their conversations and times."""
        with unit_of_work(self.workspace_id) as session:
            order = (Reservation.conversation_id, Reservation.created_at)
            return list(session.scalars(select(Reservation.state).order_by(*order)))


def granted(answers: list[object]) -> int:
    """How many were let through."""
    return sum(isinstance(each, Held) for each in answers)
