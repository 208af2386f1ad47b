"""Usage when a subscription changes: items that come, go and change price, its end, a restart, a phase."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START
from tests.sandbox.metering import DAY, HOUR, MONTH, MONTH_END, MeteredWorld, lines_of
from tests.sandbox.recorded import refusal

HALF = START + 15 * DAY


@pytest.fixture
def world() -> MeteredWorld:
    return MeteredWorld()


def metered(world: MeteredWorld, *prices: str) -> tuple[stripe.Customer, stripe.Subscription]:
    """A seat and these metered prices, with 10 units used at once."""
    customer = world.customer()
    subscription = world.subscribe(customer, world.price(10_000), *prices)
    world.use(customer, 10)
    return customer, subscription


def change(world: MeteredWorld, subscription: stripe.Subscription, items: Any, **params: Any) -> None:
    world.v1.subscriptions.update(subscription.id, {"items": items, **params})


def test_an_item_that_is_added_bills_what_is_used_from_then_on(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.price(10_000))
    world.use(customer, 100)
    world.at(HALF)
    change(world, subscription, [{"price": world.usage_price()}])
    world.use(customer, 500, at=HALF - 1)
    world.use(customer, 8)
    world.sandbox.advance(seconds=MONTH)

    assert lines_of(world.latest_invoice(subscription))[1:] == [("8 segment × SMS (at $0.06 / month)", 48)]


@pytest.mark.parametrize("behavior", ["create_prorations", "always_invoice", "none"])
def test_a_removed_item_bills_what_was_used_unless_nothing_is_prorated(
    world: MeteredWorld, behavior: str
) -> None:
    customer, subscription = metered(world, world.usage_price())
    world.at(HALF)
    world.use(customer, 5)
    item = subscription["items"].data[1].id
    change(world, subscription, [{"id": item, "deleted": True}], proration_behavior=behavior)
    pending = world.pending_amounts(customer)
    now = world.latest_invoice(subscription)
    world.sandbox.advance(seconds=MONTH)
    renewal = world.latest_invoice(subscription)

    assert pending == ([90] if behavior == "create_prorations" else [])
    if behavior == "always_invoice":
        assert lines_of(now) == [("15 segment × SMS (at $0.06 / month)", 90)]
        assert (now.billing_reason, now.status) == ("subscription_update", "paid")
    assert renewal.total == (10_090 if behavior == "create_prorations" else 10_000)


def test_a_removed_item_without_usage_makes_no_line(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.price(10_000), world.usage_price())
    known = world.latest_invoice(subscription).id
    item = subscription["items"].data[1].id
    change(world, subscription, [{"id": item, "deleted": True}], proration_behavior="always_invoice")

    assert world.latest_invoice(subscription).id == known
    assert world.pending_amounts(customer) == []


def test_a_new_price_bills_what_is_used_after_it_and_the_old_one_what_was_before(
    world: MeteredWorld,
) -> None:
    """Price A until the 15th day, price B from then on (Stripe's example for flexible billing)."""
    customer, subscription = metered(world, world.tiered_price())
    world.at(HALF)
    item = subscription["items"].data[1].id
    change(world, subscription, [{"id": item, "price": world.usage_price(unit_amount=3)}])
    world.use(customer, 1000, at=HALF - 1)
    world.use(customer, 7)
    pending = world.v1.invoice_items.list({"customer": customer.id, "pending": True}).data
    world.sandbox.advance(seconds=MONTH)

    assert [(row.description, row.amount, row.period.end) for row in pending] == [
        ("10 segment × SMS (Tier 1 at $0.04 / month)", 40, HALF)
    ]
    assert lines_of(world.latest_invoice(subscription)) == [
        ("1 × Seat (at $100.00 / month)", 10_000),
        ("7 segment × SMS (at $0.03 / month)", 21),
        ("10 segment × SMS (Tier 1 at $0.04 / month)", 40),
    ]


def test_an_item_that_takes_anothers_place_in_the_same_second_shares_no_usage(world: MeteredWorld) -> None:
    customer, subscription = metered(world, world.usage_price())
    world.at(HALF)
    world.use(customer, 5)
    items = [
        {"id": subscription["items"].data[1].id, "deleted": True},
        {"price": world.usage_price(unit_amount=3)},
    ]
    change(world, subscription, items)
    world.sandbox.advance(seconds=MONTH)

    assert sorted(amount for _, amount in lines_of(world.latest_invoice(subscription))) == [15, 60, 10_000]


def test_what_a_preview_of_a_removal_shows_is_what_it_bills(world: MeteredWorld) -> None:
    _, subscription = metered(world, world.usage_price())
    world.at(HALF)
    items: Any = [{"id": subscription["items"].data[1].id, "deleted": True}]
    shown = world.v1.invoices.create_preview(
        {
            "subscription": subscription.id,
            "subscription_details": {"items": items, "proration_behavior": "always_invoice"},
        }
    )
    change(world, subscription, items, proration_behavior="always_invoice")

    assert lines_of(shown) == lines_of(world.latest_invoice(subscription))
    assert shown.total == 60


def test_cancelling_now_bills_usage_only_when_it_is_invoiced(world: MeteredWorld) -> None:
    customer, subscription = metered(world, world.usage_price())
    other, invoiced = metered(world, world.usage_price())
    world.at(HALF)
    world.use(other, 5)
    world.v1.subscriptions.cancel(subscription.id)
    shown = world.v1.invoices.create_preview(
        {"subscription": invoiced.id, "subscription_details": {"cancel_now": True}}
    )
    world.v1.subscriptions.cancel(invoiced.id, {"invoice_now": True})
    world.use(other, 2, at=HALF - 1)
    world.sandbox.advance(seconds=MONTH)
    last = world.latest_invoice(invoiced)

    assert world.pending_amounts(customer) == []
    assert world.latest_invoice(subscription).total == 10_000
    assert lines_of(shown)[0] == ("15 segment × SMS (at $0.06 / month)", 90)
    assert (last.status, lines_of(last)) == ("paid", [("17 segment × SMS (at $0.06 / month)", 102)])
    assert last.lines.data[0].period.end == HALF


def test_a_trial_that_is_cancelled_bills_nothing(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.price(10_000), world.usage_price(), trial_period_days=14)
    world.use(customer, 40)
    world.v1.subscriptions.cancel(subscription.id, {"invoice_now": True})
    world.sandbox.advance(seconds=MONTH)

    assert world.latest_invoice(subscription).total == 0


def test_the_end_of_the_last_period_bills_its_usage_and_can_be_previewed(world: MeteredWorld) -> None:
    customer, subscription = metered(world, world.usage_price())
    world.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    shown = world.v1.invoices.create_preview({"subscription": subscription.id})
    world.sandbox.advance(seconds=MONTH)
    ended = world.v1.subscriptions.retrieve(subscription.id)
    world.use(customer, 4, at=MONTH_END - 1)
    world.sandbox.advance(seconds=2 * HOUR)
    last = world.latest_invoice(subscription)

    assert lines_of(shown) == [("10 segment × SMS (at $0.06 / month)", 60)]
    assert ended.status == "canceled"
    assert (last.status, lines_of(last)) == ("paid", [("14 segment × SMS (at $0.06 / month)", 84)])


def test_an_ending_without_usage_has_no_upcoming_invoice(world: MeteredWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(10_000), world.usage_price())
    world.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    error = refusal(lambda: world.v1.invoices.create_preview({"subscription": subscription.id}))

    assert error.code == "invoice_upcoming_none"


def test_a_restarted_period_bills_the_usage_of_the_old_one(world: MeteredWorld) -> None:
    customer, subscription = metered(world, world.usage_price())
    world.at(HALF)
    seat = subscription["items"].data[0].id
    change(
        world,
        subscription,
        [{"id": seat, "quantity": 2}],
        billing_cycle_anchor={"type": "now"},
        proration_behavior="always_invoice",
    )
    now = world.latest_invoice(subscription)
    world.use(customer, 3)
    world.sandbox.advance(seconds=31 * DAY)

    assert ("10 segment × SMS (at $0.06 / month)", 60) in lines_of(now)
    assert ("3 segment × SMS (at $0.06 / month)", 18) in lines_of(world.latest_invoice(subscription))


def test_a_pause_bills_what_was_used(world: MeteredWorld) -> None:
    customer, subscription = metered(world, world.usage_price())
    world.at(HALF)
    invoiced: Any = {
        "type": "subscription",
        "bill_for": {"unused_time_from": {"type": "none"}, "outstanding_usage_through": {"type": "now"}},
        "invoicing_behavior": "invoice",
    }
    world.v1.subscriptions.pause(subscription.id, invoiced)

    assert lines_of(world.latest_invoice(subscription)) == [("10 segment × SMS (at $0.06 / month)", 60)]
    assert world.pending_amounts(customer) == []


def test_a_phase_that_drops_a_metered_item_at_the_periods_end_makes_one_invoice(world: MeteredWorld) -> None:
    customer, subscription = metered(world, world.usage_price())
    schedule = world.v1.subscription_schedules.create({"from_subscription": subscription.id})
    phase = schedule.phases[0]
    seat = str(subscription["items"].data[0].price.id)
    phases: Any = [
        {
            "items": [
                {"price": row.price, **({"quantity": 1} if i == 0 else {})}
                for i, row in enumerate(phase["items"])
            ],
            "start_date": phase.start_date,
            "end_date": phase.end_date,
        },
        {"items": [{"price": seat, "quantity": 1}], "proration_behavior": "none"},
    ]
    world.v1.subscription_schedules.update(schedule.id, {"phases": phases})
    world.sandbox.advance(seconds=MONTH)
    world.use(customer, 4, at=MONTH_END - 1)
    world.sandbox.advance(seconds=2 * HOUR)
    made = world.v1.invoices.list({"subscription": subscription.id}).data

    assert lines_of(made[0]) == [
        ("1 × Seat (at $100.00 / month)", 10_000),
        ("14 segment × SMS (at $0.06 / month)", 84),
    ]
    assert len(made) == 2
