"""The end that a subscription is going to have: `cancel_at` and `cancel_at_period_end`."""

from __future__ import annotations

from typing import Any

from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document


def plan(sandbox: Sandbox, subscription: Document, params: dict[str, Any]) -> None:
    """Set or clear the end, in place; `canceled_at` is when it was asked for (recorded).

    The items must be in place. With mixed intervals `cancel_at_period_end` means the earliest of their ends
    (docs.stripe.com/changelog/basil/2025-07-30/cancel-at-enums).
    """
    if "cancel_at_period_end" not in params and "cancel_at" not in params:
        return
    at_period_end = params.get("cancel_at_period_end", False)
    wanted = params.get("cancel_at") or None
    ends = [item["current_period_end"] for item in subscription["items"]["data"]]
    named = {"min_period_end": min(ends), "max_period_end": max(ends), "max_billed_until": max(ends)}
    cancel_at = min(ends) if at_period_end else named.get(str(wanted), wanted)
    subscription["cancel_at"] = cancel_at
    subscription["cancel_at_period_end"] = at_period_end
    subscription["canceled_at"] = sandbox.now(subscription["customer"]) if cancel_at else None
    subscription["cancellation_details"] = {
        **subscription["cancellation_details"],
        "reason": "cancellation_requested" if cancel_at else None,
    }
