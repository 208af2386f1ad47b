"""Before money moves or ways of signing in change: was it this person who signed in, and not too long ago?

A view that is marked asks again when the last proof is too old. A page is asked for first and shown after; a
form that comes from a page left open is kept, and nothing is done before its sender says so again; a script
hears where to go.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, cast

import structlog
from flask import (
    Blueprint,
    Flask,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_babel import gettext
from flask_login import current_user
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug import Response

from portal.db import unit_of_work
from portal.services import one_time_codes, passkeys, sign_ins
from portal.services.passkeys import PasskeyError
from portal.web import View, current_user_id, settings, signed_in, workspace_required
from portal.web.factor_forms import CodeForm, PasswordAgainForm
from portal.web.language import translated
from portal.web.navigation import local_address

log = structlog.get_logger("portal.web")

blueprint = Blueprint("freshness", __name__, url_prefix="/account/verify")

MONEY, FACTORS, KEYS = "money", "factors", "keys"
KINDS = (MONEY, FACTORS, KEYS)
MARK = "portal_fresh"
CHALLENGE = "verify_challenge"
# views of the library that change how one signs in; a new password asks for the present one itself
LIBRARY = ("security.change_email",)
# never sent back to a page, and not part of what somebody typed
NOT_KEPT = ("csrf_token", "password", "submit")
SALT = "a form kept until its sender has shown who they are"


def fresh_required(kind: str) -> Callable[[View], View]:
    """Only for somebody who signed in, or proved again who they are, a short time ago.

    ``kind`` is MONEY, FACTORS or KEYS; put it under ``workspace_required``, which sends guests to sign in.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind} is no kind of freshness")

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            sign_in = signed_in()
            if sign_in is None or sign_in.verified_ago <= good_for(kind):
                return view(*args, **kwargs)
            return _ask(kind)

        guarded.__dict__[MARK] = kind
        return cast(View, guarded)

    return decorate


def good_for(kind: str) -> timedelta:
    """For how long a proof counts."""
    return settings().fresh_money if kind == MONEY else settings().fresh_factors


def install(app: Flask) -> None:
    """Guard the library's views."""
    for endpoint in LIBRARY:
        app.view_functions[endpoint] = fresh_required(FACTORS)(app.view_functions[endpoint])


def _ask(kind: str) -> Any:
    """The way to prove it, for a page, a form, or a script. Nothing was done."""
    if request.method in ("GET", "HEAD"):
        return redirect(url_for("freshness.page", why=kind, next=request.full_path.rstrip("?")), code=303)
    back = _referring_path() or url_for("accounts.start")
    if request.is_json or request.accept_mimetypes.best == "application/json":
        location = url_for("freshness.page", why=kind, next=back)
        answer = jsonify(
            type="about:blank",
            title=gettext("Show that it is you"),
            status=401,
            detail=gettext("It has been a while since you signed in. Nothing was done or charged."),
            location=location,
        )
        answer.content_type = "application/problem+json"
        return answer, 401
    return _page(PasswordAgainForm(formdata=None), why=kind, back=back, kept=_keep()), 401


def _referring_path() -> str | None:
    referrer, own = request.referrer or "", request.host_url
    return "/" + referrer.removeprefix(own) if referrer.startswith(own) else None


@blueprint.route("", methods=["GET", "POST"])
@workspace_required()
def page() -> Response | str:
    """The password once more, or a code of the app with ``?with=code``, or a passkey."""
    form = CodeForm() if request.args.get("with") == "code" else PasswordAgainForm()
    if form.validate_on_submit() and _proved(form):
        return _go_on()
    return _page(form, why=request.args.get("why", MONEY), back=_back(), kept=request.form.get("kept", ""))


@blueprint.post("/other-way")
@workspace_required()
def other_way() -> str:
    """The same page with the other of password and code; what was kept goes along."""
    form = CodeForm(formdata=None) if request.args.get("to") == "code" else PasswordAgainForm(formdata=None)
    why = request.form.get("why", MONEY)
    return _page(form, why=why, back=_back(), kept=request.form.get("kept", ""))


@blueprint.post("/passkey/options")
@workspace_required()
def passkey_options() -> Response:
    """What the browser asks this login's passkeys to sign."""
    session[CHALLENGE], options = passkeys.begin_asking(settings(), passkeys.VERIFY, current_user_id())
    return jsonify(options)


@blueprint.post("/passkey")
@workspace_required()
def passkey() -> Response | str:
    """A passkey of this login instead of the password."""
    challenge, answer, me = session.pop(CHALLENGE, ""), request.form.get("credential", ""), current_user_id()
    try:
        passkeys.whose(settings(), passkeys.VERIFY, challenge, answer, user_id=me)
    except PasskeyError as error:
        log.info("passkey_refused", reason=str(error))
        flash(translated(error.message), "error")
        form = PasswordAgainForm(formdata=None)
        why = request.form.get("why", MONEY)
        return _page(form, why=why, back=_back(), kept=request.form.get("kept", ""))
    return _go_on()


def _proved(form: CodeForm | PasswordAgainForm) -> bool:
    if isinstance(form, CodeForm):
        with unit_of_work() as transaction:
            right = one_time_codes.use(transaction, settings(), current_user_id(), str(form.code.data))
        field = form.code
    else:
        right = bool(current_user.verify_and_update_password(form.password.data))
        field = form.password
    if not right:
        field.errors = [form.wrong]
    return right


def _page(form: CodeForm | PasswordAgainForm, *, why: str, back: str, kept: str) -> str:
    with unit_of_work() as transaction:
        has_code = one_time_codes.is_on(transaction, current_user_id())
        has_passkey = bool(passkeys.listing(transaction, current_user_id()))
    return render_template(
        "accounts/verify.html",
        form=form,
        by_code=isinstance(form, CodeForm),
        why=why if why in KINDS else MONEY,
        next=back,
        kept=kept,
        has_code=has_code,
        has_passkey=has_passkey,
    )


def _go_on() -> Response | str:
    """Back to where one was; what a form held is shown to be sent again, by its sender and nobody else."""
    sign_in = signed_in()
    if sign_in is not None:
        sign_ins.verified(sign_in.id)
    kept = _kept(request.form.get("kept", ""))
    if kept is None:
        flash(gettext("Thank you. Go on where you were."), "success")
        return redirect(_back(), code=303)
    path, fields = kept
    return render_template("accounts/go_on.html", action=path, fields=fields, back=_back())


def _back() -> str:
    return local_address(request.values.get("next"), url_for("accounts.start"))


def _serializer() -> URLSafeSerializer:
    # bound to this sign-in: what one browser kept is worth nothing in another
    sign_in = signed_in()
    return URLSafeSerializer(settings().secret_key, salt=f"{SALT}:{sign_in.id if sign_in else ''}")


def _keep() -> str:
    """What the form held, signed; empty when there is nothing that its page does not show again."""
    fields = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if not any(word in name for word in NOT_KEPT)
    ]
    # a file cannot be put into a form again, so its page is where to go on
    if not fields or request.files:
        return ""
    return str(_serializer().dumps([request.full_path.rstrip("?"), fields]))


def _kept(kept: str) -> tuple[str, list[tuple[str, str]]] | None:
    try:
        path, fields = _serializer().loads(kept)
    except (BadSignature, ValueError, TypeError):
        return None
    return str(path), [(str(name), str(value)) for name, value in fields]
