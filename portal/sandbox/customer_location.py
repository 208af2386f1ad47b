"""Where a customer is taxed: `tax.validate_location` and the expandable `customer.tax`."""

from __future__ import annotations

from typing import Any

from portal.sandbox import tax
from portal.sandbox.errors import invalid
from portal.sandbox.expansion import expandable
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

UNKNOWN_LOCATION = (
    "The customer's location isn't recognized. "
    "Set a valid customer address in order to automatically calculate tax."
)


def check(sandbox: Sandbox, customer: Document, given: dict[str, Any]) -> None:
    """Take over `tax.ip_address`; `validate_location=immediately` refuses an address that gives no place."""
    if "ip_address" in given:
        customer["_ip_address"] = given["ip_address"] or None
    if given.get("validate_location") == "immediately" and location(sandbox, customer) is None:
        raise invalid(UNKNOWN_LOCATION, "address", code="customer_tax_location_invalid")


def location(sandbox: Sandbox, customer: Document) -> list[tax.Tax] | None:
    """The taxes of the customer's place, or None where the address does not tell the place."""
    from portal.sandbox.invoice_totals import place_taxes

    try:
        return place_taxes(sandbox, customer)
    except tax.LocationUnknown:
        return None


@expandable("customer", "tax")
def shown(sandbox: Sandbox, customer: Document) -> Document:
    """The `tax` member: whether automatic tax can be worked out for this customer."""
    found = location(sandbox, customer)
    if found is None:
        status, place = "unrecognized_location", None
    else:
        collecting = any(one.reason != "not_collecting" for one in found)
        status = "supported" if collecting else "not_collecting"
        shipped = (customer["shipping"] or {}).get("address")
        source = "shipping_destination" if shipped else "billing_address"
        place = {"country": found[0].country, "source": source, "state": found[0].state}
    return {
        "automatic_tax": status,
        "ip_address": customer.get("_ip_address"),
        "location": place,
        "provider": "stripe",
    }
