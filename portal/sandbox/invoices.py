"""Invoices: drafted, made final, paid, voided; and what a payment's fate means for them.

The payment modules call `payment_succeeded`, `payment_processing`, `payment_failed` and
`payment_action_required` for an intent that belongs to an invoice.
"""

from __future__ import annotations

from typing import Any

from portal.sandbox import (
    account,
    billed,
    credit_application,
    discount_objects,
    invoice_payments,
    invoice_totals,
    lines,
    settlement,
)
from portal.sandbox.errors import state_error
from portal.sandbox.origin import origin
from portal.sandbox.state import Sandbox, random_text
from portal.sandbox.store import Document

KIND = "invoice"
# Recorded: an automatic draft is charged an hour after it was made and says a second more for becoming final.
DRAFT_SECONDS = 3600
DAY = 86_400
ACCOUNT = {"account_country": account.COUNTRY, "account_name": account.NAME, "account_tax_ids": None}
NOT_OPEN = "You can only pass in open invoices. This invoice isn't open."
TOKEN_LENGTH = 32


def draft(
    sandbox: Sandbox,
    customer: Document,
    rows: list[Document],
    *,
    billing_reason: str,
    currency: str,
    period: tuple[int, int] | None = None,
    automatic_tax: Document | None = None,
    **members: Any,
) -> Document:
    """Store a draft of these lines with its totals and tell about it; `members` override single fields."""
    now = sandbox.now(customer)
    invoice = _blank(sandbox, customer, now, currency)
    start, end = period or (now, now)
    invoice.update(billing_reason=billing_reason, period_start=start, period_end=end, **members)
    invoice["automatic_tax"] = invoice_totals.automatic_tax(automatic_tax)
    if invoice["custom_fields"] is None:
        invoice["custom_fields"] = (customer.get("invoice_settings") or {}).get("custom_fields")
    snapshot(sandbox, invoice, customer)
    plan(invoice)
    stamp_currency(sandbox, customer["id"], currency)
    write(sandbox, invoice, rows, customer)
    sandbox.emit("invoice.created", invoice)
    return invoice


def stamp_currency(sandbox: Sandbox, customer_id: str, currency: str) -> None:
    """A customer's currency is that of the first thing it is billed for (recorded)."""
    customer = sandbox.store.get("customer", customer_id)
    if customer and not customer["currency"]:
        sandbox.store.put("customer", {**customer, "currency": currency})


def _blank(sandbox: Sandbox, customer: Document, now: int, currency: str) -> Document:
    zeros = ("amount_due", "amount_overpaid", "amount_paid", "amount_paid_off_stripe", "amount_remaining")
    sums = ("amount_shipping", "post_payment_credit_notes_amount", "pre_payment_credit_notes_amount")
    unset = (
        "application", "automatically_finalizes_at", "billing_reason", "custom_fields", "customer_account",
        "default_payment_method", "default_source", "description", "due_date",
        "effective_at", "ending_balance",
        "footer", "from_invoice", "hosted_invoice_url", "invoice_pdf", "last_finalization_error",
        "latest_revision", "next_payment_attempt", "number", "on_behalf_of", "parent", "receipt_number",
        "rendering", "shipping_cost", "shipping_details", "statement_descriptor", "status_details",
        "threshold_reason", "webhooks_delivered_at",
    )  # fmt: skip
    transitions = ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")
    payment_settings = ("default_mandate", "payment_method_options", "payment_method_types")
    return {
        "id": sandbox.new_id("in"),
        "object": KIND,
        **ACCOUNT,
        **dict.fromkeys((*zeros, *sums, "attempt_count", "starting_balance"), 0),
        **dict.fromkeys(unset),
        "attempted": False,
        "auto_advance": False,
        "collection_method": "charge_automatically",
        "created": now,
        "currency": currency,
        "customer": customer["id"],
        "default_tax_rates": [],
        "discounts": [],
        "issuer": {"type": "self"},
        "livemode": False,
        "metadata": {},
        "payment_settings": dict.fromkeys(payment_settings),
        "status": "draft",
        "status_transitions": dict.fromkeys(transitions),
        "test_clock": customer.get("test_clock"),
        "_lines": [],
        "_payment_intent": None,
    }


def snapshot(sandbox: Sandbox, invoice: Document, customer: Document) -> None:
    """Copy who the customer is onto the invoice, in place."""
    for name in ("address", "email", "name", "phone", "shipping", "tax_exempt"):
        invoice[f"customer_{name}"] = customer.get(name)
    tax_ids = sandbox.store.find("tax_id", customer=customer["id"])
    invoice["customer_tax_ids"] = [{"type": row["type"], "value": row["value"]} for row in reversed(tax_ids)]


def plan(invoice: Document) -> None:
    """When an automatic draft becomes final and is charged, reckoned from its making (recorded)."""
    waits = invoice["auto_advance"] and invoice["status"] == "draft"
    charges = waits and invoice["collection_method"] == "charge_automatically"
    invoice["automatically_finalizes_at"] = invoice["created"] + DRAFT_SECONDS + 1 if waits else None
    invoice["next_payment_attempt"] = invoice["created"] + DRAFT_SECONDS if charges else None


def write(
    sandbox: Sandbox, invoice: Document, rows: list[Document], customer: Document | None = None
) -> None:
    """Give a draft these lines and the totals that follow, and store it."""
    customer = customer or sandbox.store.get("customer", invoice["customer"])
    invoice_totals.compute(sandbox, invoice, rows, customer)
    lines.place(sandbox, invoice, rows)
    sandbox.store.put(KIND, invoice)


def finalize(sandbox: Sandbox, invoice: Document) -> Document:
    """Count usage once more, number the draft, settle it with the balance, open it; paid when nothing is due.

    Raises Stripe's 400 when it is no draft, or when its taxes need a place that the customer does not have.
    """
    from portal.sandbox import payments, usage_lines

    if invoice["status"] != "draft":
        raise state_error("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    customer = sandbox.store.get("customer", invoice["customer"]) or {}
    now = sandbox.now(customer)
    snapshot(sandbox, invoice, customer)
    rows = usage_lines.recount(sandbox, lines.of_invoice(sandbox, invoice))
    write(sandbox, invoice, rows, customer)
    invoice_totals.require_location(invoice)
    credit_application.draw(sandbox, invoice)
    settlement.apply(sandbox, invoice, customer)
    invoice.update(
        status="open", number=invoice["number"] or _number(sandbox, customer["id"]), effective_at=now
    )
    invoice["status_transitions"]["finalized_at"] = now
    invoice["automatically_finalizes_at"] = None
    invoice["hosted_invoice_url"] = f"{origin(sandbox)}/invoice/{random_text(TOKEN_LENGTH)}"
    invoice["invoice_pdf"] = f"{invoice['hosted_invoice_url']}/pdf"
    discount_objects.mark_used(sandbox, invoice["total_discount_amounts"])
    sandbox.store.put(KIND, invoice)
    sandbox.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        return close(sandbox, invoice, amount_paid=0)
    intent = payments.new_invoice_intent(sandbox, invoice)
    invoice["_payment_intent"] = intent["id"]
    invoice_payments.open_for(sandbox, invoice, intent)
    sandbox.store.put(KIND, invoice)
    return invoice


def _number(sandbox: Sandbox, customer_id: str) -> str:
    customer = sandbox.store.get("customer", customer_id)
    assert customer
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    sandbox.store.put(
        "customer", {**customer, "next_invoice_sequence": customer["next_invoice_sequence"] + 1}
    )
    return number


def close(
    sandbox: Sandbox,
    invoice: Document,
    *,
    amount_paid: int,
    intent: Document | None = None,
    attempted: bool = True,
) -> Document:
    """Mark the invoice paid and tell its subscription; `intent` brought the money, if one did."""
    from portal.sandbox import standing

    charged = intent is not None
    invoice.update(
        status="paid",
        amount_paid=amount_paid,
        amount_remaining=0,
        attempted=attempted,
        auto_advance=False,
        next_payment_attempt=None,
    )
    invoice["status_transitions"]["paid_at"] = sandbox.now(invoice["customer"])
    sandbox.store.put(KIND, invoice)
    invoice_payments.close(sandbox, invoice, "paid" if charged else "canceled")
    billed.confirm(sandbox, invoice)
    if charged:
        sandbox.emit("invoice.payment_succeeded", invoice)
    sandbox.emit("invoice.paid", invoice)
    standing.invoice_paid(sandbox, invoice, intent)
    return invoice


def void(sandbox: Sandbox, invoice: Document) -> Document:
    """Take back an open or uncollectible invoice; amounts and number stay, the balance gets its part back."""
    from portal.sandbox import payments, standing

    if invoice["status"] == "paid":
        raise state_error("Invoices with `paid` payments cannot be voided.")
    if invoice["status"] not in ("open", "uncollectible"):
        raise state_error(NOT_OPEN)
    invoice.update(status="void", auto_advance=False, next_payment_attempt=None)
    invoice["status_transitions"]["voided_at"] = sandbox.now(invoice["customer"])
    sandbox.store.put(KIND, invoice)
    settlement.give_back(sandbox, invoice)
    credit_application.give_back(sandbox, invoice)
    billed.take_back(sandbox, invoice)
    payments.cancel_invoice_intent(sandbox, invoice)
    invoice_payments.close(sandbox, invoice, "canceled")
    sandbox.emit("invoice.voided", invoice)
    standing.invoice_voided(sandbox, invoice)
    return invoice


def mark_uncollectible(sandbox: Sandbox, invoice: Document, reason: str = "user_forgiven") -> Document:
    """Give an open invoice up; what is due stays on it."""
    from portal.sandbox import standing

    if invoice["status"] == "uncollectible":
        raise state_error("This invoice has already been marked uncollectible.")
    if invoice["status"] != "open":
        raise state_error(NOT_OPEN)
    invoice.update(status="uncollectible", auto_advance=False, next_payment_attempt=None)
    invoice["status_details"] = {"uncollectible": {"reason": reason}}
    invoice["status_transitions"]["marked_uncollectible_at"] = sandbox.now(invoice["customer"])
    sandbox.store.put(KIND, invoice)
    sandbox.emit("invoice.marked_uncollectible", invoice)
    standing.invoice_forgiven(sandbox, invoice)
    return invoice


def subscription_of(invoice: Document) -> str | None:
    """The id of the subscription that the invoice bills."""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    return details.get("subscription")


def payment_succeeded(sandbox: Sandbox, invoice_id: str, intent: Document) -> None:
    """The invoice's payment intent has succeeded: the invoice is paid."""
    invoice = sandbox.store.get(KIND, invoice_id)
    if invoice is None or invoice["status"] not in ("open", "uncollectible"):
        return
    _count_attempt(invoice)
    invoice["_settling"] = False
    close(sandbox, invoice, amount_paid=intent["amount_received"], intent=intent)


def payment_processing(sandbox: Sandbox, invoice_id: str, intent: Document) -> None:
    """A debit is under way; the invoice stays open until it settles, its subscription starts already."""
    from portal.sandbox import standing

    invoice = sandbox.store.get(KIND, invoice_id)
    if invoice is None or invoice["status"] != "open":
        return
    _count_attempt(invoice)
    invoice["_settling"] = True
    invoice["next_payment_attempt"] = None
    sandbox.store.put(KIND, invoice)
    standing.invoice_processing(sandbox, invoice)


def payment_failed(sandbox: Sandbox, invoice_id: str, intent: Document | None = None) -> None:
    """A payment was declined or a debit came back.

    The first invoice of a subscription is voided when its debit comes back; the subscription stays active.
    """
    from portal.sandbox import standing

    invoice = sandbox.store.get(KIND, invoice_id)
    if invoice is None or invoice["status"] not in ("open", "uncollectible"):
        return
    came_back = invoice.get("_settling", False)
    counted = not came_back and _count_attempt(invoice)
    invoice["_settling"] = False
    sandbox.store.put(KIND, invoice)
    standing.invoice_failed(sandbox, invoice, scheduled=came_back or counted)
    if came_back and invoice["billing_reason"] == "subscription_create":
        void(sandbox, invoice)


def payment_action_required(sandbox: Sandbox, invoice_id: str, intent: Document) -> None:
    """The customer has to authenticate before the invoice can be paid."""
    invoice = sandbox.store.get(KIND, invoice_id)
    if invoice is not None and invoice["status"] == "open":
        invoice["attempted"] = True
        sandbox.store.put(KIND, invoice)
        sandbox.emit("invoice.payment_action_required", invoice)


def _count_attempt(invoice: Document) -> bool:
    """Count what the timetable tried, and the first payment whoever made it; whether this one counts.

    Source: the SDK on `Invoice.attempt_count`.
    """
    counts = invoice.pop("_collecting", False) or invoice["attempt_count"] == 0
    invoice["attempt_count"] += int(counts)
    invoice["attempted"] = True
    return counts
