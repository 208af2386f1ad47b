"""/billing/activity: who did what and when, from what to what, with its quote and invoice."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response, render_template, request, stream_with_context, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from sqlalchemy.orm import Session
from wtforms import DateField, Form, SelectChoice, SelectField
from wtforms.validators import Optional

from portal.db import unit_of_work
from portal.models import AuditEntry
from portal.services import audit, quotes, spreadsheets
from portal.web import current_user_id, current_workspace_id, workspace_required
from portal.web.activity_words import KINDS, kind_of, nouns_of, say
from portal.web.presentation import isotime

blueprint = Blueprint("activity", __name__, url_prefix="/billing/activity")

PER_PAGE = 50
VIEWER = "admin"
NOT_A_DAY = _("Enter a day that exists.")


class FilterForm(Form):
    """What is shown; it lives in the address."""

    person = SelectField(_("Person"), validate_choice=False)
    kind = SelectField(_("Kind"), validate_choice=False)
    since = DateField(_("From"), [Optional()])
    until = DateField(_("To"), [Optional()])

    def wanted(self) -> audit.Filter:
        """The filter; a day that cannot be read does not filter."""
        return audit.Filter(
            actor=self.person.data or None,
            nouns=tuple(nouns_of(self.kind.data)) if self.kind.data in KINDS else (),
            since=_midnight(self.since.data),
            until=_midnight(self.until.data, days=1),
        )


def _midnight(day: Any, *, days: int = 0) -> datetime | None:
    try:
        return datetime.combine(day, time(), UTC) + timedelta(days=days) if day else None
    except OverflowError:
        return None


def _form(session: Session | None = None) -> FilterForm:
    form = FilterForm(request.args)
    people = audit.actors(session) if session else []
    form.person.choices = _choices(gettext("Everybody"), ((each, each) for each in people))
    form.kind.choices = _choices(gettext("Everything"), ((key, str(label)) for key, label in KINDS.items()))
    if not form.validate():
        for field in (form.since, form.until):
            if field.errors:
                field.errors = [str(NOT_A_DAY)]
    return form


def _choices(every: str, others: Iterable[tuple[str, str]]) -> list[SelectChoice]:
    return [SelectChoice("", every), *(SelectChoice(value, label) for value, label in others)]


def _before() -> int | None:
    text = request.args.get("before", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@blueprint.get("")
@workspace_required(VIEWER)
def listing() -> str:
    """The history, newest first, a page at a time."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        form = _form(session)
        rows = audit.listing(session, form.wanted(), limit=PER_PAGE + 1, before_id=_before())
    shown = rows[:PER_PAGE]
    chosen = {name: text for name, text in request.args.items() if name in form._fields and text}
    return render_template(
        "activity/listing.html",
        form=form,
        entries=[(row, say(row)) for row in shown],
        chosen=chosen,
        older=url_for("activity.listing", **chosen, before=shown[-1].id) if len(rows) > PER_PAGE else None,
        csv=url_for("activity.export", **chosen),
    )


@blueprint.get("/quotes/<quote:quote_id>")
@workspace_required(VIEWER)
def quote(quote_id: str) -> str:
    """A quote as it was, whatever became of it."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return render_template("activity/quote.html", quote=quotes.load(session, quote_id))


@blueprint.get("/activity.csv")
@workspace_required(VIEWER)
def export() -> Response:
    """The same as a table, all of it, sent while it is read."""
    pages = audit.pages(current_workspace_id(), _form().wanted())
    answer = Response(stream_with_context(_csv(pages)), mimetype="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = 'attachment; filename="activity.csv"'
    return answer


def _csv(pages: Iterator[list[AuditEntry]]) -> Iterator[str]:
    head = (_("When (UTC)"), _("Who"), _("Kind"), _("What"), _("From what to what"), _("Quote"), _("Invoice"))
    yield spreadsheets.lines([[str(each) for each in head]])
    for rows in pages:
        yield spreadsheets.lines(map(_cells, rows))


def _cells(row: AuditEntry) -> list[object]:
    said = say(row)
    changes = "; ".join(
        gettext("%(what)s: %(before)s → %(after)s", what=each.what, before=each.before, after=each.after)
        if each.before and each.after
        else gettext("%(what)s: %(value)s", what=each.what, value=each.after or gettext("removed"))
        for each in said.changes
    )
    kind = str(KINDS[kind_of(row.action)])
    return [isotime(row.at), row.actor, kind, said.text, changes, row.quote_id, row.stripe_invoice_id]
