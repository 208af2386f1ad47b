"""/credits: the balance of annual credits, its history, and the advisor."""

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, render_template, request, stream_with_context
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.services import credit_outlook, credits, spreadsheets
from portal.services.credits import Balance
from portal.web import (
    credit_advice,
    current_user_id,
    current_workspace_id,
    gateways,
    may,
    workspace_required,
)
from portal.web.credit_charts import chart
from portal.web.credit_words import ENTRY_NAMES, bought_words, state_of
from portal.web.invoice_csv import MARK
from portal.web.usage_address import period_text

blueprint = Blueprint("credits", __name__, url_prefix="/credits")

SHOWN_ENTRIES = 25
BIGGEST_ID = 2**63 - 1
COLUMNS = ("id", "lot", "what", "units", "month_from", "at", "booked_at", "source")


@blueprint.get("")
@workspace_required()
def show() -> str:
    """The page; ``?units=600`` chooses how many units the advisor prices."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        balance = credits.read(session, gateways().clock.now())
        advisor = credit_advice.context(session, balance)
        return render_template("credits/page.html", **_held(session, balance), **advisor)


def _held(session: Session, balance: Balance) -> dict[str, Any]:
    outlook = credit_outlook.read(session, balance)
    return {
        "balance": balance,
        "outlook": outlook,
        "chart": chart(outlook.months) if outlook and outlook.months else None,
        "state_of": state_of,
        "bought_words": bought_words,
        "buys": may("billing"),
        **_entries(session),
    }


def _entries(session: Session, before: int | None = None) -> dict[str, Any]:
    found = credits.entries(session, limit=SHOWN_ENTRIES + 1, before=before)
    shown = found[:SHOWN_ENTRIES]
    return {
        "entries": shown,
        "older": shown[-1].id if len(found) > len(shown) else None,
        "names": ENTRY_NAMES,
        "period_text": period_text,
    }


@blueprint.get("/history")
@workspace_required()
def history() -> str:
    """Every entry of the ledger, the newest first; ``?before=`` goes on after a page."""
    before = min(request.args.get("before", BIGGEST_ID, type=int), BIGGEST_ID)
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return render_template("credits/history.html", **_entries(session, max(before, 0)))


@blueprint.get("/entries.csv")
@workspace_required()
def entry_file() -> Response:
    """Every entry as a file; the units of a lot sum to what is left of it."""
    rows = stream_with_context(_rows(current_workspace_id()))
    response = Response(rows, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="credits.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _rows(workspace_id: int) -> Iterator[str]:
    yield MARK + spreadsheets.lines([COLUMNS])
    for page in credits.every_entry(workspace_id):
        yield spreadsheets.lines(
            [
                row.id,
                row.lot_id,
                row.kind,
                row.quantity,
                row.period_start.isoformat() if row.period_start else None,
                row.at.isoformat(),
                row.created_at.isoformat(),
                row.source,
            ]
            for row in page
        )
