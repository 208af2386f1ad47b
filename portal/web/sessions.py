"""Signing in and out: Flask-Security on our tables, with what its stock form lets through closed.

- A copied cookie dies when its owner signs out: every sign-in has a row, and the user is loaded through it.
- The CSRF token of before signing in is worth nothing after.
- Neither answer nor duration tells whether an address is known.
"""

from datetime import timedelta
from typing import Any

from flask import Flask, Response, current_app, g, redirect, request, session, url_for
from flask_login import user_logged_in, user_logged_out
from flask_security import Security, SQLAlchemySessionUserDatastore
from flask_security.confirmable import confirm_user
from flask_security.signals import change_email_confirmed, password_changed, password_reset, user_registered
from flask_security.utils import aware_utcnow, set_request_attr
from flask_wtf.csrf import CSRFProtect
from werkzeug import Response as AnyResponse

from portal.config import Settings
from portal.models import Role, User, WebAuthn
from portal.services import accounts, factor_changes, sign_ins
from portal.services.sign_ins import Membership, SignIn
from portal.web import (
    account_words,
    db_session,
    gateways,
    refuse_open_forms,
    same_browser,
    second_step,
    signed_in,
)
from portal.web.account_forms import FORMS
from portal.web.account_mail import DeferredMail, PasswordRules
from portal.web.accounts import draft_selection

PASSWORD_LENGTH_MIN = 8
# OWASP's floor for argon2id: 19 MiB, two rounds, one lane; some 20 ms
ARGON2 = {"argon2__rounds": 2, "argon2__memory_cost": 19_456, "argon2__parallelism": 1}
# still argon2, and little enough for a suite of many sign-ins
ARGON2_IN_TESTS = {"argon2__rounds": 1, "argon2__memory_cost": 8, "argon2__parallelism": 1}

SIGN_IN = "sign_in"
USER = "sign_in_user"
STARTS_A_PURCHASE = "checkout.details"

SECURITY = {
    "PASSWORD_HASH": "argon2",
    "PASSWORD_SCHEMES": ["argon2"],
    # no pepper from the secret key: a new key must not make every password wrong
    "PASSWORD_SINGLE_HASH": ["argon2"],
    "PASSWORD_LENGTH_MIN": PASSWORD_LENGTH_MIN,
    "PASSWORD_CONFIRM_REQUIRED": False,
    # of tokens, not of passwords
    "HASHING_SCHEMES": ["hex_sha512"],
    "DEPRECATED_HASHING_SCHEMES": [],
    "RETURN_GENERIC_RESPONSES": True,
    "REGISTERABLE": True,
    "CONFIRMABLE": True,
    "RECOVERABLE": True,
    "CHANGEABLE": True,
    "CHANGE_EMAIL": True,
    # how long ago somebody proved who they are is kept on the server: portal.web.freshness
    "FRESHNESS": timedelta(-1),
    "API_ENABLED_METHODS": ["session"],
    "LOGOUT_CSRF": True,
    "DATETIME_FACTORY": aware_utcnow,
    "REGISTER_URL": "/signup",
    "CHANGE_URL": "/account/password",
    "CHANGE_EMAIL_URL": "/account/email",
    "CHANGE_EMAIL_CONFIRM_URL": "/account/email/confirm",
    "POST_LOGIN_VIEW": "accounts.start",
    "POST_LOGOUT_VIEW": "security.login",
    "POST_REGISTER_VIEW": "accounts.check_mail",
    "POST_CHANGE_VIEW": "accounts.page",
    "POST_CHANGE_EMAIL_VIEW": "accounts.page",
    "CLI_USERS_NAME": False,
    "CLI_ROLES_NAME": False,
    "STATIC_FOLDER": None,
}


def configure(app: Flask, settings: Settings) -> None:
    """Flask-Security's and the cookies' settings."""
    secure = settings.base_url.startswith("https://")
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SECRET_KEY_FALLBACKS=list(settings.previous_secret_keys),
        SESSION_COOKIE_NAME="__Host-session" if secure else "session",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=settings.session_absolute,
        # only answers that change the session set the cookie; its end is counted on the server
        SESSION_REFRESH_EACH_REQUEST=False,
        WTF_CSRF_TIME_LIMIT=None,
        # nothing goes by Flask-Login's mark of another network or browser: the sign-in's row counts
        SESSION_PROTECTION=None,
    )
    security = {
        **SECURITY,
        "PASSWORD_HASH_PASSLIB_OPTIONS": ARGON2_IN_TESTS if settings.environment == "test" else ARGON2,
        "EMAIL_VALIDATOR_ARGS": {
            "check_deliverability": False,
            "test_environment": not settings.production,
        },
    }
    app.config.update({f"SECURITY_{name}": value for name, value in security.items()})
    app.config.update({f"SECURITY_MSG_{name}": value for name, value in account_words.MESSAGES.items()})
    app.config.update({f"SECURITY_{name}": value for name, value in account_words.SUBJECTS.items()})


def install(app: Flask, settings: Settings) -> None:
    """Let people sign up, in and out of ``app``."""
    configure(app, settings)
    # before the form's token is looked at: whoever was moved to another workspace has no open forms
    app.before_request(_see_where)
    CSRFProtect(app)
    datastore = SQLAlchemySessionUserDatastore(db_session, User, Role, WebAuthn)
    security = Security(app, datastore, mail_util_cls=DeferredMail, password_util_cls=PasswordRules, **FORMS)
    # forms only: what a script could ask for is not offered
    security.want_json(lambda request: False)
    second_step.register(security, app)
    manager = app.login_manager  # type: ignore[attr-defined]
    # neither tokens in headers nor "remember me" cookies: the session's row is the only way in
    manager.request_loader(lambda request: None)
    manager.unauthorized_handler(ask_to_sign_in)
    security.unauthn_handler(lambda mechanisms=None, headers=None: ask_to_sign_in())

    @manager.user_loader
    def load_through_sign_in(mark: str) -> User | None:
        return _load(mark, settings)

    user_logged_in.connect(_began, app)
    user_logged_out.connect(_ended, app)
    change_email_confirmed.connect(_email_changed, app)
    user_registered.connect(_registered, app)
    password_changed.connect(_password_changed, app)
    password_reset.connect(_password_reset, app)
    app.after_request(_commit)
    app.teardown_appcontext(_remove)


def ask_to_sign_in() -> AnyResponse:
    """Send a guest to the sign-in page, and back afterwards: to this page, or to the one with the form.

    Whoever comes with a choice to buy mostly is new here and signs up; that page leads to signing in, too.
    """
    back = request.full_path.rstrip("?") if request.method == "GET" else _referring_path()
    starts = request.method == "GET" and request.endpoint == STARTS_A_PURCHASE and bool(request.args)
    return redirect(url_for("security.register" if starts else "security.login", next=back), code=303)


def _referring_path() -> str | None:
    referrer = request.referrer or ""
    return (
        referrer.removeprefix(request.host_url.rstrip("/")) if referrer.startswith(request.host_url) else None
    )


def _see_where() -> None:
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        signed_in()


def _load(mark: str, settings: Settings) -> User | None:
    """The user of this cookie, if its sign-in still stands. Leaves no transaction open."""
    identifier, user_id = session.get(SIGN_IN), session.get(USER)
    if not identifier or not user_id:
        return None
    idle, absolute = settings.session_idle, settings.session_absolute
    try:
        found = sign_ins.find(db_session(), identifier, user_id, mark=mark, idle=idle, absolute=absolute)
    finally:
        db_session.commit()
    g.sign_in = found
    if found is None:
        return None
    # as the loader of Flask-Security, whose place this takes, says to its views
    set_request_attr("fs_authn_via", "session")
    set_request_attr("fs_paa", session.get("fs_paa", 0))
    if found.current is not None:
        _note_where(found, found.current)
    return found.user


def _note_where(found: SignIn, current: Membership) -> None:
    """Keep what this browser looks at, and that its login is here."""
    if found.moved:
        sign_ins.look_at(found.id, current.workspace_id)
        if found.looked_at is not None:
            # the workspace that it looked at is not its login's any more
            refuse_open_forms()
    if current.quiet:
        sign_ins.note_activity(current.workspace_id, found.user.id)


def _began(app: Flask, user: Any, **_kwargs: Any) -> None:
    before = session.get(SIGN_IN)
    session.permanent = True
    session[SIGN_IN] = sign_ins.begin(
        user.id, ip=request.remote_addr, user_agent=request.user_agent.string, replaces=before
    )
    session[USER] = user.id
    refuse_open_forms()


def _ended(app: Flask, **_kwargs: Any) -> None:
    identifier = session.pop(SIGN_IN, None)
    session.pop(USER, None)
    g.pop("sign_in", None)
    if identifier:
        sign_ins.end(identifier)


def _registered(app: Flask, user: User, form_data: dict[str, Any], **_kwargs: Any) -> None:
    accounts.open_workspace(
        db_session(), user, form_data["company_name"], draft_selection=draft_selection(form_data.get("next"))
    )
    same_browser.registered(user)


def _password_changed(app: Flask, user: Any, **_kwargs: Any) -> None:
    sign_ins.end_all(user.id, but=session.get(SIGN_IN))


def _email_changed(app: Flask, user: Any, old_email: str, **_kwargs: Any) -> None:
    """Whoever took the login over cannot keep its owner from hearing of it.

    Links that were mailed to the address that was left name the old mark of the login, and die with it.
    """
    current_app.extensions["security"].datastore.set_uniquifier(user)
    if session.get(USER) == user.id:
        session["_user_id"] = user.fs_uniquifier
    change = factor_changes.EMAIL_CHANGED
    factor_changes.announce(db_session(), gateways(), user.id, change, email=old_email)
    sign_ins.end_all(user.id, but=session.get(SIGN_IN))


def _password_reset(app: Flask, user: Any, **_kwargs: Any) -> None:
    # the link was mailed, and so proves the address of who never followed the first one
    confirm_user(user)
    sign_ins.end_all(user.id)


def _commit(response: Response) -> Response:
    """Flask-Security commits in some views only; a mail written in another would be lost."""
    if request.blueprint == "security":
        db_session.commit()
    return response


def _remove(_error: BaseException | None) -> None:
    db_session.remove()
