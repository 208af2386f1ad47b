"""A subscription becomes what a phase of its schedule says, at once or when the phase begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from portal.sandbox import (
    changes,
    item_changes,
    items,
    pending_updates,
    periods,
    schedules,
    subscriptions,
    update_billing,
    updates,
    usage_lines,
)
from portal.sandbox.item_changes import ItemChanges
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

NOTICE_SECONDS = 7 * 86_400
NAMES = ("collection_method", "default_payment_method", "description", "metadata")


def due_at(schedule: Document) -> int:
    """When the phase that the schedule is in ends."""
    return int(schedule["current_phase"]["end_date"])


def advance(sandbox: Sandbox, subscription: Document) -> None:
    """The current phase is over: enter the next one, or end as the schedule says."""
    from portal.sandbox import renewals

    schedule = schedules.of_subscription(sandbox, subscription)
    assert schedule
    at = due_at(schedule)
    if subscription.get("_proposal"):
        subscription = pending_updates.lapse(sandbox, subscription)
    phase = schedules.following(schedule, at)
    if phase is None:
        schedules.complete(sandbox, schedule)
        if schedule["end_behavior"] == "cancel":
            renewals.finish(sandbox, subscription)
    else:
        before = {**schedule}
        schedules.write(sandbox, schedule)
        enter(sandbox, subscription, phase, str(phase["proration_behavior"]))
        sandbox.emit("subscription_schedule.updated", schedule, before)


def enter(sandbox: Sandbox, subscription: Document, phase: Document, proration_behavior: str) -> None:
    """Give the subscription the phase's items, discounts and members.

    What begins together with a period is billed by the renewal of that second; what changes in the middle of
    one is prorated as asked.
    """
    params = _members(sandbox, subscription, phase)
    after = updates.plain_members(sandbox, dict(subscription), params)
    outcome = item_changes.read(sandbox, after, _items(sandbox, subscription, phase))
    asked = update_billing.Asked(
        subscription,
        {"proration_behavior": proration_behavior, "add_invoice_items": _added(phase)},
        update_billing.collect,
    )
    now = sandbox.now(subscription["customer"])
    if _anchor_moves(after, phase, outcome, now):
        if any(item["current_period_end"] > now for item in subscription["items"]["data"]):
            update_billing.restart(sandbox, after, outcome, asked)
            return
        after["billing_cycle_anchor"] = now
    _bill_ended_usage(sandbox, after, outcome, now)
    update_billing.change_items(sandbox, after, _in_mid_period(after, outcome, now), asked)


def _bill_ended_usage(sandbox: Sandbox, subscription: Document, outcome: ItemChanges, now: int) -> None:
    """Let the renewal of this second bill what metered items counted that go or change as their period ends.

    One invoice for both (docs.stripe.com/billing/subscriptions/billing-mode/compare).
    """
    for item in (*outcome.removed, *(before for before, _ in outcome.changed)):
        if items.is_metered(item) and item["current_period_end"] <= now:
            rows = usage_lines.pending(sandbox, subscription, item, item["current_period_end"], open_end=True)
            changes.store_pending(sandbox, rows)


def _members(sandbox: Sandbox, subscription: Document, phase: Document) -> dict[str, Any]:
    params: dict[str, Any] = {name: phase[name] for name in NAMES if phase[name]}
    schedule = schedules.of_subscription(sandbox, subscription)
    general = (schedule or {}).get("default_settings") or {}
    if general.get("default_payment_method"):
        params.setdefault("default_payment_method", general["default_payment_method"])
    if phase["automatic_tax"]:
        params["automatic_tax"] = phase["automatic_tax"]
    wanted = _given(sandbox, phase["discounts"], subscription["discounts"])
    if [row.get("discount") for row in wanted] != subscription["discounts"]:
        params["discounts"] = wanted or ""
    return params


def _items(sandbox: Sandbox, subscription: Document, phase: Document) -> list[Document]:
    """The phase's items as changes: items are known by their price, those not named are removed."""
    known = {item["price"]["id"]: item for item in items.of_subscription(sandbox, subscription)}
    wanted: list[Document] = []
    for row in phase["items"]:
        item = known.pop(row["price"], None)
        change: Document = {"metadata": row["metadata"]} if row["metadata"] else {}
        if "quantity" in row:
            change["quantity"] = row["quantity"]
        change["discounts"] = _given(sandbox, row["discounts"], item["discounts"] if item else [])
        wanted.append({**change, **({"id": item["id"]} if item else {"price": row["price"]})})
    return wanted + [{"id": item["id"], "deleted": True} for item in known.values()]


def _given(sandbox: Sandbox, rows: list[Document], held: list[str]) -> list[Document]:
    """Discounts as a request gives them; a coupon that is on already goes on as the discount it is."""
    by_coupon = {
        discount["source"]["coupon"]: discount["id"]
        for discount in (sandbox.store.get("discount", id) for id in held)
        if discount
    }
    given = []
    for row in rows:
        kept = by_coupon.get(row["coupon"] or "")
        given.append(
            {"discount": kept} if kept else {name: value for name, value in row.items() if value is not None}
        )
    return given


def _added(phase: Document) -> list[Document]:
    names = ("discountable", "discounts", "metadata", "price", "quantity")
    return [
        {name: row[name] for name in names if row[name] is not None} for row in phase["add_invoice_items"]
    ]


def _anchor_moves(subscription: Document, phase: Document, outcome: ItemChanges, now: int) -> bool:
    """Whether the periods start anew: as asked, or because a new interval does not begin here by itself."""
    if phase["billing_cycle_anchor"] == "phase_start":
        return True
    return any(
        not items.is_metered(item) and not _begins(subscription, item, now) and _ends_now(subscription, now)
        for item in outcome.added
    )


def _begins(subscription: Document, item: Document, now: int) -> bool:
    recurring = item["price"]["recurring"]
    anchor = subscription["billing_cycle_anchor"]
    start, _ = periods.containing(anchor, recurring["interval"], recurring["interval_count"], now)
    return start == now


def _ends_now(subscription: Document, now: int) -> bool:
    return all(item["current_period_end"] <= now for item in subscription["items"]["data"])


def _in_mid_period(subscription: Document, outcome: ItemChanges, now: int) -> ItemChanges:
    """The changes that are prorated: not those of items whose period ends now, or begins now.

    A new item that begins a period gets the one that ends, in place, so that the renewal bills it.
    """
    rows = subscription["items"]["data"]
    ended = [row for row in rows if row["current_period_end"] <= now]
    started = min((row["current_period_start"] for row in ended), default=now)
    added = []
    for item in outcome.added:
        if ended and _begins(subscription, item, now):
            item["current_period_start"], item["current_period_end"] = started, now
        else:
            added.append(item)
    return replace(
        outcome,
        added=added,
        removed=[item for item in outcome.removed if item["current_period_end"] > now],
        changed=[pair for pair in outcome.changed if pair[0]["current_period_end"] > now],
    )


def notice_at(schedule: Document) -> int | None:
    """When the coming end of the whole schedule is announced; None when it was."""
    return None if schedule.get("_expiring_told") else schedule["phases"][-1]["end_date"] - NOTICE_SECONDS


def announce(sandbox: Sandbox, subscription: Document) -> None:
    """Tell that the schedule is about to end, once."""
    schedule = schedules.of_subscription(sandbox, subscription)
    assert schedule
    schedules.write(sandbox, {**schedule, "_expiring_told": True})
    sandbox.emit("subscription_schedule.expiring", schedule)


def restate(sandbox: Sandbox, schedule: Document, proration_behavior: str) -> None:
    """An update may have changed the current phase: carry that over to the subscription."""
    subscription = sandbox.store.get(subscriptions.KIND, schedule["subscription"])
    phase = schedules.current(schedule, sandbox.now(schedule["customer"]))
    assert subscription
    assert phase
    enter(sandbox, subscription, phase, proration_behavior)
