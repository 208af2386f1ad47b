"""Tax rates: those that a developer makes, and those that automatic tax makes for a place."""

from __future__ import annotations

from decimal import Decimal

from stripe.params import TaxRateCreateParams, TaxRateListParams, TaxRateRetrieveParams, TaxRateUpdateParams

from portal.sandbox import lists
from portal.sandbox.dispatch import route
from portal.sandbox.documents import merged_metadata
from portal.sandbox.errors import invalid, missing
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document
from portal.sandbox.tax import Tax

KIND = "tax_rate"
MAX_PERCENTAGE = 100


def _document(sandbox: Sandbox, given: Document) -> Document:
    return {
        "id": sandbox.new_id("txr"),
        "object": KIND,
        "active": given.get("active", True),
        "country": given.get("country"),
        "created": sandbox.now(),
        "description": given.get("description"),
        "display_name": given["display_name"],
        "effective_percentage": given["percentage"],
        "flat_amount": None,
        "inclusive": given["inclusive"],
        "jurisdiction": given.get("jurisdiction"),
        "jurisdiction_level": given.get("jurisdiction_level"),
        "livemode": False,
        "metadata": given.get("metadata") or {},
        "percentage": given["percentage"],
        "rate_type": "percentage",
        "state": given.get("state"),
        "tax_type": given.get("tax_type"),
    }


def automatic(sandbox: Sandbox, tax: Tax, behavior: str) -> str:
    """The id of the rate that stands for an automatic tax; made when it is first needed."""
    key = [tax.kind, str(tax.percentage), tax.country, tax.state, behavior]
    known = next(sandbox.store.walk(KIND, _automatic=key), None)
    if known:
        return known["id"]
    given = {
        "active": False,
        "country": tax.country,
        "display_name": tax.name,
        "inclusive": behavior == "inclusive",
        "jurisdiction": tax.state or tax.country,
        "jurisdiction_level": "state" if tax.state else "country",
        "percentage": float(tax.percentage),
        "state": tax.state,
        "tax_type": tax.kind,
    }
    rate = {**_document(sandbox, given), "_automatic": key}
    sandbox.store.put(KIND, rate)
    return rate["id"]


def as_tax(rate: Document) -> Tax:
    """A developer's rate as a tax to charge."""
    return Tax(
        rate["tax_type"],
        rate["display_name"],
        Decimal(str(rate["percentage"])),
        rate["country"] or "",
        rate["state"],
        "standard_rated",
    )


def named(sandbox: Sandbox, ids: list[str] | str | None, param: str) -> list[Document]:
    """The rates that a request names; Stripe's 400 for one that is unknown."""
    rates = []
    for index, id in enumerate(ids if isinstance(ids, list) else []):
        rate = sandbox.store.get(KIND, id)
        if rate is None:
            raise missing("tax rate", id, f"{param}[{index}]", status=400)
        rates.append(rate)
    return rates


@route("POST", "/v1/tax_rates", params=TaxRateCreateParams)
def create(sandbox: Sandbox, params: dict) -> Document:
    if not 0 <= params["percentage"] <= MAX_PERCENTAGE:
        raise invalid("The percentage must be between 0 and 100.", "percentage")
    rate = _document(sandbox, params)
    sandbox.store.put(KIND, rate)
    sandbox.emit("tax_rate.created", rate)
    return rate


@route("GET", "/v1/tax_rates/{tax_rate}", params=TaxRateRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict, tax_rate: str) -> Document:
    rate = sandbox.store.get(KIND, tax_rate)
    if rate is None:
        raise missing("tax rate", tax_rate, "tax_rate")
    return rate


@route("POST", "/v1/tax_rates/{tax_rate}", params=TaxRateUpdateParams)
def update(sandbox: Sandbox, params: dict, tax_rate: str) -> Document:
    before = retrieve(sandbox, {}, tax_rate)
    rate = {**before, **{name: value or None for name, value in params.items() if name != "active"}}
    rate["active"] = params.get("active", before["active"])
    rate["metadata"] = merged_metadata(before["metadata"], params.get("metadata", {}))
    sandbox.store.put(KIND, rate)
    sandbox.emit("tax_rate.updated", rate, before)
    return rate


@route("GET", "/v1/tax_rates", params=TaxRateListParams)
def listing(sandbox: Sandbox, params: dict) -> Document:
    filters = {name: params.get(name) for name in ("active", "inclusive")}
    return lists.page(
        sandbox, KIND, params, "/v1/tax_rates", where=lambda row: "_automatic" not in row, **filters
    )
