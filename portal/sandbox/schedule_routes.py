"""`/v1/subscription_schedules`."""

from __future__ import annotations

from typing import Any

from stripe.params import (
    SubscriptionScheduleCancelParams,
    SubscriptionScheduleCreateParams,
    SubscriptionScheduleListParams,
    SubscriptionScheduleReleaseParams,
    SubscriptionScheduleRetrieveParams,
    SubscriptionScheduleUpdateParams,
)

from portal.sandbox import lists, schedule_phases, schedule_transitions, schedules, subscriptions
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_body, in_path, merged_metadata
from portal.sandbox.errors import invalid, missing_param, unsupported
from portal.sandbox.payment_methods import usable
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = schedules.KIND
END_BEHAVIORS = ("cancel", "release")
OF_PHASE = (
    "add_invoice_items.discountable", "add_invoice_items.discounts", "add_invoice_items.metadata",
    "add_invoice_items.price", "add_invoice_items.quantity", "automatic_tax.enabled",
    "billing_cycle_anchor", "collection_method", "currency", "default_payment_method", "description",
    "discounts", "duration", "end_date", "items.discounts", "items.metadata", "items.price",
    "items.quantity", "metadata", "proration_behavior", "start_date",
)  # fmt: skip
UPDATED_WITH = (
    "default_settings.default_payment_method", "end_behavior", "metadata", "proration_behavior",
    *(f"phases.{name}" for name in OF_PHASE),
)  # fmt: skip


@route("POST", "/v1/subscription_schedules", params=SubscriptionScheduleCreateParams)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    """Only from a running subscription, and then without anything else, as at Stripe."""
    if "from_subscription" not in params:
        raise unsupported(next(iter(params))) if params else missing_param("from_subscription")
    other = next((name for name in params if name != "from_subscription"), None)
    if other:
        raise invalid(f"You cannot set `{other}` if `from_subscription` is set.", other)
    named = params["from_subscription"]
    return schedules.create(sandbox, in_body(sandbox, subscriptions.KIND, named, "from_subscription"))


@route("GET", "/v1/subscription_schedules/{id}", params=SubscriptionScheduleRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return _of_path(sandbox, id)


def _of_path(sandbox: Sandbox, id: str) -> Document:
    return in_path(sandbox, KIND, id, "schedule")


@route(
    "GET",
    "/v1/subscription_schedules",
    params=SubscriptionScheduleListParams,
    supports=(
        "canceled_at", "completed_at", "created", "customer", "ending_before", "limit", "released_at",
        "scheduled", "starting_after",
    ),
)  # fmt: skip
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    moments = {
        name: params[name] for name in ("canceled_at", "completed_at", "released_at") if name in params
    }
    scheduled = params.get("scheduled")

    def wanted(row: Document) -> bool:
        if scheduled is not None and (row["status"] == "not_started") != scheduled:
            return False
        return all(row[name] is not None and lists.in_range(row[name], at) for name, at in moments.items())

    return lists.page(
        sandbox, KIND, params, "/v1/subscription_schedules", where=wanted, customer=params.get("customer")
    )


@route(
    "POST",
    "/v1/subscription_schedules/{id}",
    params=SubscriptionScheduleUpdateParams,
    supports=UPDATED_WITH,
)
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    """The phases given are all that there will be from the current one on."""
    schedule = _of_path(sandbox, id)
    before = {**schedule}
    schedules.require_changeable(schedule)
    behavior = params.get("end_behavior", schedule["end_behavior"])
    if behavior not in END_BEHAVIORS:
        raise unsupported("end_behavior")
    schedule.update(end_behavior=behavior, _expiring_told=False)
    schedule["metadata"] = merged_metadata(schedule["metadata"], params.get("metadata"))
    subscription = in_body(sandbox, subscriptions.KIND, schedule["subscription"], "subscription")
    if method := (params.get("default_settings") or {}).get("default_payment_method"):
        usable(sandbox, method, subscription["customer"])
        schedule["default_settings"] = {**schedule["default_settings"], "default_payment_method": method}
    if "phases" in params:
        schedule["phases"] = schedule_phases.read(sandbox, schedule, subscription, params["phases"])
    schedules.write(sandbox, schedule)
    if "phases" in params:
        schedule_transitions.restate(sandbox, schedule, params.get("proration_behavior", "create_prorations"))
    schedules.plan_end(sandbox, schedule)
    sandbox.emit("subscription_schedule.updated", schedule, before)
    return _of_path(sandbox, id)


@route(
    "POST",
    "/v1/subscription_schedules/{id}/release",
    params=SubscriptionScheduleReleaseParams,
    supports=("preserve_cancel_date",),
)
def release(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return schedules.release(
        sandbox, _of_path(sandbox, id), keep_end=params.get("preserve_cancel_date", False)
    )


@route(
    "POST",
    "/v1/subscription_schedules/{id}/cancel",
    params=SubscriptionScheduleCancelParams,
    supports=("invoice_now", "prorate"),
)
def cancel(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return schedules.cancel(
        sandbox,
        _of_path(sandbox, id),
        invoice_now=params.get("invoice_now", True),
        prorate=params.get("prorate", True),
    )
