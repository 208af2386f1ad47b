"""Stripe's list pages: newest first, exclusive cursors, `has_more`, `created` ranges."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from portal.sandbox.errors import invalid, missing
from portal.sandbox.store import Document

if TYPE_CHECKING:
    from portal.sandbox.state import Sandbox

DEFAULT_LIMIT = 10
MAX_LIMIT = 100
_RANGES = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
# Kinds whose name in "No such …" differs from the name of their object.
LABELS = {
    "billing.credit_balance_transaction": "credit balance transaction",
    "billing.credit_grant": "credit grant",
    "billing.meter": "meter",
    "v2.core.event": "event",
    "v2.core.event_destination": "event destination",
    "customer_balance_transaction": "balance transaction",
    "payment_method": "PaymentMethod",
    "promotion_code": "promotion code",
    "test_helpers.test_clock": "test clock",
    "webhook_endpoint": "webhook endpoint",
}


def page(
    sandbox: Sandbox,
    kind: str,
    params: dict[str, Any],
    url: str,
    where: Callable[[Document], bool] | None = None,
    *,
    total_count: bool = False,
    oldest_first: bool = False,
    **equals: Any,
) -> Document:
    """One page of the documents that pass `where` and equal `equals` (a None there means: no filter).

    Reads `limit`, `starting_after`, `ending_before` and `created` from `params`. As recorded: a limit of 0
    gives one row, one above 100 gives 100; a deleted object is still a valid cursor; an unknown one is a 400.
    """
    wanted = {key: value for key, value in equals.items() if value is not None}
    created = params.get("created")
    rows = [
        row
        for row in sandbox.store.walk(kind, where, **wanted)
        if created is None or in_range(row["created"], created)
    ]
    if oldest_first:
        rows.reverse()
    shown, has_more = _slice(sandbox, kind, rows, params)
    data = [sandbox.store.get(kind, row["id"]) for row in shown]
    result: Document = {"object": "list", "data": data, "has_more": has_more, "url": url}
    if total_count:
        result["total_count"] = len(rows)
    return result


def embedded(rows: list[Document], url: str) -> Document:
    """A list inside another object: the first ten rows and the total count (as `invoice.lines`)."""
    return {
        "object": "list",
        "data": rows[:DEFAULT_LIMIT],
        "has_more": len(rows) > DEFAULT_LIMIT,
        "total_count": len(rows),
        "url": url,
    }


def in_range(value: int, wanted: int | dict[str, int]) -> bool:
    """Whether a time equals the wanted one or lies in the wanted range (`gt`, `gte`, `lt`, `lte`)."""
    if isinstance(wanted, dict):
        return all(_RANGES[name](value, bound) for name, bound in wanted.items())
    return value == wanted


def _slice(
    sandbox: Sandbox, kind: str, rows: list[Document], params: dict[str, Any]
) -> tuple[list[Document], bool]:
    asked = params.get("limit", DEFAULT_LIMIT)
    if asked < 0:
        raise invalid("Invalid non-negative integer", "limit", code="parameter_invalid_integer")
    limit = min(max(asked, 1), MAX_LIMIT)
    after, before = params.get("starting_after"), params.get("ending_before")
    if after and before:
        raise invalid("You may only specify one of these parameters: starting_after, ending_before.")
    if after:
        rows = _side(sandbox, kind, rows, after, "starting_after", beyond=True)
    elif before:
        rows = _side(sandbox, kind, rows, before, "ending_before", beyond=False)
        return rows[-limit:], len(rows) > limit
    return rows[:limit], len(rows) > limit


def _side(
    sandbox: Sandbox, kind: str, rows: list[Document], cursor: str, param: str, *, beyond: bool
) -> list[Document]:
    """The rows behind (`beyond`) or before the cursor, in the order in which they stand."""
    position = sandbox.store.position(kind, cursor)
    if position is None:
        raise missing(LABELS.get(kind, kind), cursor, param, status=400)
    ids = [row["id"] for row in rows]
    if cursor in ids:
        at = ids.index(cursor)
        return rows[at + 1 :] if beyond else rows[:at]
    older = [row for row in rows if (sandbox.store.position(kind, row["id"]) or 0) < position]
    newer = [row for row in rows if (sandbox.store.position(kind, row["id"]) or 0) > position]
    newest_first = not rows or (sandbox.store.position(kind, rows[0]["id"]) or 0) >= (
        sandbox.store.position(kind, rows[-1]["id"]) or 0
    )
    return older if beyond == newest_first else newer
