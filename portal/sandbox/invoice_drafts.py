"""`/v1/invoices`: made by hand, changed, deleted."""

from __future__ import annotations

from typing import Any

from stripe.params import InvoiceCreateParams, InvoiceDeleteParams, InvoiceUpdateParams

from portal.sandbox import (
    billed,
    changes,
    discount_objects,
    invoice_items,
    invoice_totals,
    invoices,
    lines,
    tax_rates,
)
from portal.sandbox.dispatch import route
from portal.sandbox.documents import assign, in_body, merged_metadata
from portal.sandbox.errors import invalid, missing_param, state_error
from portal.sandbox.invoice_routes import of_path
from portal.sandbox.payment_methods import usable
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

TEXTS = ("description", "footer", "statement_descriptor", "number", "default_payment_method", "custom_fields")
COMMON = (
    *TEXTS, "auto_advance", "automatic_tax.enabled", "automatic_tax.liability.type",
    "automatically_finalizes_at",
    "collection_method", "days_until_due", "default_tax_rates", "discounts", "due_date", "metadata",
)  # fmt: skip
CREATED_FROM = (*COMMON, "currency", "customer", "pending_invoice_items_behavior", "subscription")
AFTER_FINALIZATION = {"metadata", "auto_advance", "default_payment_method", "payment_settings"}
DEFAULT_CURRENCY = "usd"
NEEDS_DUE = "If invoice collection method is 'send_invoice', you must specify 'due_date' or 'days_until_due'."
NO_DUE = "You can only specify 'due_date' or 'days_until_due' if invoice collection method is 'send_invoice'."


@route("POST", "/v1/invoices", params=InvoiceCreateParams, supports=CREATED_FROM)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if "customer" not in params:
        raise missing_param("customer")
    customer = in_body(sandbox, "customer", params["customer"], "customer")
    sends = params.get("collection_method") == "send_invoice"
    _check_due(params, sends)
    if method := params.get("default_payment_method"):
        usable(sandbox, method, customer["id"])
    rows = _swept(sandbox, customer, params)
    currency = params.get("currency") or customer["currency"] or DEFAULT_CURRENCY
    currency = rows[0]["currency"] if rows else currency
    invoice_id = sandbox.new_id("in")
    invoice = invoices.draft(
        sandbox,
        customer,
        [invoice_items.line_of(sandbox, row) for row in rows],
        id=invoice_id,
        billing_reason="manual",
        currency=currency,
        automatic_tax=params.get("automatic_tax"),
        auto_advance=params.get("auto_advance", False),
        collection_method=params.get("collection_method", "charge_automatically"),
        default_tax_rates=tax_rates.named(sandbox, params.get("default_tax_rates"), "default_tax_rates"),
        discounts=_discounts(sandbox, customer, params, currency, invoice_id),
        due_date=_due(sandbox.now(customer), params),
        metadata=merged_metadata(None, params.get("metadata")),
        **{name: params[name] for name in TEXTS if params.get(name)},
        **_of_subscription(sandbox, customer, params),
    )
    billed.remember_stored(sandbox, invoice)
    return invoice


def _check_due(params: dict[str, Any], sends: bool) -> None:
    given = "due_date" in params or "days_until_due" in params
    if sends and not given:
        raise invalid(NEEDS_DUE)
    if given and not sends:
        raise invalid(NO_DUE)


def _due(created: int, params: dict[str, Any]) -> int | None:
    if "days_until_due" in params:
        return created + params["days_until_due"] * invoices.DAY
    return params.get("due_date")


def _swept(sandbox: Sandbox, customer: Document, params: dict[str, Any]) -> list[Document]:
    """The pending items that the invoice takes up, newest first; none unless asked for (recorded)."""
    subscription = params.get("subscription")
    if params.get("pending_invoice_items_behavior", "exclude") == "include" or subscription:
        return changes.pending(sandbox, customer["id"], subscription)
    return []


def _discounts(
    sandbox: Sandbox, customer: Document, params: dict[str, Any], currency: str, invoice: str
) -> list[str]:
    coupons = discount_objects.coupons_of(sandbox, params.get("discounts"), "discounts", customer)
    return discount_objects.attach(sandbox, coupons, customer, currency, invoice=invoice)


def _of_subscription(sandbox: Sandbox, customer: Document, params: dict[str, Any]) -> dict[str, Any]:
    """What an invoice for a subscription's pending items takes from it (recorded: its period start)."""
    if "subscription" not in params:
        return {}
    subscription = in_body(sandbox, "subscription", params["subscription"], "subscription")
    started = min(item["current_period_start"] for item in subscription["items"]["data"])
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    return {
        "parent": {"quote_details": None, "subscription_details": details, "type": "subscription_details"},
        "period": (started, sandbox.now(customer)),
    }


@route("POST", "/v1/invoices/{invoice}", params=InvoiceUpdateParams, supports=COMMON)
def update(sandbox: Sandbox, params: dict[str, Any], invoice: str) -> Document:
    row = of_path(sandbox, invoice, "id")
    before = {**row}
    if row["status"] != "draft":
        refused = next((name for name in params if name not in AFTER_FINALIZATION), None)
        if refused:
            raise state_error("Finalized invoices can't be updated in this way", refused)
    assign(row, params, TEXTS)
    row["metadata"] = merged_metadata(row["metadata"], params.get("metadata"))
    row["auto_advance"] = params.get("auto_advance", row["auto_advance"])
    if row["status"] == "draft":
        _change_draft(sandbox, row, params)
    sandbox.store.put(invoices.KIND, row)
    sandbox.emit("invoice.updated", row, before)
    return row


def _change_draft(sandbox: Sandbox, row: Document, params: dict[str, Any]) -> None:
    row["collection_method"] = params.get("collection_method", row["collection_method"])
    sends = row["collection_method"] == "send_invoice"
    if {"due_date", "days_until_due"} & params.keys():
        _check_due(params, sends)
        row["due_date"] = _due(row["created"], params)
    customer = in_body(sandbox, "customer", row["customer"], "customer")
    if "automatic_tax" in params:
        row["automatic_tax"] = invoice_totals.automatic_tax(params["automatic_tax"])
    if "discounts" in params:
        row["discounts"] = _discounts(sandbox, customer, params, row["currency"], row["id"])
    if "default_tax_rates" in params:
        row["default_tax_rates"] = tax_rates.named(sandbox, params["default_tax_rates"], "default_tax_rates")
    invoices.plan(row)
    if row["auto_advance"] and "automatically_finalizes_at" in params:
        row["automatically_finalizes_at"] = params["automatically_finalizes_at"]
    invoices.write(sandbox, row, lines.of_invoice(sandbox, row), customer)


@route("DELETE", "/v1/invoices/{invoice}", params=InvoiceDeleteParams)
def delete(sandbox: Sandbox, params: dict[str, Any], invoice: str) -> Document:
    """Only a draft can go; the items on it do not come back (recorded)."""
    row = of_path(sandbox, invoice, "invoice")
    if row["status"] != "draft":
        raise state_error("You can only delete draft invoices.")
    if invoices.subscription_of(row) and row["billing_reason"] != "manual":
        raise state_error("You can't delete invoices created by subscriptions.")
    for line in lines.of_invoice(sandbox, row):
        sandbox.store.delete(lines.KIND, line["id"])
    sandbox.store.delete(invoices.KIND, row["id"])
    sandbox.emit("invoice.deleted", row)
    return {"id": row["id"], "object": invoices.KIND, "deleted": True}
