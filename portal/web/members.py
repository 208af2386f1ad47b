"""One member: role and seat; taking somebody out, leaving oneself, handing the ownership over."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from werkzeug import Response
from wtforms import HiddenField

from portal.db import unit_of_work
from portal.errors import ConflictError
from portal.services import attempt_states, members, seats
from portal.services.members import Person
from portal.web import current_user_id, current_workspace_id, gateways, signed_in, workspace_required
from portal.web.freshness import FACTORS, fresh_required
from portal.web.language import translated
from portal.web.seat_words import (
    CHOOSE_ROLE,
    CHOOSE_SEAT,
    ROLE_HINTS,
    ROLE_NAMES,
    SEAT_NAMES,
    change_seats,
    is_away,
    offered_seats,
    one_of,
    price_of_a_seat,
    role_here,
    seat_hints,
)

blueprint = Blueprint("members", __name__)

LISTING = "seats.listing"

Answer = str | Response | tuple[str, int]


class MemberForm(FlaskForm):
    """Role and seat; ``was`` and ``had`` are the role and the seat that were seen."""

    role = one_of(_("Role"), ROLE_NAMES, CHOOSE_ROLE)
    seat = one_of(_("Seat"), SEAT_NAMES, CHOOSE_SEAT)
    was = HiddenField()
    had = HiddenField()


@blueprint.route("/<int:member_id>", methods=["GET", "POST"])
@workspace_required("admin")
def page(member_id: int) -> Answer:
    """One member, and what may be changed of them."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        person = members.get(session, member_id)
    form = MemberForm(data={"role": person.role, "seat": person.seat, "was": person.role, "had": person.seat})
    if not form.validate_on_submit():
        return _shown(person, form)
    owners = person.role != form.role.data and members.OWNER in (person.role, form.role.data)
    return (_owners_changed if owners else _changed)(person, form)


def _changed(person: Person, form: MemberForm) -> Answer:
    try:
        with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
            _save(session, person, form)
    except ConflictError as refusal:
        return _shown(person, form, refusal), refusal.status
    flash(gettext("%(member)s is changed.", member=person.email), "success")
    return redirect(url_for(LISTING), code=303)


# as handing the ownership over is
_owners_changed = fresh_required(FACTORS)(_changed)


def _save(session: Session, person: Person, form: MemberForm) -> None:
    by = current_user_id()
    if members.may_change(role_here(), person.role):
        members.change_role(session, person.id, form.role.data, by=by, was=form.was.data or "")
    # who changes the role alone leaves the seat as somebody else has set it meanwhile
    if form.seat.data != form.had.data:
        seats.assign(session, [person.id], form.seat.data, by=by, was=form.had.data)


def _shown(person: Person, form: MemberForm, refusal: ConflictError | None = None) -> str:
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        usage = seats.usage(session, now=gateways().clock.now())
        hints = seat_hints(usage, price_of_a_seat(session), invited=False, held=person.seat)
        last_owner = members.last_owner(session, person)
        today = attempt_states.database_time(session)
    mine = role_here()
    missing = getattr(refusal, "missing", 0)
    return render_template(
        "seats/member.html",
        person=person,
        form=form,
        problem=translated(refusal.message) if refusal else None,
        add=change_seats(usage.bought + missing) if missing else None,
        me=person.user_id == current_user_id(),
        role_names=ROLE_NAMES,
        role_hints=ROLE_HINTS,
        roles=[each for each in members.ROLES if members.may_change(mine, person.role, each)],
        last_owner=last_owner,
        owns=mine == members.OWNER,
        seat_names=SEAT_NAMES,
        seat_hints=hints,
        kinds=offered_seats(usage, person.seat),
        away=is_away(person, today),
    )


@blueprint.route("/<int:member_id>/remove", methods=["GET", "POST"])
@workspace_required("admin")
def remove(member_id: int) -> str | Response:
    """Take a member out, after a page that says what that means."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        person = members.get(session, member_id)
    if person.user_id == current_user_id():
        return redirect(url_for(".leave"), code=303)
    answer: str | Response = (_owner_out if person.role == members.OWNER else _out)(person)
    return answer


def _out(person: Person) -> str | Response:
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        if request.method == "GET":
            return render_template("seats/remove.html", person=person, **_paid(session))
        gone = members.remove(session, person.id, by=current_user_id(), was=person.role)
    flash(gettext("%(member)s is not a member any more.", member=gone.email), "success")
    return redirect(url_for(LISTING), code=303)


# as unmaking one is
_owner_out = fresh_required(FACTORS)(_out)


@blueprint.route("/leave", methods=["GET", "POST"])
@workspace_required()
def leave() -> str | Response:
    """Go oneself, after a page that says what that means."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        if request.method == "GET":
            return _leaving(session)
        members.leave(session, user_id=current_user_id())
    sign_in = signed_in()
    flash(gettext("You have left the workspace."), "success")
    elsewhere = sign_in is not None and len(sign_in.memberships) > 1
    return redirect(url_for("accounts.start" if elsewhere else "accounts.no_workspace"), code=303)


def _leaving(session: Session) -> str:
    person = members.of_user(session, current_user_id())
    if person is None:
        abort(404)
    last_owner = members.last_owner(session, person)
    name = members.workspace_name(session)
    return render_template("seats/leave.html", person=person, last_owner=last_owner, workspace_name=name)


@blueprint.route("/<int:member_id>/ownership", methods=["GET", "POST"])
@workspace_required("owner")
@fresh_required(FACTORS)
def ownership(member_id: int) -> str | Response:
    """Hand the ownership over, after a page that says what that means."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        if request.method == "POST":
            owner = members.transfer(session, gateways(), member_id, by=current_user_id())
            flash(
                gettext("%(member)s is the owner now, and you are an admin.", member=owner.email), "success"
            )
            return redirect(url_for(LISTING), code=303)
        person = members.get(session, member_id)
        if person.user_id == current_user_id():
            return redirect(url_for(LISTING), code=303)
        name = members.workspace_name(session)
        return render_template("seats/ownership.html", person=person, workspace_name=name)


def _paid(session: Session) -> dict[str, object]:
    """The number of paid seats, and where to make it smaller when one of them would be free."""
    bought = seats.usage(session).bought
    return {"bought": bought, "fewer": change_seats(bought - 1) if bought > 1 else None}
