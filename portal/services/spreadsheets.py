"""Rows as CSV that no spreadsheet program takes for formulas."""

import csv
import io
from collections.abc import Iterable

# what makes spreadsheet programs evaluate a cell (owasp.org/www-community/attacks/CSV_Injection)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def cell(value: object) -> str:
    """The cell's text: nothing for None, and an apostrophe before what would be evaluated."""
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA_STARTS) else text


def lines(rows: Iterable[Iterable[object]]) -> str:
    """The rows as CSV (RFC 4180)."""
    out = io.StringIO()
    csv.writer(out).writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()
