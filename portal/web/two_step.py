"""/account/two-step: an authenticator app besides the password, and the codes for when it is gone."""

from flask import Blueprint, flash, redirect, render_template, session, url_for
from flask_babel import gettext
from flask_login import current_user
from markupsafe import Markup
from werkzeug import Response

from portal.db import unit_of_work
from portal.services import factor_changes, one_time_codes, recovery_codes, sign_ins
from portal.services.sealing import seal, unseal
from portal.web import (
    current_user_id,
    current_workspace_id,
    gateways,
    settings,
    signed_in,
    workspace_required,
)
from portal.web.factor_forms import CodeForm
from portal.web.freshness import FACTORS, fresh_required

blueprint = Blueprint("two_step", __name__, url_prefix="/account/two-step")

# the secret of an app that is being set up; kept so that the picture stays when the page is loaded again
PENDING = "pending_app"


@blueprint.get("")
@workspace_required()
def page() -> str:
    """Whether it is on, and what can be done about it."""
    with unit_of_work() as transaction:
        on = one_time_codes.is_on(transaction, current_user_id())
        left = recovery_codes.left(transaction, current_user_id())
    return render_template("accounts/two_step.html", on=on, left=left)


@blueprint.route("/app", methods=["GET", "POST"])
@workspace_required()
@fresh_required(FACTORS)
def set_up() -> Response | str:
    """The picture for the app, and the first code that shows that it works."""
    with unit_of_work() as transaction:
        if one_time_codes.is_on(transaction, current_user_id()):
            return redirect(url_for("two_step.page"), code=303)
    form, secret = CodeForm(), _pending()
    if form.validate_on_submit():
        codes = _turn_on(secret, str(form.code.data))
        if codes:
            return render_template("accounts/recovery_codes.html", codes=codes, first=True)
        form.code.errors = [gettext("That code does not belong to this picture. Enter the present one.")]
    words = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
    return render_template("accounts/set_up_app.html", form=form, picture=_picture(secret), secret=words)


@blueprint.post("/codes")
@workspace_required()
@fresh_required(FACTORS)
def renew_codes() -> Response | str:
    """New recovery codes; the old ones are worth nothing from then on."""
    me, here = current_user_id(), current_workspace_id()
    with unit_of_work(here, user_id=me) as transaction:
        if not one_time_codes.is_on(transaction, me):
            return redirect(url_for("two_step.page"), code=303)
        codes = recovery_codes.renew(transaction, settings(), me)
        factor_changes.announce(transaction, gateways(), me, factor_changes.CODES_NEW, workspace_id=here)
    return render_template("accounts/recovery_codes.html", codes=codes, first=False)


@blueprint.route("/off", methods=["GET"])
@workspace_required()
@fresh_required(FACTORS)
def ask_off() -> str:
    """What turning it off means."""
    return render_template("accounts/two_step_off.html")


@blueprint.post("/off")
@workspace_required()
@fresh_required(FACTORS)
def turn_off() -> Response:
    """The password alone from now on."""
    me, here = current_user_id(), current_workspace_id()
    with unit_of_work(here, user_id=me) as transaction:
        if one_time_codes.is_on(transaction, me):
            one_time_codes.turn_off(transaction, me)
            recovery_codes.forget(transaction, me)
            factor_changes.announce(transaction, gateways(), me, factor_changes.APP_OFF, workspace_id=here)
    _end_others()
    flash(gettext("Two-step sign-in is off. Every other browser was signed out."), "success")
    return redirect(url_for("two_step.page"), code=303)


def _pending() -> str:
    """The secret that is being set up; a new one if there is none."""
    sealed = session.get(PENDING)
    secret = unseal(settings(), sealed) if sealed else None
    if secret is None:
        secret = one_time_codes.new_secret()
        session[PENDING] = seal(settings(), secret)
    return secret


def _turn_on(secret: str, typed: str) -> list[str]:
    """The recovery codes if ``typed`` was right, else none."""
    me, here = current_user_id(), current_workspace_id()
    with unit_of_work(here, user_id=me) as transaction:
        if not one_time_codes.turn_on(transaction, settings(), me, secret, typed):
            return []
        codes = recovery_codes.renew(transaction, settings(), me)
        factor_changes.announce(transaction, gateways(), me, factor_changes.APP_ON, workspace_id=here)
    session.pop(PENDING, None)
    _end_others()
    return codes


def _picture(secret: str) -> Markup:
    """The QR code as part of the page: nobody else is asked to draw it."""
    # loaded here: few pages need it
    import segno

    address = one_time_codes.address(secret, issuer=settings().brand_name, login=current_user.email)
    drawn = segno.make(address, error="m", micro=False)
    # segno writes numbers and element names only; what was encoded is not part of it
    return Markup(drawn.svg_inline(scale=4, border=3, svgclass="qr", lineclass=None, omitsize=True))  # noqa: S704


def _end_others() -> None:
    sign_in = signed_in()
    sign_ins.end_all(current_user_id(), but=sign_in.id if sign_in else None)
