"""/invitations/<token>: what the link in an invitation's mail leads to, for whoever holds it.

Whoever holds the link reads the mail of that address; so the page may say whether a login is there, which
those who invite never learn. Nothing happens by following the link: joining is a button.
"""

from flask import Blueprint, current_app, flash, redirect, render_template, session, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_login import current_user
from flask_security import hash_password, login_user
from flask_wtf import FlaskForm
from sqlalchemy.exc import IntegrityError
from werkzeug import Response
from wtforms import PasswordField, StringField
from wtforms.validators import InputRequired, Length

from portal.db import unit_of_work
from portal.errors import ConflictError
from portal.models import User
from portal.services import invitations, sign_ins
from portal.services.invitations import ClosedLoginError, Invited, Joined
from portal.web import current_user_id, db_session, gateways, public, refuse_open_forms
from portal.web.language import translated
from portal.web.seat_words import ROLE_HINTS, ROLE_NAMES, SEAT_NAMES
from portal.web.text_rules import PlainText

blueprint = Blueprint("joining", __name__, url_prefix="/invitations")

SIGN_IN = "sign_in"
LONGEST_NAME = 120
GONE, NOT_OURS = 410, 404


class JoinForm(FlaskForm):
    """What a person without a login gives to have one."""

    name = StringField(
        _("Your name"),
        [PlainText(), Length(max=LONGEST_NAME, message=_("Use at most %(max)d characters."))],
        render_kw={"autocomplete": "name"},
    )
    password = PasswordField(
        _("Password"),
        [PlainText(), InputRequired(_("Enter a password."))],
        description=_("At least 8 characters. A few words in a row are easy to keep in mind."),
        render_kw={"autocomplete": "new-password"},
    )


@blueprint.get("/<token>")
@public
def page(token: str) -> str | tuple[str, int]:
    """The invitation: join, sign in first, sign up first, or why it cannot be used."""
    invited = invitations.find(gateways(), token)
    return _shown(invited, token, JoinForm())


@blueprint.post("/<token>")
@public
def accept(token: str) -> str | Response | tuple[str, int]:
    """Join with the login that is signed in, if it is the one that was meant."""
    invited = invitations.find(gateways(), token)
    if invited is None or not _is_me(invited):
        return _shown(invited, token, JoinForm())
    return _join(invited, current_user_id(), token)


@blueprint.post("/<token>/sign-up")
@public
def sign_up(token: str) -> str | Response | tuple[str, int]:
    """Make a login for the address that was invited, without a workspace of its own, and join with it."""
    invited = invitations.find(gateways(), token)
    form = JoinForm()
    if invited is None or invited.state != invitations.OPEN or current_user.is_authenticated:
        return _shown(invited, token, form)
    if not form.validate() or not _is_good(form, invited):
        return _shown(invited, token, form)
    return _signed_up(invited, form, token)


def _is_good(form: JoinForm, invited: Invited) -> bool:
    """Whether the password may be one, by the rules of signing up."""
    rules = current_app.extensions["security"]._password_util
    problems, form.password.data = rules.validate(form.password.data, True, email=invited.email)
    form.password.errors = problems or []
    return not problems


def _is_me(invited: Invited) -> bool:
    return bool(current_user.is_authenticated and current_user.email == invited.email)


def _signed_up(invited: Invited, form: JoinForm, token: str) -> Response:
    hashed, name = hash_password(form.password.data), form.name.data or None
    try:
        with unit_of_work(invited.workspace_id) as work:
            user = invitations.new_login(work, invited, password_hash=hashed, name=name)
            joined = invitations.accept(work, gateways(), invited, user)
    except ClosedLoginError as closed:
        flash(translated(closed.message), "error")
        return redirect(url_for(".page", token=token), code=303)
    except (ConflictError, IntegrityError):
        # another click was first: the page says what is so now
        return redirect(url_for(".page", token=token), code=303)
    sign_ins.end_all(user.id)
    login = db_session.get(User, user.id)
    db_session.commit()
    login_user(login, authn_via=["invitation"])
    db_session.commit()
    return _welcome(joined, invited)


def _join(invited: Invited, user_id: int, token: str) -> Response:
    try:
        with unit_of_work(invited.workspace_id, user_id=user_id) as work:
            joined = invitations.accept(work, gateways(), invited, work.get_one(User, user_id))
    except ConflictError:
        return redirect(url_for(".page", token=token), code=303)
    return _welcome(joined, invited)


def _welcome(joined: Joined, invited: Invited) -> Response:
    sign_ins.look_at(session[SIGN_IN], joined.workspace_id)
    refuse_open_forms()
    flash(gettext("You have joined %(workspace)s.", workspace=invited.workspace_name), "success")
    if joined.seat != joined.meant:
        flash(
            gettext("The seat meant for you is not free at the moment. Your admins have been told."), "info"
        )
    return redirect(url_for("billing.overview"), code=303)


def _shown(invited: Invited | None, token: str, form: JoinForm) -> str | Response | tuple[str, int]:
    if invited is None:
        return render_template("joining/closed.html", state="unknown", invited=None), NOT_OURS
    if invited.state != invitations.OPEN:
        if invited.state == invitations.ACCEPTED and _is_me(invited):
            return redirect(url_for("billing.overview"), code=303)
        return render_template("joining/closed.html", state=invited.state, invited=invited), GONE
    with unit_of_work() as work:
        has_login = invitations.has_login(work, invited.email)
    return render_template(
        "joining/page.html",
        invited=invited,
        token=token,
        form=form,
        is_me=_is_me(invited),
        has_login=has_login,
        role_name=ROLE_NAMES[invited.role],
        role_hint=ROLE_HINTS[invited.role],
        seat_name=SEAT_NAMES[invited.seat],
    )
