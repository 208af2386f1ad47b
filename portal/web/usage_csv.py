"""A period's ledger as a file for a spreadsheet; its amounts sum to the invoice's line."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from flask import Response, stream_with_context, url_for

from portal.services import spreadsheets
from portal.services.usage_entries import Booked, Entries
from portal.services.usage_prices import RESOLUTION
from portal.web.invoice_csv import MARK, decimal

RESOLUTION_COLUMNS = (
    "conversation", "episode", "what", "rule", "channel", "at", "charge", "units", "amount", "currency",
    "note", "booked_at", "evidence", "pack", "to_pay",
)  # fmt: skip
UNIT_COLUMNS = (
    "id", "what", "channel", "at", "happened_at", "sent", "charge", "units", "amount", "currency", "note",
    "booked_at",
)  # fmt: skip


def download(entries: Entries) -> Response:
    """The answer: all entries of one kind of usage in one period, whatever their number."""
    name = "resolutions" if entries.key == RESOLUTION else entries.key
    first = entries.period.starts_at.date().isoformat()
    response = Response(stream_with_context(_text(entries)), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-{first}.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _text(entries: Entries) -> Iterator[str]:
    resolutions = entries.key == RESOLUTION
    yield MARK + spreadsheets.lines([RESOLUTION_COLUMNS if resolutions else UNIT_COLUMNS])
    cells = _resolution if resolutions else _unit
    for page in entries.pages():
        yield spreadsheets.lines(cells(each, entries.currency) for each in page)


def _resolution(booked: Booked, currency: str) -> Sequence[object]:
    entry = booked.entry
    return [
        booked.conversation_id,
        booked.episode,
        entry.kind,
        entry.basis,
        entry.channel,
        entry.at.isoformat(),
        entry.charge,
        entry.quantity,
        *_money(booked, currency),
        entry.note,
        entry.created_at.isoformat(),
        _evidence(booked),
        booked.pack.lot_id if booked.pack else None,
        Decimal(decimal(booked.to_pay, currency)),
    ]


def _unit(booked: Booked, currency: str) -> Sequence[object]:
    entry = booked.entry
    return [
        entry.source,
        entry.kind,
        entry.channel,
        entry.at.isoformat(),
        entry.occurred_at.isoformat() if entry.occurred_at else None,
        entry.sent_quantity,
        entry.charge,
        entry.quantity,
        *_money(booked, currency),
        entry.note,
        entry.created_at.isoformat(),
    ]


def _money(booked: Booked, currency: str) -> tuple[Decimal, str]:
    """The amount as a number: it may be negative, and is no formula."""
    return Decimal(decimal(booked.amount, currency)), currency.upper()


def _evidence(booked: Booked) -> str:
    """Where the unit is explained."""
    return url_for(
        "usage.resolutions.evidence",
        conversation_id=booked.conversation_id,
        episode=booked.episode,
        _external=True,
    )
