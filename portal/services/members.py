"""The people of a workspace: what each may do, who owns it, who leaves it.

Whatever changes a role or removes somebody holds the workspace's lock (``seats.lock``) and looks anew at what
the person who asks may do, so that of two who act at the same moment the second is told what changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Row, Select, delete, func, or_, select, update
from sqlalchemy.orm import Session

from portal.errors import N_, ConflictError, NotFoundError
from portal.gateways import Gateways
from portal.models import Invitation, Member, User, Workspace
from portal.services import audit, letters, seats
from portal.services.seats import HERE

# each role may do all that those after it may
ROLES = ("owner", "admin", "billing", "member")
OWNER, ADMIN = "owner", "admin"
PER_PAGE = 50
People = Select[int, int, str, str | None, str, str, datetime, datetime | None]
# a seat of somebody who was away for so long may be one too many
AWAY = timedelta(days=30)


class LastOwnerError(ConflictError):
    """Without this person nobody would own the workspace."""

    code = "last_owner"


@dataclass(frozen=True)
class Person:
    """A member as lists show it."""

    id: int
    user_id: int
    email: str
    name: str | None
    role: str
    seat: str
    joined_at: datetime
    last_active_at: datetime | None


@dataclass(frozen=True)
class Filter:
    """Which members a list shows; empty shows all. ``away``: who was not active for ``AWAY``."""

    search: str = ""
    seat: str = ""
    role: str = ""
    away: bool = False


def may(role: str, needed: str) -> bool:
    """Whether a member with ``role`` may do what needs ``needed``."""
    return ROLES.index(role) <= ROLES.index(needed)


def may_change(role: str, target: str, new: str | None = None) -> bool:
    """Whether ``role`` may give a ``target`` the role ``new``, or remove it; owners are owners' matter."""
    return may(role, ADMIN) and (role == OWNER or OWNER not in (target, new))


def listing(
    session: Session, which: Filter = Filter(), *, after: int | None = None, limit: int = PER_PAGE
) -> list[Person]:
    """The members by their addresses; those behind the member ``after``, which may be gone by now."""
    statement = _filtered(_people(), which).order_by(User.email).limit(limit)
    if after is not None:
        last = select(User.email).join(Member, Member.user_id == User.id).where(HERE, Member.id == after)
        statement = statement.where(User.email > func.coalesce(last.scalar_subquery(), ""))
    return [_person(row) for row in session.execute(statement)]


def count(session: Session, which: Filter = Filter()) -> int:
    """How many members the filter lets through."""
    return session.scalars(select(func.count()).select_from(_filtered(_people(), which).subquery())).one()


def get(session: Session, member_id: int) -> Person:
    """One member of the entered workspace. Raises NotFoundError."""
    row = session.execute(_people().where(Member.id == member_id)).first()
    if row is None:
        raise NotFoundError(N_("There is no such member."))
    return _person(row)


def of_user(session: Session, user_id: int) -> Person | None:
    """The login as a member of the entered workspace."""
    row = session.execute(_people().where(Member.user_id == user_id)).first()
    return _person(row) if row else None


def of_email(session: Session, email: str) -> Person | None:
    """The member of the entered workspace with this address, whatever its case."""
    row = session.execute(_people().where(func.lower(User.email) == email.strip().lower())).first()
    return _person(row) if row else None


def in_charge(session: Session) -> list[str]:
    """The addresses of owners and admins, whom the workspace's news of its members goes to."""
    return with_roles(session, (OWNER, ADMIN))


def with_roles(session: Session, roles: Sequence[str]) -> list[str]:
    """The addresses of those who have one of ``roles``, the longest here first."""
    statement = _people().where(Member.role.in_(roles)).order_by(Member.id)
    return [row.email for row in session.execute(statement)]


def able(session: Session, needed: str, *, limit: int) -> list[str]:
    """The addresses of members who may do what needs ``needed``, the highest role first."""
    roles = [role for role in ROLES if may(role, needed)]
    rank = func.array_position(roles, Member.role)
    statement = _people().where(Member.role.in_(roles)).order_by(rank, Member.id).limit(limit)
    return [row.email for row in session.execute(statement)]


def workspace_name(session: Session) -> str:
    """The name of the entered workspace."""
    return session.scalars(select(Workspace.name).where(Workspace.id == func.app_workspace_id())).one()


def change_role(session: Session, member_id: int, role: str, *, by: int, was: str) -> None:
    """Give a member another role; ``was`` is the one that the person who asks has seen.

    Raises ConflictError when that, or what they may do themselves, is not so any more; LastOwnerError.
    """
    seats.lock(session)
    actor, target = _acting(session, by), get(session, member_id)
    _see_role(target, was)
    _see_right(actor, target, role)
    if role == target.role:
        return
    if target.role == OWNER:
        _see_another_owner(session, target)
    _set_role(session, target, role)
    _record(session, "member.role_changed", target, by, role=role)
    if may(target.role, ADMIN) and not may(role, ADMIN):
        _revoke_invitations(session, target, by)


def transfer(session: Session, gateways: Gateways, member_id: int, *, by: int) -> Person:
    """Hand the ownership to another member; the present owner stays as an admin. Both are mailed.

    Raises ConflictError when the person who asks owns nothing any more.
    """
    seats.lock(session)
    actor, target = _acting(session, by), get(session, member_id)
    if actor.role != OWNER or target.id == actor.id:
        raise ConflictError(N_("Only an owner can hand the ownership over, and to somebody else."))
    _set_role(session, target, OWNER)
    _set_role(session, actor, ADMIN)
    audit.record(
        session,
        "ownership.transferred",
        user_id=by,
        before={"owner": actor.email, "role": target.role},
        after={"owner": target.email, "role": ADMIN},
    )
    facts: dict[str, object] = {
        "workspace_name": workspace_name(session),
        "owner": target.email,
        "before": actor.email,
        "base_url": gateways.settings.base_url,
    }
    now = gateways.clock.now().timestamp()
    for person in (target, actor):
        key = f"ownership:{target.id}:{now}:{person.id}"
        workspace_id = session.info["workspace_id"]
        told = {**facts, "recipient": person.email}
        letters.send(
            session,
            gateways,
            "ownership",
            person.email,
            dedupe_key=key,
            workspace_id=workspace_id,
            facts=told,
        )
    return target


def remove(session: Session, member_id: int, *, by: int, was: str | None = None) -> Person:
    """Take somebody else out of the workspace; their seat is free again, and nobody comes at their word.

    ``was`` is the role that the person who asks has seen. Raises ConflictError when that is not so any more.
    """
    seats.lock(session)
    actor, target = _acting(session, by), get(session, member_id)
    if target.id == actor.id:
        raise ConflictError(N_("You cannot remove yourself. You can leave the workspace."))
    _see_role(target, was or target.role)
    _see_right(actor, target, None)
    _take_out(session, target, "member.removed", by)
    return target


def leave(session: Session, *, user_id: int) -> Person:
    """Go oneself. Raises LastOwnerError, since a workspace always has an owner."""
    seats.lock(session)
    leaving = _acting(session, user_id)
    _take_out(session, leaving, "member.left", user_id)
    return leaving


def last_owner(session: Session, person: Person) -> bool:
    """Whether the workspace would be nobody's without this person."""
    others = _people().where(Member.role == OWNER, Member.id != person.id).limit(1)
    return person.role == OWNER and session.execute(others).first() is None


def _take_out(session: Session, person: Person, action: str, by: int) -> None:
    if person.role == OWNER:
        _see_another_owner(session, person)
    session.execute(delete(Member).where(HERE, Member.id == person.id))
    _record(session, action, person, by)
    if by != person.user_id:
        _revoke_invitations(session, person, by)


def _revoke_invitations(session: Session, person: Person, by: int) -> None:
    """Whoever was asked in by somebody who has no say any more does not come in at that word."""
    theirs = select(Invitation).where(Invitation.state == "open", Invitation.invited_by == person.user_id)
    for invitation in session.scalars(theirs.order_by(Invitation.id)):
        invitation.state, invitation.closed_at = "revoked", func.clock_timestamp()
        asked: dict[str, object] = {
            "email": invitation.email,
            "role": invitation.role,
            "seat": invitation.seat,
        }
        audit.record(session, "invitation.revoked", user_id=by, before=asked)


def _see_role(person: Person, was: str) -> None:
    if person.role != was:
        raise ConflictError(
            N_("%(member)s has another role by now. Nothing was changed; look again.", member=person.email)
        )


def _see_another_owner(session: Session, person: Person) -> None:
    if last_owner(session, person):
        raise LastOwnerError(
            N_("A workspace always has an owner. Hand the ownership to somebody else first.")
        )


def _acting(session: Session, user_id: int) -> Person:
    found = of_user(session, user_id)
    if found is None:
        raise ConflictError(N_("You are not a member of this workspace any more."))
    return found


def _see_right(actor: Person, target: Person, new: str | None) -> None:
    if not may_change(actor.role, target.role, new):
        raise ConflictError(N_("Your own role does not let you do that (any more). Nothing was changed."))


def _set_role(session: Session, person: Person, role: str) -> None:
    session.execute(update(Member).where(HERE, Member.id == person.id).values(role=role))


def _record(session: Session, action: str, person: Person, by: int, *, role: str | None = None) -> None:
    before: dict[str, object] = {"member": person.email, "role": person.role}
    after: dict[str, object] = {"member": person.email, "role": role}
    if role is None:
        before["seat"] = person.seat
    audit.record(session, action, user_id=by, before=before, after=after if role else None)


def _people() -> People:
    return (
        select(
            Member.id,
            Member.user_id,
            User.email,
            User.name,
            Member.role,
            Member.seat,
            Member.created_at,
            Member.last_active_at,
        )
        .join(User, User.id == Member.user_id)
        .where(HERE)
    )


def _person(row: Row[int, int, str, str | None, str, str, datetime, datetime | None]) -> Person:
    return Person(*row)


def _filtered(statement: People, which: Filter) -> People:
    if which.search:
        found = (field.icontains(which.search, autoescape=True) for field in (User.email, User.name))
        statement = statement.where(or_(*found))
    if which.seat:
        statement = statement.where(Member.seat == which.seat)
    if which.role:
        statement = statement.where(Member.role == which.role)
    if which.away:
        long_ago = func.now() - AWAY
        statement = statement.where(func.coalesce(Member.last_active_at, Member.created_at) < long_ago)
    return statement
