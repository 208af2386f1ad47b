"""/billing/seats: seats bought, used and free; the members who have them; who is invited."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from sqlalchemy.orm import Session
from werkzeug import Response

from portal.db import unit_of_work
from portal.errors import ConflictError
from portal.services import attempt_states, attempts, changes, invitations, members, seats
from portal.services.members import Filter
from portal.web import current_user_id, current_workspace_id, gateways, may, workspace_required
from portal.web.billing_attention import missed_notice, on_its_way_notice
from portal.web.holding_words import planned_people, planned_words
from portal.web.invitation_import import blueprint as import_pages
from portal.web.invitations import blueprint as invitation_pages
from portal.web.language import translated
from portal.web.members import blueprint as member_pages
from portal.web.seat_words import ROLE_NAMES, SEAT_NAMES, change_seats, is_away

blueprint = Blueprint("seats", __name__, url_prefix="/billing/seats")
for pages in (member_pages, invitation_pages, import_pages):
    blueprint.register_blueprint(pages)

LONGEST_SEARCH = 100
MOST_AT_ONCE = 200
QUERY = ("search", "seat", "role", "away", "after", "invited_after")


@blueprint.get("")
@workspace_required()
def listing() -> str:
    """The summary, the members by address a page at a time, and the open invitations."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return render_template("seats/listing.html", **_page(session))


@blueprint.post("/assign")
@workspace_required("admin")
def assign() -> Response | tuple[str, int]:
    """Give everybody who was ticked the same seat; all of them or none."""
    chosen = request.form.getlist("member", type=int)[:MOST_AT_ONCE]
    back = redirect(url_for("seats.listing", **_query()), code=303)
    if not chosen:
        flash(gettext("Tick at least one member first."), "error")
        return back
    try:
        with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
            changed = seats.assign(session, chosen, request.form.get("seat", ""), by=current_user_id())
    except ConflictError as refusal:
        return _refused(refusal), refusal.status
    flash(ngettext("%(num)s seat was changed.", "%(num)s seats were changed.", changed), "success")
    return back


def _refused(refusal: ConflictError) -> str:
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        page = _page(session)
        missing = getattr(refusal, "missing", 0)
        more = change_seats(page["usage"].bought + missing) if missing else None  # type: ignore[attr-defined]
        problem = {"text": translated(refusal.message), "add": more, "missing": missing}
        return render_template("seats/listing.html", **page, problem=problem)


def _page(session: Session) -> dict[str, object]:
    which = _filter()
    people = members.listing(
        session, which, after=request.args.get("after", type=int), limit=members.PER_PAGE + 1
    )
    invited = invitations.listing(
        session, after=request.args.get("invited_after", type=int), limit=invitations.PER_PAGE + 1
    )
    now = gateways().clock.now()
    holding = changes.holding(session)
    return {
        "usage": seats.usage(session, now=now),
        "people": people[: members.PER_PAGE],
        "found": members.count(session, which),
        "more": _further("after", people, members.PER_PAGE),
        "invited": invited[: invitations.PER_PAGE],
        "more_invited": _further("invited_after", invited, invitations.PER_PAGE),
        "away": members.count(session, Filter(seat=seats.FULL, away=True)),
        "is_away": is_away,
        "today": attempt_states.database_time(session),
        "now": now,
        "planned": planned_words(holding) if holding else None,
        "planned_people": planned_people(session, holding) if holding else [],
        "missed": missed_notice(changes.missed(session)),
        "on_its_way": on_its_way_notice(attempts.on_its_way(session)),
        "which": which,
        "query": _query(),
        "me": current_user_id(),
        "manages": may("admin"),
        "change_seats": change_seats,
        "role_names": ROLE_NAMES,
        "seat_names": SEAT_NAMES,
    }


def _query() -> dict[str, Any]:
    """The list's own part of the address: any other name could be an option of ``url_for``."""
    return {name: request.args[name] for name in QUERY if name in request.args}


def _filter() -> Filter:
    asked = request.args
    return Filter(
        search=asked.get("search", "").strip()[:LONGEST_SEARCH],
        seat=asked.get("seat", "") if asked.get("seat") in seats.SEATS else "",
        role=asked.get("role", "") if asked.get("role") in members.ROLES else "",
        away=asked.get("away") == "yes",
    )


def _further(name: str, rows: list, per_page: int) -> str | None:  # type: ignore[type-arg]
    if len(rows) <= per_page:
        return None
    return url_for("seats.listing", **{**_query(), name: rows[per_page - 1].id})
