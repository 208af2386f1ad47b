"""What an invoice says to a person: the texts that its page and its PDF share, all dates in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from babel import Locale

from portal.sandbox import account, amounts, invoice_payments, lines, settlement
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

SELLER = (
    account.NAME,
    "100 Sandbox Street",
    "San Francisco, CA 94105",
    "United States",
    "billing@sandbox.example",
)
STATUS_WORDS = {
    "draft": "Draft",
    "open": "Open",
    "paid": "Paid",
    "void": "Void",
    "uncollectible": "Uncollectible",
}
REVERSE_CHARGE = "Tax to be paid on a reverse charge basis by the recipient."
TAX_ID_NAMES = {
    "eu_vat": "VAT",
    "gb_vat": "VAT",
    "ch_vat": "VAT",
    "no_vat": "VAT",
    "us_ein": "EIN",
    "au_abn": "ABN",
}


@dataclass(frozen=True)
class Row:
    """One line of the invoice, ready to show."""

    description: str
    period: str
    quantity: str
    unit_price: str
    amount: str


@dataclass(frozen=True)
class Total:
    """One line of the sums; the strong ones stand out."""

    label: str
    amount: str
    strong: bool = False


@dataclass(frozen=True)
class Statement:
    """An invoice in words."""

    number: str
    status: str
    status_word: str
    currency: str
    dates: list[tuple[str, str]]
    seller: tuple[str, ...]
    customer: list[str]
    rows: list[Row]
    totals: list[Total]
    payments: list[tuple[str, str, str]]
    notes: list[str]
    headline: str
    letter_size: bool
    made_at: int
    title: str = "Invoice"


def read(sandbox: Sandbox, invoice: Document) -> Statement:
    """The statement of an invoice as it now is."""
    found = lines.of_invoice(sandbox, invoice)
    country = (invoice["customer_address"] or {}).get("country")
    return Statement(
        number=invoice["number"] or "Draft",
        status=invoice["status"],
        status_word=STATUS_WORDS[invoice["status"]],
        currency=invoice["currency"].upper(),
        dates=_dates(invoice),
        seller=SELLER,
        customer=_customer(invoice),
        rows=[_row(line) for line in found],
        totals=_totals(sandbox, invoice, found),
        payments=_payments(sandbox, invoice),
        notes=_notes(invoice),
        headline=_headline(invoice),
        letter_size=country in ("US", "CA"),
        made_at=invoice["effective_at"] or invoice["created"],
    )


def read_credit_note(sandbox: Sandbox, note: Document, found: list[Document]) -> Statement:
    """The statement of a credit note with its lines."""
    invoice = sandbox.store.get("invoice", note["invoice"]) or {}
    taxes = sum(row["amount"] for row in note["total_taxes"] if row["tax_behavior"] == "exclusive")
    totals = [Total("Subtotal", _money(note, note["total_excluding_tax"]))]
    if taxes:
        totals.append(Total("Tax", _money(note, taxes)))
    totals.append(Total("Total credited", _money(note, note["total"]), strong=True))
    country = (invoice["customer_address"] or {}).get("country")
    return Statement(
        number=note["number"],
        status=note["status"],
        status_word="Void" if note["status"] == "void" else "Issued",
        currency=note["currency"].upper(),
        dates=[("Date of issue", day(note["effective_at"])), ("Invoice", invoice["number"])],
        seller=SELLER,
        customer=_customer(invoice),
        rows=[_credited(note, row) for row in found],
        totals=totals,
        payments=[],
        notes=[note["memo"]] if note["memo"] else [],
        headline=f"{_money(note, note['total'])} credited on {day(note['effective_at'])}",
        letter_size=country in ("US", "CA"),
        made_at=note["effective_at"],
        title="Credit note",
    )


def _credited(note: Document, row: Document) -> Row:
    unit = row["unit_amount_decimal"]
    unit_price = amounts.text(unit, note["currency"]) if unit is not None else ""
    net = row["amount"] - row["discount_amount"]
    return Row(row["description"] or "Credit", "", str(row["quantity"]), unit_price, _money(note, net))


def day(second: int) -> str:
    """`20 November 2026`."""
    moment = datetime.fromtimestamp(second, UTC)
    return f"{moment.day} {moment:%B %Y}"


def _money(invoice: Document, minor: int) -> str:
    return amounts.text(minor, invoice["currency"]).replace("-", "−")


def _headline(invoice: Document) -> str:
    transitions = invoice["status_transitions"]
    if invoice["status"] == "paid":
        return f"{_money(invoice, invoice['amount_paid'])} paid on {day(transitions['paid_at'])}"
    if invoice["status"] == "void":
        return f"Void since {day(transitions['voided_at'])}"
    due = f"{_money(invoice, invoice['amount_due'])} due"
    return f"{due} by {day(invoice['due_date'])}" if invoice["due_date"] else due


def _dates(invoice: Document) -> list[tuple[str, str]]:
    dates = [("Date of issue", day(invoice["effective_at"] or invoice["created"]))]
    if invoice["due_date"]:
        dates.append(("Date due", day(invoice["due_date"])))
    if invoice["status_transitions"]["paid_at"]:
        dates.append(("Date paid", day(invoice["status_transitions"]["paid_at"])))
    return dates


def _customer(invoice: Document) -> list[str]:
    address = invoice["customer_address"] or {}
    place = " ".join(filter(None, [address.get("city"), address.get("state"), address.get("postal_code")]))
    tax_ids = [
        f"{row['value']} ({TAX_ID_NAMES.get(row['type'], row['type'])})"
        for row in invoice["customer_tax_ids"] or []
    ]
    parts = [
        invoice["customer_name"],
        address.get("line1"),
        address.get("line2"),
        place,
        _country(address.get("country")),
        invoice["customer_email"],
        *tax_ids,
    ]
    return [part for part in parts if part]


def _country(code: str | None) -> str | None:
    return Locale("en").territories.get(code, code) if code else None


def _row(line: Document) -> Row:
    start, end = line["period"]["start"], line["period"]["end"]
    unit = (line["pricing"] or {}).get("unit_amount_decimal")
    return Row(
        description=line["description"] or "",
        period=f"{day(start)} – {day(end)}" if start != end else "",
        quantity=str(line["quantity"]),
        unit_price=amounts.text(unit, line["currency"]) if unit is not None else "",
        amount=_money(line, line["amount"]),
    )


def _totals(sandbox: Sandbox, invoice: Document, found: list[Document]) -> list[Total]:
    gross = sum(line["amount"] for line in found)
    totals = [Total("Subtotal", _money(invoice, gross))]
    for row in invoice["total_discount_amounts"]:
        totals.append(Total(_discount_name(sandbox, row["discount"]), _money(invoice, -row["amount"])))
    if invoice["total_discount_amounts"] and invoice["total_taxes"]:
        totals.append(Total("Total excluding tax", _money(invoice, invoice["total_excluding_tax"])))
    totals += [
        Total(_tax_name(sandbox, invoice, row), _money(invoice, row["amount"]))
        for row in invoice["total_taxes"]
    ]
    totals.append(Total("Total", _money(invoice, invoice["total"]), strong=True))
    totals += _balance(invoice)
    if credited := invoice["pre_payment_credit_notes_amount"]:
        totals.append(Total("Credit notes", _money(invoice, -credited)))
    paid = invoice["status"] == "paid"
    label, amount = ("Amount paid", invoice["amount_paid"]) if paid else ("Amount due", invoice["amount_due"])
    totals.append(Total(label, f"{_money(invoice, amount)} {invoice['currency'].upper()}", strong=True))
    if credited := invoice["post_payment_credit_notes_amount"]:
        totals.append(Total("Credited after payment", _money(invoice, -credited)))
    return totals


def _balance(invoice: Document) -> list[Total]:
    """What the customer's balance did to the amount due."""
    change = invoice["amount_due"] + invoice["pre_payment_credit_notes_amount"] - invoice["total"]
    if not change or invoice["ending_balance"] is None:
        return []
    outcome = settlement.settle(invoice["total"], invoice["starting_balance"], invoice["currency"])
    rolled = outcome.amount_due == 0 and invoice["ending_balance"] != 0
    return [Total("Carried to your balance" if rolled else "Applied balance", _money(invoice, change))]


def _discount_name(sandbox: Sandbox, id: str) -> str:
    discount = sandbox.store.get("discount", id)
    if discount is None:
        return "Discount"
    code = sandbox.store.get("promotion_code", discount["promotion_code"] or "")
    coupon = sandbox.store.get("coupon", discount["source"]["coupon"]) or {}
    name = (code and code["code"]) or coupon.get("name") or discount["source"]["coupon"]
    percent = discount["_terms"]["percent_off"]
    return f"{name} ({percent.removesuffix('.0')}% off)" if percent else name


def _tax_name(sandbox: Sandbox, invoice: Document, row: Document) -> str:
    rate: Any = sandbox.store.get("tax_rate", row["tax_rate_details"]["tax_rate"]) or {}
    place = rate.get("jurisdiction") or ""
    percent = f"{rate.get('percentage', 0):g}%"
    if row["taxability_reason"] == "reverse_charge":
        return f"{rate.get('display_name', 'Tax')} – {place} (reverse charge)"
    on = _money(invoice, row["taxable_amount"])
    inclusive = ", included" if row["tax_behavior"] == "inclusive" else ""
    return f"{rate.get('display_name', 'Tax')} – {place} ({percent} on {on}{inclusive})"


def _payments(sandbox: Sandbox, invoice: Document) -> list[tuple[str, str, str]]:
    """Date, method and amount of each payment made."""
    made = []
    for row in sandbox.store.find(invoice_payments.KIND, invoice=invoice["id"], status="paid"):
        intent = sandbox.store.get("payment_intent", row["payment"]["payment_intent"]) or {}
        method = sandbox.store.get("payment_method", intent.get("payment_method") or "")
        paid_at = day(row["status_transitions"]["paid_at"])
        made.append((paid_at, _method_name(method), _money(invoice, row["amount_paid"])))
    return made


def _method_name(method: Document | None) -> str:
    if method is None:
        return "Payment"
    if method["type"] == "card":
        return f"{method['card']['brand'].replace('_', ' ').title()} •••• {method['card']['last4']}"
    if method["type"] == "us_bank_account":
        return f"{method['us_bank_account']['bank_name']} •••• {method['us_bank_account']['last4']}"
    return str(method["type"]).replace("_", " ").title()


def _notes(invoice: Document) -> list[str]:
    reverse = any(row["taxability_reason"] == "reverse_charge" for row in invoice["total_taxes"])
    notes = [invoice["description"], REVERSE_CHARGE if reverse else None, invoice["footer"]]
    return [note for note in notes if note]
