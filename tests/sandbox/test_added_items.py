"""Charges of one time beside a change of the subscription, as it is asked for, waits and is previewed."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal

DAY = 86_400
MONTH, HALF = 30 * DAY, 15 * DAY
DECLINES = "pm_card_chargeCustomerFail"


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def seats(world: BillingWorld, quantity: int = 4) -> tuple[stripe.Customer, stripe.Subscription]:
    """A customer who pays $30.00 a month for each seat, and half of the month is over."""
    customer = world.customer()
    item = {"price": world.price(3000), "quantity": quantity}
    subscription = world.v1.subscriptions.create({"customer": customer.id, "items": [item]})
    world.at(START + HALF)
    return customer, subscription


def pack(world: BillingWorld, unit_amount: int = 79) -> str:
    """A price of one time for a credit."""
    return world.price(unit_amount, None, product="Resolution credits")


def swap(
    world: BillingWorld, subscription: stripe.Subscription, quantity: int, *added: Any, **params: Any
) -> stripe.Subscription:
    """Ask for so many seats and the added charges, both when paid or neither."""
    wanted = {
        "items": [{"id": subscription["items"].data[0].id, "quantity": quantity}],
        "add_invoice_items": list(added),
        "payment_behavior": "pending_if_incomplete",
        "proration_behavior": "always_invoice",
        **params,
    }
    return world.v1.subscriptions.update(subscription.id, wanted)


def decline(world: BillingWorld, customer: stripe.Customer) -> None:
    """Make a card the customer's default that never pays."""
    method = world.v1.payment_methods.attach(DECLINES, {"customer": customer.id})
    world.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})


def facts(invoice: stripe.Invoice) -> list[tuple[int, str | None]]:
    return [(line.amount, line.description) for line in invoice.lines.data]


def test_seats_given_back_pay_for_a_part_of_what_is_added(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    after = swap(world, subscription, 2, {"price": pack(world), "quantity": 100})
    invoice = world.latest_invoice(subscription)

    assert [line.amount for line in invoice.lines.data] == [-6000, 3000, 7900]
    assert (invoice.status, invoice.total, invoice.amount_paid) == ("paid", 4900, 4900)
    assert (after["items"].data[0].quantity, after.pending_update) == (2, None)
    assert world.pending_amounts(customer) == []


def test_what_the_seats_give_back_beyond_it_goes_to_the_balance(world: BillingWorld) -> None:
    customer, subscription = seats(world, 10)
    swap(world, subscription, 1, {"price": pack(world), "quantity": 100})
    invoice = world.latest_invoice(subscription)

    assert [line.amount for line in invoice.lines.data] == [-15_000, 1500, 7900]
    assert (invoice.status, invoice.total, invoice.amount_due) == ("paid", -5600, 0)
    assert world.v1.customers.retrieve(customer.id).balance == -5600
    assert world.v1.subscriptions.retrieve(subscription.id)["items"].data[0].quantity == 1


def test_of_an_unpaid_swap_nothing_is_done_until_it_is_paid(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    decline(world, customer)
    after = swap(world, subscription, 3, {"price": pack(world), "quantity": 100})
    invoice = world.latest_invoice(subscription)
    assert (after["items"].data[0].quantity, invoice.status, invoice.amount_due) == (4, "open", 6400)
    assert after.pending_update is not None
    assert world.pending_amounts(customer) == []

    good = world.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    world.v1.invoices.pay(invoice.id, {"payment_method": good.id})
    paid = world.v1.subscriptions.retrieve(subscription.id)
    assert (paid["items"].data[0].quantity, paid.pending_update) == (3, None)


@pytest.mark.parametrize("ending", ["voided", "left alone"])
def test_of_a_swap_that_nobody_pays_nothing_stays(world: BillingWorld, ending: str) -> None:
    customer, subscription = seats(world)
    decline(world, customer)
    swap(world, subscription, 3, {"price": pack(world), "quantity": 100})
    invoice = world.latest_invoice(subscription)
    if ending == "voided":
        world.v1.invoices.void_invoice(invoice.id)
    else:
        world.sandbox.advance(seconds=24 * 3600)
    after = world.v1.subscriptions.retrieve(subscription.id)

    assert world.v1.invoices.retrieve(invoice.id).status == "void"
    assert (after["items"].data[0].quantity, after.pending_update) == (4, None)
    assert world.pending_amounts(customer) == []


def test_where_it_need_not_be_paid_first_the_seats_change_and_the_invoice_stays_open(
    world: BillingWorld,
) -> None:
    customer, subscription = seats(world)
    decline(world, customer)
    added = {"price": pack(world), "quantity": 100}
    after = swap(world, subscription, 3, added, payment_behavior="allow_incomplete")

    assert (after.status, after["items"].data[0].quantity) == ("past_due", 3)
    assert world.latest_invoice(subscription).status == "open"


def test_an_addition_without_a_change_waits_though_asked_to_be_invoiced(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    added: Any = [{"price": pack(world), "quantity": 100}]
    world.v1.subscriptions.update(
        subscription.id, {"add_invoice_items": added, "proration_behavior": "always_invoice"}
    )

    assert world.pending_amounts(customer) == [7900]


def test_an_addition_can_describe_its_price_and_have_a_discount(world: BillingWorld) -> None:
    _, subscription = seats(world)
    product = world.v1.products.create({"name": "Resolution credits"})
    half = world.v1.coupons.create({"percent_off": 50, "duration": "once"})
    data = {"currency": "usd", "product": product.id, "unit_amount_decimal": "79.5"}
    added = {"price_data": data, "quantity": 101, "discounts": [{"coupon": half.id}], "metadata": {"q": "1"}}
    swap(world, subscription, 3, added)
    invoice = world.latest_invoice(subscription)
    line = invoice.lines.data[2]

    assert (line.amount, line.description, line.quantity) == (8030, "Resolution credits", 101)
    assert [row.amount for row in line.discount_amounts or []] == [4015]
    assert dict(line.metadata.to_dict()) == {"q": "1"}
    assert invoice.total == -6000 + 4500 + 4015


def test_an_addition_is_for_the_items_period_unless_told(world: BillingWorld) -> None:
    _, subscription = seats(world)
    year = 365 * DAY
    period = {"start": {"type": "now"}, "end": {"type": "timestamp", "timestamp": START + year}}
    price = pack(world)
    swap(world, subscription, 3, {"price": price}, {"price": price, "period": period})
    lines = world.latest_invoice(subscription).lines.data[2:]

    assert [(line.period.start - START, line.period.end - START) for line in lines] == [
        (0, MONTH),
        (HALF, year),
    ]


@pytest.mark.parametrize(
    ("added", "param", "words"),
    [
        ({"quantity": 1}, "add_invoice_items[0][price]", "Missing required param"),
        ({"quantity": -1}, "add_invoice_items[0][quantity]", "greater than or equal to 0"),
        ({"price": "recurring"}, "add_invoice_items[0][price]", "only accepts prices with `type=one_time`"),
        ({"price": "euros"}, "add_invoice_items[0][price]", "doesn't match the expected currency: `usd`"),
        ({"price": "gone"}, "add_invoice_items[0][price]", "only accepts active prices"),
        ({"price": "price_none"}, "add_invoice_items[0][price]", "No such price"),
    ],
    ids=["no price", "negative", "recurring", "currency", "inactive", "unknown"],
)
def test_an_addition_is_refused_where_it_is_wrong(
    world: BillingWorld, added: dict[str, Any], param: str, words: str
) -> None:
    _, subscription = seats(world)
    prices = {
        "recurring": lambda: world.price(100),
        "euros": lambda: world.price(100, None, currency="eur"),
        "gone": lambda: world.v1.prices.update(pack(world), {"active": False}).id,
    }
    wanted = {**added}
    if wanted.get("price") in prices:
        wanted["price"] = prices[wanted["price"]]()
    error = refusal(lambda: swap(world, subscription, 3, wanted))

    assert (error.http_status, error.param) == (400, param)
    assert words in str(error.user_message)
    assert world.v1.subscriptions.retrieve(subscription.id)["items"].data[0].quantity == 4


def test_more_than_twenty_additions_are_refused(world: BillingWorld) -> None:
    _, subscription = seats(world)
    added = [{"price": pack(world)}] * 21

    assert refusal(lambda: swap(world, subscription, 3, *added)).param == "add_invoice_items"


def preview(
    world: BillingWorld, subscription: stripe.Subscription, *added: Any, **details: Any
) -> stripe.Invoice:
    params: Any = {"subscription": subscription.id, "invoice_items": list(added)}
    if details:
        params["subscription_details"] = details
    return world.v1.invoices.create_preview(params)


def test_the_preview_of_a_swap_is_the_invoice_of_the_swap(world: BillingWorld) -> None:
    customer, subscription = seats(world, 10)
    added = {"price": pack(world), "quantity": 100}
    item = {"id": subscription["items"].data[0].id, "quantity": 1}
    shown = preview(world, subscription, added, items=[item], proration_behavior="always_invoice")
    assert (shown.total, shown.amount_due, shown.ending_balance) == (-5600, 0, -5600)
    assert world.pending_amounts(customer) == []

    swap(world, subscription, 1, added)
    assert facts(shown) == facts(world.latest_invoice(subscription))


def test_in_the_preview_of_a_renewal_additions_come_with_what_waits(world: BillingWorld) -> None:
    customer, subscription = seats(world, 1)
    waits = {"customer": customer.id, "subscription": subscription.id, "amount": 500, "currency": "usd"}
    pending = world.v1.invoice_items.create(waits)  # type: ignore[arg-type]
    product = world.v1.products.create({"name": "Resolution credits"})
    data = {"currency": "usd", "product": product.id, "unit_amount": 79}
    shown = preview(
        world,
        subscription,
        {"invoiceitem": pending.id, "amount": 600},
        {"price_data": data, "quantity": 100},
        {"amount": -100, "currency": "usd", "description": "Goodwill"},
    )

    assert sorted(line.amount for line in shown.lines.data) == [-100, 600, 3000, 7900]
    assert shown.total == 11_400
    assert world.pending_amounts(customer) == [500]


def test_the_first_invoice_of_a_subscription_is_previewed_with_additions(world: BillingWorld) -> None:
    params: Any = {
        "customer": world.customer().id,
        "subscription_details": {"items": [{"price": world.price(3000), "quantity": 2}]},
        "invoice_items": [{"price": pack(world), "quantity": 100}],
    }
    shown = world.v1.invoices.create_preview(params)

    assert [line.amount for line in shown.lines.data] == [6000, 7900]
    assert shown.amount_due == 13_900


def test_a_previewed_addition_in_another_currency_is_refused(world: BillingWorld) -> None:
    _, subscription = seats(world)
    error = refusal(lambda: preview(world, subscription, {"amount": 100, "currency": "eur"}))

    assert (error.http_status, error.param) == (400, "invoice_items[0][currency]")
