"""Asking people into a workspace: by mail, with a role and the seat that they are to get.

Asking never tells whether an address has a login. A seat is used once somebody has come, not before; who
comes when the last one is gone has none, and those in charge are told.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, NotFoundError, PortalError
from portal.gateways import Gateways
from portal.models import AuditEntry, Invitation, Member, User
from portal.services import audit, invitation_links, letters, members, seats
from portal.services.seats import HERE

LIFETIME = timedelta(days=14)
RESEND_AFTER = timedelta(minutes=10)
OPEN, ACCEPTED, REVOKED, EXPIRED = "open", "accepted", "revoked", "expired"
# ownership is handed over, never mailed
ROLES = ("admin", "billing", "member")
LONGEST_EMAIL = 254
A_DAY = timedelta(days=1)
# a workspace that pays for nothing is no means of writing to strangers
MOST_A_DAY, MOST_A_DAY_UNPAID = 1_000, 50
# nor of filling one stranger's letter box
MOST_AGAIN_A_DAY = 3
PER_PAGE = 50


class AddressError(PortalError):
    """That is no mail address."""

    code = "address"
    status = 422


class AlreadyHereError(ConflictError):
    """The address is a member's."""

    code = "already_member"


class AlreadyInvitedError(ConflictError):
    """The address holds an invitation that is still good."""

    code = "already_invited"


class TooManyInvitationsError(PortalError):
    """The workspace has written to as many people as it may in a day."""

    code = "too_many_invitations"
    status = 429


class ClosedInvitationError(ConflictError):
    """The invitation cannot be accepted (any more); ``state`` says why."""

    code = "invitation_closed"

    def __init__(self, message: str, *, state: str) -> None:
        super().__init__(message)
        self.state = state


class ClosedLoginError(ConflictError):
    """The login of the invited address was closed; only support opens it again."""

    code = "login_closed"


@dataclass(frozen=True)
class Sender:
    """Who invites, and the name of the workspace; looked up once for many invitations."""

    user_id: int
    email: str
    workspace_name: str


@dataclass(frozen=True)
class Invited:
    """An invitation as the one who got it sees it."""

    workspace_id: int
    invitation_id: int
    key: str
    workspace_name: str
    email: str
    role: str
    seat: str
    state: str
    expires_at: datetime
    inviter: str | None
    accepted_by: int | None


@dataclass(frozen=True)
class Joined:
    """What came of accepting: the seat that was given, and the one that was meant."""

    workspace_id: int
    seat: str
    meant: str


def normal_address(text: str, *, production: bool = True) -> str:
    """The address as logins are kept: checked, and in lower case. Raises AddressError."""
    try:
        found = validate_email(text.strip(), check_deliverability=False, test_environment=not production)
    except EmailNotValidError as error:
        raise AddressError(
            N_("Enter an address such as name@company.com."), log=str(error), param="email"
        ) from error
    return found.normalized.lower()


def listing(session: Session, *, after: int | None = None, limit: int = PER_PAGE) -> list[Invitation]:
    """The open invitations, those that have expired too, newest first; those behind ``after``."""
    statement = select(Invitation).where(Invitation.state == OPEN).order_by(Invitation.id.desc()).limit(limit)
    return list(session.scalars(statement.where(Invitation.id < after) if after else statement))


def count(session: Session) -> int:
    """How many invitations are open, those that have expired too."""
    return session.scalars(select(func.count(Invitation.id)).where(Invitation.state == OPEN)).one()


def get(session: Session, invitation_id: int) -> Invitation:
    """One invitation of the entered workspace. Raises NotFoundError."""
    found = session.scalars(select(Invitation).where(Invitation.id == invitation_id)).first()
    if found is None:
        raise NotFoundError(N_("There is no such invitation."))
    return found


def invite(session: Session, gateways: Gateways, email: str, *, role: str, seat: str, by: int) -> Invitation:
    """Ask one person in. An invitation of that address that has expired begins anew.

    Raises AddressError, AlreadyHereError, AlreadyInvitedError, TooManyInvitationsError, and ConflictError
    when the person who asks may not.
    """
    seats.lock(session)
    email = normal_address(email, production=gateways.settings.production)
    see_right(session, by, role, seat)
    if is_member(session, email):
        raise AlreadyHereError(N_("%(email)s is a member of this workspace already.", email=email))
    known = open_one(session, email)
    if known is not None and known.expires_at > gateways.clock.now():
        raise AlreadyInvitedError(
            N_("%(email)s is invited already. You can send that invitation again.", email=email)
        )
    see_daily_limit(session, gateways, 1)
    return send(session, gateways, email, role=role, seat=seat, sender=sender(session, by))


def sender(session: Session, by: int) -> Sender:
    """Who invites, and where to."""
    email = session.scalars(select(User.email).where(User.id == by)).one()
    return Sender(by, email, members.workspace_name(session))


def send(
    session: Session, gateways: Gateways, email: str, *, role: str, seat: str, sender: Sender
) -> Invitation:
    """Write and mail the invitation; the caller holds the lock and has looked at everything."""
    now = gateways.clock.now()
    invitation = open_one(session, email)
    if invitation is None:
        invitation = Invitation(email=email, state=OPEN)
        session.add(invitation)
    invitation.role, invitation.seat, invitation.invited_by = role, seat, sender.user_id
    invitation.key = invitation_links.new_key()
    invitation.sent_at, invitation.expires_at = now, now + LIFETIME
    session.flush()
    _mail(session, gateways, invitation, sender)
    audit.record(session, "invitation.sent", user_id=sender.user_id, after=_facts(invitation))
    return invitation


def resend(session: Session, gateways: Gateways, invitation_id: int, *, by: int) -> Invitation:
    """Mail it once more, and let it be good for the whole time from now on; its earlier links, too."""
    seats.lock(session)
    invitation = _open(session, invitation_id)
    see_right(session, by, invitation.role, invitation.seat)
    now = gateways.clock.now()
    if invitation.sent_at > now - RESEND_AFTER:
        raise ConflictError(
            N_("It was sent less than ten minutes ago. Wait a little before you send it again.")
        )
    see_daily_limit(session, gateways, 1)
    _see_again(session, invitation)
    invitation.sent_at, invitation.expires_at = now, now + LIFETIME
    session.flush()
    _mail(session, gateways, invitation, sender(session, by))
    audit.record(session, "invitation.resent", user_id=by, after=_facts(invitation))
    return invitation


def revoke(session: Session, gateways: Gateways, invitation_id: int, *, by: int) -> Invitation:
    """Take it back: its link is worth nothing from now on."""
    seats.lock(session)
    invitation = _open(session, invitation_id)
    see_right(session, by, invitation.role, invitation.seat)
    invitation.state, invitation.closed_at = REVOKED, gateways.clock.now()
    audit.record(session, "invitation.revoked", user_id=by, before=_facts(invitation))
    return invitation


def find(gateways: Gateways, token: str) -> Invited | None:
    """What a mailed link leads to; nothing if it is not complete, not ours, or of no row that there is."""
    link = invitation_links.read(gateways.settings, token)
    if link is None:
        return None
    with unit_of_work(link.workspace_id) as session:
        row = session.scalars(
            select(Invitation).where(Invitation.id == link.invitation_id, Invitation.key == link.key)
        ).first()
        if row is None:
            return None
        return Invited(
            workspace_id=link.workspace_id,
            invitation_id=row.id,
            key=row.key,
            workspace_name=members.workspace_name(session),
            email=row.email,
            role=row.role,
            seat=row.seat,
            state=_state(row, gateways.clock.now()),
            expires_at=row.expires_at,
            inviter=session.scalars(select(User.email).where(User.id == row.invited_by)).first(),
            accepted_by=row.accepted_by,
        )


def accept(session: Session, gateways: Gateways, invited: Invited, user: User) -> Joined:
    """Let ``user`` in, whose address the invitation was mailed to; ``session`` has entered the workspace.

    Raises ClosedInvitationError when it was used, revoked, or has expired.
    """
    seats.lock(session)
    row = get(session, invited.invitation_id)
    state = _state(row, gateways.clock.now())
    if state != OPEN or row.email != user.email or row.key != invited.key:
        raise ClosedInvitationError(N_("This invitation cannot be used any more."), state=state)
    here = members.of_user(session, user.id)
    seat = here.seat if here else seats.take_if_free(session, row.seat)
    if here is None:
        session.add(Member(user_id=user.id, role=row.role, seat=seat, last_active_at=func.now()))
    row.state, row.accepted_by, row.closed_at = ACCEPTED, user.id, gateways.clock.now()
    session.flush()
    joined = {"member": user.email, "role": row.role, "seat": seat, "seat_meant": row.seat}
    audit.record(session, "invitation.accepted", user_id=user.id, after=dict(joined))
    if here is None and seat != row.seat:
        _tell_of_missing_seat(session, gateways, row)
    return Joined(invited.workspace_id, seat, row.seat if here is None else seat)


def has_login(session: Session, email: str) -> bool:
    """Whether somebody has proven to have this address. For whoever holds a link that was mailed to it."""
    confirmed = (User.email == email, User.confirmed_at.is_not(None))
    return session.scalars(select(User.id).where(*confirmed)).first() is not None


def new_login(session: Session, invited: Invited, *, password_hash: str, name: str | None) -> User:
    """A login for the invited address, which the link has proven.

    A login that was begun with it and never confirmed is nobody's yet: it becomes this person's. Raises
    ConflictError when there is a confirmed one, whose owner signs in instead, or ClosedLoginError.
    """
    user = session.scalars(select(User).where(User.email == invited.email)).first()
    if user is not None and user.confirmed_at is not None:
        raise ConflictError(N_("There is a login for this address. Sign in with it."))
    if user is not None and not user.active:
        raise ClosedLoginError(
            N_("The login of this address is closed. Write to our support to have it opened again.")
        )
    if user is None:
        user = User(email=invited.email, active=True)
        session.add(user)
    user.password, user.name = password_hash, name
    user.fs_uniquifier, user.confirmed_at = uuid4().hex, func.now()
    session.flush()
    return user


def see_right(session: Session, by: int, role: str, seat: str) -> None:
    """Whether the login may ask somebody in as that. Raises ConflictError."""
    actor = members.of_user(session, by)
    if actor is None or role not in ROLES or not members.may_change(actor.role, role):
        raise ConflictError(N_("Your own role does not let you do that (any more). Nothing was changed."))
    if seat not in seats.SEATS:
        raise ConflictError(N_("There is no such seat. Nothing was changed."))


def see_daily_limit(session: Session, gateways: Gateways, more: int) -> None:
    """Whether so many more may be mailed today. Raises TooManyInvitationsError."""
    paid = bool(seats.usage(session).bought)
    most = MOST_A_DAY if paid else MOST_A_DAY_UNPAID
    recent = Invitation.sent_at > gateways.clock.now() - A_DAY
    sent = session.scalars(select(func.count(Invitation.id)).where(recent)).one()
    if sent + more > most:
        raise TooManyInvitationsError(
            N_(
                "A workspace sends at most %(most)s invitations in 24 hours, and %(sent)s were sent."
                " Nothing was sent now.",
                most=most,
                sent=sent,
            )
        )


def _see_again(session: Session, invitation: Invitation) -> None:
    again = select(func.count()).where(
        AuditEntry.action == "invitation.resent",
        AuditEntry.at > func.clock_timestamp() - A_DAY,
        AuditEntry.after["email"].astext == invitation.email,
    )
    if session.scalars(again).one() >= MOST_AGAIN_A_DAY:
        raise TooManyInvitationsError(
            N_(
                "It was sent again %(most)s times in 24 hours. Nothing was sent now.",
                most=MOST_AGAIN_A_DAY,
            )
        )


def open_one(session: Session, email: str) -> Invitation | None:
    """The address's open invitation, which may have expired."""
    statement = select(Invitation).where(Invitation.email == email, Invitation.state == OPEN)
    return session.scalars(statement).first()


def is_member(session: Session, email: str) -> bool:
    """Whether the address is that of a member of the entered workspace."""
    statement = select(Member.id).join(User, User.id == Member.user_id).where(HERE, User.email == email)
    return session.scalars(statement).first() is not None


def _open(session: Session, invitation_id: int) -> Invitation:
    invitation = get(session, invitation_id)
    if invitation.state != OPEN:
        raise ClosedInvitationError(
            N_("This invitation was accepted or revoked meanwhile."), state=invitation.state
        )
    return invitation


def _state(row: Invitation, now: datetime) -> str:
    return EXPIRED if row.state == OPEN and row.expires_at <= now else row.state


def _facts(row: Invitation) -> dict[str, object]:
    return {"email": row.email, "role": row.role, "seat": row.seat}


def _mail(session: Session, gateways: Gateways, row: Invitation, by: Sender) -> None:
    facts: dict[str, object] = {
        "inviter": by.email,
        "workspace_name": by.workspace_name,
        "email": row.email,
        "expires_at": row.expires_at,
        "link": invitation_links.address(gateways.settings, row),
    }
    key = f"invitation:{row.workspace_id}:{row.id}:{row.sent_at.timestamp()}"
    letters.send(
        session,
        gateways,
        "invitation",
        row.email,
        dedupe_key=key,
        workspace_id=row.workspace_id,
        facts=facts,
    )


def _tell_of_missing_seat(session: Session, gateways: Gateways, row: Invitation) -> None:
    facts: dict[str, object] = {
        "member": row.email,
        "seat": row.seat,
        "workspace_name": members.workspace_name(session),
        "base_url": gateways.settings.base_url,
    }
    for number, recipient in enumerate(members.in_charge(session)):
        key = f"seat_missing:{row.workspace_id}:{row.id}:{number}"
        letters.send(
            session,
            gateways,
            "seat_missing",
            recipient,
            dedupe_key=key,
            workspace_id=row.workspace_id,
            facts=facts,
        )
