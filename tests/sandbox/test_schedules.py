"""Subscription schedules: phases restated, entered by the clock, released, cancelled."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal
from tests.sandbox.schedules import (
    DAY,
    HALF,
    HOUR,
    MONTH_END,
    NEXT_MONTH_END,
    attach,
    current,
    items_of,
    seats,
    then,
)


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def test_a_schedule_restates_the_subscription_and_is_attached_to_it(world: BillingWorld) -> None:
    subscription = seats(world)
    schedule = attach(world, subscription)
    expanded = world.v1.subscriptions.retrieve(subscription.id, {"expand": ["schedule"]})

    assert (schedule.status, schedule.end_behavior) == ("active", "release")
    assert [(row.start_date, row.end_date) for row in schedule.phases] == [(START, MONTH_END)]
    assert [row.quantity for row in schedule.phases[0]["items"]] == [4]
    assert schedule.current_phase is not None
    assert schedule.current_phase.end_date == MONTH_END
    assert isinstance(expanded.schedule, stripe.SubscriptionSchedule)
    assert expanded.schedule.id == schedule.id
    assert "subscription_schedule.created" in world.event_types()


def test_fewer_seats_from_the_next_period_on(world: BillingWorld) -> None:
    subscription = seats(world)
    schedule = attach(world, subscription)
    price = str(subscription["items"].data[0].price.id)
    updated = then(world, schedule, {"price": price, "quantity": 2})
    before = items_of(world, subscription)
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)
    invoice = world.latest_invoice(subscription)

    assert [(row.start_date, row.end_date) for row in updated.phases] == [
        (START, MONTH_END),
        (MONTH_END, NEXT_MONTH_END),
    ]
    assert before == [(4, 3000)]
    assert items_of(world, subscription) == [(2, 3000)]
    assert [line.amount for line in invoice.lines.data] == [6000]
    assert (invoice.status, invoice.billing_reason) == ("paid", "subscription_cycle")
    assert "subscription_schedule.updated" in world.event_types()


def test_another_tier_and_add_on_begin_with_the_period_and_are_billed_by_its_renewal(
    world: BillingWorld,
) -> None:
    subscription = seats(world)
    schedule = attach(world, subscription)
    cheaper, add_on = world.price(2000), world.price(500)
    then(world, schedule, {"price": cheaper, "quantity": 4}, {"price": add_on, "quantity": 1})
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)
    invoice = world.latest_invoice(subscription)
    found = world.v1.subscriptions.retrieve(subscription.id)["items"].data

    assert items_of(world, subscription) == [(4, 2000), (1, 500)]
    assert [line.amount for line in invoice.lines.data] == [8000, 500]
    assert [item.current_period_end for item in found] == [NEXT_MONTH_END, NEXT_MONTH_END]
    assert world.pending_amounts(stripe.Customer.construct_from({"id": subscription.customer}, "")) == []


def test_the_preview_of_the_renewal_shows_the_next_phase(world: BillingWorld) -> None:
    subscription = seats(world)
    price = str(subscription["items"].data[0].price.id)
    then(world, attach(world, subscription), {"price": price, "quantity": 2})
    preview = world.v1.invoices.create_preview({"subscription": subscription.id})
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)

    assert preview.total == 6000
    assert world.latest_invoice(subscription).total == preview.total


def test_the_preview_passes_the_phases_before_the_next_renewal(world: BillingWorld) -> None:
    yearly, fee = world.price(30_000, "year"), world.price(4000, interval=None)
    subscription = world.subscribe(world.customer(), yearly)
    schedule = attach(world, subscription)
    phases: Any = [
        {**current(schedule), "end_date": MONTH_END},
        {
            "items": [{"price": yearly, "quantity": 3}],
            "duration": {"interval": "month", "interval_count": 1},
            "proration_behavior": "none",
            "add_invoice_items": [{"price": fee}],
        },
    ]
    world.v1.subscription_schedules.update(schedule.id, {"phases": phases})
    preview = world.v1.invoices.create_preview({"subscription": subscription.id})
    world.sandbox.advance(to=START + 365 * DAY + 2 * HOUR)

    assert [line.amount for line in preview.lines.data] == [90_000, 4000]
    assert world.latest_invoice(subscription).total == preview.total


def test_a_year_becomes_months_when_it_ends(world: BillingWorld) -> None:
    yearly, monthly = world.price(30_000, "year"), world.price(3000)
    subscription = world.subscribe(world.customer(), yearly)
    year_end = START + 365 * DAY
    schedule = attach(world, subscription)
    then(world, schedule, {"price": monthly, "quantity": 1})
    world.sandbox.advance(to=year_end + 2 * HOUR)
    after = world.v1.subscriptions.retrieve(subscription.id)

    assert after.billing_cycle_anchor == START
    assert after["items"].data[0].current_period_end == year_end + 30 * DAY
    assert [line.amount for line in world.latest_invoice(subscription).lines.data] == [3000]


def test_after_its_last_phase_the_schedule_lets_go(world: BillingWorld) -> None:
    subscription = seats(world)
    price = str(subscription["items"].data[0].price.id)
    schedule = then(world, attach(world, subscription), {"price": price, "quantity": 2})
    world.sandbox.advance(to=NEXT_MONTH_END + 2 * HOUR)
    after = world.v1.subscriptions.retrieve(subscription.id)
    ended = world.v1.subscription_schedules.retrieve(schedule.id)

    assert (after.schedule, after.status) == (None, "active")
    assert (ended.status, ended.completed_at, ended.current_phase) == ("completed", NEXT_MONTH_END, None)
    assert ended.released_subscription == subscription.id
    assert [line.amount for line in world.latest_invoice(subscription).lines.data] == [6000]
    assert {"subscription_schedule.expiring", "subscription_schedule.completed"} <= set(world.event_types())


def test_an_end_behavior_of_cancel_ends_the_subscription(world: BillingWorld) -> None:
    subscription = seats(world)
    schedule = attach(world, subscription)
    world.v1.subscription_schedules.update(schedule.id, {"end_behavior": "cancel"})
    planned = world.v1.subscriptions.retrieve(subscription.id)
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)
    after = world.v1.subscriptions.retrieve(subscription.id)

    assert planned.cancel_at == MONTH_END
    assert (after.status, after.ended_at) == ("canceled", MONTH_END)
    assert world.v1.subscription_schedules.retrieve(schedule.id).status == "completed"
    assert world.latest_invoice(subscription).billing_reason == "subscription_create"


def test_releasing_leaves_the_subscription_as_it_is(world: BillingWorld) -> None:
    subscription = seats(world)
    price = str(subscription["items"].data[0].price.id)
    schedule = then(world, attach(world, subscription), {"price": price, "quantity": 2})
    released = world.v1.subscription_schedules.release(schedule.id)
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)

    assert (released.status, released.subscription) == ("released", None)
    assert released.released_subscription == subscription.id
    assert world.v1.subscriptions.retrieve(subscription.id).schedule is None
    assert items_of(world, subscription) == [(4, 3000)]
    assert "subscription_schedule.released" in world.event_types()


def test_a_released_schedule_can_be_followed_by_a_new_one(world: BillingWorld) -> None:
    subscription = seats(world)
    first = attach(world, subscription)
    refused = refusal(lambda: attach(world, subscription))
    world.v1.subscription_schedules.release(first.id)
    second = attach(world, subscription)
    listed = world.v1.subscription_schedules.list({"customer": str(subscription.customer)})

    assert "already attached to a schedule" in str(refused)
    assert [row.id for row in listed.data] == [second.id, first.id]
    assert refusal(lambda: world.v1.subscription_schedules.release(first.id)).http_status == 400
    assert refusal(lambda: world.v1.subscription_schedules.update(first.id, {})).http_status == 400


def test_cancelling_a_schedule_cancels_the_subscription_with_a_credit(world: BillingWorld) -> None:
    subscription = seats(world)
    schedule = attach(world, subscription)
    world.at(HALF)
    canceled = world.v1.subscription_schedules.cancel(schedule.id)
    after = world.v1.subscriptions.retrieve(subscription.id)

    assert (canceled.status, canceled.canceled_at) == ("canceled", HALF)
    assert after.status == "canceled"
    assert world.latest_invoice(subscription).total == -6000
    assert "subscription_schedule.canceled" in world.event_types()


def test_a_current_phase_that_is_not_restated_changes_the_subscription_now(world: BillingWorld) -> None:
    subscription = seats(world)
    schedule = attach(world, subscription)
    world.at(HALF)
    phase = {**current(schedule)}
    phase["items"] = [{**phase["items"][0], "quantity": 6}]
    wanted: Any = {"phases": [phase], "proration_behavior": "always_invoice"}
    world.v1.subscription_schedules.update(schedule.id, wanted)

    assert items_of(world, subscription) == [(6, 3000)]
    assert [line.amount for line in world.latest_invoice(subscription).lines.data] == [-6000, 9000]


def test_a_discount_that_is_not_restated_is_dropped(world: BillingWorld) -> None:
    coupon = world.v1.coupons.create({"percent_off": 10, "duration": "forever"})
    subscription = world.v1.subscriptions.create(
        {
            "customer": world.customer().id,
            "items": [{"price": world.price(3000), "discounts": [{"coupon": coupon.id}]}],
        }
    )
    schedule = attach(world, subscription)
    price = str(subscription["items"].data[0].price.id)
    kept = then(world, schedule, {"price": price, "discounts": [{"coupon": coupon.id}]})
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)
    still_on = world.latest_invoice(subscription).total
    world.v1.subscription_schedules.release(kept.id)
    then(world, attach(world, subscription), {"price": price})
    world.sandbox.advance(to=NEXT_MONTH_END + 2 * HOUR)

    assert (still_on, world.latest_invoice(subscription).total) == (2700, 3000)


def test_changing_a_scheduled_subscription_directly_splits_the_phase(world: BillingWorld) -> None:
    subscription = seats(world)
    price = str(subscription["items"].data[0].price.id)
    schedule = then(world, attach(world, subscription), {"price": price, "quantity": 2})
    world.at(HALF)
    item = {"id": subscription["items"].data[0].id, "quantity": 6}
    world.v1.subscriptions.update(subscription.id, {"items": [item], "proration_behavior": "always_invoice"})
    phases = world.v1.subscription_schedules.retrieve(schedule.id).phases
    stated = [(row.start_date, row.end_date, row["items"][0].quantity) for row in phases]
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)

    assert stated == [(START, HALF, 4), (HALF, MONTH_END, 6), (MONTH_END, NEXT_MONTH_END, 2)]
    assert items_of(world, subscription) == [(2, 3000)]


def test_a_pending_update_is_discarded_when_a_phase_begins(world: BillingWorld) -> None:
    subscription = seats(world)
    price = str(subscription["items"].data[0].price.id)
    then(world, attach(world, subscription), {"price": price, "quantity": 2})
    card = world.v1.payment_methods.attach(
        "pm_card_chargeCustomerFail", {"customer": str(subscription.customer)}
    )
    settings = {"invoice_settings": {"default_payment_method": card.id}}
    world.v1.customers.update(str(subscription.customer), settings)
    world.at(MONTH_END - 12 * HOUR)
    item = {"id": subscription["items"].data[0].id, "quantity": 90}
    waiting = world.v1.subscriptions.update(
        subscription.id,
        {
            "items": [item],
            "payment_behavior": "pending_if_incomplete",
            "proration_behavior": "always_invoice",
        },
    )
    assert waiting.pending_update is not None
    world.sandbox.advance(to=MONTH_END)

    assert world.v1.invoices.retrieve(str(waiting.latest_invoice)).status == "void"
    assert items_of(world, subscription) == [(2, 3000)]


def test_metadata_of_items_survives_a_phase_that_does_not_name_it(world: BillingWorld) -> None:
    item = {"price": world.price(3000), "quantity": 4, "metadata": {"role": "seat"}}
    subscription = world.v1.subscriptions.create({"customer": world.customer().id, "items": [item]})
    world.at(HALF)
    schedule = then(world, attach(world, subscription), {"price": item["price"], "quantity": 2})
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)
    kept = world.v1.subscriptions.retrieve(subscription.id)["items"].data[0]

    assert [row.start_date for row in schedule.phases] == [START, MONTH_END]
    assert (kept.quantity, kept.metadata.to_dict()) == (2, {"role": "seat"})


def test_yearly_seats_beside_monthly_usage_are_lessened_when_their_year_ends(world: BillingWorld) -> None:
    seat, usage = world.price(30_000, "year"), world.metered_price()
    subscription = world.v1.subscriptions.create(
        {"customer": world.customer().id, "items": [{"price": seat, "quantity": 4}, {"price": usage}]}
    )
    schedule = attach(world, subscription)
    year_end = START + 365 * DAY
    phases: Any = [
        {**current(schedule), "end_date": year_end},
        {
            "items": [{"price": seat, "quantity": 2}, {"price": usage}],
            "duration": {"interval": "month", "interval_count": 1},
            "proration_behavior": "none",
        },
    ]
    world.v1.subscription_schedules.update(schedule.id, {"phases": phases})
    world.sandbox.advance(to=year_end - HOUR)
    before = items_of(world, subscription)
    world.sandbox.advance(to=year_end + 2 * HOUR)

    assert before[0] == (4, 30_000)
    assert items_of(world, subscription)[0] == (2, 30_000)
    assert sorted(line.amount for line in world.latest_invoice(subscription).lines.data) == [0, 60_000]


def test_cancelling_a_scheduled_subscription_cancels_its_schedule(world: BillingWorld) -> None:
    subscription = seats(world)
    schedule = attach(world, subscription)
    world.v1.subscriptions.cancel(subscription.id)

    assert world.v1.subscription_schedules.retrieve(schedule.id).status == "canceled"
    assert "subscription_schedule.canceled" in world.event_types()


def test_a_subscription_that_ends_unpaid_aborts_its_schedule(world: BillingWorld) -> None:
    subscription = seats(world)
    price = str(subscription["items"].data[0].price.id)
    then(world, attach(world, subscription), {"price": price, "quantity": 2})
    card = world.v1.payment_methods.attach(
        "pm_card_chargeCustomerFail", {"customer": str(subscription.customer)}
    )
    settings = {"invoice_settings": {"default_payment_method": card.id}}
    world.v1.customers.update(str(subscription.customer), settings)
    world.sandbox.advance(to=MONTH_END + 16 * DAY)

    assert world.v1.subscriptions.retrieve(subscription.id).status == "canceled"
    assert "subscription_schedule.aborted" in world.event_types()


def test_a_grandfathered_price_can_be_restated_and_kept(world: BillingWorld) -> None:
    subscription = seats(world)
    price = str(subscription["items"].data[0].price.id)
    world.v1.prices.update(price, {"active": False})
    then(world, attach(world, subscription), {"price": price, "quantity": 3})
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)

    assert world.latest_invoice(subscription).total == 9000
