"""/account/passkeys: the keys of a login; adding one, removing one."""

import structlog
from flask import Blueprint, abort, flash, jsonify, redirect, render_template, session, url_for
from flask_babel import gettext
from werkzeug import Response

from portal.db import unit_of_work
from portal.services import factor_changes, passkeys, sign_ins
from portal.services.passkeys import PasskeyError
from portal.web import (
    current_user_id,
    current_workspace_id,
    gateways,
    settings,
    signed_in,
    workspace_required,
)
from portal.web.factor_forms import PasskeyForm
from portal.web.freshness import FACTORS, fresh_required
from portal.web.language import translated

log = structlog.get_logger("portal.web")

blueprint = Blueprint("passkeys", __name__, url_prefix="/account/passkeys")

CHALLENGE = "new_passkey_challenge"


@blueprint.get("")
@workspace_required()
def listing() -> str:
    """This login's passkeys."""
    with unit_of_work() as transaction:
        known = passkeys.listing(transaction, current_user_id())
    return render_template("accounts/passkeys.html", passkeys=known)


@blueprint.route("/new", methods=["GET", "POST"])
@workspace_required()
@fresh_required(FACTORS)
def add() -> Response | str:
    """A name, and the browser's answer to the options below."""
    form = PasskeyForm()
    if form.validate_on_submit():
        try:
            return _added(str(form.name.data), str(form.credential.data or ""))
        except PasskeyError as error:
            log.info("passkey_refused", reason=str(error))
            form.name.errors = [translated(error.message)]
    return render_template("accounts/add_passkey.html", form=form)


@blueprint.post("/options")
@workspace_required()
@fresh_required(FACTORS)
def options() -> Response:
    """What the browser needs to make a passkey for this login."""
    session[CHALLENGE], made = passkeys.begin_adding(settings(), current_user_id())
    return jsonify(made)


@blueprint.get("/<int:passkey_id>/remove")
@workspace_required()
@fresh_required(FACTORS)
def ask_remove(passkey_id: int) -> str:
    """What removing it means."""
    with unit_of_work() as transaction:
        known = passkeys.listing(transaction, current_user_id())
    found = next((each for each in known if each.id == passkey_id), None) or abort(404)
    return render_template("accounts/remove_passkey.html", passkey=found)


@blueprint.post("/<int:passkey_id>/remove")
@workspace_required()
@fresh_required(FACTORS)
def remove(passkey_id: int) -> Response:
    """That passkey lets nobody in any more."""
    me, here = current_user_id(), current_workspace_id()
    with unit_of_work(here, user_id=me) as transaction:
        name = passkeys.remove(transaction, me, passkey_id)
        if name is None:
            abort(404)
        change = factor_changes.PASSKEY_REMOVED
        factor_changes.announce(transaction, gateways(), me, change, workspace_id=here, name=name)
    _end_others()
    removed = gettext("The passkey %(name)s was removed. Every other browser was signed out.", name=name)
    flash(removed, "success")
    return redirect(url_for("passkeys.listing"), code=303)


def _added(name: str, answer: str) -> Response:
    me, here = current_user_id(), current_workspace_id()
    passkeys.add(settings(), me, session.pop(CHALLENGE, ""), answer, name)
    with unit_of_work(here, user_id=me) as transaction:
        change = factor_changes.PASSKEY_ADDED
        factor_changes.announce(transaction, gateways(), me, change, workspace_id=here, name=name)
    _end_others()
    added = gettext("The passkey %(name)s was added. Every other browser was signed out.", name=name)
    flash(added, "success")
    return redirect(url_for("passkeys.listing"), code=303)


def _end_others() -> None:
    sign_in = signed_in()
    sign_ins.end_all(current_user_id(), but=sign_in.id if sign_in else None)
