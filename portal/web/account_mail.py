"""Flask-Security's mails as rows and jobs of ours, and which passwords are taken."""

from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask
from flask_babel import gettext as _
from flask_security import MailUtil, PasswordUtil

from portal.services import mails
from portal.web import db_session, gateways, settings

PASSWORD_LENGTH_MAX = 128
SHORTEST_GIVEAWAY = 4
KNOWN_ALREADY = "welcome_existing"
BREACHED = Path(__file__).parent / "breached_passwords.txt"


class DeferredMail(MailUtil):
    """Writes the mail into the transaction of the view, instead of sending it during the request."""

    def send_mail(
        self, template: str, subject: str, recipient: Any, sender: Any, body: Any, html: Any, **kwargs: Any
    ) -> None:
        kind = template.rsplit("/", 1)[-1]
        if kind == KNOWN_ALREADY:
            # the library has one subject for both answers to signing up
            subject = _("You have an account already")
        mails.queue(
            db_session(),
            gateways().jobs,
            kind=kind,
            recipient=str(recipient),
            subject=f"{subject} – {settings().brand_name}",
            text=body,
            html=html,
        )

    def normalize(self, email: str) -> str:
        """As the library does, and in lower case: one person, one login, however it is typed."""
        return super().normalize(email).lower()

    def validate(self, email: str) -> str:
        return super().validate(email).lower()


@cache
def breached() -> frozenset[str]:
    """The passwords that are tried first by whoever tries passwords."""
    return frozenset(BREACHED.read_text("utf-8").split())


class PasswordRules(PasswordUtil):
    """Length and being unguessable count; kinds of characters do not (NIST SP 800-63B, ASVS 6.2)."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)

    def validate(self, password: str, is_register: bool, **kwargs: Any) -> tuple[list[str] | None, str]:
        normal = self.normalize(password)
        if len(normal) > PASSWORD_LENGTH_MAX:
            return [_("Use at most %(most)s characters.", most=PASSWORD_LENGTH_MAX)], normal
        problems, normal = super().validate(password, is_register, **kwargs)
        if problems:
            return problems, normal
        if normal.lower() in breached():
            return [_("This password is one of the first that anyone would try. Choose another.")], normal
        if any(word in normal.lower() for word in _giveaways(**kwargs)):
            return [_("Choose a password that does not contain your e-mail address or our name.")], normal
        return None, normal


def _giveaways(email: str | None = None, user: Any = None, **_kwargs: Any) -> list[str]:
    address = (email or getattr(user, "email", "") or "").lower()
    words = [address.split("@")[0], settings().brand_name.lower()]
    return [word for word in words if len(word) >= SHORTEST_GIVEAWAY]
