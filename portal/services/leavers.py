"""Whose seat a change takes: the people on the seats, those who were away longest first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.models import Member, PlannedChange, User
from portal.services import seats


@dataclass(frozen=True)
class Person:
    """A member on a seat; ``last_active_at`` None: never here."""

    member_id: int
    name: str
    email: str
    last_active_at: datetime | None


@dataclass(frozen=True)
class Affected:
    """Who has to choose and who is chosen: ``needed`` of ``people`` give up their full seat.

    ``lite_room`` of those who are chosen get a lite seat, in their order; ``lite_losers`` lose theirs.
    """

    people: tuple[Person, ...] = ()
    needed: int = 0
    chosen: tuple[int, ...] = ()
    lite_room: int = 0
    lite_losers: tuple[Person, ...] = ()

    @property
    def named(self) -> list[tuple[Person, str]]:
        """Each person who is chosen, with the seat that is left for them."""
        found = [person for person in self.people if person.member_id in self.chosen]
        return [
            (person, seats.LITE if place < self.lite_room else seats.NONE)
            for place, person in enumerate(found)
        ]


def seated(session: Session, seat: str) -> list[Person]:
    """Who sits on seats of this kind, in the order in which they would lose them."""
    statement = (
        select(Member.id, User.name, User.email, Member.last_active_at)
        .join(User, User.id == Member.user_id)
        .where(seats.HERE, Member.seat == seat)
        .order_by(*seats.LEAST_ACTIVE)
    )
    return [
        Person(member_id, name or email, email, active)
        for member_id, name, email, active in session.execute(statement)
    ]


def chosen_for(planned: PlannedChange | None) -> list[int]:
    """The members whom a planned change takes the full seat from, as somebody has chosen them."""
    return [int(str(each["member_id"])) for each in planned.leavers] if planned else []


def affected(
    session: Session, *, bought: int, lite_included: int, chosen: Collection[int] | None = None
) -> Affected:
    """Whom so many seats are too few for. ``chosen`` None: those who were away longest."""
    full, lite = seated(session, seats.FULL), seated(session, seats.LITE)
    needed = max(len(full) - bought, 0)
    too_many = max(len(lite) - lite_included, 0)
    people = [person.member_id for person in full]
    picked = people[:needed] if chosen is None else [each for each in people if each in chosen]
    return Affected(
        people=tuple(full),
        needed=needed,
        chosen=tuple(picked) if needed else (),
        lite_room=max(lite_included - len(lite), 0),
        lite_losers=tuple(lite[:too_many]),
    )


def filled_up(found: Affected) -> Affected:
    """The same with as many chosen as are needed: those away longest join, or the last ones stay."""
    others = [person.member_id for person in found.people if person.member_id not in found.chosen]
    chosen: Sequence[int] = [*found.chosen, *others][: found.needed]
    return Affected(found.people, found.needed, tuple(chosen), found.lite_room, found.lite_losers)
