"""A company that uses resolutions, a period at a time, without the conversations that they come from."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Allowance, Reservation, Subscription, UsageDay, UsageEntry, UsagePeriod
from portal.services import allowances, limits, reservations
from portal.services.allowances import State
from portal.services.limits import Standing, Wanted
from portal.services.reservations import Held, Refused

STARTS = datetime(2026, 11, 1, tzinfo=UTC)
ENDS = datetime(2026, 12, 1, tzinfo=UTC)
_numbers = itertools.count(1)


class TurnedClock:
    """A clock that stands still until it is turned."""

    def __init__(self, at: datetime = STARTS + timedelta(days=9, hours=12)) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, **delta: float) -> None:
        self.at += timedelta(**delta)


@dataclass(frozen=True)
class Company:
    """A workspace with a subscription, its steps, and what came of them."""

    gateways: Gateways
    workspace_id: int
    user_id: int
    clock: TurnedClock

    def subscribe(self, *, access: str = "active", trial: bool = False) -> None:
        """An active subscription of the newest catalogue, in November 2026."""
        with unit_of_work(self.workspace_id) as session:
            item = {"key": "resolution", "lookup_key": "2026-11:resolution:month", "unit_amount": "99"}
            session.add(
                Subscription(
                    stripe_id=f"sub_{self.workspace_id}",
                    catalog="2026-11",
                    tier="advanced",
                    status="trialing" if trial else "active",
                    access=access,
                    currency="usd",
                    items=[item | {"metered": True}],
                    discounts=[],
                    started_at=STARTS,
                    synced_at=STARTS,
                )
            )
        self.begin(STARTS, ENDS, trial=trial)

    def begin(self, starts_at: datetime, ends_at: datetime, *, trial: bool = False) -> None:
        """A usage period."""
        with unit_of_work(self.workspace_id) as session:
            made = UsagePeriod(
                starts_at=starts_at,
                ends_at=ends_at,
                stripe_subscription_id=f"sub_{self.workspace_id}",
                trial=trial,
            )
            session.add(made)

    def limit(self, **wanted: object) -> Standing:
        """The form of /usage/limits."""
        return limits.save(self.gateways, self.workspace_id, self.user_id, Wanted(**wanted))  # type: ignore[arg-type]

    def hold(self, conversation_id: str | None = None) -> Held | Refused:
        """What is asked before the AI answers; without a name, in a conversation of its own."""
        name = conversation_id or f"c{next(_numbers)}"
        return reservations.hold(self.gateways, self.workspace_id, name)

    def answer(self, *conversation_ids: str) -> None:
        """The AI has answered."""
        with unit_of_work(self.workspace_id) as session:
            reservations.opened(session, conversation_ids, self.clock.now())

    def drop(self, *conversation_ids: str) -> None:
        """The customer came back: nothing is billed."""
        with unit_of_work(self.workspace_id) as session:
            reservations.settled(session, conversation_ids, self.clock.now())

    def bill(self, *conversation_ids: str, period: datetime | None = None) -> list[str]:
        """The units become billable; how each is charged."""
        now = self.clock.now()
        with unit_of_work(self.workspace_id) as session:
            at = period or now
            found = session.scalars(
                select(UsagePeriod).where(UsagePeriod.starts_at <= at, UsagePeriod.ends_at > at)
            ).one()
            charges = limits.charge_for(session, found, len(conversation_ids), now)
            reservations.settled(session, conversation_ids, now)
            for charge, name in zip(charges, conversation_ids, strict=True):
                self._write(session, found, f"{name}#1", "billable", 1, charge)
        return charges

    def take_back(self, conversation_id: str) -> None:
        """The customer came back after it was billed, in the period that is open."""
        now = self.clock.now()
        with unit_of_work(self.workspace_id) as session:
            found = session.scalars(allowances.period_at(now)).one()
            limits.taken_back(session, found, 1, now)
            self._write(session, found, f"{conversation_id}#1", "reversal", -1, "meter")

    @staticmethod
    def _write(session, period, source, kind, quantity, charge) -> None:  # type: ignore[no-untyped-def]
        session.add(
            UsageEntry(
                period_start=period.starts_at,
                key="resolution",
                source=source,
                kind=kind,
                quantity=quantity,
                at=period.starts_at,
                channel="chat",
                charge=charge,
            )
        )
        charged = quantity if charge == "meter" else 0
        values = {"period_start": period.starts_at, "key": "resolution", "channel": "chat"}
        row = insert(UsageDay).values(
            **values, day=period.starts_at.date(), quantity=quantity, charged=charged
        )
        session.execute(
            row.on_conflict_do_update(
                index_elements=["workspace_id", "period_start", "key", "channel", "day"],
                set_={
                    "quantity": UsageDay.quantity + quantity,
                    "charged": UsageDay.charged + charged,
                },
            )
        )

    def use(self, units: int) -> list[str]:
        """So many conversations resolved without asking first."""
        names = [f"u{next(_numbers)}" for _ in range(units)]
        self.answer(*names)
        return self.bill(*names)

    def state(self) -> State:
        """What the API answers."""
        return allowances.current(self.gateways, self.workspace_id)

    def row(self) -> tuple[int, int, int | None]:
        """Used, held and the hard cap, as the row has them."""
        with unit_of_work(self.workspace_id) as session:
            row = session.scalars(select(Allowance)).one()
            return row.used, row.held, row.cap

    def reservation_states(self) -> list[str]:
        """What became of each reservation, in the order of their conversations."""
        with unit_of_work(self.workspace_id) as session:
            statement = select(Reservation.state).order_by(Reservation.conversation_id)
            return list(session.scalars(statement))


def granted(answers: list[object]) -> int:
    """How many were let through."""
    return sum(isinstance(each, Held) for each in answers)


Work = Callable[[], object]
