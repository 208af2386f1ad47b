"""Subscription schedules: what a subscription is going to be, phase by phase.

A schedule made from a running subscription begins with one phase that restates it. While it is attached, the
phases decide; it is released, cancelled, or complete after its last phase
(docs.stripe.com/billing/subscriptions/subscription-schedules).
"""

from __future__ import annotations

from typing import Any

from portal.sandbox import items, subscriptions
from portal.sandbox.errors import invalid
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "subscription_schedule"
RUNNING = ("active", "not_started")
UNSET = ("application", "canceled_at", "completed_at", "customer_account", "released_at")
UNSET_OF_PHASE = (
    "application_fee_percent", "automatic_tax", "billing_cycle_anchor", "billing_thresholds",
    "collection_method", "default_payment_method", "default_tax_rates", "description", "invoice_settings",
    "on_behalf_of", "transfer_data", "trial", "trial_end",
)  # fmt: skip
NOT_SCHEDULABLE = ("canceled", "incomplete", "incomplete_expired", "paused")


def of_subscription(sandbox: Sandbox, subscription: Document) -> Document | None:
    """The schedule that is attached to the subscription."""
    return sandbox.store.get(KIND, subscription["schedule"] or "")


def create(sandbox: Sandbox, subscription: Document) -> Document:
    """Attach a schedule whose one phase restates the subscription; Stripe's 400 where it cannot have one."""
    _check(subscription)
    schedule = {
        "id": f"sub_sched_{sandbox.new_id('x')[2:]}",
        "object": KIND,
        **dict.fromkeys(UNSET),
        "billing_mode": {name: subscription["billing_mode"][name] for name in ("flexible", "type")},
        "created": sandbox.now(subscription["customer"]),
        "customer": subscription["customer"],
        "default_settings": _defaults(subscription),
        "end_behavior": "release" if subscription["cancel_at"] is None else "cancel",
        "livemode": False,
        "metadata": {},
        "pause_schedules": [],
        "phases": [_restated(sandbox, subscription)],
        "released_subscription": None,
        "status": "active",
        "subscription": subscription["id"],
        "test_clock": subscription["test_clock"],
    }
    schedule["billing_mode"]["updated_at"] = None
    write(sandbox, schedule)
    sandbox.emit("subscription_schedule.created", schedule)
    _attach(sandbox, subscription, schedule["id"])
    return schedule


def _check(subscription: Document) -> None:
    if subscription["schedule"]:
        raise invalid(
            "You cannot migrate a subscription that is already attached to a schedule: "
            f"{subscription['schedule']}.",
            "from_subscription",
        )
    if subscription["status"] in NOT_SCHEDULABLE:
        raise invalid(
            f"You cannot attach a schedule to a subscription in `{subscription['status']}` status.",
            "from_subscription",
        )


def _defaults(subscription: Document) -> Document:
    settings = subscription["invoice_settings"]
    return {
        "application_fee_percent": None,
        "automatic_tax": subscription["automatic_tax"],
        "billing_cycle_anchor": "automatic",
        "billing_thresholds": None,
        "collection_method": subscription["collection_method"],
        "default_payment_method": subscription["default_payment_method"],
        "description": subscription["description"],
        "invoice_settings": {**settings, "days_until_due": subscription["days_until_due"]},
        "on_behalf_of": None,
        "transfer_data": None,
    }


def _restated(sandbox: Sandbox, subscription: Document) -> Document:
    """The phase that says what the subscription is now, up to the end of its (shortest) period."""
    rows = items.of_subscription(sandbox, subscription)
    end = min(row["current_period_end"] for row in rows)
    return phase(
        subscription,
        [item_of(row) for row in rows],
        start=max(row["current_period_start"] for row in rows),
        end=subscription["cancel_at"] or end,
        discounts=[named_discount(id) for id in subscription["discounts"]],
        metadata=subscription["metadata"],
        proration_behavior="create_prorations",
    )


def phase(subscription: Document, rows: list[Document], *, start: int, end: int, **members: Any) -> Document:
    """A phase with these items; `members` override single fields."""
    return {
        **dict.fromkeys(UNSET_OF_PHASE),
        "add_invoice_items": [],
        "currency": subscription["currency"],
        "discounts": [],
        "end_date": end,
        "items": rows,
        "metadata": {},
        "start_date": start,
        **members,
    }


def item_of(item: Document) -> Document:
    """A subscription's item as a phase says it."""
    row = {
        "billing_thresholds": None,
        "discounts": [named_discount(id) for id in item["discounts"]],
        "metadata": item["metadata"],
        "plan": item["price"]["id"],
        "price": item["price"]["id"],
        "tax_rates": [],
    }
    return row if items.is_metered(item) else {**row, "quantity": item["quantity"]}


def named_discount(id: str) -> Document:
    """An existing discount as a phase names it."""
    return {"coupon": None, "discount": id, "promotion_code": None}


def write(sandbox: Sandbox, schedule: Document) -> None:
    """Store the schedule with the phase that it is in."""
    now = sandbox.now(schedule["customer"])
    here = current(schedule, now) if schedule["status"] == "active" else None
    schedule["current_phase"] = here and {name: here[name] for name in ("end_date", "start_date")}
    sandbox.store.put(KIND, schedule)


def current(schedule: Document, at: int) -> Document | None:
    """The phase around that second; one that ends then is over."""
    return next((row for row in schedule["phases"] if row["start_date"] <= at < row["end_date"]), None)


def following(schedule: Document, at: int) -> Document | None:
    """The phase that starts at that second."""
    return next((row for row in schedule["phases"] if row["start_date"] == at), None)


def release(sandbox: Sandbox, schedule: Document, *, keep_end: bool = False) -> Document:
    """Let the subscription go on by itself as it is; an end that the schedule had set goes unless kept."""
    _require_running(schedule, "release")
    subscription = _detach(sandbox, schedule, keep_end=keep_end)
    released = {"released_at": sandbox.now(schedule["customer"]), "released_subscription": subscription["id"]}
    return _close(sandbox, schedule, "released", **released)


def cancel(sandbox: Sandbox, schedule: Document, *, invoice_now: bool, prorate: bool) -> Document:
    """Cancel the schedule and its subscription at once."""
    from portal.sandbox import ending

    _require_running(schedule, "cancel")
    subscription = sandbox.store.get(subscriptions.KIND, schedule["subscription"])
    assert subscription
    ending.cancel_now(sandbox, subscription, prorate=prorate, invoice_now=invoice_now)
    return sandbox.store.get(KIND, schedule["id"]) or schedule


def complete(sandbox: Sandbox, schedule: Document) -> Document:
    """The last phase is over; the subscription goes on by itself, or is about to end with the schedule."""
    members: Document = {"completed_at": sandbox.now(schedule["customer"])}
    if schedule["end_behavior"] == "release":
        members["released_subscription"] = _detach(sandbox, schedule)["id"]
    return _close(sandbox, schedule, "completed", **members)


def subscription_ended(sandbox: Sandbox, subscription: Document, *, unpaid: bool) -> None:
    """The subscription is cancelled, its schedule with it; for lack of payment it is called aborted."""
    schedule = of_subscription(sandbox, subscription)
    if schedule and schedule["status"] in RUNNING:
        canceled_at = sandbox.now(schedule["customer"])
        event = "aborted" if unpaid else "canceled"
        _close(sandbox, schedule, "canceled", event=event, canceled_at=canceled_at)


def _close(
    sandbox: Sandbox, schedule: Document, status: str, event: str | None = None, **members: Any
) -> Document:
    schedule = {**schedule, "status": status, **members}
    if schedule["released_subscription"]:
        schedule["subscription"] = None
    write(sandbox, schedule)
    sandbox.emit(f"subscription_schedule.{event or status}", schedule)
    return schedule


def _require_running(schedule: Document, verb: str) -> None:
    if schedule["status"] not in RUNNING:
        raise invalid(
            f"You cannot {verb} a subscription schedule that is currently in the `{schedule['status']}` "
            "status. It must be in the `not_started` or `active` status."
        )


def require_changeable(schedule: Document) -> None:
    """Refuse to change what is over."""
    _require_running(schedule, "update")


def _attach(sandbox: Sandbox, subscription: Document, schedule: str | None, **members: Any) -> Document:
    before = subscriptions.stored(sandbox, subscription)
    after = {**before, "schedule": schedule, **members}
    sandbox.store.put(subscriptions.KIND, after)
    sandbox.emit("customer.subscription.updated", after, before)
    return after


def _detach(sandbox: Sandbox, schedule: Document, *, keep_end: bool = False) -> Document:
    subscription = sandbox.store.get(subscriptions.KIND, schedule["subscription"])
    assert subscription
    planned = schedule["end_behavior"] == "cancel" and not keep_end
    end = {"cancel_at": None, "cancel_at_period_end": False, "canceled_at": None} if planned else {}
    return _attach(sandbox, subscription, None, **end)


def plan_end(sandbox: Sandbox, schedule: Document) -> None:
    """Show on the subscription the end that its schedule leads to."""
    subscription = sandbox.store.get(subscriptions.KIND, schedule["subscription"])
    assert subscription
    ends = schedule["end_behavior"] == "cancel"
    cancel_at = schedule["phases"][-1]["end_date"] if ends else None
    if cancel_at != subscription["cancel_at"]:
        now = sandbox.now(schedule["customer"])
        _attach(
            sandbox,
            subscription,
            schedule["id"],
            cancel_at=cancel_at,
            cancel_at_period_end=False,
            canceled_at=now if ends else None,
        )


def _billing(rows: list[Document]) -> list[tuple[str, int, int]]:
    """What the items of a phase bill; how their discounts are named makes no difference."""
    return sorted((row["price"], row.get("quantity") or 0, len(row["discounts"])) for row in rows)


def follow(sandbox: Sandbox, subscription: Document) -> None:
    """A subscription changed directly: the phase that it is in is split, so that it says what is so."""
    schedule = of_subscription(sandbox, subscription)
    now = sandbox.now(subscription["customer"])
    here = current(schedule, now) if schedule else None
    if schedule is None or here is None:
        return
    rows = [item_of(row) for row in items.of_subscription(sandbox, subscription)]
    if _billing(rows) == _billing(here["items"]):
        return
    later = {**here, "items": rows, "start_date": now}
    earlier = [] if here["start_date"] == now else [{**here, "end_date": now}]
    at = schedule["phases"].index(here)
    before = {**schedule}
    schedule["phases"] = [*schedule["phases"][:at], *earlier, later, *schedule["phases"][at + 1 :]]
    write(sandbox, schedule)
    sandbox.emit("subscription_schedule.updated", schedule, before)
