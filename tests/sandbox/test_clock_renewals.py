"""What time does: renewals, trials, retries and planned ends, each at its own second."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal

HOUR, DAY = 3600, 86_400
MONTH = 30 * DAY  # from 21 September to 21 October
PAGE = {"return_url": "https://portal.example/done"}


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def invoices_of(world: BillingWorld, subscription: stripe.Subscription) -> list[stripe.Invoice]:
    """Oldest first."""
    found = world.v1.invoices.list({"subscription": subscription.id, "limit": 100})
    return list(reversed(found.data))


def descriptions(invoice: stripe.Invoice) -> list[str | None]:
    return [line.description for line in invoice.lines.data]


def fresh(world: BillingWorld, subscription: stripe.Subscription) -> stripe.Subscription:
    return world.v1.subscriptions.retrieve(subscription.id)


def test_a_period_is_renewed_at_its_last_second_and_charged_an_hour_later(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(9900))
    world.sandbox.advance(seconds=MONTH - 1)
    assert len(invoices_of(world, subscription)) == 1

    world.sandbox.advance(seconds=1)
    draft = world.latest_invoice(subscription)
    item = fresh(world, subscription)["items"].data[0]
    assert (draft.status, draft.billing_reason, draft.total) == ("draft", "subscription_cycle", 9900)
    assert (draft.created, draft.period_start, draft.period_end) == (START + MONTH, START, START + MONTH)
    assert item.current_period_start == START + MONTH
    assert draft.lines.data[0].period.start == START + MONTH

    world.sandbox.advance(seconds=HOUR)
    assert world.latest_invoice(subscription).status == "draft"
    world.sandbox.advance(seconds=1)
    paid = world.latest_invoice(subscription)
    assert (paid.status, paid.amount_paid) == ("paid", 9900)
    assert paid.status_transitions.paid_at == START + MONTH + HOUR + 1


def test_months_pass_one_after_the_other_when_a_year_is_skipped(world: BillingWorld) -> None:
    world.at(int(datetime(2026, 1, 31, 10, tzinfo=UTC).timestamp()))
    subscription = world.subscribe(world.customer(), world.price(9900))
    world.sandbox.advance(to=int(datetime(2027, 1, 31, 12, tzinfo=UTC).timestamp()))
    made = invoices_of(world, subscription)
    days = [datetime.fromtimestamp(invoice.created, UTC).strftime("%d.%m.") for invoice in made]

    assert days == [
        "31.01.", "28.02.", "31.03.", "30.04.", "31.05.", "30.06.", "31.07.", "31.08.", "30.09.", "31.10.",
        "30.11.", "31.12.", "31.01.",
    ]  # fmt: skip
    assert {invoice.status for invoice in made} == {"paid"}


def test_usage_is_billed_by_the_month_and_seats_join_it_once_a_year(world: BillingWorld) -> None:
    seat, usage = world.price(102_000, "year"), world.metered_price()
    subscription = world.subscribe(world.customer(), seat, usage)
    world.sandbox.advance(seconds=366 * DAY)
    made = invoices_of(world, subscription)

    assert len(made) == 13
    assert descriptions(made[0]) == ["1 × Seat (at $1,020.00 / year)"]
    assert descriptions(made[5]) == ["0 × Resolution (at $0.99 / month)"]
    assert descriptions(made[12]) == ["1 × Seat (at $1,020.00 / year)", "0 × Resolution (at $0.99 / month)"]
    assert [invoice.total for invoice in made] == [102_000, *[0] * 11, 102_000]


def test_a_discount_for_one_invoice_ends_with_it_and_one_for_months_with_its_last(
    world: BillingWorld,
) -> None:
    once = world.v1.coupons.create({"percent_off": 50, "duration": "once"})
    months: Any = {"amount_off": 1000, "currency": "usd", "duration": "repeating", "duration_in_months": 3}
    repeating = world.v1.coupons.create(months)
    discounts = [{"coupon": once.id}, {"coupon": repeating.id}]
    subscription = world.subscribe(world.customer(), world.price(10_000), discounts=discounts)
    world.sandbox.advance(seconds=125 * DAY)

    assert [invoice.total for invoice in invoices_of(world, subscription)] == [
        4000,
        9000,
        9000,
        10_000,
        10_000,
    ]
    assert fresh(world, subscription).discounts == []


def test_a_one_time_discount_waits_for_the_end_of_the_trial(world: BillingWorld) -> None:
    once = world.v1.coupons.create({"percent_off": 50, "duration": "once"})
    subscription = world.subscribe(
        world.customer(), world.price(10_000), trial_period_days=14, discounts=[{"coupon": once.id}]
    )
    world.sandbox.advance(seconds=50 * DAY)

    assert [invoice.total for invoice in invoices_of(world, subscription)] == [0, 5000, 10_000]


def test_a_trial_is_announced_three_days_ahead_and_then_paid(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(9900), trial_period_days=14)
    world.sandbox.advance(seconds=11 * DAY - 1)
    assert "customer.subscription.trial_will_end" not in world.event_types()

    world.sandbox.advance(seconds=1)
    assert world.event_types().count("customer.subscription.trial_will_end") == 1

    world.sandbox.advance(seconds=3 * DAY)
    active, draft = fresh(world, subscription), world.latest_invoice(subscription)
    assert (active.status, draft.status, draft.total) == ("active", "draft", 9900)
    assert active["items"].data[0].current_period_start == START + 14 * DAY

    world.sandbox.advance(seconds=2 * HOUR)
    assert world.latest_invoice(subscription).status == "paid"
    assert world.event_types().count("customer.subscription.trial_will_end") == 1


@pytest.mark.parametrize(
    ("behavior", "status", "event"),
    [
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("pause", "paused", "customer.subscription.paused"),
        ("create_invoice", "past_due", "invoice.payment_failed"),
    ],
)
def test_a_trial_without_a_method_ends_as_asked(
    world: BillingWorld, behavior: str, status: str, event: str
) -> None:
    settings = {"end_behavior": {"missing_payment_method": behavior}}
    subscription = world.subscribe(
        world.customer(None), world.price(9900), trial_period_days=14, trial_settings=settings
    )
    world.sandbox.advance(seconds=14 * DAY + 2 * HOUR)

    assert fresh(world, subscription).status == status
    assert event in world.event_types()


def failing(world: BillingWorld) -> tuple[stripe.Customer, stripe.Subscription]:
    """A subscription whose next renewal will be declined."""
    customer = world.customer()
    subscription = world.subscribe(customer, world.price(9900))
    card = world.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    settings: Any = {"invoice_settings": {"default_payment_method": card.id}}
    world.v1.customers.update(customer.id, settings)
    return customer, subscription


def test_a_declined_renewal_is_retried_and_then_ends_the_subscription(world: BillingWorld) -> None:
    customer, subscription = failing(world)
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)
    assert world.v1.customers.retrieve(customer.id).delinquent is True
    invoice = world.latest_invoice(subscription)
    failed_at = START + MONTH + HOUR + 1
    assert fresh(world, subscription).status == "past_due"
    assert (invoice.status, invoice.attempt_count) == ("open", 1)
    assert invoice.next_payment_attempt == failed_at + 3 * DAY

    world.sandbox.advance(seconds=8 * DAY)
    invoice = world.latest_invoice(subscription)
    assert (invoice.attempt_count, invoice.next_payment_attempt) == (3, failed_at + 15 * DAY)

    world.sandbox.advance(seconds=8 * DAY)
    ended, invoice = fresh(world, subscription), world.latest_invoice(subscription)
    assert (ended.status, ended.cancellation_details.reason) == ("canceled", "payment_failed")
    assert (invoice.status, invoice.attempt_count, invoice.next_payment_attempt) == ("open", 4, None)
    assert world.event_types().count("invoice.payment_failed") == 4


@pytest.mark.parametrize(
    ("last_step", "status", "next_draft_waits"),
    [("unpaid", "unpaid", True), ("past_due", "past_due", False)],
)
def test_what_follows_the_last_retry_can_be_chosen(
    world: BillingWorld, last_step: str, status: str, next_draft_waits: bool
) -> None:
    _, subscription = failing(world)
    control = world.app.test_client()
    control.post("/_sandbox/dunning", json={"last_step": last_step})
    world.sandbox.advance(seconds=MONTH + 16 * DAY)
    assert control.get("/_sandbox/dunning").json == {"last_step": last_step, "retry_days": [3, 5, 7]}
    assert fresh(world, subscription).status == status

    world.sandbox.advance(seconds=16 * DAY)
    assert (world.latest_invoice(subscription).status == "draft") is next_draft_waits
    assert control.post("/_sandbox/dunning", json={"last_step": "shrug"}).status_code == 400


def test_a_good_card_makes_a_past_due_subscription_active_again(world: BillingWorld) -> None:
    customer, subscription = failing(world)
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)
    card = world.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    paid = world.v1.invoices.pay(str(world.latest_invoice(subscription).id), {"payment_method": card.id})

    assert (paid.status, paid.attempt_count) == ("paid", 1)
    assert world.v1.customers.retrieve(customer.id).delinquent is False
    assert fresh(world, subscription).status == "active"


def test_a_card_that_wants_authentication_cannot_renew_by_itself(world: BillingWorld) -> None:
    customer = world.customer(None)
    subscription = world.subscribe(
        customer,
        world.price(9900),
        payment_behavior="default_incomplete",
        payment_settings={"save_default_payment_method": "on_subscription"},
        expand=["latest_invoice.payments"],
    )
    intent = subscription.latest_invoice.payments.data[0].payment.payment_intent
    world.v1.payment_intents.confirm(str(intent), {"payment_method": "pm_card_visa", **PAGE})
    strict = world.v1.payment_methods.attach("pm_card_authenticationRequired", {"customer": customer.id})
    world.v1.subscriptions.update(subscription.id, {"default_payment_method": strict.id})
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)

    assert fresh(world, subscription).status == "past_due"
    error = refusal(lambda: world.v1.invoices.pay(str(world.latest_invoice(subscription).id)))
    assert (error.http_status, error.code) == (402, "authentication_required")


def test_a_planned_end_stops_the_renewal(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(9900))
    world.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    world.sandbox.advance(seconds=MONTH)
    ended = fresh(world, subscription)

    assert (ended.status, ended.ended_at, ended.canceled_at) == ("canceled", START + MONTH, START)
    assert len(invoices_of(world, subscription)) == 1


def test_pending_items_join_the_next_renewal(world: BillingWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.price(10_000))
    item = subscription["items"].data[0].id
    world.sandbox.advance(seconds=MONTH // 2)
    world.v1.subscriptions.update(subscription.id, {"items": [{"id": item, "quantity": 2}]})
    world.v1.invoice_items.create({"customer": customer.id, "amount": 700, "currency": "usd"})
    world.sandbox.advance(seconds=MONTH // 2 + 2 * HOUR)
    invoice = world.latest_invoice(subscription)

    assert [line.amount for line in invoice.lines.data] == [20_000, -5000, 10_000, 700]
    assert (invoice.status, invoice.total) == ("paid", 25_700)
    assert world.pending_amounts(customer) == []


def test_a_renewal_without_a_place_for_its_taxes_stays_a_draft(world: BillingWorld) -> None:
    customer = world.customer(address={"country": "DE"})
    subscription = world.subscribe(customer, world.price(10_000), automatic_tax={"enabled": True})
    assert world.latest_invoice(subscription).total == 11_900
    world.v1.customers.update(customer.id, {"address": ""})
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)
    stuck = world.latest_invoice(subscription)

    assert stuck.status == "draft"
    assert stuck.automatic_tax.disabled_reason == "finalization_requires_location_inputs"
    assert stuck.last_finalization_error.code == "customer_tax_location_invalid"
    assert "invoice.finalization_failed" in world.event_types()


def test_a_test_clock_moves_its_own_customers_only(world: BillingWorld) -> None:
    clock = world.v1.test_helpers.test_clocks.create({"frozen_time": START})
    mine = world.subscribe(world.customer(test_clock=clock.id), world.price(9900))
    other = world.subscribe(world.customer(), world.price(9900))
    moving = world.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": START + MONTH + 2 * HOUR})
    moved = world.v1.test_helpers.test_clocks.retrieve(clock.id)

    assert (moving.status, moving.status_details.advancing.target_frozen_time) == (
        "advancing",
        START + MONTH + 2 * HOUR,
    )
    assert (moved.status, moved.frozen_time) == ("ready", START + MONTH + 2 * HOUR)
    assert [invoice.status for invoice in invoices_of(world, mine)] == ["paid", "paid"]
    assert len(invoices_of(world, other)) == 1
    assert world.event_types()[-1] == "test_helpers.test_clock.ready"


def test_a_test_clock_goes_two_periods_at_most_and_takes_its_customers_with_it(world: BillingWorld) -> None:
    clocks = world.v1.test_helpers.test_clocks
    clock = clocks.create({"frozen_time": START})
    customer = world.customer(test_clock=clock.id)
    subscription = world.subscribe(customer, world.price(9900))
    far: Any = {"frozen_time": START + 3 * MONTH}
    assert refusal(lambda: clocks.advance(clock.id, far)).param == "frozen_time"
    back: Any = {"frozen_time": START - 1}
    assert refusal(lambda: clocks.advance(clock.id, back)).param == "frozen_time"

    clocks.delete(clock.id)
    assert world.v1.customers.retrieve(customer.id).deleted is True
    assert fresh(world, subscription).status == "canceled"
    assert refusal(lambda: clocks.retrieve(clock.id)).http_status == 404
