"""Whoever follows the confirmation link in the browser that signed up goes on at once, signed in.

That browser typed the password a moment ago and the link proves the address. Any other browser has only the
link, which may have been forwarded or opened by a scanner of mail, and signs in first.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, flash, g, redirect, session, url_for
from flask_babel import gettext
from flask_security import login_user
from flask_security.confirmable import confirm_email_token_status

from portal.models import User

MARKER = "signed_up"
FLASHES = "_flashes"


def install(app: Flask) -> None:
    """Wrap Flask-Security's view of the confirmation link."""
    app.view_functions["security.confirm_email"] = _going_on(app.view_functions["security.confirm_email"])


def registered(user: User) -> None:
    """Note, for the rest of this request, that it made the login ``user``."""
    g.signed_up = user.fs_uniquifier


def remember() -> None:
    """Mark this browser as the one that signed up.

    The mark tells nothing, since the cookie can be read: for an address that was known before it is made up.
    """
    session[MARKER] = _mark(g.get("signed_up") or secrets.token_hex())


def _mark(uniquifier: str) -> str:
    return hashlib.sha256(uniquifier.encode()).hexdigest()


def _going_on(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def going_on(token: str) -> Any:
        mark = session.get(MARKER, "")
        answer = view(token)
        expired, invalid, user = confirm_email_token_status(token)
        if expired or invalid or user is None or user.confirmed_at is None:
            return answer
        if user.tf_primary_method:
            # since then this login asks for more than its password, and so for more than this
            return answer
        if not hmac.compare_digest(mark, _mark(user.fs_uniquifier)):
            return answer
        session.pop(MARKER, None)
        if not login_user(user, authn_via=["confirm"]):
            return answer
        # in place of the view's, which ask to sign in
        session.pop(FLASHES, None)
        flash(gettext("Your e-mail address is confirmed."), "success")
        return redirect(url_for("accounts.start"), code=303)

    return going_on
