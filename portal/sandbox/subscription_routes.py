"""`/v1/subscriptions`: create, read, list."""

from __future__ import annotations

from typing import Any

from stripe.params import SubscriptionCreateParams, SubscriptionListParams, SubscriptionRetrieveParams

from portal.sandbox import lists, ordering, subscriptions
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_body, in_path
from portal.sandbox.errors import invalid, missing_param, past_time
from portal.sandbox.payment_methods import usable
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

CREATED_FROM = (
    "add_invoice_items", "automatic_tax.enabled",
    "automatic_tax.liability.type", "billing_mode.type", "cancel_at", "cancel_at_period_end",
    "collection_method", "currency", "customer", "days_until_due", "default_payment_method",
    "default_tax_rates", "description", "discounts", "invoice_settings.description",
    "invoice_settings.footer", "items.discounts", "items.metadata", "items.price", "items.quantity",
    "metadata", "off_session", "payment_behavior", "payment_settings.save_default_payment_method",
    "proration_behavior", "trial_end", "trial_period_days",
    "trial_settings.end_behavior.missing_payment_method",
)  # fmt: skip
OVER = ("canceled", "incomplete_expired")


@route("POST", "/v1/subscriptions", params=SubscriptionCreateParams, supports=CREATED_FROM)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if "customer" not in params:
        raise missing_param("customer")
    customer = in_body(sandbox, "customer", params["customer"], "customer", status=404)
    _check(sandbox, customer, params)
    order = ordering.read(sandbox, customer, params)
    return subscriptions.create(sandbox, order, params)


def _check(sandbox: Sandbox, customer: Document, params: dict[str, Any]) -> None:
    if params.get("payment_behavior") == "pending_if_incomplete":
        raise invalid(
            "Setting `payment_behavior` to `pending_if_incomplete` has no effect when creating a "
            "subscription.",
            "payment_behavior",
        )
    sends = params.get("collection_method") == "send_invoice"
    if "days_until_due" in params and not sends:
        raise invalid("You can only specify 'days_until_due' if invoice collection method is 'send_invoice'.")
    if sends and "days_until_due" not in params:
        raise invalid("You must pass 'days_until_due' if invoice collection method is 'send_invoice'.")
    if (params.get("billing_mode") or {}).get("type") == "classic":
        raise invalid(
            "This sandbox carries out subscriptions in flexible billing mode only.", "billing_mode[type]"
        )
    if params.get("default_tax_rates") and (params.get("automatic_tax") or {}).get("enabled"):
        raise invalid("You cannot use `default_tax_rates` together with automatic tax.", "default_tax_rates")
    cancel_at = params.get("cancel_at")
    if isinstance(cancel_at, int) and cancel_at <= sandbox.now(customer):
        raise past_time("cancel_at", cancel_at)
    if method := params.get("default_payment_method"):
        usable(sandbox, method, customer["id"])


@route("GET", "/v1/subscriptions/{id}", params=SubscriptionRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return in_path(sandbox, subscriptions.KIND, id)


@route(
    "GET",
    "/v1/subscriptions",
    params=SubscriptionListParams,
    supports=(
        "collection_method", "created", "customer", "ending_before", "limit", "price",
        "starting_after", "status",
        "test_clock",
    ),
)  # fmt: skip
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    filters = {name: params.get(name) for name in ("collection_method", "customer", "test_clock")}
    status, price = params.get("status"), params.get("price")

    def wanted(row: Document) -> bool:
        if price and all(item["price"]["id"] != price for item in row["items"]["data"]):
            return False
        if status is None:
            return row["status"] != "canceled"
        return status == "all" or row["status"] == status or (status == "ended" and row["status"] in OVER)

    return lists.page(sandbox, subscriptions.KIND, params, "/v1/subscriptions", where=wanted, **filters)
