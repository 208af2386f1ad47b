"""An invoice or a credit note as a PDF: one document, as many pages as its lines need."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

from fpdf import FPDF, FontFace

from portal.sandbox.statements import Statement, Total

FONT = "Helvetica"
ENCODING = "cp1252"  # what the built-in fonts can show
INK, MUTED, RULE, ACCENT = (26, 31, 54), (96, 104, 124), (224, 228, 236), (84, 82, 214)
MARGIN, LINE = 18, 5.2
TOTALS_LABEL, TOTALS_AMOUNT = 78, 32
# letters whose stroke is no mark that could be taken off
STROKED = str.maketrans("ŁłĐđĦħŦŧı", "LlDdHhTti")
HEADINGS = ("Description", "Qty", "Unit price", "Amount")
COLUMNS = (92, 16, 33, 33)


def render(statement: Statement) -> bytes:
    """The PDF's bytes; characters outside Western European ones are written without their marks or as `?`."""
    pdf = _Pages(statement)
    pdf.add_page()
    _head(pdf, statement)
    _parties(pdf, statement)
    _headline(pdf, statement)
    _rows(pdf, statement)
    _totals(pdf, statement.totals)
    _payments(pdf, statement)
    _notes(pdf, statement)
    return bytes(pdf.output())


def shown(text: str) -> str:
    """The text in the characters that the built-in fonts have."""
    text = text.replace("−", "–")
    try:
        text.encode(ENCODING)
    except UnicodeEncodeError:
        text = text.translate(STROKED)
        plain = (unicodedata.normalize("NFKD", char) if not _fits(char) else char for char in text)
        bare = (char for char in "".join(plain) if not unicodedata.combining(char))
        return "".join(char if _fits(char) else "?" for char in bare)
    return text


def _fits(char: str) -> bool:
    try:
        char.encode(ENCODING)
    except UnicodeEncodeError:
        return False
    return True


class _Pages(FPDF):
    """Pages with the number and the page count at the foot."""

    def __init__(self, statement: Statement) -> None:
        super().__init__(format="letter" if statement.letter_size else "a4")
        self.statement = statement
        self.core_fonts_encoding = ENCODING
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(True, margin=22)
        self.set_title(f"{statement.title} {statement.number}")
        self.set_author(statement.seller[0])
        self.set_lang("en-US")
        self.set_creation_date(datetime.fromtimestamp(statement.made_at, UTC))

    def footer(self) -> None:
        self.set_y(-15)
        self.ink(MUTED, 8)
        made = (
            self.statement.number,
            self.statement.seller[0],
            "made by a sandbox, not a demand for payment",
        )
        self.cell(0, 5, shown(" · ".join(made)))
        self.cell(0, 5, f"Page {self.page_no()} of {{nb}}", align="R")

    def ink(self, color: tuple[int, int, int], size: float, style: str = "") -> None:
        """Write in this colour and size from here on."""
        self.set_text_color(*color)
        self.set_font(FONT, style, size)


def _head(pdf: _Pages, statement: Statement) -> None:
    pdf.ink(INK, 22, "B")
    pdf.cell(110, 10, statement.title)
    pdf.ink(ACCENT, 11, "B")
    pdf.cell(0, 10, shown(statement.status_word), align="R", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(2)
    for label, value in [(f"{statement.title} number", statement.number), *statement.dates]:
        pdf.ink(MUTED, 9)
        pdf.cell(34, LINE, label)
        pdf.ink(INK, 9, "B")
        pdf.cell(0, LINE, shown(value), new_x="LMARGIN", new_y="NEXT")
    pdf.ln(5)


def _parties(pdf: _Pages, statement: Statement) -> None:
    top, bottom = pdf.get_y(), pdf.get_y()
    middle = pdf.w / 2
    for x, title, texts in (
        (MARGIN, "From", list(statement.seller)),
        (middle, "Bill to", statement.customer),
    ):
        pdf.set_xy(x, top)
        pdf.ink(MUTED, 9)
        pdf.cell(0, LINE, title, new_x="LMARGIN", new_y="NEXT")
        for index, text in enumerate(texts):
            pdf.ink(INK, 9, "B" if index == 0 else "")
            pdf.set_x(x)
            pdf.multi_cell(middle - MARGIN - 4, LINE, shown(text), new_x="LMARGIN", new_y="NEXT", align="L")
        bottom = max(bottom, pdf.get_y())
    pdf.set_y(bottom + 6)


def _headline(pdf: _Pages, statement: Statement) -> None:
    pdf.ink(INK, 15, "B")
    pdf.multi_cell(0, 8, shown(statement.headline), new_x="LMARGIN", new_y="NEXT")
    pdf.ln(4)


def _rows(pdf: _Pages, statement: Statement) -> None:
    pdf.ink(INK, 9)
    pdf.set_draw_color(*RULE)
    style = FontFace(color=MUTED, emphasis="")
    with pdf.table(
        col_widths=COLUMNS,
        text_align=("LEFT", "RIGHT", "RIGHT", "RIGHT"),
        borders_layout="HORIZONTAL_LINES",
        headings_style=style,
        line_height=LINE,
        padding=(1.6, 0.5),
    ) as table:
        table.row(HEADINGS)
        for row in statement.rows:
            texts = [row.description, row.period] if row.period else [row.description]
            table.row([shown("\n".join(texts)), row.quantity, shown(row.unit_price), shown(row.amount)])
    pdf.ln(3)


def _totals(pdf: _Pages, totals: list[Total]) -> None:
    left = pdf.w - MARGIN - TOTALS_LABEL - TOTALS_AMOUNT
    for total in totals:
        if pdf.will_page_break(LINE + 2):
            pdf.add_page()
        pdf.ink(INK, 9.5, "B" if total.strong else "")
        pdf.set_x(left)
        top = pdf.get_y()
        pdf.multi_cell(TOTALS_LABEL, LINE + 1, shown(total.label), new_x="LMARGIN", new_y="NEXT", align="L")
        bottom = pdf.get_y()
        pdf.set_xy(left + TOTALS_LABEL, top)
        pdf.cell(TOTALS_AMOUNT, LINE + 1, shown(total.amount), align="R")
        pdf.set_xy(MARGIN, bottom)
    pdf.ln(5)


def _payments(pdf: _Pages, statement: Statement) -> None:
    if not statement.payments:
        return
    pdf.ink(INK, 10.5, "B")
    pdf.cell(0, 7, "Payment history", new_x="LMARGIN", new_y="NEXT")
    pdf.ink(INK, 9)
    for date, method, amount in statement.payments:
        pdf.cell(60, LINE, date)
        pdf.cell(70, LINE, shown(method))
        pdf.cell(0, LINE, shown(amount), align="R", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(4)


def _notes(pdf: _Pages, statement: Statement) -> None:
    pdf.ink(MUTED, 9)
    for note in statement.notes:
        pdf.multi_cell(0, LINE, shown(note), new_x="LMARGIN", new_y="NEXT", align="L")
        pdf.ln(1)
