"""/billing/payment: what the workspace can be charged with; adding, the default, removing."""

from datetime import date

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug import Response

from portal.db import unit_of_work
from portal.errors import ConflictError, PortalError
from portal.services import billing_details, dues, method_changes, payment_methods, subscriptions
from portal.services.ids import new_id
from portal.services.payment_actions import StillWorkingError
from portal.web import current_user_id, current_workspace_id, gateways, settings, workspace_required
from portal.web.billing_attention import Notice, expiring_notice, may_here, payment_notice
from portal.web.freshness import MONEY, fresh_required
from portal.web.language import translated
from portal.web.limits import limit_quotes
from portal.web.payment_form import asked_stripe, stripe_form
from portal.web.payment_words import expiry, method_name

blueprint = Blueprint("payment", __name__, url_prefix="/billing/payment")

PAYER = "billing"
# where the banner would say again what the page itself says
ON_THEIR_OWN = ("billing.overview", "payment.page", "paying.page", "paying.done")


@blueprint.app_context_processor
def banner() -> dict[str, object]:
    """``payment_banner()`` for every page: what keeps the workspace from being charged, if anything does."""
    return {"payment_banner": _banner}


def _banner() -> Notice | None:
    if not request.path.startswith("/billing") or request.endpoint in ON_THEIR_OWN or not may_here("billing"):
        return None
    today = gateways().clock.now().date()
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return payment_notice(_due(session, today))


def _due(session: Session, today: date) -> dues.Due:
    return dues.due(session, subscriptions.current(session), grace=settings().grace, today=today)


@blueprint.get("")
@workspace_required(PAYER)
def page() -> str:
    """The methods, from our rows: they are shown while Stripe is away too."""
    known = payment_methods.catch_up(gateways(), current_workspace_id())
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return render_template("payment/page.html", known=known, **_facts(session))


def _facts(session: Session) -> dict[str, object]:
    today = gateways().clock.now().date()
    methods = payment_methods.listing(session)
    details = billing_details.current(session)
    due = _due(session, today)
    return {
        "methods": methods,
        "expiries": {method.id: expiry(method, today) for method in methods},
        "live": payment_methods.live_subscription(session),
        "owed": due.owed,
        "notices": [payment_notice(due), expiring_notice(due)],
        "customer": details.stripe_customer_id if details else None,
    }


@blueprint.get("/add")
@workspace_required(PAYER)
def add() -> Response | str:
    """Stripe's form for a new way to pay. Whatever is pressed on it, it is one setup intent."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        details = billing_details.current(session)
        live = payment_methods.live_subscription(session)
    if details is None or details.stripe_customer_id is None:
        flash(gettext("Choose a tier first; the first way to pay is added when you buy."), "info")
        return redirect(url_for("payment.page"), code=303)
    action_id = new_id("P")
    done = url_for("payment.added", action_id=action_id, _external=True)
    form = stripe_form(details, "setup", done, url_for("payment.added_state", action_id=action_id))
    return render_template("payment/add.html", action_id=action_id, live=live, **form)


@blueprint.post("/add")
@limit_quotes
@workspace_required(PAYER)
@fresh_required(MONEY)
def begin() -> Response | tuple[Response, int]:
    """Begin to save a method; JSON for the page's script."""
    given = request.get_json(silent=True) or {}
    action_id, default = str(given.get("action")), given.get("make_default") is True
    try:
        secret = _begin(action_id, make_default=default)
    except PortalError as error:
        title = gettext("Nothing was saved")
        return jsonify(code=error.code, title=title, message=translated(error.message)), error.status
    return jsonify(collect="setup" if secret else "nothing", client_secret=secret)


def _begin(action_id: str, *, make_default: bool) -> str | None:
    workspace_id, user_id = current_workspace_id(), current_user_id()
    if not method_changes.ACTION_ID.fullmatch(action_id):
        raise ConflictError(method_changes.OLD_PAGE)
    return method_changes.begin_adding(
        gateways(), workspace_id, user_id, action_id, make_default=make_default
    )


@blueprint.get("/add/<action:action_id>")
@workspace_required(PAYER)
def added(action_id: str) -> Response | str:
    """The page after saving: waits for the webhook, and asks Stripe itself when that is late."""
    waited = request.args.get("waited", 0, type=int)
    name = method_changes.adding(
        gateways(), current_workspace_id(), action_id, ask_stripe=asked_stripe(waited)
    )
    if name == "saved":
        flash(gettext("Your new way to pay is saved."), "success")
        return redirect(url_for("payment.page"), code=303)
    if request.args.get("redirect_status") == "failed":
        name = "failed"  # the person said no at their bank or wallet
    return render_template("payment/added.html", action_id=action_id, name=name, waited=waited)


@blueprint.get("/add/<action:action_id>/state")
@workspace_required(PAYER)
def added_state(action_id: str) -> Response:
    """How the saving stands, for the page's script."""
    name = method_changes.adding(
        gateways(), current_workspace_id(), action_id, ask_stripe="ask_stripe" in request.args
    )
    there = url_for("payment.added", action_id=action_id)
    return jsonify(
        name="done" if name == "saved" else name,
        waiting=name == "waiting",
        location=None if name == "waiting" else there,
    )


@blueprint.post("/methods/<method:method_id>/default")
@limit_quotes
@workspace_required(PAYER)
@fresh_required(MONEY)
def make_default(method_id: str) -> Response:
    """Take the next payments from this method."""
    try:
        method_changes.make_default(gateways(), current_workspace_id(), current_user_id(), method_id)
        flash(gettext("The next payments are taken from it."), "success")
    except (ConflictError, StillWorkingError) as error:
        flash(translated(error.message), "warning")
    return redirect(url_for("payment.page"), code=303)


@blueprint.get("/methods/<method:method_id>/remove")
@workspace_required(PAYER)
def removal(method_id: str) -> str:
    """What happens when the method is removed, or why it cannot be and what to do."""
    refusal = None
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        method = payment_methods.get(session, method_id)
        try:
            payment_methods.removable(session, method_id)
        except ConflictError as error:
            refusal = error
    message = translated(refusal.message) if refusal else None
    return render_template("payment/removal.html", method=method, refusal=refusal, message=message)


@blueprint.post("/methods/<method:method_id>/remove")
@limit_quotes
@workspace_required(PAYER)
@fresh_required(MONEY)
def remove(method_id: str) -> Response:
    """Remove it for good."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        name = method_name(payment_methods.get(session, method_id))
    try:
        method_changes.remove(gateways(), current_workspace_id(), current_user_id(), method_id)
        flash(gettext("%(method)s is removed.", method=name), "success")
    except (ConflictError, StillWorkingError) as error:
        flash(translated(error.message), "warning")
    return redirect(url_for("payment.page"), code=303)
