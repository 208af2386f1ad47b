"""Pausing and resuming: what is credited, what is invoiced, and when the subscription goes on."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal

DAY = 86_400
HALF = START + 15 * DAY
LATER = START + 60 * DAY


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


@pytest.fixture
def subscription(world: BillingWorld) -> stripe.Subscription:
    """$100.00 a month, half a month old."""
    made = world.subscribe(world.customer(), world.price(10_000))
    world.at(HALF)
    return made


def fresh(world: BillingWorld, subscription: stripe.Subscription) -> stripe.Subscription:
    return world.v1.subscriptions.retrieve(subscription.id)


def use_card(world: BillingWorld, subscription: stripe.Subscription, card: str) -> None:
    customer = str(subscription.customer)
    method = world.v1.payment_methods.attach(card, {"customer": customer})
    world.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": method.id}})


def owner(subscription: stripe.Subscription) -> stripe.Customer:
    return stripe.Customer.construct_from({"id": str(subscription.customer)}, "")


def test_a_pause_ends_the_period_and_credits_the_rest_with_the_next_invoice(
    world: BillingWorld, subscription: stripe.Subscription
) -> None:
    paused = world.v1.subscriptions.pause(subscription.id)
    world.sandbox.advance(to=LATER)

    assert paused.status == "paused"
    assert paused.status_details is not None
    assert paused.status_details.paused.subscription.type == "pause_requested"
    assert paused["items"].data[0].current_period_end == HALF
    assert world.pending_amounts(owner(subscription)) == [-5000]
    assert len(world.v1.invoices.list({"subscription": subscription.id}).data) == 1
    assert "customer.subscription.paused" in world.event_types()


@pytest.mark.parametrize(
    ("since", "credits"), [("now", [-5000]), ("item_current_period_start", [-10_000]), ("none", [])]
)
def test_unused_time_is_credited_as_asked(
    world: BillingWorld, subscription: stripe.Subscription, since: str, credits: list[int]
) -> None:
    world.v1.subscriptions.pause(subscription.id, {"bill_for": {"unused_time_from": {"type": since}}})

    assert world.pending_amounts(owner(subscription)) == credits


def test_the_credit_can_be_invoiced_at_once_and_previewed(
    world: BillingWorld, subscription: stripe.Subscription
) -> None:
    invoiced: Any = {"invoicing_behavior": "invoice"}
    preview = world.v1.invoices.create_preview(
        {"subscription": subscription.id, "subscription_details": {"pause": invoiced}}
    )
    world.v1.subscriptions.pause(subscription.id, invoiced)
    invoice = world.latest_invoice(subscription)

    assert (preview.total, invoice.total, invoice.status) == (-5000, -5000, "paid")
    assert world.v1.customers.retrieve(str(subscription.customer)).balance == -5000


def test_resuming_starts_a_period_that_has_to_be_paid_first(
    world: BillingWorld, subscription: stripe.Subscription
) -> None:
    world.v1.subscriptions.pause(subscription.id)
    world.at(LATER)
    preview = world.v1.invoices.create_preview(
        {"subscription": subscription.id, "subscription_details": {"resume_at": "now"}}
    )
    waiting = world.v1.subscriptions.resume(subscription.id)
    invoice = world.latest_invoice(subscription)
    world.v1.invoices.pay(invoice.id)
    after = fresh(world, subscription)

    assert waiting.status == "paused"
    assert waiting.pending_update is not None
    assert waiting.pending_update.expires_at == LATER + 23 * 3600
    assert [line.amount for line in invoice.lines.data] == [10_000, -5000]
    assert (preview.total, invoice.status) == (5000, "open")
    assert (after.status, after.billing_cycle_anchor, after.status_details) == ("active", LATER, None)
    assert after["items"].data[0].current_period_start == LATER
    assert "customer.subscription.resumed" in world.event_types()


def test_a_failed_payment_of_the_resumption_leaves_it_past_due(
    world: BillingWorld, subscription: stripe.Subscription
) -> None:
    world.v1.subscriptions.pause(subscription.id)
    use_card(world, subscription, "pm_card_chargeCustomerFail")
    waiting = world.v1.subscriptions.resume(subscription.id)
    refusal(lambda: world.v1.invoices.pay(str(waiting.latest_invoice)))

    assert fresh(world, subscription).status == "past_due"


def test_resuming_only_on_success_charges_now_and_stays_paused_until_it_is_paid(
    world: BillingWorld, subscription: stripe.Subscription
) -> None:
    wanted: Any = {"payment_behavior": "resume_on_payment_success"}
    world.v1.subscriptions.pause(subscription.id)
    use_card(world, subscription, "pm_card_chargeCustomerFail")
    waiting = world.v1.subscriptions.resume(subscription.id, wanted)
    assert waiting.pending_update is not None
    first = world.latest_invoice(subscription)
    use_card(world, subscription, "pm_card_visa")
    world.sandbox.advance(seconds=3 * DAY)

    assert (waiting.status, waiting.pending_update.expires_at) == ("paused", HALF + 365 * DAY)
    assert (first.status, first.next_payment_attempt) == ("open", HALF + 3 * DAY)
    assert fresh(world, subscription).status == "active"


def test_a_good_card_resumes_it_in_the_request(
    world: BillingWorld, subscription: stripe.Subscription
) -> None:
    world.v1.subscriptions.pause(subscription.id)
    wanted: Any = {"payment_behavior": "resume_on_payment_success"}
    after = world.v1.subscriptions.resume(subscription.id, wanted)

    assert (after.status, after.pending_update) == ("active", None)
    assert world.latest_invoice(subscription).amount_paid == 5000


def test_an_unchanged_anchor_bills_the_rest_of_the_running_month(
    world: BillingWorld, subscription: stripe.Subscription
) -> None:
    world.v1.subscriptions.pause(subscription.id, {"bill_for": {"unused_time_from": {"type": "none"}}})
    resumed = world.v1.subscriptions.resume(subscription.id, {"billing_cycle_anchor": {"type": "unchanged"}})

    assert (resumed.status, resumed.billing_cycle_anchor) == ("active", START)
    assert resumed["items"].data[0].current_period_end == START + 30 * DAY
    assert world.pending_amounts(owner(subscription)) == [5000]


def test_a_resumption_whose_invoice_is_voided_stays_paused(
    world: BillingWorld, subscription: stripe.Subscription
) -> None:
    world.v1.subscriptions.pause(subscription.id)
    waiting = world.v1.subscriptions.resume(subscription.id)
    world.v1.invoices.void_invoice(str(waiting.latest_invoice))
    after = fresh(world, subscription)

    assert (after.status, after.pending_update) == ("paused", None)


def test_what_cannot_be_paused_or_resumed_is_refused(world: BillingWorld) -> None:
    sends: Any = {"collection_method": "send_invoice", "days_until_due": 30}
    sent = world.subscribe(world.customer(), world.price(10_000), **sends)
    trial = world.subscribe(world.customer(), world.price(10_000), trial_period_days=7)
    scheduled = world.subscribe(world.customer(), world.price(10_000))
    world.v1.subscription_schedules.create({"from_subscription": scheduled.id})
    over = world.subscribe(world.customer(), world.price(10_000))
    world.v1.subscriptions.cancel(over.id)
    paused = [
        refusal(lambda id=one.id: world.v1.subscriptions.pause(id)).http_status
        for one in (sent, trial, scheduled, over)
    ]

    assert paused == [400, 400, 400, 404]
    assert refusal(lambda: world.v1.subscriptions.resume(scheduled.id)).http_status == 400
    assert refusal(lambda: world.v1.subscriptions.resume(over.id)).http_status == 404


def test_there_is_no_other_billing_mode_to_migrate_from(
    world: BillingWorld, subscription: stripe.Subscription
) -> None:
    wanted: Any = {"billing_mode": {"type": "flexible"}}

    assert refusal(lambda: world.v1.subscriptions.migrate(subscription.id, wanted)).http_status == 400


def test_cancelling_now_with_an_invoice_bills_usage_and_can_be_previewed(world: BillingWorld) -> None:
    customer = world.customer()
    subscription = world.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": world.price(10_000)}, {"price": world.metered_price()}]}
    )
    world.at(HALF)
    preview = world.v1.invoices.create_preview(
        {"subscription": subscription.id, "subscription_details": {"cancel_now": True}}
    )
    world.v1.subscriptions.cancel(subscription.id, {"invoice_now": True, "prorate": True})
    invoice = world.latest_invoice(subscription)

    assert [line.amount for line in invoice.lines.data] == [0, -5000]
    assert [line.period.end for line in invoice.lines.data] == [HALF, START + 30 * DAY]
    assert (preview.total, invoice.total) == (-5000, -5000)
