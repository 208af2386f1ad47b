"""Invoices as a file for a spreadsheet: a row an invoice, or a row a line; amounts as plain decimals.

A cell that a spreadsheet would take for a formula begins with an apostrophe (owasp.org/www-community/attacks/
CSV_Injection); our own amounts, which may be negative, are numbers and stay so.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

from babel.numbers import get_currency_precision

from portal.models import Invoice
from portal.services.adjustments import GivenBack

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
# without it Excel reads UTF-8 as its own code page
MARK = "\ufeff"

INVOICE_COLUMNS = (
    "invoice", "date", "status", "for", "currency", "subtotal", "discount", "credits", "tax", "total",
    "balance_applied", "amount_due", "amount_paid", "credited", "refunded", "paid_on",
    "billed_to", "po_number", "tax_number", "id",
)  # fmt: skip
LINE_COLUMNS = (
    "invoice", "date", "status", "currency", "line", "key", "description", "quantity", "unit_price", "from",
    "to", "proration", "amount", "discount", "credits", "tax", "total", "id",
)  # fmt: skip


def invoices(rows: Sequence[Invoice], returned: Mapping[str, GivenBack]) -> str:
    """One row for each invoice; ``returned``: what came off it, by its id."""
    return _file(INVOICE_COLUMNS, (_invoice(row, returned.get(row.stripe_id, GivenBack())) for row in rows))


def lines(rows: Sequence[Invoice]) -> str:
    """One row for each line; those of an invoice add up to its subtotal, discount, credits, tax and total."""
    return _file(LINE_COLUMNS, (cells for row in rows for cells in _lines(row)))


def safe(text: object) -> str:
    """The text so that no spreadsheet runs it."""
    cell = "" if text is None else str(text)
    return f"'{cell}" if cell.lstrip(" ").startswith(FORMULA) else cell


def decimal(minor: int, currency: str) -> str:
    """An amount as a spreadsheet reads it: "1234.50"."""
    digits = get_currency_precision(currency.upper())
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"


def _file(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(rows)
    return MARK + out.getvalue()


def _invoice(row: Invoice, back: GivenBack) -> list[str]:
    amounts = (
        row.subtotal, -row.discount, -row.credits, row.tax, row.total, row.amount_due - row.total,
        row.amount_due, row.amount_paid, back.credited, back.refunded,
    )  # fmt: skip
    return [
        safe(row.number or row.stripe_id),
        _day(row.issued_at),
        row.status,
        row.billing_reason or "",
        row.currency.upper(),
        *(decimal(amount, row.currency) for amount in amounts),
        _day(row.paid_at),
        safe(row.billing.get("name")),
        safe(purchase_order(row)),
        safe(", ".join(str(each["value"]) for each in _list(row.billing.get("tax_ids")))),
        row.stripe_id,
    ]


def _lines(row: Invoice) -> Iterator[list[str]]:
    for number, line in enumerate(row.lines, start=1):
        unit = line.get("unit_amount")
        credits = int(str(line.get("credits") or 0))
        amounts = (line["amount"], -int(str(line["discount"])), -credits, line["tax"])
        total = int(str(line["total"])) - credits + int(str(line["tax"]))
        yield [
            safe(row.number or row.stripe_id),
            _day(row.issued_at),
            row.status,
            row.currency.upper(),
            str(number),
            safe(line.get("key")),
            safe(line.get("description")),
            "" if line.get("quantity") is None else str(line["quantity"]),
            "" if unit is None else _rate(str(unit), row.currency),
            _seconds(line.get("period_start")),
            _seconds(line.get("period_end")),
            "yes" if line.get("proration") else "no",
            *(decimal(int(str(amount)), row.currency) for amount in (*amounts, total)),
            row.stripe_id,
        ]


def purchase_order(row: Invoice) -> str | None:
    """The purchase-order number that stands on an invoice."""
    fields = _list(row.billing.get("custom_fields"))
    return str(fields[0]["value"]) if fields else None


def _list(value: object) -> list[Mapping[str, object]]:
    return list(value) if isinstance(value, list) else []


def _rate(unit_amount: str, currency: str) -> str:
    return f"{Decimal(unit_amount).scaleb(-get_currency_precision(currency.upper())):f}"


def _day(at: datetime | None) -> str:
    return at.astimezone(UTC).date().isoformat() if at else ""


def _seconds(at: object) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat() if isinstance(at, int) and at else ""
