"""Signed-in browsers. A cookie is worth nothing without its row here, so that signing out really ends it."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Interval, bindparam, delete, func, select, update
from sqlalchemy.orm import Session, joinedload

from portal.db import enter_user, unit_of_work
from portal.models import LoginSession, Member, User, Workspace

ID_BYTES = 32
SEEN_EVERY = timedelta(minutes=1)
ACTIVE_EVERY = timedelta(hours=1)
USER_AGENT_LENGTH = 200
HANDLE_LENGTH = 20

_NOW = func.clock_timestamp()
# every page asks this, so it is put together once
_FIND = (
    select(
        User,
        LoginSession.workspace_id,
        Member.workspace_id,
        Workspace.name,
        Member.role,
        LoginSession.last_seen_at < _NOW - SEEN_EVERY,
        func.coalesce(Member.last_active_at < _NOW - ACTIVE_EVERY, True),
        _NOW - LoginSession.verified_at,
    )
    .join(User, User.id == LoginSession.user_id)
    .outerjoin(Member, Member.user_id == LoginSession.user_id)
    .outerjoin(Workspace, Workspace.id == Member.workspace_id)
    .where(LoginSession.id == bindparam("identifier"), LoginSession.user_id == bindparam("user_id"))
    .where(User.fs_uniquifier == bindparam("mark"), User.active)
    .where(
        LoginSession.created_at > _NOW - bindparam("absolute", type_=Interval),
        LoginSession.last_seen_at > _NOW - bindparam("idle", type_=Interval),
    )
    .order_by(Member.created_at, Member.workspace_id)
    # the library looks at them on every page
    .options(joinedload(User.roles))
)


@dataclass(frozen=True)
class Membership:
    """A workspace that a login belongs to, and as what."""

    workspace_id: int
    workspace_name: str
    role: str
    # nothing of the last hour is on record
    quiet: bool = False


@dataclass(frozen=True)
class SignIn:
    """One signed-in browser: who, and the workspace that it looks at (none if the login has none)."""

    id: str
    user: User
    memberships: tuple[Membership, ...]
    current: Membership | None
    # since the person last proved who they are
    verified_ago: timedelta = timedelta()
    # the workspace that this browser looked at last
    looked_at: int | None = None

    @property
    def moved(self) -> bool:
        """Whether it looks at a workspace that it did not look at before."""
        return self.current is not None and self.current.workspace_id != self.looked_at


@dataclass(frozen=True)
class Browser:
    """One of a login's signed-in browsers, for their list. ``handle`` names it and lets nobody in."""

    handle: str
    user_agent: str | None
    ip: str | None
    created_at: datetime
    last_seen_at: datetime
    this: bool


def begin(user_id: int, *, ip: str | None, user_agent: str | None, replaces: str | None = None) -> str:
    """Record a sign-in and return its new id; the sign-in that this browser had before ends."""
    identifier = secrets.token_urlsafe(ID_BYTES)
    with unit_of_work() as session:
        if replaces:
            session.execute(delete(LoginSession).where(LoginSession.id == replaces))
        agent = (user_agent or "")[:USER_AGENT_LENGTH] or None
        session.add(LoginSession(id=identifier, user_id=user_id, ip=ip, user_agent=agent))
    return identifier


def find(
    session: Session, identifier: str, user_id: int, *, mark: str, idle: timedelta, absolute: timedelta
) -> SignIn | None:
    """The sign-in if it still stands: not signed out, used within ``idle``, begun within ``absolute``.

    ``mark`` is what the cookie knows the login by; it dies with the mark. From then on ``session`` may read
    the login's own memberships.
    """
    enter_user(session, user_id)
    values = {"identifier": identifier, "user_id": user_id, "mark": mark, "idle": idle, "absolute": absolute}
    rows = session.execute(_FIND, values).unique().all()
    if not rows:
        return None
    user, looked_at, *_, stale, _quiet, verified_ago = rows[0]
    if stale:
        session.execute(
            update(LoginSession)
            .where(LoginSession.id == identifier)
            .values(last_seen_at=func.clock_timestamp())
        )
    memberships = tuple(Membership(row[2], row[3], row[4], row[6]) for row in rows if row[2] is not None)
    current = next((each for each in memberships if each.workspace_id == looked_at), None)
    current = current or (memberships[0] if memberships else None)
    return SignIn(identifier, user, memberships, current, verified_ago=verified_ago, looked_at=looked_at)


def note_activity(workspace_id: int, user_id: int) -> None:
    """Put on record that the login is here now, once an hour."""
    now = func.clock_timestamp()
    quiet = func.coalesce(Member.last_active_at < now - ACTIVE_EVERY, True)
    with unit_of_work(workspace_id) as session:
        session.execute(update(Member).where(Member.user_id == user_id, quiet).values(last_active_at=now))


def look_at(identifier: str, workspace_id: int) -> None:
    """Let this browser look at a workspace that its login has just come into."""
    with unit_of_work() as session:
        session.execute(
            update(LoginSession).where(LoginSession.id == identifier).values(workspace_id=workspace_id)
        )


def choose_workspace(sign_in: SignIn, workspace_id: int) -> bool:
    """Let this browser look at another workspace of its login; False if the login is not a member of it."""
    if all(each.workspace_id != workspace_id for each in sign_in.memberships):
        return False
    look_at(sign_in.id, workspace_id)
    return True


def end(identifier: str) -> None:
    """Sign one browser out, wherever its cookie was copied to."""
    with unit_of_work() as session:
        session.execute(delete(LoginSession).where(LoginSession.id == identifier))


def end_all(user_id: int, *, but: str | None = None) -> None:
    """Sign a login out everywhere, but for the browser ``but``."""
    with unit_of_work() as session:
        session.execute(
            delete(LoginSession).where(LoginSession.user_id == user_id, LoginSession.id != (but or ""))
        )


def verified(identifier: str) -> None:
    """The person at this browser has just proved again who they are."""
    with unit_of_work() as session:
        session.execute(
            update(LoginSession)
            .where(LoginSession.id == identifier)
            .values(verified_at=func.clock_timestamp())
        )


def browsers(
    session: Session, user_id: int, *, this: str, idle: timedelta, absolute: timedelta
) -> list[Browser]:
    """Where a login is signed in: the browser ``this`` first, then the one seen last."""
    now = func.clock_timestamp()
    rows = session.scalars(
        select(LoginSession)
        .where(LoginSession.user_id == user_id)
        .where(LoginSession.created_at > now - absolute, LoginSession.last_seen_at > now - idle)
        .order_by((LoginSession.id == this).desc(), LoginSession.last_seen_at.desc(), LoginSession.id)
    )
    return [
        Browser(
            handle=_handle(row.id),
            user_agent=row.user_agent,
            ip=row.ip,
            created_at=row.created_at,
            last_seen_at=row.last_seen_at,
            this=row.id == this,
        )
        for row in rows
    ]


def end_browser(user_id: int, handle: str) -> bool:
    """Sign one of a login's browsers out, by its handle; False if it has none such."""
    with unit_of_work() as session:
        mine = session.scalars(select(LoginSession.id).where(LoginSession.user_id == user_id)).all()
        found = [identifier for identifier in mine if _handle(identifier) == handle]
        session.execute(delete(LoginSession).where(LoginSession.id.in_(found)))
    return bool(found)


def _handle(identifier: str) -> str:
    return hashlib.sha256(identifier.encode()).hexdigest()[:HANDLE_LENGTH]
