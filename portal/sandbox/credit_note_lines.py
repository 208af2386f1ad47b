"""The lines of a credit note: shares of an invoice's lines with their discounts and taxes, or amounts alone.

Parts of one line that are credited one after the other add up to the line exactly: each share is the rounded
part up to it less what was credited before.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from portal.sandbox import lines
from portal.sandbox.errors import invalid, missing, missing_param
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "credit_note_line_item"
HALF = Fraction(1, 2)
Share = Callable[[int], int]


def read(sandbox: Sandbox, invoice: Document, params: dict[str, Any]) -> list[Document]:
    """The lines, not stored yet, that a request credits; Stripe's 400s for what cannot be credited."""
    given, amount = params.get("lines"), params.get("amount")
    if (given is None) == (amount is None):
        raise invalid("You must pass exactly one of `amount` or `lines`.", "lines")
    if amount is not None:
        if amount <= 0:
            raise invalid("The amount of a credit note must be greater than 0.", "amount")
        return [_custom(sandbox, {"description": invoice["description"], "unit_amount": amount})]
    if not given:
        raise missing_param("lines")
    rows = []
    taken: dict[str, int] = {}
    for index, wanted in enumerate(given):
        at = f"lines[{index}]"
        if wanted["type"] == "custom_line_item":
            rows.append(_custom(sandbox, wanted, at))
        else:
            rows.append(_of_line(sandbox, invoice, wanted, at, taken))
    return rows


def _custom(sandbox: Sandbox, wanted: Document, at: str = "") -> Document:
    """An amount with a description, without tax."""
    unit = wanted.get("unit_amount", wanted.get("unit_amount_decimal"))
    if unit is None:
        raise missing_param(f"{at}[unit_amount]")
    quantity = wanted.get("quantity", 1)
    amount = int((Fraction(str(unit)) * quantity + HALF) // 1)
    return _row(
        sandbox,
        amount=amount,
        description=wanted.get("description"),
        metadata=wanted.get("metadata") or {},
        quantity=quantity,
        type="custom_line_item",
        unit_amount=int(unit) if Fraction(str(unit)).denominator == 1 else None,
        unit_amount_decimal=str(unit),
    )


def _of_line(
    sandbox: Sandbox, invoice: Document, wanted: Document, at: str, taken: dict[str, int]
) -> Document:
    """A part of an invoice line: so many of its units, or so much of its amount before tax."""
    line = _named(sandbox, invoice, wanted, at)
    amount = _amount(line, wanted, at)
    before = credited(sandbox, line["id"]) + taken.get(line["id"], 0)
    if not 0 < amount <= line["amount"] - before:
        raise invalid(
            f"The credit note line item amount ({amount}) is greater than the remaining creditable amount "
            f"({line['amount'] - before}) of the invoice line item.",
            f"{at}[{'quantity' if 'quantity' in wanted else 'amount'}]",
        )
    taken[line["id"]] = taken.get(line["id"], 0) + amount
    share = _share(line["amount"], before, amount)
    discounts = [{**row, "amount": share(row["amount"])} for row in line["discount_amounts"]]
    quantity = wanted.get("quantity")
    unit = (line["pricing"] or {}).get("unit_amount_decimal") if quantity else str(amount)
    return _row(
        sandbox,
        amount=amount,
        description=wanted.get("description", line["description"]),
        discount_amount=sum(row["amount"] for row in discounts),
        discount_amounts=discounts,
        invoice_line_item=line["id"],
        metadata=wanted.get("metadata") or {},
        pretax_credit_amounts=[
            {**row, "amount": share(row["amount"])} for row in line["pretax_credit_amounts"]
        ],
        quantity=quantity or 1,
        taxes=[
            {**row, "amount": share(row["amount"]), "taxable_amount": share(row["taxable_amount"])}
            for row in line["taxes"]
        ],
        type="invoice_line_item",
        unit_amount=int(unit) if unit and Fraction(unit).denominator == 1 else None,
        unit_amount_decimal=unit,
    )


def _named(sandbox: Sandbox, invoice: Document, wanted: Document, at: str) -> Document:
    id = wanted.get("invoice_line_item")
    if not id:
        raise missing_param(f"{at}[invoice_line_item]")
    line = sandbox.store.get(lines.KIND, id)
    if line is None or line["invoice"] != invoice["id"]:
        raise missing("invoice line item", id, f"{at}[invoice_line_item]", status=400)
    return line


def _amount(line: Document, wanted: Document, at: str) -> int:
    if "amount" in wanted and "quantity" in wanted:
        raise invalid("You may only specify one of these parameters: amount, quantity.", f"{at}[amount]")
    if "amount" in wanted:
        return int(wanted["amount"])
    if "quantity" not in wanted:
        raise missing_param(f"{at}[quantity]")
    if not 0 < wanted["quantity"] <= line["quantity"]:
        raise invalid("The quantity is greater than that of the invoice line item.", f"{at}[quantity]")
    return int((Fraction(line["amount"] * wanted["quantity"], line["quantity"]) + HALF) // 1)


def _share(whole: int, before: int, amount: int) -> Share:
    """The part of a discount or tax that goes with `amount`, after `before` was credited already."""

    def upto(part: int, credited_so_far: int) -> int:
        return int((Fraction(part * credited_so_far, whole) + HALF) // 1)

    return lambda part: upto(part, before + amount) - upto(part, before)


def credited(sandbox: Sandbox, line: str) -> int:
    """What earlier credit notes have credited of an invoice line, before discounts and tax."""
    rows = sandbox.store.walk(KIND, lambda row: not row["_void"], invoice_line_item=line)
    return sum(row["amount"] for row in rows)


def _row(sandbox: Sandbox, **members: Any) -> Document:
    return {
        "id": sandbox.new_id("cnli"),
        "object": KIND,
        **{name: [] for name in ("discount_amounts", "pretax_credit_amounts", "tax_rates", "taxes")},
        "discount_amount": 0,
        "invoice_line_item": None,
        "livemode": False,
        **members,
        "_void": False,
    }
