"""/developers: the keys of a workspace's programs; making, replacing and revoking them."""

from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from werkzeug import Response
from wtforms import HiddenField, SelectChoice, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length, Regexp

from portal.db import unit_of_work
from portal.errors import ConflictError
from portal.services import api_keys
from portal.services.api_keys import Made
from portal.services.ids import new_id
from portal.web import current_user_id, current_workspace_id, gateways, settings, workspace_required
from portal.web.api import PATH
from portal.web.freshness import KEYS, fresh_required
from portal.web.incoming import KeyId
from portal.web.language import translated
from portal.web.seat_words import one_of
from portal.web.text_rules import PlainText

blueprint = Blueprint("api_keys", __name__, url_prefix="/developers")

ROLE = "admin"
LISTING = "api_keys.listing"
SCOPE_NAMES = {
    api_keys.WRITE: _("Send events and usage"),
    api_keys.READ: _("Read usage, resolutions, credits and quotes"),
}
SCOPE_HINTS = {
    api_keys.WRITE: _(
        "For the systems that hold your conversations. They can also ask whether the AI may answer."
    ),
    api_keys.READ: _("For your reports and dashboards. Nothing can be changed with it."),
}
OVERLAP_NAMES = {
    "0": _("At once"),
    "1": _("In an hour"),
    "24": _("In a day"),
    "168": _("In 7 days"),
    "720": _("In 30 days"),
}
SUGGESTED = "24"

Answer = str | Response | tuple[str, int]


class MakeForm(FlaskForm):
    """What the key is called, and what it may do. ``key``: one form makes one key."""

    name = StringField(
        _("Name"),
        description=_("So that you know it again, such as “Help desk, production”."),
        render_kw={"autocomplete": "off", "maxlength": api_keys.NAME_MAX},
        filters=[lambda text: " ".join(text.split()) if text else text],
        validators=[
            PlainText(),
            InputRequired(_("Give the key a name.")),
            Length(max=api_keys.NAME_MAX, message=_("Use at most %(max)d characters.")),
        ],
    )
    scopes = SelectMultipleField(
        _("What it may do"),
        choices=[SelectChoice(scope, name) for scope, name in SCOPE_NAMES.items()],
        validators=[InputRequired(_("Choose what the key may do."))],
    )
    key = HiddenField(validators=[Regexp(f"^{KeyId.regex}$")])


class RotateForm(FlaskForm):
    """When the old key ends."""

    overlap = one_of(_("When does the old key end?"), OVERLAP_NAMES, _("Choose when the old key ends."))


@blueprint.get("")
@workspace_required(ROLE)
def listing() -> str:
    """The keys, with what each may do and when it was last used."""
    now = gateways().clock.now()
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        keys = api_keys.listing(session, now)
        makers = api_keys.makers(session, keys)
    live = {row.id for row in keys if api_keys.is_live(row, now)}
    keys.sort(key=lambda row: row.id not in live)
    return render_template(
        "api_keys/listing.html", keys=keys, makers=makers, live=live, scope_names=SCOPE_NAMES, base=_base()
    )


@blueprint.route("/keys/new", methods=["GET", "POST"])
@workspace_required(ROLE)
@fresh_required(KEYS)
def make() -> Answer:
    """Make a key, and show it this once."""
    form = MakeForm(key=new_id("K"))
    if not form.validate_on_submit():
        return render_template("api_keys/make.html", form=form, hints=SCOPE_HINTS)
    try:
        return _shown(_made(form))
    except ConflictError as refusal:
        flash(translated(refusal.message), "warning")
        return redirect(url_for(LISTING), code=303)


def _made(form: MakeForm) -> Made:
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return api_keys.make(
            session,
            gateways(),
            name=str(form.name.data),
            scopes=form.scopes.data or [],
            by=current_user_id(),
            key_id=form.key.data,
        )


@blueprint.route("/keys/<key:key_id>/rotate", methods=["GET", "POST"])
@workspace_required(ROLE)
@fresh_required(KEYS)
def rotate(key_id: str) -> Answer:
    """Replace a key by a new one that may do the same; the old one goes on for the chosen time."""
    form = RotateForm(data={"overlap": SUGGESTED} if request.method == "GET" else None)
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        row = api_keys.get(session, key_id)
        if not form.validate_on_submit():
            return render_template("api_keys/rotate.html", form=form, key=row)
    overlap = timedelta(hours=int(form.overlap.data))
    try:
        with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
            made = api_keys.rotate(session, gateways(), key_id, overlap=overlap, by=current_user_id())
            return _shown(made, old=api_keys.get(session, key_id))
    except ConflictError as refusal:
        flash(translated(refusal.message), "warning")
        return redirect(url_for(LISTING), code=303)


@blueprint.route("/keys/<key:key_id>/revoke", methods=["GET", "POST"])
@workspace_required(ROLE)
@fresh_required(KEYS)
def revoke(key_id: str) -> Answer:
    """End a key at once, after a page that says what that means."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        if request.method == "GET":
            return render_template("api_keys/revoke.html", key=api_keys.get(session, key_id))
        return _revoked(session, key_id)


def _revoked(session: Session, key_id: str) -> Response:
    try:
        gone = api_keys.revoke(session, gateways(), key_id, by=current_user_id())
        flash(
            gettext("The key %(name)s is revoked; nobody comes in with it any more.", name=gone.name),
            "success",
        )
    except ConflictError as refusal:
        flash(translated(refusal.message), "warning")
    return redirect(url_for(LISTING), code=303)


def _shown(made: Made, old: object = None) -> str:
    """The only page that ever holds the key; it is kept nowhere (``Cache-Control: no-store``)."""
    return render_template(
        "api_keys/made.html", key=made.row, secret=made.secret, old=old, scope_names=SCOPE_NAMES, base=_base()
    )


def _base() -> str:
    return f"{settings().base_url}{PATH}"
