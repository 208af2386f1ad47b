"""Signing in beyond the password: the code of an app or a recovery code after it, or a passkey instead of it.

Flask-Security asks its plug-ins what a login needs besides the password; ours sends it to the page here. Its
own pages for this are not used: they show recovery codes again, and take the same code twice.
"""

import hashlib
import time
from typing import Any

import structlog
from flask import Blueprint, current_app, flash, jsonify, redirect, render_template, request, session, url_for
from flask_babel import gettext
from flask_limiter.util import get_remote_address
from flask_login import current_user
from flask_security import Security, login_user
from flask_security.tf_plugin import TfPlugin, TfPluginBase
from werkzeug import Response

from portal.db import unit_of_work
from portal.models import User
from portal.services import factor_changes, one_time_codes, passkeys, recovery_codes
from portal.services.passkeys import PasskeyError
from portal.web import db_session, gateways, public, settings
from portal.web.factor_forms import CodeForm, RecoveryForm
from portal.web.language import translated
from portal.web.navigation import local_address

log = structlog.get_logger("portal.web")

blueprint = Blueprint("second_step", __name__, url_prefix="/login")

NAME = "portal"
# whom the password was right for, as Flask-Security keeps it, and since when
WAITING, SINCE = "tf_user_id", "tf_since"
# a password typed longer ago than this is typed again
GOOD_FOR_SECONDS = 10 * 60
CHALLENGE = "passkey_challenge"


class SecondStep(TfPluginBase):
    """Says whether a login needs more than its password, and where that is asked for."""

    def create_blueprint(self, app: Any, bp: Any, state: Any) -> None:
        """There is nothing to add to the library's own pages."""

    def get_setup_methods(self, user: User) -> list[tuple[str, str]]:
        return [(NAME, NAME)] if user.tf_primary_method == one_time_codes.METHOD else []

    def tf_login(self, user: User, json_payload: dict[str, Any], next_loc: str | None) -> Response:
        session[SINCE] = time.time()
        return redirect(url_for("second_step.page", next=next_loc), code=303)


def register(security: Security, app: Any) -> None:
    """Let ``security`` ask this plug-in, and no other, after each password that is right."""
    security.support_mfa = True
    security.two_factor_plugins = TfPlugin()
    security.two_factor_plugins.register_tf_impl(app, NAME, SecondStep)


def waiting_login() -> str:
    """Whose second step is tried, as a key for counting that does not name them."""
    waiting = session.get(WAITING)
    if not waiting:
        return get_remote_address()
    return "second:" + hashlib.sha256(waiting.encode()).hexdigest()[:32]


@blueprint.route("/second", methods=["GET", "POST"])
@public
def page() -> Response | str:
    """The code of the app; with ``?recovery`` one of the recovery codes."""
    user = _waiting()
    if user is None:
        return _start_again()
    form = RecoveryForm() if "recovery" in request.args else CodeForm()
    if form.validate_on_submit() and _accepted(user, form):
        return _let_in(user, ["password", one_time_codes.METHOD])
    other = url_for("second_step.page", next=_next(), recovery=None if "recovery" in request.args else 1)
    return render_template("security/second_step.html", form=form, other=other, next=_next())


@blueprint.post("/passkey/options")
@public
def passkey_options() -> Response:
    """What the browser asks its passkeys to sign; the same for everybody."""
    session[CHALLENGE], options = passkeys.begin_asking(settings(), passkeys.SIGN_IN)
    return jsonify(options)


@blueprint.post("/passkey")
@public
def passkey() -> Response:
    """Signed in with a passkey: it is two factors by itself, so no code is asked for."""
    challenge, answer = session.pop(CHALLENGE, ""), request.form.get("credential", "")
    try:
        user_id = passkeys.whose(settings(), passkeys.SIGN_IN, challenge, answer)
    except PasskeyError as error:
        log.info("passkey_refused", reason=str(error))
        flash(translated(error.message), "error")
        return redirect(url_for("security.login", next=_next()), code=303)
    return _let_in(_find(id=user_id), ["passkey"])


def _waiting() -> User | None:
    """Whose password was right a moment ago."""
    if current_user.is_authenticated or time.time() - session.get(SINCE, 0.0) > GOOD_FOR_SECONDS:
        return None
    return _find(fs_uniquifier=session.get(WAITING, ""))


def _find(**identity: object) -> User | None:
    """The login of this id or token. Leaves no transaction open."""
    user: User | None = current_app.extensions["security"].datastore.find_user(**identity)
    db_session.commit()
    return user


def _accepted(user: User, form: CodeForm | RecoveryForm) -> bool:
    """Whether what was typed is right; it is used up by that. If not, the form says so."""
    typed = str(form.code.data)
    with unit_of_work() as transaction:
        if isinstance(form, CodeForm):
            right = one_time_codes.use(transaction, settings(), user.id, typed)
        else:
            right = recovery_codes.use(transaction, user.id, typed)
            left = recovery_codes.left(transaction, user.id)
            if right:
                change = factor_changes.CODE_USED
                factor_changes.announce(transaction, gateways(), user.id, change, left=left)
    if not right:
        form.code.errors = [form.wrong]
    return right


def _let_in(user: User | None, by: list[str]) -> Response:
    back = _next()
    for name in (WAITING, SINCE, "tf_select", "tf_remember_login"):
        session.pop(name, None)
    if user is None or not user.is_active or user.confirmed_at is None or not login_user(user, authn_via=by):
        return _start_again()
    return redirect(back or url_for("accounts.start"), code=303)


def _start_again() -> Response:
    if not current_user.is_authenticated:
        flash(gettext("Enter your e-mail address and your password again."), "info")
    return redirect(url_for("security.login", next=_next()), code=303)


def _next() -> str | None:
    """Where the guest wanted to go, if that is a page of ours."""
    return local_address(request.values.get("next"), "") or None
