"""`/v1/credit_notes`, and the PDF behind a note's link."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort
from stripe.params import (
    CreditNoteCreateParams,
    CreditNoteLineItemListParams,
    CreditNoteListParams,
    CreditNotePreviewLinesListParams,
    CreditNotePreviewParams,
    CreditNoteRetrieveParams,
    CreditNoteUpdateParams,
    CreditNoteVoidCreditNoteParams,
)

from portal.sandbox import credit_note_lines, credit_notes, invoices, lists, pdf, statements
from portal.sandbox.dispatch import route
from portal.sandbox.documents import assign, in_body, in_path, merged_metadata
from portal.sandbox.errors import missing_param
from portal.sandbox.state import Sandbox, sandbox
from portal.sandbox.store import Document

KIND = credit_notes.KIND
CREATED_FROM = (
    "amount", "credit_amount", "effective_at", "email_type", "invoice", "lines.amount",
    "lines.description", "lines.invoice_line_item", "lines.metadata", "lines.quantity", "lines.type",
    "lines.unit_amount", "lines.unit_amount_decimal", "memo", "metadata", "out_of_band_amount", "reason",
    "refund_amount", "refunds.amount_refunded", "refunds.refund", "refunds.type",
)  # fmt: skip

blueprint = Blueprint("credit_notes", __name__, url_prefix="/credit_note")


class _Undo(Exception):
    """Carries a preview out of the transaction that is rolled back."""

    def __init__(self, note: Document, rows: list[Document]) -> None:
        self.note = note
        self.rows = rows


@route("POST", "/v1/credit_notes", params=CreditNoteCreateParams, supports=CREATED_FROM)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if "invoice" not in params:
        raise missing_param("invoice")
    invoice = in_body(sandbox, invoices.KIND, params["invoice"], "invoice")
    return credit_notes.issue(sandbox, invoice, params)


def _preview(sandbox: Sandbox, params: dict[str, Any]) -> _Undo:
    """The note as it would be, found by issuing it and undoing that."""
    try:
        with sandbox.store.transaction():
            note = create(sandbox, params)
            raise _Undo(note, credit_notes.of_note(sandbox, note))
    except _Undo as undo:
        return undo


@route("GET", "/v1/credit_notes/preview", params=CreditNotePreviewParams, supports=CREATED_FROM)
def preview(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    return _preview(sandbox, params).note


@route(
    "GET",
    "/v1/credit_notes/preview/lines",
    params=CreditNotePreviewLinesListParams,
    supports=(*CREATED_FROM, "limit"),
)
def preview_lines(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    wanted = {name: value for name, value in params.items() if name != "limit"}
    rows = _preview(sandbox, wanted).rows
    limit = min(max(params.get("limit", lists.DEFAULT_LIMIT), 1), lists.MAX_LIMIT)
    url = "/v1/credit_notes/preview/lines"
    return {"object": "list", "data": rows[:limit], "has_more": len(rows) > limit, "url": url}


@route("GET", "/v1/credit_notes/{id}", params=CreditNoteRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return in_path(sandbox, KIND, id)


@route(
    "GET",
    "/v1/credit_notes",
    params=CreditNoteListParams,
    supports=("created", "customer", "ending_before", "invoice", "limit", "starting_after"),
)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    filters = {name: params.get(name) for name in ("customer", "invoice")}
    return lists.page(sandbox, KIND, params, "/v1/credit_notes", **filters)


@route("GET", "/v1/credit_notes/{id}/lines", params=CreditNoteLineItemListParams)
def lines(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    note = retrieve(sandbox, {}, id)
    url = f"/v1/credit_notes/{id}/lines"
    return lists.page(sandbox, credit_note_lines.KIND, params, url, oldest_first=True, _note=note["id"])


@route("POST", "/v1/credit_notes/{id}", params=CreditNoteUpdateParams)
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    before = retrieve(sandbox, {}, id)
    note = {**before, "metadata": merged_metadata(before["metadata"], params.get("metadata"))}
    assign(note, params, ("memo",))
    sandbox.store.put(KIND, note)
    sandbox.emit("credit_note.updated", note, before)
    return note


@route("POST", "/v1/credit_notes/{id}/void", params=CreditNoteVoidCreditNoteParams)
def void(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return credit_notes.void(sandbox, retrieve(sandbox, {}, id))


@blueprint.get("/<token>/pdf")
def download(token: str) -> Response:
    """The note as a PDF; whoever has the link may see it."""
    current = sandbox()
    with current.lock:
        note = next(current.store.walk(KIND, _token=token), None)
        if note is None:
            abort(404, "There is no credit note behind this link.")
        statement = statements.read_credit_note(current, note, credit_notes.of_note(current, note))
    response = Response(pdf.render(statement), content_type="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="Credit-note-{statement.number}.pdf"'
    response.headers["Cache-Control"] = "no-store"
    return response
