"""Credit notes: what a final invoice is lessened by, and where that goes.

What is not paid yet lowers the amount due; the rest is refunded, put on the customer's balance, or settled
outside (docs.stripe.com/invoicing/dashboard/credit-notes).
"""

from __future__ import annotations

from typing import Any

from portal.sandbox import (
    amounts,
    credit_application,
    credit_note_lines,
    customer_balance,
    intents,
    invoice_payments,
    invoices,
    lists,
    refunds,
)
from portal.sandbox.errors import invalid, missing, state_error
from portal.sandbox.invoice_totals import grouped
from portal.sandbox.origin import origin
from portal.sandbox.state import Sandbox, random_text
from portal.sandbox.store import Document

KIND = "credit_note"
CREDITABLE = ("open", "paid", "uncollectible")
PARTS = ("refund_amount", "credit_amount", "out_of_band_amount")
TAX_KEYS = ("tax_behavior", "tax_rate_details", "taxability_reason", "type")


def issue(sandbox: Sandbox, invoice: Document, params: dict[str, Any]) -> Document:
    """Issue a credit note for a final invoice and carry out what it says."""
    _check(sandbox, invoice)
    rows = credit_note_lines.read(sandbox, invoice, params)
    note = _draft(sandbox, invoice, params, rows)
    _check_total(sandbox, invoice, note)
    unpaid = invoice["amount_remaining"] if invoice["status"] == "open" else 0
    before = min(note["total"], unpaid)
    after = note["total"] - before
    note.update(pre_payment_amount=before, post_payment_amount=after, type=_type(before, after))
    _check_parts(params, invoice, after)
    for row in rows:
        sandbox.store.put(credit_note_lines.KIND, {**row, "_note": note["id"]})
    _give_back(sandbox, invoice, note, params)
    sandbox.store.put(KIND, note)
    _lessen(sandbox, invoice, note)
    sandbox.emit("credit_note.created", note)
    return note


def _check(sandbox: Sandbox, invoice: Document) -> None:
    if invoice["status"] not in CREDITABLE:
        raise state_error(
            "Credit notes can only be issued for finalized invoices that are open, paid or uncollectible. "
            f"This invoice is {invoice['status']}.",
            "invoice",
        )
    intent = sandbox.store.get(intents.KIND, invoice["_payment_intent"] or "") or {"status": ""}
    if invoice["status"] == "open" and intent["status"] == "processing":
        raise state_error("This invoice has a payment under way and cannot be credited yet.", "invoice")


def _draft(sandbox: Sandbox, invoice: Document, params: dict[str, Any], rows: list[Document]) -> Document:
    now = sandbox.now(invoice["customer"])
    token = random_text(invoices.TOKEN_LENGTH)
    note: Document = {
        "id": sandbox.new_id("cn"),
        "object": KIND,
        "amount_shipping": 0,
        "created": now,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "customer_account": None,
        "customer_balance_transaction": None,
        "effective_at": params.get("effective_at", now),
        "invoice": invoice["id"],
        "livemode": False,
        "memo": params.get("memo"),
        "metadata": params.get("metadata") or {},
        "number": _number(sandbox, invoice),
        "out_of_band_amount": params.get("out_of_band_amount"),
        "pdf": f"{origin(sandbox)}/credit_note/{token}/pdf",
        "reason": params.get("reason"),
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "voided_at": None,
        "_lines": [row["id"] for row in rows],
        "_token": token,
    }
    _sum(note, rows)
    return note


def _number(sandbox: Sandbox, invoice: Document) -> str:
    """`ABCD1234-0001-CN-01`: counted for each invoice."""
    known = sum(1 for _ in sandbox.store.walk(KIND, invoice=invoice["id"]))
    return f"{invoice['number']}-CN-{known + 1:02d}"


def _sum(note: Document, rows: list[Document]) -> None:
    """The sums of the lines, in place."""
    taxes = [tax for row in rows for tax in row["taxes"]]
    off = [discount for row in rows for discount in row["discount_amounts"]]
    inclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "inclusive")
    exclusive = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    gross = sum(row["amount"] for row in rows)
    reduction = sum(discount["amount"] for discount in off)
    # what credit grants have paid does not come back by a note
    net = gross - reduction - sum(entry["amount"] for entry in credit_application.of_lines(rows))
    note.update(
        amount=net + exclusive,
        discount_amount=reduction,
        discount_amounts=grouped(off, ("discount",)),
        pretax_credit_amounts=grouped(
            [credit for row in rows for credit in row["pretax_credit_amounts"]],
            ("credit_balance_transaction", "discount", "type"),
        ),
        subtotal=gross - reduction,
        subtotal_excluding_tax=net - inclusive,
        total=net + exclusive,
        total_excluding_tax=net - inclusive,
        total_taxes=grouped(taxes, TAX_KEYS, ("amount", "taxable_amount")),
        lines=lists.embedded(rows, f"/v1/credit_notes/{note['id']}/lines"),
    )


def _check_total(sandbox: Sandbox, invoice: Document, note: Document) -> None:
    left = invoice["total"] - credited(sandbox, invoice)
    if note["total"] > left:
        raise invalid(
            f"The credit note amount ({amounts.text(note['total'], note['currency'])}) is greater than what "
            f"is left of the invoice ({amounts.text(max(left, 0), note['currency'])}).",
            "amount",
        )


def credited(sandbox: Sandbox, invoice: Document) -> int:
    """What the invoice's credit notes take off it, in minor units."""
    rows = sandbox.store.walk(KIND, invoice=invoice["id"], status="issued")
    return sum(row["total"] for row in rows)


def _type(before: int, after: int) -> str:
    if before and after:
        return "mixed"
    return "pre_payment" if before else "post_payment"


def _check_parts(params: dict[str, Any], invoice: Document, post_payment: int) -> None:
    """What was paid must go somewhere, to the cent."""
    negative = next((name for name in PARTS if params.get(name, 0) < 0), None)
    if negative:
        raise invalid("Invalid non-negative integer", negative, "parameter_invalid_integer")
    linked = sum(row.get("amount_refunded", 0) for row in params.get("refunds") or [])
    parts = sum(params.get(name, 0) for name in PARTS) + linked
    if parts != post_payment:
        raise invalid(
            "The sum of credit amount, refund amount and out of band amount "
            f"({amounts.text(parts, invoice['currency'])}) must equal the post payment amount "
            f"({amounts.text(post_payment, invoice['currency'])})."
        )


def _give_back(sandbox: Sandbox, invoice: Document, note: Document, params: dict[str, Any]) -> None:
    """Refund, link refunds, and credit the balance, in place."""
    for index, row in enumerate(params.get("refunds") or []):
        note["refunds"].append(_linked(sandbox, invoice, row, f"refunds[{index}]"))
    if amount := params.get("refund_amount"):
        refund = refunds.create(sandbox, {"payment_intent": _paid_intent(invoice), "amount": amount})
        note["refunds"].append(_refund_row(refund["id"], amount))
    if amount := params.get("credit_amount"):
        customer = sandbox.store.get("customer", invoice["customer"])
        assert customer
        customer_balance.adjust(
            sandbox, customer, -amount, KIND, currency=note["currency"], credit_note=note["id"],
            invoice=invoice["id"],
        )  # fmt: skip
        rows = sandbox.store.walk(customer_balance.KIND, customer=customer["id"])
        note["customer_balance_transaction"] = next(rows)["id"]


def _paid_intent(invoice: Document) -> str:
    if not invoice["_payment_intent"] or not invoice["amount_paid"]:
        raise invalid("This invoice has no payment that could be refunded.", "refund_amount")
    return str(invoice["_payment_intent"])


def _linked(sandbox: Sandbox, invoice: Document, row: Document, at: str) -> Document:
    refund = sandbox.store.get(refunds.KIND, row.get("refund") or "")
    if refund is None:
        raise missing("refund", row.get("refund") or "", f"{at}[refund]", status=400)
    if refund["payment_intent"] != invoice["_payment_intent"]:
        raise invalid("The refund does not belong to a payment of this invoice.", f"{at}[refund]")
    if row.get("amount_refunded", 0) > refund["amount"]:
        raise invalid("More is linked than was refunded.", f"{at}[amount_refunded]")
    return _refund_row(refund["id"], row.get("amount_refunded", 0))


def _refund_row(id: str, amount: int) -> Document:
    return {"amount_refunded": amount, "payment_record_refund": None, "refund": id, "type": "refund"}


def _lessen(sandbox: Sandbox, invoice: Document, note: Document, sign: int = 1) -> None:
    """Take the note's parts off the invoice, or put them back; an invoice with nothing left is paid."""
    before = {**invoice}
    unpaid = note["pre_payment_amount"] * sign
    invoice["pre_payment_credit_notes_amount"] += unpaid
    invoice["post_payment_credit_notes_amount"] += note["post_payment_amount"] * sign
    invoice["amount_due"] -= unpaid
    invoice["amount_remaining"] -= unpaid
    sandbox.store.put(invoices.KIND, invoice)
    sandbox.emit("invoice.updated", invoice, before)
    if not unpaid:
        return
    if invoice["amount_remaining"] == 0:
        _close(sandbox, invoice)
        return
    intent = sandbox.store.get(intents.KIND, invoice["_payment_intent"] or "")
    if intent:
        intents.change(sandbox, intent, amount=invoice["amount_remaining"])
        invoice_payments.request(sandbox, invoice)


def _close(sandbox: Sandbox, invoice: Document) -> None:
    from portal.sandbox import payments

    payments.cancel_invoice_intent(sandbox, invoice)
    invoices.close(sandbox, invoice, amount_paid=invoice["amount_paid"], attempted=invoice["attempted"])


def void(sandbox: Sandbox, note: Document) -> Document:
    """Take a credit note back; what it took off an open invoice is due again."""
    if note["status"] == "void":
        raise state_error("This credit note has already been voided.")
    invoice = sandbox.store.get(invoices.KIND, note["invoice"])
    assert invoice
    if note["type"] != "pre_payment" or invoice["status"] != "open":
        raise state_error("You can only void credit notes of open invoices.")
    voided = {**note, "status": "void", "voided_at": sandbox.now(note["customer"])}
    sandbox.store.put(KIND, voided)
    for row in of_note(sandbox, note):
        sandbox.store.put(credit_note_lines.KIND, {**row, "_void": True})
    _lessen(sandbox, invoice, note, sign=-1)
    sandbox.emit("credit_note.voided", voided)
    return voided


def of_note(sandbox: Sandbox, note: Document) -> list[Document]:
    """The lines of a credit note, in its order."""
    found = (sandbox.store.get(credit_note_lines.KIND, id) for id in note["_lines"])
    return [row for row in found if row is not None]
