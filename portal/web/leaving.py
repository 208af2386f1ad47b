"""/billing/leaving: end the subscription, keep it after all, take the data along, have it deleted."""

from datetime import datetime

from flask import Blueprint, Response, flash, redirect, render_template, stream_with_context, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug import Response as AnyResponse

from portal.db import unit_of_work
from portal.errors import ConflictError, PortalError
from portal.models import Subscription
from portal.services import changes, credits, deletion, dues, export, invoices, leaving, subscriptions
from portal.services.leaving import StillEndingError
from portal.web import current_user_id, current_workspace_id, gateways, settings, workspace_required
from portal.web.coming_back import way_back
from portal.web.freshness import MONEY, fresh_required
from portal.web.language import translated
from portal.web.leaving_form import ReasonForm
from portal.web.leaving_words import Estimate, consequences

blueprint = Blueprint("leaving", __name__, url_prefix="/billing/leaving")

# who may take the whole workspace away
LEAVER = "owner"


@blueprint.get("")
@workspace_required(LEAVER)
def page() -> str:
    """How things stand, and the ways out."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return render_template("leaving/page.html", **_standing(session))


def _standing(session: Session) -> dict[str, object]:
    subscription = subscriptions.current(session)
    running = subscriptions.bought(session)
    return {
        "subscription": subscription,
        "running": running,
        "ends_at": leaving.period_end(running) if running else None,
        "under_way": leaving.under_way(session),
        "back": way_back(subscription) if subscription and not running else None,
        "deletion": deletion.pending(session),
        "deletion_due": deletion.due_at(session, gateways().clock.now()),
        "retention_years": settings().retention_years,
    }


@blueprint.route("/end", methods=["GET", "POST"])
@workspace_required(LEAVER)
@fresh_required(MONEY)
def end() -> AnyResponse | str | tuple[str, int]:
    """What ending at the end of what is paid means, why, and the one button."""
    return _end(leaving.AT_PERIOD_END)


@blueprint.route("/end-now", methods=["GET", "POST"])
@workspace_required(LEAVER)
@fresh_required(MONEY)
def end_now() -> AnyResponse | str | tuple[str, int]:
    """The same at once."""
    return _end(leaving.NOW)


def _end(kind: str) -> AnyResponse | str | tuple[str, int]:
    form = ReasonForm()
    if form.validate_on_submit():
        return _ended(kind, form.answers())
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        running = subscriptions.bought(session)
    if running is None or (kind == leaving.AT_PERIOD_END and running.cancel_at):
        return redirect(url_for("leaving.page"), code=303)
    return _end_page(kind, running, form), 422 if form.errors else 200


def _ended(kind: str, answers: dict[str, str | None]) -> AnyResponse:
    words = {
        leaving.AT_PERIOD_END: gettext("Done. We have written to your billing address as well."),
        leaving.NOW: gettext("Done. Your subscription has ended."),
        leaving.KEEP: gettext("Done. Your subscription goes on as before."),
    }
    try:
        leaving.ask(gateways(), current_workspace_id(), current_user_id(), kind, **answers)
        flash(words[kind], "success")
    except StillEndingError as waits:
        flash(translated(waits.message), "info")
    except ConflictError as refusal:
        flash(translated(refusal.message), "error")
    return redirect(url_for("leaving.page"), code=303)


def _end_page(kind: str, running: Subscription, form: ReasonForm) -> str:
    now = kind == leaving.NOW
    ends_at = gateways().clock.now() if now else leaving.period_end(running)
    estimate = _estimate(running)
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        newest, due = invoices.newest(session), dues.staying_due(session)
        planned = changes.planned(session) is not None
        held = credits.read(session, gateways().clock.now())
    shown: datetime = ends_at or gateways().clock.now()
    return render_template(
        "leaving/end.html",
        form=form,
        now=now,
        ends_at=shown,
        period_end=leaving.period_end(running),
        paid=running.status == "active" and running.access == subscriptions.ACTIVE,
        facts=consequences(running, shown, estimate, newest, due=due, now=now, planned=planned, credits=held),
        amount=estimate.invoice.amount_due if estimate.invoice else 0,
        currency=running.currency,
    )


def _estimate(running: Subscription) -> Estimate:
    """What is open; that Stripe does not answer keeps nobody from leaving."""
    try:
        return Estimate(leaving.open_usage(gateways(), running))
    except PortalError:
        return Estimate(None, known=False)


@blueprint.post("/keep")
@workspace_required(LEAVER)
def keep() -> AnyResponse:
    """Take the planned end back."""
    return _ended(leaving.KEEP, {})


@blueprint.post("/export")
@workspace_required(LEAVER)
@fresh_required(MONEY)
def archive() -> Response:
    """The workspace's data as a ZIP, sent while it is made."""
    export.note(current_workspace_id(), current_user_id())
    pieces = export.archive(current_workspace_id())
    answer = Response(stream_with_context(pieces), mimetype="application/zip")
    answer.headers["Content-Disposition"] = 'attachment; filename="workspace.zip"'
    return answer


@blueprint.get("/deletion")
@workspace_required(LEAVER)
def delete() -> AnyResponse | str:
    """What is deleted when, and what must be kept."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        standing = _standing(session)
    if standing["deletion"] or not standing["deletion_due"]:
        return redirect(url_for("leaving.page"), code=303)
    return render_template("leaving/deletion.html", **standing)


@blueprint.post("/deletion")
@workspace_required(LEAVER)
@fresh_required(MONEY)
def request_deletion() -> AnyResponse:
    """Note the wish."""
    try:
        deletion.request(gateways(), current_workspace_id(), current_user_id())
    except ConflictError as refusal:
        flash(translated(refusal.message), "error")
    return redirect(url_for("leaving.page"), code=303)


@blueprint.post("/deletion/withdraw")
@workspace_required(LEAVER)
def withdraw_deletion() -> AnyResponse:
    """Take the wish back."""
    deletion.withdraw(gateways(), current_workspace_id(), current_user_id())
    flash(gettext("Done. Nothing will be deleted."), "success")
    return redirect(url_for("leaving.page"), code=303)
