"""Changes to a running subscription: what is prorated and charged, and what is left when it is not paid."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal

DAY = 86_400
HALF = 15 * DAY  # of the month from 21 September to 21 October


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


@pytest.fixture
def customer(world: BillingWorld) -> stripe.Customer:
    return world.customer()


def change(
    world: BillingWorld, subscription: stripe.Subscription, wanted: dict[str, Any], **params: Any
) -> stripe.Subscription:
    """Change the first item, invoiced at once unless told otherwise."""
    item = {"id": subscription["items"].data[0].id, **wanted}
    whole: Any = {"items": [item], "proration_behavior": "always_invoice", **params}
    return world.v1.subscriptions.update(subscription.id, whole)


def amounts(invoice: stripe.Invoice) -> list[int]:
    return [line.amount for line in invoice.lines.data]


def test_more_seats_credit_the_old_and_charge_the_new_quantity(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    subscription = world.subscribe(customer, world.price(9900))
    world.at(START + HALF)
    before = len(world.event_types())
    change(world, subscription, {"quantity": 3})
    invoice = world.latest_invoice(subscription)

    assert amounts(invoice) == [-4950, 14_850]
    assert [line.quantity for line in invoice.lines.data] == [1, 3]
    assert (invoice.status, invoice.amount_paid) == ("paid", 9900)
    told = [name for name in world.event_types()[before:] if "invoice" in name or "subscription" in name]
    assert told == [
        "customer.subscription.updated",
        "invoice.created",
        "invoice.finalized",
        "invoice_payment.paid",
        "invoice.payment_succeeded",
        "invoice.paid",
    ]


def test_prorations_reflect_the_discount_that_was_billed(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    ten = world.v1.coupons.create({"percent_off": 10, "duration": "forever"})
    item = {"price": world.price(10_000), "quantity": 2, "discounts": [{"coupon": ten.id}]}
    subscription = world.v1.subscriptions.create({"customer": customer.id, "items": [item]})
    world.at(START + HALF)
    change(world, subscription, {"quantity": 3})

    # 18000 billed, 27000 wanted, half a month of each
    assert amounts(world.latest_invoice(subscription)) == [-9000, 13_500]


def test_a_second_change_credits_what_the_first_one_charged(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    subscription = world.subscribe(customer, world.price(10_000))
    world.at(START + HALF)
    change(world, subscription, {"quantity": 4})
    middle = world.latest_invoice(subscription)
    world.at(START + HALF + HALF // 3)
    change(world, subscription, {"quantity": 1})
    last = world.latest_invoice(subscription)
    details = last.lines.data[0].parent.subscription_item_details.proration_details

    assert amounts(middle) == [-5000, 20_000]
    assert amounts(last) == [-13_333, 3333]
    assert details.credited_items.invoice == middle.id
    assert world.v1.customers.retrieve(customer.id).balance == -10_000


def test_another_price_without_a_quantity_is_one_of_it(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    item = {"price": world.price(1000), "quantity": 5}
    subscription = world.v1.subscriptions.create({"customer": customer.id, "items": [item]})
    after = change(world, subscription, {"price": world.price(4000)}, proration_behavior="none")

    assert after["items"].data[0].quantity == 1
    assert after["items"].data[0].plan.amount == 4000


def test_items_are_added_without_an_id_and_removed_with_deleted(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    subscription = world.subscribe(customer, world.price(9900), world.price(5000))
    world.at(START + HALF)
    usage = world.metered_price()
    wanted: Any = [
        {"id": subscription["items"].data[1].id, "deleted": True},
        {"price": world.price(3000), "quantity": 2},
        {"price": usage},
    ]
    after = world.v1.subscriptions.update(
        subscription.id, {"items": wanted, "proration_behavior": "always_invoice"}
    )

    assert [item.price.unit_amount for item in after["items"].data] == [9900, 3000, 99]
    assert amounts(world.latest_invoice(subscription)) == [-2500, 3000]


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([{"id": "si_nope", "quantity": 2}], "items[0][id]"),
        ([{"price": "price_nope"}], "items[0][price]"),
        ([{"quantity": 2}], "items[0][price]"),
    ],
)
def test_items_that_are_not_there_are_refused(
    world: BillingWorld, customer: stripe.Customer, items: Any, param: str
) -> None:
    subscription = world.subscribe(customer, world.price(9900))
    error = refusal(lambda: world.v1.subscriptions.update(subscription.id, {"items": items}))

    assert (error.http_status, error.param) == (400, param)


def test_a_subscription_keeps_at_least_one_item_and_each_price_once(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    price = world.price(9900)
    subscription = world.subscribe(customer, price)
    only = subscription["items"].data[0].id
    update = world.v1.subscriptions.update
    empty: Any = {"items": [{"id": only, "deleted": True}]}
    twice: Any = {"items": [{"price": price}]}

    assert "at least one" in str(refusal(lambda: update(subscription.id, empty)).user_message)
    assert "already used" in str(refusal(lambda: update(subscription.id, twice)).user_message)


def declining(world: BillingWorld, customer: stripe.Customer) -> None:
    """From now on the customer's payments are declined."""
    card = world.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    settings: Any = {"invoice_settings": {"default_payment_method": card.id}}
    world.v1.customers.update(customer.id, settings)


def test_a_declined_change_happens_all_the_same_and_is_past_due(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    subscription = world.subscribe(customer, world.price(9900))
    declining(world, customer)
    world.at(START + HALF)
    after = change(world, subscription, {"quantity": 3})

    assert (after.status, after["items"].data[0].quantity) == ("past_due", 3)
    assert world.latest_invoice(subscription).status == "open"


def test_error_if_incomplete_leaves_everything_as_it_was(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    subscription = world.subscribe(customer, world.price(9900))
    declining(world, customer)
    world.at(START + HALF)
    error = refusal(
        lambda: change(world, subscription, {"quantity": 3}, payment_behavior="error_if_incomplete")
    )
    after = world.v1.subscriptions.retrieve(subscription.id)

    assert (error.http_status, error.code) == (402, "card_declined")
    assert (after.status, after["items"].data[0].quantity) == ("active", 1)
    assert after.latest_invoice == subscription.latest_invoice


def test_default_incomplete_leaves_the_change_to_be_paid(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    subscription = world.subscribe(customer, world.price(9900))
    world.at(START + HALF)
    after = change(world, subscription, {"quantity": 3}, payment_behavior="default_incomplete")
    invoice = world.latest_invoice(subscription)
    assert (after.status, invoice.status, invoice.attempted) == ("past_due", "open", False)

    world.v1.invoices.pay(invoice.id)
    assert world.v1.subscriptions.retrieve(subscription.id).status == "active"


@pytest.mark.parametrize("at", [START - 1, START + 31 * DAY])
def test_prorations_count_from_inside_the_period(
    world: BillingWorld, customer: stripe.Customer, at: int
) -> None:
    subscription = world.subscribe(customer, world.price(9900))
    error = refusal(lambda: change(world, subscription, {"quantity": 3}, proration_date=at))

    assert (error.http_status, error.param) == (400, "proration_date")


def test_a_new_anchor_with_another_price_bills_a_whole_period(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    subscription = world.subscribe(customer, world.price(10_000))
    world.at(START + HALF)
    after = change(world, subscription, {"price": world.price(25_000)}, billing_cycle_anchor={"type": "now"})
    invoice = world.latest_invoice(subscription)
    item = after["items"].data[0]

    assert amounts(invoice) == [-5000, 25_000]
    assert [line.discountable for line in invoice.lines.data] == [False, True]
    assert (item.current_period_start, after.billing_cycle_anchor) == (START + HALF, START + HALF)


def test_during_a_trial_nothing_is_prorated_and_its_end_can_move(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    subscription = world.subscribe(customer, world.price(9900), trial_period_days=14)
    after = change(world, subscription, {"quantity": 3}, trial_end=START + 20 * DAY)
    assert (after.status, after.trial_end) == ("trialing", START + 20 * DAY)
    assert after["items"].data[0].current_period_end == START + 20 * DAY
    assert after.latest_invoice == subscription.latest_invoice
    assert world.pending_amounts(customer) == []

    world.sandbox.advance(seconds=20 * DAY + 7200)
    assert world.latest_invoice(subscription).amount_paid == 29_700


def test_plain_members_change_without_an_invoice(world: BillingWorld, customer: stripe.Customer) -> None:
    subscription = world.subscribe(customer, world.price(9900), metadata={"a": "1", "b": "2"})
    wanted: Any = {
        "description": "Twelve seats",
        "metadata": {"a": "", "c": "3"},
        "automatic_tax": {"enabled": True},
        "payment_settings": {"save_default_payment_method": "on_subscription"},
        "cancellation_details": {"comment": "None yet"},
    }
    after = world.v1.subscriptions.update(subscription.id, wanted)

    assert after.metadata.to_dict() == {"b": "2", "c": "3"}
    assert (after.description, after.automatic_tax.enabled) == ("Twelve seats", True)
    assert after.payment_settings.save_default_payment_method == "on_subscription"
    assert after.cancellation_details.comment == "None yet"
    assert after.latest_invoice == subscription.latest_invoice


def test_another_customers_method_cannot_pay(world: BillingWorld, customer: stripe.Customer) -> None:
    subscription = world.subscribe(customer, world.price(9900))
    other = world.v1.payment_methods.attach("pm_card_visa", {"customer": world.customer(None).id})
    error = refusal(
        lambda: world.v1.subscriptions.update(subscription.id, {"default_payment_method": other.id})
    )

    assert error.http_status == 400


def test_an_end_can_be_set_to_any_second(world: BillingWorld, customer: stripe.Customer) -> None:
    subscription = world.subscribe(customer, world.price(9900), world.price(100_000, "year"))
    month, year = (item.current_period_end for item in subscription["items"].data)
    update = world.v1.subscriptions.update

    assert update(subscription.id, {"cancel_at": "min_period_end"}).cancel_at == month
    assert update(subscription.id, {"cancel_at": "max_period_end"}).cancel_at == year
    assert update(subscription.id, {"cancel_at_period_end": True}).cancel_at == month
    assert update(subscription.id, {"cancel_at": START + DAY}).cancel_at == START + DAY
    world.sandbox.advance(seconds=DAY)
    assert world.v1.subscriptions.retrieve(subscription.id).ended_at == START + DAY


def test_items_of_their_own_route_prorate_too(world: BillingWorld, customer: stripe.Customer) -> None:
    subscription = world.subscribe(customer, world.price(9900))
    world.at(START + HALF)
    added = world.v1.subscription_items.create(
        {"subscription": subscription.id, "price": world.price(5000), "proration_behavior": "always_invoice"}
    )
    assert amounts(world.latest_invoice(subscription)) == [2500]

    world.v1.subscription_items.update(added.id, {"quantity": 2})
    assert world.pending_amounts(customer) == [-2500, 5000]
    error = refusal(lambda: world.v1.subscription_items.retrieve("si_nope"))
    assert (error.http_status, error.code) == (404, None)
    assert error.user_message == "Invalid subscription_item id: si_nope"
