"""How Stripe words the values of an enum: in its own order, which the SDK's sorted types do not keep."""

from __future__ import annotations

# Orders seen in Stripe's answers; all others keep the order of the SDK's types.
RECORDED_ORDERS = {
    frozenset(order): order
    for order in (
        ["draft", "open", "void", "paid", "uncollectible"],
        ["include", "exclude"],
        [
            "active",
            "past_due",
            "unpaid",
            "canceled",
            "incomplete",
            "incomplete_expired",
            "trialing",
            "paused",
            "all",
            "ended",
        ],
        ["day", "month", "week", "year"],
    )
}


def described(choices: list[str]) -> str:
    """`a`, `a or b`, or `a, b, or c`."""
    ordered = RECORDED_ORDERS.get(frozenset(choices), choices)
    if len(ordered) <= 2:
        return " or ".join(ordered)
    return ", ".join(ordered[:-1]) + f", or {ordered[-1]}"
