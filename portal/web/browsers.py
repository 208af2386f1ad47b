"""/account/browsers: where a login is signed in, and the way to end it there."""

import re

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask_babel import gettext
from werkzeug import Response

from portal.db import unit_of_work
from portal.services import sign_ins
from portal.web import current_user_id, settings, signed_in, workspace_required

blueprint = Blueprint("browsers", __name__, url_prefix="/account/browsers")

# the first that is found counts: most browsers also claim to be others
PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@blueprint.app_template_filter("browser")
def in_words(user_agent: str | None) -> str:
    """What a browser says of itself, as people call it: “Firefox on Windows”."""
    said = user_agent or ""
    program = next((name for sign, name in PROGRAMS if re.search(rf"{sign}(?:iOS|A)?/", said)), None)
    system = next((name for sign, name in SYSTEMS if sign in said), None)
    if program and system:
        return gettext("%(browser)s on %(system)s", browser=program, system=system)
    return program or system or gettext("A browser that does not say what it is")


@blueprint.get("")
@workspace_required()
def listing() -> str:
    """Every browser that is signed in, this one first."""
    sign_in = signed_in() or abort(404)
    with unit_of_work() as session:
        known = sign_ins.browsers(
            session,
            current_user_id(),
            this=sign_in.id,
            idle=settings().session_idle,
            absolute=settings().session_absolute,
        )
    return render_template("accounts/browsers.html", browsers=known)


@blueprint.post("/others/end")
@workspace_required()
def end_others() -> Response:
    """End every other sign-in of this login."""
    sign_in = signed_in()
    sign_ins.end_all(current_user_id(), but=sign_in.id if sign_in else None)
    flash(gettext("Every other browser was signed out."), "success")
    return redirect(url_for("browsers.listing"), code=303)


@blueprint.post("/<handle>/end")
@workspace_required()
def end(handle: str) -> Response:
    """Sign one browser out; what is not one of this login's does not exist."""
    if not sign_ins.end_browser(current_user_id(), handle):
        abort(404)
    flash(gettext("That browser was signed out."), "success")
    return redirect(url_for("browsers.listing"), code=303)
