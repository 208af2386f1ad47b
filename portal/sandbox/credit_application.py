"""Credit grants on invoices: they pay for metered lines after discounts and before taxes.

A draft shows what would be applied; a final invoice has applied it. Source:
docs.stripe.com/billing/subscriptions/usage-based/billing-credits.
"""

from __future__ import annotations

from collections.abc import Iterator

from portal.sandbox import credit_grants, credit_transactions, items, lines
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

TYPE = "credit_balance_transaction"
NEVER = 1 << 62


def allot(sandbox: Sandbox, invoice: Document, rows: list[Document]) -> None:
    """Note on each metered line what grants pay of it, in place; nothing leaves a grant yet."""
    wanted = [line for line in rows if _payable(sandbox, line) > 0]
    if not wanted:
        return
    grants = _eligible(sandbox, invoice)
    left = {grant["id"]: grant["_balance"] for grant in grants}
    for line in wanted:
        price = line["pricing"]["price_details"]["price"]
        due = _payable(sandbox, line)
        for grant in grants:
            paid = min(due, left[grant["id"]])
            if paid > 0 and _applies(grant, price):
                left[grant["id"]] -= paid
                due -= paid
                line["pretax_credit_amounts"].append(_entry(paid, grant))


def _payable(sandbox: Sandbox, line: Document) -> int:
    """What a grant may pay of a line, in minor units: of metered subscription items only."""
    details = (line["pricing"] or {}).get("price_details") or {}
    price = sandbox.store.peek("price", details.get("price") or "")
    of_item = (line["parent"] or {}).get("type") == "subscription_item_details"
    if not of_item or price is None or not items.has_meter(price):
        return 0
    return int(line["amount"]) - sum(row["amount"] for row in line["discount_amounts"])


def _eligible(sandbox: Sandbox, invoice: Document) -> list[Document]:
    """The grants that may pay on this invoice, in the order in which they do."""

    def fits(grant: Document) -> bool:
        return bool(
            grant["_balance"] > 0
            and grant["amount"]["monetary"]["currency"] == invoice["currency"]
            and grant["effective_at"] <= invoice["period_end"] < (grant["expires_at"] or NEVER)
        )

    return sorted(
        sandbox.store.walk(credit_grants.KIND, fits, customer=invoice["customer"]),
        key=lambda grant: (
            grant["priority"],
            grant["expires_at"] or NEVER,
            grant["category"] != "promotional",
            grant["effective_at"],
            grant["created"],
        ),
    )


def _applies(grant: Document, price: str) -> bool:
    scope = grant["applicability_config"]["scope"]
    return "price_type" in scope or price in [row["id"] for row in scope["prices"]]


def _entry(amount: int, grant: Document) -> Document:
    return {"amount": amount, TYPE: None, "discount": None, "type": TYPE, "_grant": grant["id"]}


def of_lines(rows: list[Document]) -> Iterator[Document]:
    """What grants pay of these lines, an entry for each line and grant."""
    for line in rows:
        yield from (entry for entry in line["pretax_credit_amounts"] if entry["type"] == TYPE)


def draw(sandbox: Sandbox, invoice: Document) -> None:
    """Take what a draft's lines were allotted out of the grants, as it becomes final, in place."""
    rows = lines.of_invoice(sandbox, invoice)
    if not any(of_lines(rows)):
        return
    for line in rows:
        for entry in of_lines([line]):
            grant = sandbox.store.get(credit_grants.KIND, entry["_grant"])
            assert grant
            taken = credit_transactions.debit(
                sandbox, grant, entry["amount"], credit_transactions.APPLIED, of=_place(invoice, line)
            )
            assert taken
            entry[TYPE] = taken["id"]
    lines.place(sandbox, invoice, rows)
    discounts = [entry for entry in invoice["total_pretax_credit_amounts"] if entry["type"] != TYPE]
    invoice["total_pretax_credit_amounts"] = discounts + list(of_lines(rows))


def give_back(sandbox: Sandbox, invoice: Document) -> None:
    """Put what a voided invoice took back into its grants; into one that has ended it comes to lapse."""
    for line in lines.of_invoice(sandbox, invoice):
        for entry in of_lines([line]):
            grant = sandbox.store.get(credit_grants.KIND, entry["_grant"])
            assert grant
            credit_transactions.credit(
                sandbox,
                grant,
                entry["amount"],
                credit_transactions.REINSTATED,
                of=_place(invoice, line),
            )


def _place(invoice: Document, line: Document) -> Document:
    return {"invoice": invoice["id"], "invoice_line_item": line["id"]}
