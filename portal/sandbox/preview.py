"""`/v1/invoices/create_preview`: what an invoice would say, found by making it and undoing that."""

from __future__ import annotations

from typing import Any

from stripe.params import InvoiceCreatePreviewParams

from portal.sandbox import (
    customers,
    invoice_totals,
    lines,
    ordering,
    previewed_items,
    settlement,
    subscriptions,
    tax_rates,
    upcoming,
)
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_body
from portal.sandbox.errors import invalid, missing, missing_param
from portal.sandbox.state import Sandbox, random_text
from portal.sandbox.store import Document

SUPPORTS = (
    "automatic_tax.enabled", "automatic_tax.liability.type", "currency", "customer",
    "customer_details.address", "customer_details.shipping", "customer_details.tax_exempt",
    "customer_details.tax_ids", "discounts", *previewed_items.SUPPORTED, "preview_mode", "subscription",
    "subscription_details.billing_cycle_anchor.type", "subscription_details.billing_mode.type",
    "subscription_details.cancel_at", "subscription_details.cancel_at_period_end",
    "subscription_details.cancel_now", "subscription_details.pause", "subscription_details.resume_at",
    "subscription_details.items.deleted", "subscription_details.items.id",
    "subscription_details.proration_date", "subscription_details.items.discounts",
    "subscription_details.items.metadata", "subscription_details.items.price",
    "subscription_details.items.quantity", "subscription_details.metadata",
    "subscription_details.proration_behavior", "subscription_details.trial_end",
)  # fmt: skip
AT = "subscription_details"


class _Undo(Exception):
    """Carries the preview out of the transaction that is rolled back, and the tax rates that it names."""

    def __init__(self, shown: Document, rates: list[Document]) -> None:
        self.shown = shown
        self.rates = rates


@route("POST", "/v1/invoices/create_preview", params=InvoiceCreatePreviewParams, supports=SUPPORTS)
def create_preview(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    try:
        with sandbox.store.transaction():
            raise _Undo(_preview(sandbox, params), sandbox.store.find(tax_rates.KIND))
    except _Undo as undo:
        # a preview's tax rates can be retrieved like any others
        for rate in reversed(undo.rates):
            if sandbox.store.get(tax_rates.KIND, rate["id"]) is None:
                sandbox.store.put(tax_rates.KIND, rate)
        return undo.shown


def _preview(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if "subscription" in params:
        customer = _owner(sandbox, params)
        return _shown(sandbox, upcoming.draft(sandbox, params), customer)
    return _first(sandbox, params)


def _owner(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    """The customer of the subscription, with what the request says of it."""
    subscription = in_body(sandbox, subscriptions.KIND, params["subscription"], "subscription")
    if params.get("customer", subscription["customer"]) != subscription["customer"]:
        raise missing("subscription", params["subscription"], "subscription", status=400)
    return _customer(sandbox, {**params, "customer": subscription["customer"]})


def _first(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    """The first invoice of a subscription that there is not yet."""
    customer = _customer(sandbox, params)
    details = params.get(AT)
    if not details:
        raise missing_param(AT)
    order = ordering.read(sandbox, customer, {**details, **_given(params, "discounts", "currency")}, at=AT)
    terms = {"automatic_tax": params.get("automatic_tax"), "metadata": details.get("metadata")}
    subscription = subscriptions.build(sandbox, order, terms)
    if params.get("preview_mode") == "recurring":
        subscription["status"] = "active"
    rows = subscriptions.first_lines(sandbox, subscription, {})
    invoice = subscriptions.first_invoice(sandbox, subscription, rows)
    invoice = previewed_items.add_to(sandbox, invoice, params.get("invoice_items") or [])
    return _shown(sandbox, invoice, customer)


def _given(params: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: params[name] for name in names if name in params}


def _customer(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    """The customer that exists, or one made up from the details for the time of the preview."""
    if "customer" in params:
        customer = in_body(sandbox, "customer", params["customer"], "customer")
        return _changed(sandbox, customer, params.get("customer_details") or {})
    if "customer_details" not in params:
        raise invalid("You must pass either `customer` or `customer_details`.", "customer")
    return _changed(sandbox, customers.create(sandbox, {}), params["customer_details"])


def _changed(sandbox: Sandbox, customer: Document, details: Document) -> Document:
    if not details:
        return customer
    changes = _given(details, "address", "shipping", "tax_exempt")
    customer = customers.update(sandbox, changes, customer["id"])
    if "tax_ids" in details:
        for known in sandbox.store.find("tax_id", customer=customer["id"]):
            sandbox.store.delete("tax_id", known["id"])
        for index, row in enumerate(details["tax_ids"]):
            customers.tax_ids.add(sandbox, customer, row, f"customer_details[tax_ids][{index}]")
    return customer


def _shown(sandbox: Sandbox, invoice: Document, customer: Document) -> Document:
    """The draft as a preview shows it: with an id of its own kind and what would be due after the balance."""
    invoice_totals.require_location(invoice)
    outcome = settlement.settle(invoice["total"], customer["balance"], invoice["currency"])
    id = f"upcoming_in_{random_text(24)}"
    rows = [{**line, "invoice": id} for line in lines.of_invoice(sandbox, invoice)]
    return {
        **invoice,
        "id": id,
        "billing_reason": "upcoming",
        "amount_due": outcome.amount_due,
        "amount_remaining": outcome.amount_due,
        "starting_balance": outcome.starting_balance,
        "ending_balance": outcome.ending_balance,
        "lines": {
            **invoice["lines"],
            "data": rows[: len(invoice["lines"]["data"])],
            "url": f"/v1/invoices/{id}/lines",
        },
    }
