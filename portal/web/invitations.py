"""Inviting people by mail: the form, sending again, taking back."""

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from werkzeug import Response
from wtforms import EmailField
from wtforms.validators import InputRequired, Length

from portal.db import unit_of_work
from portal.errors import PortalError
from portal.models import Invitation
from portal.services import invitations, seats
from portal.services.seats import SeatUsage
from portal.web import current_user_id, current_workspace_id, gateways, workspace_required
from portal.web.language import translated
from portal.web.seat_words import (
    CHOOSE_ROLE,
    CHOOSE_SEAT,
    ROLE_HINTS,
    ROLE_NAMES,
    SEAT_NAMES,
    change_seats,
    offered_seats,
    one_of,
    price_of_a_seat,
    seat_hints,
)
from portal.web.text_rules import PlainText

blueprint = Blueprint("invitations", __name__)

LISTING = "seats.listing"
INVITED_AS = {role: ROLE_NAMES[role] for role in reversed(invitations.ROLES)}
TOO_LONG = _("Use at most %(max)d characters.")


class InviteForm(FlaskForm):
    """Whom to ask in, and as what."""

    email = EmailField(
        _("E-mail"),
        [
            PlainText(),
            InputRequired(_("Enter an address such as name@company.com.")),
            Length(max=invitations.LONGEST_EMAIL, message=TOO_LONG),
        ],
        render_kw={"autocomplete": "off", "inputmode": "email"},
    )
    role = one_of(_("Role"), INVITED_AS, CHOOSE_ROLE, default="member")
    seat = one_of(_("Seat"), SEAT_NAMES, CHOOSE_SEAT)


@blueprint.route("/invite", methods=["GET", "POST"])
@workspace_required("admin")
def invite() -> str | Response | tuple[str, int]:
    """Ask one person in; with no seat free for them, on to the price of one more."""
    form = InviteForm()
    if not form.validate_on_submit():
        return _shown(form)
    email, role, seat = form.email.data or "", form.role.data, form.seat.data
    try:
        with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
            sent = invitations.invite(session, gateways(), email, role=role, seat=seat, by=current_user_id())
            usage = seats.usage(session, now=gateways().clock.now())
            more_sold = price_of_a_seat(session) is not None
    except PortalError as refusal:
        form.email.errors = [translated(refusal.message)]
        return _shown(form), refusal.status
    return _sent(sent, usage, more_sold=more_sold)


def _sent(sent: Invitation, usage: SeatUsage, *, more_sold: bool) -> Response:
    flash(gettext("An invitation is on its way to %(email)s.", email=sent.email), "success")
    short = usage.missing() if sent.seat == seats.FULL else 0
    more = change_seats(usage.bought + short) if short and usage.bought and more_sold else None
    if more is None:
        return redirect(url_for(LISTING), code=303)
    flash(
        gettext("No seat is free for them yet. Here is what one more costs; nothing is charged so far."),
        "info",
    )
    return redirect(more, code=303)


def _shown(form: InviteForm) -> str:
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        usage = seats.usage(session, now=gateways().clock.now())
        hints = seat_hints(usage, price_of_a_seat(session), invited=True)
    if not form.seat.data:
        form.seat.data = seats.NONE if usage.missing(1) else seats.FULL
    return render_template(
        "seats/invite.html",
        form=form,
        role_hints=ROLE_HINTS,
        seat_hints=hints,
        kinds=offered_seats(usage),
        days=invitations.LIFETIME.days,
    )


@blueprint.post("/invitations/<int:invitation_id>/resend")
@workspace_required("admin")
def resend(invitation_id: int) -> Response:
    """Mail an invitation once more."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        sent = invitations.resend(session, gateways(), invitation_id, by=current_user_id())
    flash(gettext("The invitation is on its way to %(email)s again.", email=sent.email), "success")
    return redirect(url_for(LISTING), code=303)


@blueprint.post("/invitations/<int:invitation_id>/revoke")
@workspace_required("admin")
def revoke(invitation_id: int) -> Response:
    """Take an invitation back."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        gone = invitations.revoke(session, gateways(), invitation_id, by=current_user_id())
    flash(
        gettext("The invitation of %(email)s is revoked; its link is worth nothing now.", email=gone.email),
        "success",
    )
    return redirect(url_for(LISTING), code=303)
