"""What the tests of subscription schedules share."""

from __future__ import annotations

from typing import Any

import stripe

from tests.sandbox.billing import START, BillingWorld

DAY = 86_400
MONTH_END = START + 30 * DAY
NEXT_MONTH_END = MONTH_END + 31 * DAY
HALF = START + 15 * DAY
HOUR = 3600


def seats(world: BillingWorld, quantity: int = 4, **params: Any) -> stripe.Subscription:
    """A subscription to $30.00 a month for each seat, since the start."""
    item = {"price": world.price(3000), "quantity": quantity}
    wanted: Any = {"customer": world.customer().id, "items": [item], **params}
    return world.v1.subscriptions.create(wanted)


def attach(world: BillingWorld, subscription: stripe.Subscription) -> stripe.SubscriptionSchedule:
    return world.v1.subscription_schedules.create({"from_subscription": subscription.id})


def current(schedule: stripe.SubscriptionSchedule) -> dict[str, Any]:
    """The current phase as it has to be restated."""
    phase = schedule.phases[0]
    items = [
        {
            "price": str(row.price),
            **({"quantity": row.quantity} if "quantity" in row else {}),
            "discounts": [{"discount": str(one.discount)} for one in row.discounts],
        }
        for row in phase["items"]
    ]
    return {"items": items, "start_date": phase.start_date, "end_date": phase.end_date}


def then(
    world: BillingWorld, schedule: stripe.SubscriptionSchedule, *items: dict[str, Any], **params: Any
) -> stripe.SubscriptionSchedule:
    """Add a phase of one month after the current one, without prorations."""
    phase = {
        "items": list(items),
        "duration": {"interval": "month", "interval_count": 1},
        "proration_behavior": "none",
        **params,
    }
    wanted: Any = {"end_behavior": "release", "phases": [current(schedule), phase]}
    return world.v1.subscription_schedules.update(schedule.id, wanted)


def items_of(world: BillingWorld, subscription: stripe.Subscription) -> list[tuple[int | None, int | None]]:
    found = world.v1.subscriptions.retrieve(subscription.id)["items"].data
    return [(item.quantity if "quantity" in item else None, item.price.unit_amount) for item in found]
