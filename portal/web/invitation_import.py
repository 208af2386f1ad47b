"""Inviting many people from a table: what becomes of each row is shown first, then all good ones are sent."""

from flask import Blueprint, render_template, request
from werkzeug.datastructures import FileStorage

from portal.db import unit_of_work
from portal.errors import N_, PortalError
from portal.services import invitation_import as tables
from portal.services import seats
from portal.web import current_user_id, current_workspace_id, gateways, workspace_required
from portal.web.language import translated
from portal.web.seat_words import ROLE_NAMES, SEAT_NAMES, adds_a_seat, change_seats, price_of_a_seat
from portal.web.text_rules import is_plain

blueprint = Blueprint("imports", __name__, url_prefix="/import")

Answer = str | tuple[str, int]


@blueprint.get("")
@workspace_required("admin")
def form() -> str:
    """Where the table is chosen or pasted."""
    return _form()


@blueprint.post("")
@workspace_required("admin")
def preview() -> Answer:
    """What would become of each row; nothing is sent."""
    try:
        text = _text(request.files.get("file"), request.form.get("text", ""))
        if not is_plain(text, lines=True):
            raise tables.TableError(N_("There are invisible characters in it. Remove them."))
        return _preview(text)
    except PortalError as refusal:
        return _form(translated(refusal.message)), refusal.status


@blueprint.post("/confirm")
@workspace_required("admin")
def confirm() -> Answer:
    """Send the good rows that were shown, all or none."""
    text, seal = request.form.get("text", ""), request.form.get("seal", "")
    try:
        with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
            rows = tables.run(session, gateways(), text, seal=seal, by=current_user_id())
            usage = seats.usage(session, now=gateways().clock.now())
    except tables.TableChangedError as changed:
        return _preview(text, translated(changed.message)), changed.status
    except PortalError as refusal:
        return _form(translated(refusal.message), text), refusal.status
    return render_template("seats/imported.html", usage=usage, **_words(rows))


def _text(file: FileStorage | None, pasted: str) -> str:
    data = file.read(tables.MOST_BYTES + 1) if file else b""
    return tables.decode(data) if data else pasted


def _form(problem: str | None = None, text: str | None = None) -> str:
    return render_template(
        "seats/import.html",
        problem=problem,
        text=request.form.get("text", "") if text is None else text,
        most_rows=tables.MOST_ROWS,
        most_kilobytes=tables.MOST_BYTES // 1024,
    )


def _preview(text: str, problem: str | None = None) -> str:
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        rows = tables.judge(session, gateways(), text)
        usage = seats.usage(session, now=gateways().clock.now())
        one_more = adds_a_seat(price_of_a_seat(session)) if usage.bought else None
    words = _words(rows)
    return render_template(
        "seats/import_preview.html",
        problem=problem,
        text=text,
        usage=usage,
        one_more=one_more,
        seal=tables.sealed(rows),
        **words,
    )


def _words(rows: list[tables.Row]) -> dict[str, object]:
    good = [row for row in rows if row.outcome == tables.INVITE]
    return {
        "rows": rows,
        "good": len(good),
        "left_out": [row for row in rows if row.outcome != tables.INVITE],
        "full": sum(row.seat == seats.FULL for row in good),
        "role_names": ROLE_NAMES,
        "seat_names": SEAT_NAMES,
        "said": translated,
        "change_seats": change_seats,
    }
