"""`/v1/subscriptions/{id}`: update, cancel, pause, resume, migrate."""

from __future__ import annotations

from typing import Any

from stripe.params import (
    SubscriptionCancelParams,
    SubscriptionMigrateParams,
    SubscriptionPauseParams,
    SubscriptionResumeParams,
    SubscriptionUpdateParams,
)

from portal.sandbox import ending, pauses, standing, subscriptions, updates
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_path
from portal.sandbox.errors import invalid, missing
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

UPDATED_WITH = (
    "add_invoice_items", "automatic_tax.enabled",
    "automatic_tax.liability.type", "billing_cycle_anchor.type", "cancel_at", "cancel_at_period_end",
    "cancellation_details.comment", "cancellation_details.feedback", "collection_method",
    "days_until_due", "default_payment_method", "description", "discounts",
    "invoice_settings.description", "invoice_settings.footer", "items.deleted", "items.discounts",
    "items.id", "items.metadata", "items.price", "items.quantity", "metadata", "off_session",
    "payment_behavior", "payment_settings.save_default_payment_method", "proration_behavior",
    "proration_date", "trial_end", "trial_settings.end_behavior.missing_payment_method",
)  # fmt: skip
CANCELLED_WITH = ("cancellation_details.comment", "cancellation_details.feedback", "invoice_now", "prorate")


@route("POST", "/v1/subscriptions/{id}", params=SubscriptionUpdateParams, supports=UPDATED_WITH)
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return updates.update(sandbox, in_path(sandbox, subscriptions.KIND, id), params)


@route("DELETE", "/v1/subscriptions/{id}", params=SubscriptionCancelParams, supports=CANCELLED_WITH)
def cancel(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return ending.cancel_now(
        sandbox,
        _running(sandbox, id),
        prorate=params.get("prorate", False),
        invoice_now=params.get("invoice_now", False),
        details=params.get("cancellation_details"),
    )


@route("POST", "/v1/subscriptions/{id}/pause", params=SubscriptionPauseParams)
def pause(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return pauses.pause(sandbox, _running(sandbox, id), params)


@route("POST", "/v1/subscriptions/{id}/resume", params=SubscriptionResumeParams)
def resume(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return pauses.resume(sandbox, _running(sandbox, id), params)


@route("POST", "/v1/subscriptions/{id}/migrate", params=SubscriptionMigrateParams)
def migrate(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    """Every subscription here is in flexible billing mode from the start, and there is no way back."""
    _running(sandbox, id)
    raise invalid("This subscription already uses the `flexible` billing mode.", "billing_mode[type]")


def _running(sandbox: Sandbox, id: str) -> Document:
    """The subscription that the path names; one that is over is as good as none (recorded)."""
    subscription = in_path(sandbox, subscriptions.KIND, id)
    if subscription["status"] in standing.OVER:
        raise missing("subscription", id, "id")
    return subscription
