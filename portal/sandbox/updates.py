"""Updating a subscription: its plain members, its items with their prorations, its trial and its anchor."""

from __future__ import annotations

from typing import Any

from portal.sandbox import (
    discount_objects,
    item_changes,
    items,
    pending_updates,
    planned_end,
    standing,
    subscriptions,
    trials,
    update_billing,
)
from portal.sandbox.documents import assign, in_body, merged_metadata
from portal.sandbox.errors import invalid, past_time, unsupported
from portal.sandbox.payment_methods import usable
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document
from portal.sandbox.trials import Settle

KIND = subscriptions.KIND
NOT_WHEN_CANCELED = "A canceled subscription can only update its cancellation_details and metadata."
NOT_WHEN_INCOMPLETE = (
    "You cannot update a subscription in `incomplete` status in this way. Only its default payment method, "
    "description and metadata can be updated."
)
MANAGED = (
    "The subscription is managed by the subscription schedule `{schedule}`, and updating any cancelation "
    "behavior directly is not allowed. Please update the schedule instead."
)
WHILE_INCOMPLETE = {"metadata", "description", "default_payment_method"}
WHEN_CANCELED = {"metadata", "cancellation_details"}


def update(
    sandbox: Sandbox, subscription: Document, params: dict[str, Any], settle: Settle | None = None
) -> Document:
    """Carry out an update as its behaviors say; the subscription as it then is.

    `settle` gets the draft of the invoice that the update makes at once; unless told otherwise it is charged.
    """
    _check(sandbox, subscription, params)
    asked = update_billing.Asked(subscription, params, settle or update_billing.collect)
    subscription = plain_members(sandbox, dict(subscription), params)
    outcome = item_changes.read(sandbox, subscription, params.get("items") or [])
    if params.get("trial_end") == "now" and subscription["status"] == "trialing":
        items.place(sandbox, subscription, outcome.rows)
        return trials.end_now(sandbox, subscription, asked.before, asked.settle)
    if (params.get("billing_cycle_anchor") or {}).get("type") == "now":
        return update_billing.restart(sandbox, subscription, outcome, asked)
    return update_billing.change_items(sandbox, subscription, outcome, asked)


def _check(sandbox: Sandbox, subscription: Document, params: dict[str, Any]) -> None:
    given = params.keys() - {"expand"}
    if subscription["status"] in standing.OVER and given - WHEN_CANCELED:
        raise invalid(NOT_WHEN_CANCELED, code="invalid_canceled_subscription_fields")
    if subscription["status"] == "incomplete" and given - WHILE_INCOMPLETE:
        raise invalid(NOT_WHEN_INCOMPLETE)
    if subscription["schedule"] and {"cancel_at", "cancel_at_period_end"} & given:
        raise invalid(MANAGED.format(schedule=subscription["schedule"]))
    if (params.get("billing_cycle_anchor") or {}).get("type") == "timestamp":
        raise unsupported("billing_cycle_anchor[type]")
    if params.get("payment_behavior") == "pending_if_incomplete":
        pending_updates.check(sandbox, subscription, params)
    trial_end = params.get("trial_end")
    if isinstance(trial_end, int) and trial_end <= sandbox.now(subscription["customer"]):
        raise past_time("trial_end", trial_end)
    if isinstance(trial_end, int) and subscription["status"] != "trialing":
        raise unsupported("trial_end")
    if method := params.get("default_payment_method"):
        usable(sandbox, method, subscription["customer"])


def plain_members(sandbox: Sandbox, subscription: Document, params: dict[str, Any]) -> Document:
    """The members that are taken over as they are; nothing is stored."""
    assign(
        subscription, params, ("description", "default_payment_method", "collection_method", "days_until_due")
    )
    subscription["metadata"] = merged_metadata(subscription["metadata"], params.get("metadata"))
    for name in ("payment_settings", "invoice_settings", "trial_settings", "cancellation_details"):
        if isinstance(params.get(name), dict):
            subscription[name] = {**subscription[name], **params[name]}
    if "automatic_tax" in params:
        enabled = params["automatic_tax"]["enabled"]
        liability = {"type": "self"} if enabled else None
        subscription["automatic_tax"] = {"disabled_reason": None, "enabled": enabled, "liability": liability}
    if "discounts" in params:
        customer = in_body(sandbox, "customer", subscription["customer"], "customer")
        coupons = discount_objects.coupons_of(sandbox, params["discounts"], "discounts", customer)
        subscription["discounts"] = discount_objects.attach(
            sandbox, coupons, customer, subscription["currency"], subscription=subscription["id"]
        )
    if isinstance(params.get("trial_end"), int):
        trials.move(sandbox, subscription, params["trial_end"])
    planned_end.plan(sandbox, subscription, params)
    return subscription
