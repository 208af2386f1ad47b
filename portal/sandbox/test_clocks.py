"""`/v1/test_helpers/test_clocks`: customers whose time passes when the caller says so."""

from __future__ import annotations

from typing import Any

from stripe.params.test_helpers import (
    TestClockAdvanceParams,
    TestClockCreateParams,
    TestClockDeleteParams,
    TestClockListParams,
    TestClockRetrieveParams,
)

from portal.sandbox import customers, lists, periods, standing
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_path
from portal.sandbox.errors import invalid
from portal.sandbox.state import TEST_CLOCK, Sandbox
from portal.sandbox.store import Document

KEPT_SECONDS = 30 * 86_400
MAX_INTERVALS = 2
MAX_YEARS = 2


@route("POST", "/v1/test_helpers/test_clocks", params=TestClockCreateParams, supports=("frozen_time", "name"))
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    clock = {
        "id": sandbox.new_id("clock"),
        "object": TEST_CLOCK,
        "created": sandbox.now(),
        "deletes_after": sandbox.now() + KEPT_SECONDS,
        "frozen_time": params["frozen_time"],
        "livemode": False,
        "name": params.get("name"),
        "status": "ready",
        "status_details": {},
    }
    sandbox.store.put(TEST_CLOCK, clock)
    sandbox.emit("test_helpers.test_clock.created", clock)
    return clock


@route("GET", "/v1/test_helpers/test_clocks/{clock}", params=TestClockRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], clock: str) -> Document:
    return in_path(sandbox, TEST_CLOCK, clock, "test_clock")


@route("GET", "/v1/test_helpers/test_clocks", params=TestClockListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    return lists.page(sandbox, TEST_CLOCK, params, "/v1/test_helpers/test_clocks")


@route("POST", "/v1/test_helpers/test_clocks/{clock}/advance", params=TestClockAdvanceParams)
def advance(sandbox: Sandbox, params: dict[str, Any], clock: str) -> Document:
    """Everything due on the way is done before the answer, which still says `advancing`, as Stripe's does."""
    row = retrieve(sandbox, {}, clock)
    target = params["frozen_time"]
    _check(sandbox, row, target)
    advancing = {
        **row,
        "status": "advancing",
        "status_details": {"advancing": {"target_frozen_time": target}},
    }
    sandbox.emit("test_helpers.test_clock.advancing", advancing)
    sandbox.advance_test_clock(clock, target)
    sandbox.emit("test_helpers.test_clock.ready", retrieve(sandbox, {}, clock))
    return advancing


def _check(sandbox: Sandbox, clock: Document, target: int) -> None:
    now = clock["frozen_time"]
    if target <= now:
        raise invalid("The test clock can only be advanced to a time in the future.", "frozen_time")
    running = sandbox.store.walk(
        "subscription", lambda row: row["status"] not in standing.OVER, test_clock=clock["id"]
    )
    recurrings = [item["price"]["recurring"] for row in running for item in row["items"]["data"]]
    ends = [
        periods.after(now, each["interval"], MAX_INTERVALS * each["interval_count"]) for each in recurrings
    ]
    if target > min(ends, default=periods.after(now, "year", MAX_YEARS)):
        raise invalid(
            f"You cannot advance a test clock by more than {MAX_INTERVALS} intervals of its shortest "
            f"subscription, or {MAX_YEARS} years without one.",
            "frozen_time",
        )


@route("DELETE", "/v1/test_helpers/test_clocks/{clock}", params=TestClockDeleteParams)
def delete(sandbox: Sandbox, params: dict[str, Any], clock: str) -> Document:
    """The clock's customers go with it."""
    last = retrieve(sandbox, {}, clock)
    for customer in sandbox.store.find("customer", test_clock=clock):
        customers.delete(sandbox, {}, customer["id"])
    sandbox.store.delete(TEST_CLOCK, clock)
    sandbox.emit("test_helpers.test_clock.deleted", last)
    return {"id": clock, "object": TEST_CLOCK, "deleted": True}
