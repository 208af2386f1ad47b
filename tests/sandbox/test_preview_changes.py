"""The next invoice of a running subscription, before it is made."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal

DAY = 86_400
MONTH, HALF = 30 * DAY, 15 * DAY


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def preview(world: BillingWorld, subscription: stripe.Subscription, **details: Any) -> stripe.Invoice:
    params: Any = {"subscription": subscription.id}
    if details:
        params["subscription_details"] = details
    return world.v1.invoices.create_preview(params)


def facts(invoice: stripe.Invoice) -> list[tuple[int, str | None, int]]:
    return [(line.amount, line.description, line.period.start) for line in invoice.lines.data]


def test_the_next_renewal_can_be_seen_and_is_then_made_so(world: BillingWorld) -> None:
    customer = world.customer()
    once = world.v1.coupons.create({"percent_off": 50, "duration": "once"})
    subscription = world.subscribe(
        customer, world.price(9900), world.metered_price(), discounts=[{"coupon": once.id}]
    )
    world.v1.invoice_items.create({"customer": customer.id, "amount": 700, "currency": "usd"})
    events = world.event_types()
    shown = preview(world, subscription)
    assert world.event_types() == events
    assert (shown.billing_reason, shown.total, shown.created) == ("upcoming", 10_600, START + MONTH)
    assert (shown.period_start, shown.period_end) == (START, START + MONTH)

    world.sandbox.advance(seconds=MONTH)
    assert facts(shown) == facts(world.latest_invoice(subscription))


def test_a_change_that_is_invoiced_at_once_shows_that_invoice(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(9900))
    items: Any = [{"id": subscription["items"].data[0].id, "quantity": 3}, {"price": world.price(5000)}]
    change: Any = {"items": items, "proration_behavior": "always_invoice", "proration_date": START + HALF}
    world.at(START + HALF)
    shown = preview(world, subscription, **change)
    assert [line.amount for line in shown.lines.data] == [-4950, 14_850, 2500]
    assert shown.amount_due == 12_400

    world.at(START + HALF + 60)
    world.v1.subscriptions.update(subscription.id, change)
    assert facts(shown) == facts(world.latest_invoice(subscription))


def test_a_change_that_waits_shows_the_next_renewal_with_it(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(10_000))
    items: Any = [{"id": subscription["items"].data[0].id, "quantity": 2}]
    world.at(START + HALF)

    assert [amount for amount, _, _ in facts(preview(world, subscription, items=items))] == [
        20_000,
        -5000,
        10_000,
    ]
    assert preview(world, subscription, items=items, proration_behavior="none").total == 20_000


def test_the_end_of_a_trial_shows_the_first_paid_period(world: BillingWorld) -> None:
    clock = world.v1.test_helpers.test_clocks.create({"frozen_time": START})
    customer = world.customer(test_clock=clock.id)
    subscription = world.subscribe(customer, world.price(9900), trial_period_days=14)
    shown = preview(world, subscription)

    assert facts(shown) == [(9900, "1 × Seat (at $99.00 / month)", START + 14 * DAY)]
    assert world.v1.test_helpers.test_clocks.retrieve(clock.id).frozen_time == START


@pytest.mark.parametrize("how", ["ended", "ending"])
def test_what_is_not_renewed_has_no_next_invoice(world: BillingWorld, how: str) -> None:
    subscription = world.subscribe(world.customer(), world.price(9900))
    if how == "ended":
        world.v1.subscriptions.cancel(subscription.id)
    else:
        world.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    error = refusal(lambda: preview(world, subscription))

    assert (error.http_status, error.code) == (404, "invoice_upcoming_none")


def test_another_customers_subscription_is_not_shown(world: BillingWorld) -> None:
    subscription, other = world.subscribe(world.customer(), world.price(9900)), world.customer()
    params: Any = {"subscription": subscription.id, "customer": other.id}
    error = refusal(lambda: world.v1.invoices.create_preview(params))

    assert (error.http_status, error.code, error.param) == (400, "resource_missing", "subscription")
