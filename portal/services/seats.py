"""Who sits on the seats that were bought. Full ones are paid for, lite ones come with the tier.

Whatever gives or takes a seat holds the workspace's lock until it commits, so that the last seat is given
once and no reduction of the subscription leaves more people seated than were paid for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, Select, func, select, text, update
from sqlalchemy.orm import Session

from portal import pricing
from portal.errors import N_, ConflictError, NotFoundError
from portal.models import Invitation, Member, Subscription, User
from portal.services import audit, subscriptions

FULL = "full"
LITE = "lite"
NONE = "none"
SEATS = (FULL, LITE, NONE)
# the roles of those who give people seats
MANAGERS = ("owner", "admin")

LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('members:' || app_workspace_id()::text, 0))")
# tells who is to give up a full seat, and for which: {"member_id", "seat"}
Leavers = Callable[[], Sequence[Mapping[str, object]]]
# a login also reads its own memberships elsewhere
HERE = Member.workspace_id == func.app_workspace_id()
# whose seat goes first when too few were bought: those who were never here, then the longest away
LEAST_ACTIVE = (Member.last_active_at.asc().nulls_first(), Member.id.desc())


class NoSeatFreeError(ConflictError):
    """More people would be seated than seats were bought; ``missing`` is how many more it takes."""

    code = "no_seat_free"

    def __init__(self, message: str, *, missing: int) -> None:
        super().__init__(message)
        self.missing = missing


@dataclass(frozen=True)
class SeatUsage:
    """Seats bought and included, and who has them; invited are those that open invitations will take."""

    bought: int
    full_used: int
    full_invited: int
    lite_included: int
    lite_used: int
    lite_invited: int
    members: int

    @property
    def full_free(self) -> int:
        """Full seats that nobody sits on."""
        return max(self.bought - self.full_used, 0)

    @property
    def lite_free(self) -> int:
        """Included lite seats that nobody sits on."""
        return max(self.lite_included - self.lite_used, 0)

    def missing(self, more: int = 0) -> int:
        """How many full seats would be short if ``more`` people were to get one and all invited came."""
        return max(self.full_used + self.full_invited + more - self.bought, 0)


def lock(session: Session) -> None:
    """Hold the entered workspace's members until ``session`` commits; waits for whoever holds them."""
    session.execute(LOCK)


def usage(session: Session, *, now: datetime | None = None) -> SeatUsage:
    """What the entered workspace has bought, and what of it is in use.

    With ``now`` (the gateway's time) invitations that have expired are not counted.
    """
    bought, included = entitled(subscriptions.bought(session))
    used = _used(session)
    expecting = select(Invitation.seat, func.count()).where(Invitation.state == "open")
    if now is not None:
        expecting = expecting.where(Invitation.expires_at > now)
    invited = _counts(session, expecting.group_by(Invitation.seat))
    return SeatUsage(
        bought=bought,
        full_used=used.get(FULL, 0),
        full_invited=invited.get(FULL, 0),
        lite_included=included,
        lite_used=used.get(LITE, 0),
        lite_invited=invited.get(LITE, 0),
        members=sum(used.values()),
    )


def entitled(subscription: Subscription | None) -> tuple[int, int]:
    """Full seats bought and lite seats included by a subscription; none by no live one."""
    if subscription is None:
        return 0, 0
    try:
        tiers = pricing.catalog(subscription.catalog or "").tiers
    except pricing.PricingError:
        tiers = {}
    tier = tiers.get(subscription.tier or "")
    return subscription.seats or 0, tier.lite_seats if tier else 0


def follow(session: Session, stored: Subscription, *, leavers: Leavers = list) -> None:
    """Let the seats follow the subscription as it has just been stored, or another one that is live."""
    paid = stored if subscriptions.is_bought(stored) else subscriptions.bought(session)
    bought, included = entitled(paid)
    settle(session, bought=bought, lite_included=included, leavers=leavers)


def settle(session: Session, *, bought: int, lite_included: int, leavers: Leavers = list) -> None:
    """See to it that no more people are seated than ``bought`` and ``lite_included`` allow.

    ``leavers`` give up their full seat first, in their order, then those who were active least recently.
    Whoever gives one up gets a lite seat while there is room, unless a leaver's ``seat`` is "none". Nothing
    happens, and ``leavers`` is not asked, while there are enough. Each change is audited.
    """
    lock(session)
    used = _used(session)
    for member in _least_active(session, LITE, used.get(LITE, 0) - lite_included):
        _put(session, member, NONE)
    room = max(lite_included - used.get(LITE, 0), 0)
    too_many = used.get(FULL, 0) - bought
    if too_many <= 0:
        return
    wishes = {int(str(each["member_id"])): str(each["seat"]) for each in leavers()}
    for member in _leaving(session, list(wishes), too_many):
        seat = LITE if room and wishes.get(member.id, LITE) == LITE else NONE
        room -= seat == LITE
        _put(session, member, seat)


def assign(session: Session, member_ids: Sequence[int], seat: str, *, by: int, was: str | None = None) -> int:
    """Give these members the seat full, lite or none; all of them or, with a refusal, none. How many changed.

    ``was`` is the seat that the person who asks has seen, if that matters. Raises NoSeatFreeError with too
    few seats, NotFoundError for a member that is not (or no longer) here, ConflictError when ``by`` does not
    manage the members any more, or a member has another seat than ``was``.
    """
    lock(session)
    if session.scalar(select(Member.role).where(HERE, Member.user_id == by)) not in MANAGERS:
        raise ConflictError(N_("Your own role does not let you do that (any more). Nothing was changed."))
    found = session.execute(
        select(Member.id, Member.seat, User.email)
        .join(User, User.id == Member.user_id)
        .where(HERE, Member.id.in_(member_ids))
        .order_by(Member.id)
    ).all()
    if seat not in SEATS or len(found) != len(set(member_ids)):
        raise NotFoundError(N_("One of these members is not here any more. Nothing was changed."))
    for member in found:
        if was not in (None, member.seat):
            raise ConflictError(
                N_(
                    "%(member)s has another seat by now. Nothing was changed; look again.",
                    member=member.email,
                )
            )
    changing = [member for member in found if member.seat != seat]
    _see_room(usage(session), seat, len(changing))
    for member in changing:
        _put(session, member, seat, by=by)
    return len(changing)


def take_if_free(session: Session, seat: str) -> str:
    """The seat that somebody who comes in now gets: the one meant for them if it is free, else none.

    Holds the lock, so that it is still free when the caller writes the member.
    """
    lock(session)
    now = usage(session)
    free = {FULL: now.full_free, LITE: now.lite_free}
    return seat if free.get(seat, 0) > 0 else NONE


def _see_room(now: SeatUsage, seat: str, wanted: int) -> None:
    if seat == FULL and wanted > now.full_free:
        message = N_(
            "Too few seats are free: %(free)s, and %(wanted)s are needed. Nothing was changed.",
            free=now.full_free,
            wanted=wanted,
        )
        raise NoSeatFreeError(message, missing=wanted - now.full_free)
    if seat == LITE and wanted > now.lite_free:
        message = N_(
            "Too few lite seats are free: %(free)s, and %(wanted)s are needed. Nothing was changed.",
            free=now.lite_free,
            wanted=wanted,
        )
        raise ConflictError(message)


def _used(session: Session) -> dict[str, int]:
    return _counts(session, select(Member.seat, func.count()).where(HERE).group_by(Member.seat))


def _counts(session: Session, statement: Select[str, int]) -> dict[str, int]:
    return {seat: int(number) for seat, number in session.execute(statement)}


def _leaving(session: Session, named: list[int], count: int) -> list[Row[int, str, str]]:
    """``count`` members with a full seat: the named ones in their order, then the least active."""
    statement = _seated(FULL).where(Member.id.in_(named))
    place = {member_id: number for number, member_id in enumerate(named)}
    first = sorted(session.execute(statement), key=lambda member: place[member.id])[:count]
    if len(first) == count:
        return first
    others = _seated(FULL).where(Member.id.not_in(named)).order_by(*LEAST_ACTIVE)
    return [*first, *session.execute(others.limit(count - len(first)))]


def _least_active(session: Session, seat: str, count: int) -> list[Row[int, str, str]]:
    if count <= 0:
        return []
    return list(session.execute(_seated(seat).order_by(*LEAST_ACTIVE).limit(count)))


def _seated(seat: str) -> Select[int, str, str]:
    return (
        select(Member.id, Member.seat, User.email)
        .join(User, User.id == Member.user_id)
        .where(HERE, Member.seat == seat)
    )


def _put(session: Session, member: Row[int, str, str], seat: str, *, by: int | None = None) -> None:
    session.execute(update(Member).where(Member.id == member.id).values(seat=seat))
    audit.record(
        session,
        "seat.assigned" if by else "seat.withdrawn",
        user_id=by,
        before={"member": member.email, "seat": member.seat},
        after={"member": member.email, "seat": seat},
    )
