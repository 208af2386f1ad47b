"""Reading what explains an invoice's line: its discounts by name, its taxes, and what a credit gives back."""

from collections.abc import Mapping
from typing import Any

from portal.gateways.stripe_words import LineDiscount, TaxPart

Document = Mapping[str, Any]


def line_facts(document: Document, discounts: Mapping[str, Document]) -> dict[str, Any]:
    """The explaining members of an InvoiceLine; ``discounts``: what is known of each by its id."""
    parent = document.get("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    credited = (details.get("proration_details") or {}).get("credited_items") or {}
    price = (document.get("pricing") or {}).get("price_details") or {}
    product = price.get("product")
    return {
        "product_id": product["id"] if isinstance(product, Mapping) else product,
        "discounts": tuple(
            _discount(part, discounts) for part in document.get("discount_amounts") or [] if part["amount"]
        ),
        "taxes": tuple(tax_part(part) for part in document.get("taxes") or []),
        "credited_invoice_id": credited.get("invoice"),
        "credited_line_ids": tuple(credited.get("invoice_line_items") or ()),
    }


def tax_part(document: Document) -> TaxPart:
    """One tax of a line or of a whole invoice; its rate's name is read elsewhere."""
    return TaxPart(
        amount=document["amount"],
        taxable_amount=document.get("taxable_amount"),
        reason=document.get("taxability_reason"),
        rate_id=(document.get("tax_rate_details") or {}).get("tax_rate"),
    )


def _discount(part: Document, discounts: Mapping[str, Document]) -> LineDiscount:
    found = part["discount"]
    known = discounts.get(found["id"] if isinstance(found, Mapping) else str(found)) or {}
    return LineDiscount(
        part["amount"],
        known.get("name"),
        known.get("percent_off"),
        known.get("amount_off"),
        # what a customer did not bring along as a promotion code was agreed with it
        agreed="coupon" in known and known.get("promotion_code") is None,
    )
