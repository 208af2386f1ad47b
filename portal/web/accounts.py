"""Round Flask-Security's pages: after signing up, after signing in, the account, the workspaces."""

from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Blueprint, abort, redirect, render_template, url_for
from flask_babel import lazy_gettext as _
from flask_login import current_user
from werkzeug import Response
from werkzeug.datastructures import MultiDict

from portal.db import unit_of_work
from portal.models import User
from portal.models.base import JSON
from portal.pricing import Selection, catalog
from portal.services import accounts, one_time_codes, passkeys, recovery_codes, sign_ins
from portal.web import (
    current_user_id,
    current_workspace_id,
    public,
    refuse_open_forms,
    settings,
    sign_in_required,
    signed_in,
    workspace_required,
)
from portal.web.account_forms import WorkspaceForm
from portal.web.pricing_form import choice_form, choice_query

blueprint = Blueprint("accounts", __name__)

CHECKOUT = "/checkout"
ROLE_NAMES = {"owner": _("owner"), "admin": _("admin"), "billing": _("billing"), "member": _("member")}


def draft_selection(address: str | None) -> JSON | None:
    """The selection in ``address`` if it leads to the checkout; kept, so that any browser can go on."""
    parts = urlsplit(address or "")
    if parts.path != CHECKOUT:
        return None
    form = choice_form(MultiDict(parse_qsl(parts.query)), catalog(settings().default_catalog))
    return form.selection.as_dict() if form.validate() and form.selection else None


@blueprint.app_context_processor
def account_menu() -> dict[str, object]:
    """``account``: the workspace shown, the login's others, and where its settings are."""
    sign_in = signed_in()
    if sign_in is None:
        return {"account": {"workspace_name": None, "others": [], "settings": None}}
    others = [
        {"name": each.workspace_name, "switch_to": url_for("accounts.switch", workspace_id=each.workspace_id)}
        for each in sign_in.memberships
        if each != sign_in.current
    ]
    name = sign_in.current.workspace_name if sign_in.current else None
    return {"account": {"workspace_name": name, "others": others, "settings": url_for("accounts.page")}}


@blueprint.get("/")
@public
def home() -> Response:
    """Guests choose, members see their overview."""
    return redirect("/pricing" if signed_in() is None else url_for("accounts.start"), code=303)


@blueprint.get("/signup/sent")
@public
def check_mail() -> str:
    """After signing up: look into your mail. The same page for a known address and a new one."""
    return render_template("accounts/check_mail.html")


@blueprint.get("/start")
@workspace_required()
def start() -> Response:
    """Where signing in leads without a better place: on to the purchase that was begun, else the overview."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        draft = accounts.begun_purchase(session)
    if draft is None:
        return redirect("/billing", code=303)
    query = choice_query(Selection.from_dict(draft))
    return redirect(f"{CHECKOUT}?{urlencode(query)}", code=303)


def ways_of_signing_in(user_id: int) -> dict[str, object]:
    """How a login signs in and where it is signed in, for its page."""
    idle, absolute = settings().session_idle, settings().session_absolute
    with unit_of_work() as session:
        browsers = sign_ins.browsers(session, user_id, this="", idle=idle, absolute=absolute)
        return {
            "two_step": one_time_codes.is_on(session, user_id),
            "codes_left": recovery_codes.left(session, user_id),
            "passkeys": len(passkeys.listing(session, user_id)),
            "browsers": len(browsers),
        }


@blueprint.get("/account")
@workspace_required()
def page() -> str:
    """The login: address, how one signs in, where it is signed in, its workspaces."""
    ways = ways_of_signing_in(current_user_id())
    return render_template(
        "accounts/page.html", email=current_user.email, sign_in=signed_in(), role_names=ROLE_NAMES, **ways
    )


@blueprint.route("/account/no-workspace", methods=["GET", "POST"])
@sign_in_required
def no_workspace() -> str | Response:
    """For a login that belongs to none any more: it may open one of its own."""
    sign_in = signed_in()
    if sign_in is None or sign_in.current is not None:
        return redirect(url_for("accounts.start"), code=303)
    form = WorkspaceForm()
    if not form.validate_on_submit():
        return render_template("accounts/no_workspace.html", form=form)
    with unit_of_work(user_id=current_user_id()) as session:
        user = session.get_one(User, current_user_id())
        accounts.open_workspace(session, user, form.company_name.data or "")
    return redirect(url_for("accounts.start"), code=303)


@blueprint.post("/account/workspaces/<int:workspace_id>")
@workspace_required()
def switch(workspace_id: int) -> Response:
    """Look at another workspace of this login; what is not one of them does not exist."""
    sign_in = signed_in()
    if sign_in is None or not sign_ins.choose_workspace(sign_in, workspace_id):
        abort(404)
    # what another tab still shows is about the workspace that was left
    refuse_open_forms()
    return redirect(url_for("accounts.start"), code=303)
