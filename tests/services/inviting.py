"""What a workspace does with its people, in one line each."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import AuditEntry, Invitation, Mail, User
from portal.services import invitation_links, invitations, members
from portal.services.invitations import Invited, Joined
from portal.services.members import Person
from tests import factories


@dataclass(frozen=True)
class Company:
    """A workspace, its owner, and what they do."""

    app: Flask
    gateways: Gateways
    account: factories.Account

    @property
    def id(self) -> int:
        return self.account.workspace_id

    def invite(
        self, email: str, *, role: str = "member", seat: str = "none", by: int | None = None
    ) -> Invitation:
        with unit_of_work(self.id) as session:
            return invitations.invite(
                session, self.gateways, email, role=role, seat=seat, by=by or self.account.user_id
            )

    def token(self, invitation: Invitation) -> str:
        return invitation_links.sign(self.gateways.settings, invitation)

    def found(self, invitation: Invitation) -> Invited:
        found = invitations.find(self.gateways, self.token(invitation))
        assert found
        return found

    def accept(self, invitation: Invitation, login: factories.Account) -> Joined:
        with unit_of_work() as session:
            user = session.get_one(User, login.user_id)
        invited = self.found(invitation)
        with unit_of_work(self.id) as session:
            return invitations.accept(session, self.gateways, invited, user)

    def person(self, login: factories.Account) -> Person:
        with unit_of_work(self.id) as session:
            found = members.of_user(session, login.user_id)
        assert found
        return found

    def is_member(self, login: factories.Account) -> bool:
        with unit_of_work(self.id) as session:
            return members.of_user(session, login.user_id) is not None

    def join(self, *, role: str = "member") -> factories.Account:
        """A further login that is a member."""
        return factories.member(self.app, self.id, role=role)

    def audit(self) -> list[tuple[str, str]]:
        """(action, actor) of what is on record."""
        with unit_of_work(self.id) as session:
            entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
            return [(entry.action, entry.actor) for entry in entries]

    def mailed(self, kind: str) -> list[str]:
        """Whom mails of that kind were written to."""
        with unit_of_work(self.id) as session:
            return list(session.scalars(select(Mail.recipient).where(Mail.kind == kind).order_by(Mail.id)))


def path_in(text: str) -> str:
    """The path of the first link to the portal in a mail's text."""
    link = next(word for word in text.split() if word.startswith("http"))
    return urlsplit(link).path


RunJobs = Callable[[], list[str]]
