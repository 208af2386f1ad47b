"""Which payment intent pays which invoice."""

from __future__ import annotations

from stripe.params import InvoicePaymentListParams, InvoicePaymentRetrieveParams

from portal.sandbox import lists
from portal.sandbox.dispatch import route
from portal.sandbox.errors import missing
from portal.sandbox.expansion import expandable
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "invoice_payment"


def open_for(sandbox: Sandbox, invoice: Document, intent: Document) -> None:
    """Record that the intent is how the invoice is going to be paid."""
    sandbox.store.put(
        KIND,
        {
            "id": sandbox.new_id("inpay"),
            "object": KIND,
            "amount_paid": None,
            "amount_requested": invoice["amount_due"],
            "created": sandbox.now(invoice["customer"]),
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": False,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        },
    )


def request(sandbox: Sandbox, invoice: Document) -> None:
    """Ask for what is left of the invoice."""
    for row in sandbox.store.find(KIND, invoice=invoice["id"], status="open"):
        sandbox.store.put(KIND, {**row, "amount_requested": invoice["amount_remaining"]})


def close(sandbox: Sandbox, invoice: Document, status: str) -> None:
    """Mark the invoice's open payments `paid` or `canceled`."""
    for row in sandbox.store.find(KIND, invoice=invoice["id"], status="open"):
        now = sandbox.now(invoice["customer"])
        row["status"] = status
        row["status_transitions"][f"{status}_at"] = now
        if status == "paid":
            row["amount_paid"] = row["amount_requested"]
        sandbox.store.put(KIND, row)
        if status == "paid":
            sandbox.emit("invoice_payment.paid", row)


@expandable("invoice", "payments")
def payments_of(sandbox: Sandbox, invoice: Document) -> Document:
    """The invoice's payments, shown only when expanded (recorded)."""
    rows = sandbox.store.find(KIND, invoice=invoice["id"])
    return {
        "object": "list",
        "data": rows,
        "has_more": False,
        "total_count": len(rows),
        "url": "/v1/invoice_payments",
    }


@expandable("invoice", "confirmation_secret")
def confirmation_secret(sandbox: Sandbox, invoice: Document) -> Document | None:
    """The client secret with which a browser pays an open invoice, shown only when expanded (recorded)."""
    intent = sandbox.store.get("payment_intent", invoice.get("_payment_intent") or "")
    return {"client_secret": intent["client_secret"], "type": "payment_intent"} if intent else None


@route("GET", "/v1/invoice_payments/{id}", params=InvoicePaymentRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict, id: str) -> Document:
    row = sandbox.store.get(KIND, id)
    if row is None:
        raise missing("invoice payment", id, "id")
    return row


@route("GET", "/v1/invoice_payments", params=InvoicePaymentListParams)
def listing(sandbox: Sandbox, params: dict) -> Document:
    wanted = params.get("payment", {}).get("payment_intent")
    return lists.page(
        sandbox,
        KIND,
        params,
        "/v1/invoice_payments",
        where=lambda row: wanted is None or row["payment"]["payment_intent"] == wanted,
        invoice=params.get("invoice"),
        status=params.get("status"),
    )
