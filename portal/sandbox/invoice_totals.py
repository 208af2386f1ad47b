"""What an invoice comes to: discounts, taxes and sums, from its lines."""

from __future__ import annotations

from collections.abc import Iterable

from portal.sandbox import (
    credit_application,
    discount_objects,
    lines,
    tax,
    tax_formats,
    tax_rates,
    tax_settings,
)
from portal.sandbox.discounts import Row, take
from portal.sandbox.errors import StripeError
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

NO_AUTOMATIC_TAX = {
    "disabled_reason": None,
    "enabled": False,
    "liability": None,
    "provider": None,
    "status": None,
}
LOCATION_MISSING = "requires_location_inputs"


def automatic_tax(given: Document | None) -> Document:
    """The invoice's `automatic_tax` for a request's; computed totals fill in its status."""
    if not (given or {}).get("enabled"):
        return dict(NO_AUTOMATIC_TAX)
    return {**NO_AUTOMATIC_TAX, "enabled": True, "liability": {"type": "self"}, "provider": "stripe"}


def compute(sandbox: Sandbox, invoice: Document, rows: list[Document], customer: Document | None) -> None:
    """Work out discounts, credits, taxes and sums of a draft from its lines, in place.

    When automatic tax is on and the customer's place is unknown, no tax is added and the status says so.
    """
    _discount(sandbox, invoice, rows)
    credit_application.allot(sandbox, invoice, rows)
    _tax(sandbox, invoice, rows, customer)
    _sum(invoice, rows)


def require_location(invoice: Document) -> None:
    """Refuse an invoice whose taxes cannot be worked out."""
    if invoice["automatic_tax"]["status"] == LOCATION_MISSING:
        raise StripeError(
            400,
            "invalid_request_error",
            "The customer's location isn't recognized. Set a valid customer address in order to "
            "automatically "
            "calculate tax.",
            code="customer_tax_location_invalid",
        )


def _discount(sandbox: Sandbox, invoice: Document, rows: list[Document]) -> None:
    def reductions(ids: Iterable[str]) -> list:
        return [discount_objects.reduction(sandbox, id) for id in ids]

    given = [
        Row(
            line["amount"], lines.product_of(line), line["discountable"], tuple(reductions(line["discounts"]))
        )
        for line in rows
    ]
    for line, taken in zip(rows, take(given, reductions(invoice["discounts"])), strict=True):
        line["discount_amounts"] = [{"amount": amount, "discount": id} for id, amount in taken]
        line["pretax_credit_amounts"] = [_pretax(amount, id) for id, amount in taken]


def _pretax(amount: int, discount: str) -> Document:
    return {"amount": amount, "credit_balance_transaction": None, "discount": discount, "type": "discount"}


def _tax(sandbox: Sandbox, invoice: Document, rows: list[Document], customer: Document | None) -> None:
    found: list[tax.Tax] = []
    if invoice["automatic_tax"]["enabled"]:
        try:
            found = place_taxes(sandbox, customer or {})
            invoice["automatic_tax"]["status"] = "complete"
        except tax.LocationUnknown:
            invoice["automatic_tax"]["status"] = LOCATION_MISSING
    for line in rows:
        # what is off before tax: discounts and credits
        taxable = line["amount"] - sum(row["amount"] for row in line["pretax_credit_amounts"])
        behavior = "inclusive" if line["_tax_behavior"] == "inclusive" else "exclusive"
        billed = _billed_line(sandbox, line)
        if billed is not None:
            line["taxes"] = [_given_back(sandbox, row, taxable) for row in billed["taxes"]]
        elif invoice["automatic_tax"]["enabled"]:
            rates = [(tax_rates.automatic(sandbox, each, behavior), each) for each in found]
            line["taxes"] = [_tax_row(rate, each, taxable, behavior) for rate, each in rates]
        else:
            manual = line["_tax_rates"] or invoice["default_tax_rates"]
            line["taxes"] = [_manual_row(rate, taxable) for rate in manual]


def _billed_line(sandbox: Sandbox, line: Document) -> Document | None:
    """The line whose time this one credits: a credit goes by its tax, not by today's (flexible mode)."""
    details = (line["parent"] or {}).get("subscription_item_details") or {}
    credited = (details.get("proration_details") or {}).get("credited_items") or {}
    ids = credited.get("invoice_line_items") or [""]
    return sandbox.store.get(lines.KIND, ids[0])


def _given_back(sandbox: Sandbox, charged: Document, taxable: int) -> Document:
    """A tax of the credited line on the amount that is given back."""
    rate = sandbox.store.get(tax_rates.KIND, charged["tax_rate_details"]["tax_rate"])
    applies = rate is not None and charged["taxable_amount"] != 0
    if rate is None or not applies:
        return {**charged, "amount": 0, "taxable_amount": 0}
    amount = tax.amount(taxable, tax_rates.as_tax(rate), charged["tax_behavior"])
    return {**charged, "amount": amount, "taxable_amount": taxable}


def place_taxes(sandbox: Sandbox, customer: Document) -> list[tax.Tax]:
    """The taxes of the shipping address if there is one, else of the own; raises LocationUnknown.

    Where the account is not registered nothing is collected, as at Stripe.
    """
    shipping = (customer.get("shipping") or {}).get("address") or {}
    address = shipping if shipping.get("country") else customer.get("address")
    numbers = [
        (row["type"], tax_formats.with_country(row["value"], row["country"]))
        for row in sandbox.store.walk("tax_id", customer=customer.get("id", ""))
    ]
    found = tax.taxes_for(address, numbers, customer.get("tax_exempt") or "none")
    return tax_settings.collected(sandbox, found)


def _tax_row(rate: str, each: tax.Tax, taxable: int, behavior: str) -> Document:
    return {
        "amount": tax.amount(taxable, each, behavior) if each.charged else 0,
        "tax_behavior": behavior,
        "tax_rate_details": {"tax_rate": rate},
        "taxability_reason": each.reason,
        "taxable_amount": taxable if each.charged else 0,
        "type": "tax_rate_details",
    }


def _manual_row(rate: Document, taxable: int) -> Document:
    behavior = "inclusive" if rate["inclusive"] else "exclusive"
    row = _tax_row(rate["id"], tax_rates.as_tax(rate), taxable, behavior)
    return {**row, "taxability_reason": "not_available"}


def _sum(invoice: Document, rows: list[Document]) -> None:
    own = sum(
        row["amount"]
        for line in rows
        for row in line["discount_amounts"]
        if row["discount"] in line["discounts"]
    )
    off = [row for line in rows for row in line["discount_amounts"]]
    taxes = [row for line in rows for row in line["taxes"]]
    inclusive = sum(row["amount"] for row in taxes if row["tax_behavior"] == "inclusive")
    exclusive = sum(row["amount"] for row in taxes if row["tax_behavior"] == "exclusive")
    gross = sum(line["amount"] for line in rows)
    credits = list(credit_application.of_lines(rows))
    net = gross - sum(row["amount"] for row in (*off, *credits))
    invoice["subtotal"] = gross - own
    invoice["subtotal_excluding_tax"] = gross - own - inclusive
    invoice["total_excluding_tax"] = net - inclusive
    invoice["total"] = net + exclusive
    invoice["total_discount_amounts"] = grouped(off, ("discount",))
    invoice["total_pretax_credit_amounts"] = [
        _pretax(row["amount"], row["discount"]) for row in invoice["total_discount_amounts"]
    ] + credits
    keys = ("tax_behavior", "tax_rate_details", "taxability_reason", "type")
    invoice["total_taxes"] = grouped(taxes, keys, ("amount", "taxable_amount"))
    invoice["amount_due"] = invoice["amount_remaining"] = max(invoice["total"], 0)


def grouped(
    rows: list[Document], keys: tuple[str, ...], sums: tuple[str, ...] = ("amount",)
) -> list[Document]:
    """Rows with equal keys added up, in the order in which they first appear; other members are left out."""
    groups: dict[str, Document] = {}
    for row in rows:
        known = groups.setdefault(
            repr([row[key] for key in keys]), {**{key: row[key] for key in keys}, **dict.fromkeys(sums, 0)}
        )
        for name in sums:
            known[name] += row[name]
    return list(groups.values())
