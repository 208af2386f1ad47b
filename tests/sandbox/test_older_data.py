"""A data file of an earlier version goes on working."""

from __future__ import annotations

from portal.sandbox import older_data
from tests.sandbox.billing import START, BillingWorld

HALF = START + 15 * 86_400


def test_an_item_that_knows_one_full_price_is_credited_by_it() -> None:
    world = BillingWorld()
    subscription = world.subscribe(world.customer(), world.price(3000), world.price(1000))
    seat, add_on = subscription["items"].data
    with world.sandbox.work():
        store = world.sandbox.store
        item = store.get("subscription_item", seat.id)
        assert item is not None
        (debit,) = item["_billed"]
        kept = {name: debit[name] for name in ("price", "quantity", "start", "end", "invoice", "lines")}
        store.put("subscription_item", {**item, "_billed": {"full": "3000", **kept}})
        store.put("subscription_item", {**(store.get("subscription_item", add_on.id) or {}), "_billed": None})
        older_data.prepare(world.sandbox)
    world.at(HALF)
    items = [{"id": seat.id, "quantity": 2}, {"id": add_on.id, "quantity": 2}]
    world.v1.subscriptions.update(subscription.id, {"items": items, "proration_behavior": "always_invoice"})  # type: ignore[typeddict-item]

    assert [line.amount for line in world.latest_invoice(subscription).lines.data] == [-1500, 3000, 1000]
