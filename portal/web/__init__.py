"""The pages. One blueprint a file; what every page asks for is here: gateways, settings, who is signed in."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import abort, current_app, g, redirect, request, session, url_for
from flask_login import current_user
from sqlalchemy.orm import scoped_session
from werkzeug import Response

from portal.config import Settings
from portal.db import SessionLocal
from portal.gateways import Gateways
from portal.services import members as membership
from portal.services.sign_ins import SignIn

View = TypeVar("View", bound=Callable[..., Any])

# where Flask-WTF keeps what a form's token is made of
CSRF = "csrf_token"

# the login's own session, removed at the end of each request; everything else opens units of work
db_session = scoped_session(SessionLocal)


def gateways() -> Gateways:
    """The neighbours of the running app."""
    return cast(Gateways, current_app.extensions["portal"])


def settings() -> Settings:
    """The settings of the running app."""
    return cast(Settings, current_app.extensions["settings"])


def signed_in() -> SignIn | None:
    """The present browser's sign-in, with its workspaces; None for a guest."""
    if not current_user.is_authenticated:
        return None
    return cast(SignIn, g.sign_in)


def current_workspace_id() -> int:
    """The workspace that the present page is about; 404 when the login belongs to none."""
    sign_in = signed_in()
    if sign_in is None or sign_in.current is None:
        abort(404)
    return sign_in.current.workspace_id


def current_user_id() -> int:
    """The signed-in login's id."""
    return int(current_user.id)


def may(role: str) -> bool:
    """Whether the signed-in person may do what needs ``role`` in the present workspace."""
    sign_in = signed_in()
    return bool(sign_in and sign_in.current and membership.may(sign_in.current.role, role))


def refuse_open_forms() -> None:
    """What other tabs of this browser show cannot be sent any more: who asks, or about what, has changed."""
    session.pop(CSRF, None)
    g.pop(CSRF, None)


def public(view: View) -> View:
    """Mark a view that a guest may see. A test refuses every view that is neither this nor guarded."""
    view.__dict__["portal_access"] = "public"
    return view


def sign_in_required(view: View) -> View:
    """Only for whoever is signed in, also without a workspace; guests are sent to sign in."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if signed_in() is None:
            return current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
        return view(*args, **kwargs)

    guarded.__dict__["portal_access"] = "login"
    return cast(View, guarded)


def workspace_required(role: str = "member") -> Callable[[View], View]:
    """Only for members of the current workspace with ``role`` or more; guests are sent to sign in."""
    if role not in membership.ROLES:
        raise ValueError(f"{role} is no role")

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            sign_in = signed_in()
            if sign_in is None:
                return current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
            if sign_in.current is None:
                return _without_workspace()
            if not membership.may(sign_in.current.role, role):
                abort(403)
            return view(*args, **kwargs)

        guarded.__dict__["portal_access"] = role
        return cast(View, guarded)

    return decorate


def _without_workspace() -> Response:
    """Whoever has left their last workspace is told what to do; forms about one lead nowhere."""
    if request.method != "GET":
        abort(404)
    return redirect(url_for("accounts.no_workspace"), code=303)
