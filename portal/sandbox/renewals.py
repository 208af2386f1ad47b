"""What time does to subscriptions and invoices, each thing at its own second."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from itertools import islice

from portal.sandbox import (
    changes,
    collection,
    discount_objects,
    ending,
    invoice_notices,
    invoices,
    items,
    pending_updates,
    periods,
    schedule_transitions,
    schedules,
    standing,
    subscriptions,
    trials,
    usage_lines,
)
from portal.sandbox.agenda import Entry, Moment, Timetable
from portal.sandbox.clock import Action, on_tick
from portal.sandbox.invoice_items import line_of
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document, Store

INCOMPLETE_SECONDS = 23 * 3600
RENEWING = ("active", "past_due", "unpaid")
CYCLE = "subscription_cycle"
_RANKS = (
    "expire",
    "lapse",
    "tell_schedule",
    "foretell",
    "enter_phase",
    "finish",
    "announce",
    "end_trial",
    "renew",
)


@on_tick
def next_due(sandbox: Sandbox, clock_id: str | None, until: int) -> tuple[int, Action] | None:
    """The earliest thing that falls due for the customers of one clock."""
    # a subscription's things come before an invoice's of the same second
    found = [
        entry
        for table in (SUBSCRIPTIONS, INVOICES)
        for entry in islice(_of_clock(sandbox, table, clock_id, until), 1)
    ]
    first = min(found, key=lambda entry: entry.at, default=None)
    if first is None:
        return None
    act = ON_INVOICE.get(first.label) or partial(_on_subscription, verb=first.label)
    return first.at, partial(act, sandbox, first.document["id"])


def _of_clock(sandbox: Sandbox, table: Timetable, clock_id: str | None, until: int) -> Iterator[Entry]:
    for entry in sandbox.store.agenda(table).until(until):
        if entry.document["test_clock"] == clock_id:
            yield entry


def _moments_of_subscription(store: Store, row: Document) -> Iterator[Moment]:
    for at, verb in (*_of_subscription(row), *_of_schedule(store, row)):
        yield at, _RANKS.index(verb), verb


def _moments_of_invoice(_: Store, row: Document) -> Iterator[Moment]:
    for at, verb in ((_of_invoice(row), "advance"), (invoice_notices.overdue_at(row), "call_overdue")):
        if at is not None:
            yield at, 0, verb


def _of_subscription(row: Document) -> Iterator[tuple[int, str]]:
    status = row["status"]
    if status == "incomplete":
        yield row["created"] + INCOMPLETE_SECONDS, "expire"
    if row["pending_update"] is not None:
        yield row["pending_update"]["expires_at"], "lapse"
    if row["cancel_at"] is not None and status not in standing.OVER:
        yield row["cancel_at"], "finish"
    if status == "trialing":
        if not row.get("_trial_end_told"):
            yield trials.notice_at(row), "announce"
        yield row["trial_end"], "end_trial"
    foretold_at = invoice_notices.foretold_at(row)
    if foretold_at is not None:
        yield foretold_at, "foretell"
    if status in RENEWING:
        yield min(item["current_period_end"] for item in row["items"]["data"]), "renew"


def _of_schedule(store: Store, row: Document) -> Iterator[tuple[int, str]]:
    schedule = store.peek(schedules.KIND, row["schedule"] or "")
    if schedule is None or schedule["current_phase"] is None or row["status"] in standing.OVER:
        return
    yield schedule_transitions.due_at(schedule), "enter_phase"
    told_at = schedule_transitions.notice_at(schedule)
    if told_at is not None:
        yield told_at, "tell_schedule"


def _of_invoice(row: Document) -> int | None:
    if row["status"] == "draft":
        return row["automatically_finalizes_at"]
    if row["status"] == "open" and row["auto_advance"]:
        return row["next_payment_attempt"]
    return None


SUBSCRIPTIONS = Timetable(subscriptions.KIND, _moments_of_subscription, {schedules.KIND: "subscription"})
INVOICES = Timetable(invoices.KIND, _moments_of_invoice)
ON_INVOICE = {"advance": collection.advance, "call_overdue": invoice_notices.call_overdue}


def _on_subscription(sandbox: Sandbox, id: str, verb: str) -> None:
    subscription = sandbox.store.get(subscriptions.KIND, id)
    assert subscription
    verbs = {
        "expire": standing.expire,
        "lapse": pending_updates.lapse,
        "foretell": invoice_notices.foretell,
        "tell_schedule": schedule_transitions.announce,
        "enter_phase": schedule_transitions.advance,
        "finish": finish,
        "announce": trials.announce,
        "end_trial": trials.end,
        "renew": renew,
    }
    verbs[verb](sandbox, subscription)


def renew(sandbox: Sandbox, subscription: Document) -> None:
    """Start the next period of every item whose period is over and draft one invoice for all of them."""
    before = copy.deepcopy(subscription)
    rows = items.of_subscription(sandbox, subscription)
    at = min(item["current_period_end"] for item in rows)
    due = [item for item in rows if item["current_period_end"] <= at]
    started = min(item["current_period_start"] for item in due)
    drafted = _roll_over(sandbox, subscription, due, at)
    items.place(sandbox, subscription, rows)
    drafted += _pending(sandbox, subscription)
    subscription["discounts"] = discount_objects.lasting(sandbox, subscription["discounts"], at)
    invoice_id = sandbox.new_id("in")
    subscription["latest_invoice"] = invoice_id
    sandbox.store.put(subscriptions.KIND, subscription)
    sandbox.emit("customer.subscription.updated", subscription, before)
    subscriptions.draft_invoice(
        sandbox,
        subscription,
        drafted,
        billing_reason=CYCLE,
        auto_advance=subscription["status"] != "unpaid",
        period=(started, at),
        id=invoice_id,
    )


def _roll_over(sandbox: Sandbox, subscription: Document, due: list[Document], at: int) -> list[Document]:
    """The lines of the items whose period ends: usage for the time past, the rest for the time to come."""
    drafted = []
    for item in due:
        item["discounts"] = discount_objects.lasting(sandbox, item["discounts"], at)
        if items.is_metered(item):
            drafted += usage_lines.of_period(sandbox, subscription, item)
        recurring = item["price"]["recurring"]
        item["current_period_start"], item["current_period_end"] = periods.containing(
            subscription["billing_cycle_anchor"], recurring["interval"], recurring["interval_count"], at
        )
        if not items.is_metered(item):
            drafted.append(subscriptions.item_line(sandbox, subscription, item))
    return drafted


def _pending(sandbox: Sandbox, subscription: Document) -> list[Document]:
    """What waits for this subscription's next invoice, and for any of the customer's."""
    loose = changes.pending(sandbox, subscription["customer"], None)
    return changes.pending_lines(sandbox, subscription) + [line_of(sandbox, row) for row in loose]


def finish(sandbox: Sandbox, subscription: Document) -> None:
    """The planned end has come: cancel, and draft a last invoice when something is still to be billed.

    What was used in a period that ends now is: usage of its last hour may be on its way.
    """
    at = subscription["cancel_at"]
    rows = items.of_subscription(sandbox, subscription)
    drafted = [
        line
        for item in rows
        if items.is_metered(item) and item["current_period_end"] <= at and subscription["status"] in RENEWING
        for line in usage_lines.of_period(sandbox, subscription, item)
    ]
    drafted += changes.pending_lines(sandbox, subscription)
    if drafted:
        started = min(item["current_period_start"] for item in rows)
        invoice = subscriptions.draft_invoice(
            sandbox,
            subscription,
            drafted,
            billing_reason=CYCLE,
            auto_advance=True,
            period=(started, at),
        )
        subscription["latest_invoice"] = invoice["id"]
    ending.end(sandbox, subscription)
