"""How an invoice's total meets the customer's balance when the invoice becomes final.

A balance below zero is the customer's credit, one above zero is what the customer still owes (recorded).
"""

from __future__ import annotations

from dataclasses import dataclass

from portal.sandbox import amounts, customer_balance
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

APPLIED, TOO_SMALL, UNAPPLIED = "applied_to_invoice", "invoice_too_small", "unapplied_from_invoice"


@dataclass(frozen=True)
class Settlement:
    """What is due now and where the balance goes, in minor units."""

    starting_balance: int
    ending_balance: int
    amount_due: int
    kind: str

    @property
    def change(self) -> int:
        return self.ending_balance - self.starting_balance


def settle(total: int, balance: int, currency: str) -> Settlement:
    """Recorded: 1 or 4 cents roll to the balance, a credit stays on it, a debt comes with the next."""
    if total == 0:
        return Settlement(balance, balance, 0, APPLIED)
    due = total + balance
    if due <= 0:
        return Settlement(balance, due, 0, APPLIED)
    if due < amounts.minimum_charge(currency):
        return Settlement(balance, due, 0, TOO_SMALL)
    return Settlement(balance, 0, due, APPLIED)


def apply(sandbox: Sandbox, invoice: Document, customer: Document) -> None:
    """Settle a draft against its customer's balance, in place, and book the difference."""
    outcome = settle(invoice["total"], customer["balance"], invoice["currency"])
    invoice["starting_balance"] = outcome.starting_balance
    invoice["ending_balance"] = outcome.ending_balance
    invoice["amount_due"] = invoice["amount_remaining"] = outcome.amount_due
    if outcome.change:
        book(sandbox, customer["id"], outcome.change, outcome.kind, invoice)


def give_back(sandbox: Sandbox, invoice: Document) -> None:
    """Undo what a voided invoice took from or put on the balance."""
    change = (invoice["ending_balance"] or 0) - invoice["starting_balance"]
    if change:
        book(sandbox, invoice["customer"], -change, UNAPPLIED, invoice)


def book(sandbox: Sandbox, customer_id: str, change: int, kind: str, invoice: Document) -> None:
    """Change the balance by `change`, with the row that explains it."""
    customer = sandbox.store.get("customer", customer_id)
    if customer is not None and not customer.get("deleted"):
        customer_balance.adjust(
            sandbox, customer, change, kind, currency=invoice["currency"], invoice=invoice["id"]
        )
