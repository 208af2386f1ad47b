"""How a subscription starts: what is due, how it is paid, and what is left when it is not."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal

HOUR, DAY = 3600, 86_400
AMERICAN = {"country": "US", "state": "NY", "postal_code": "10001", "city": "New York", "line1": "1 Broadway"}
PAGE = {"return_url": "https://portal.example/done"}


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def incomplete(
    world: BillingWorld, customer: stripe.Customer, *prices: str, **params: Any
) -> stripe.Subscription:
    """A subscription as the portal's checkout makes it: the customer pays in the browser."""
    return world.subscribe(
        customer,
        *prices,
        payment_behavior="default_incomplete",
        payment_settings={"save_default_payment_method": "on_subscription"},
        expand=["latest_invoice.confirmation_secret", "latest_invoice.payments", "pending_setup_intent"],
        **params,
    )


def intent_of(subscription: stripe.Subscription) -> str:
    """The id of the payment intent that pays the first invoice."""
    return str(subscription.latest_invoice.payments.data[0].payment.payment_intent)


def pay(world: BillingWorld, subscription: stripe.Subscription, method: str) -> stripe.PaymentIntent:
    return world.v1.payment_intents.confirm(intent_of(subscription), {"payment_method": method, **PAGE})


def test_default_incomplete_waits_for_the_customer_to_pay(world: BillingWorld) -> None:
    subscription = incomplete(world, world.customer(), world.price(9900))
    invoice = subscription.latest_invoice
    secret = invoice.confirmation_secret

    assert (subscription.status, subscription.pending_setup_intent) == ("incomplete", None)
    assert (invoice.status, invoice.amount_due, invoice.attempted) == ("open", 9900, False)
    assert secret.type == "payment_intent"
    assert secret.client_secret.startswith(f"{intent_of(subscription)}_secret_")


def test_paying_the_first_invoice_activates_and_keeps_the_method(world: BillingWorld) -> None:
    customer = world.customer(None)
    subscription = incomplete(world, customer, world.price(9900))
    before = len(world.event_types())
    assert pay(world, subscription, "pm_card_visa").status == "succeeded"
    active = world.v1.subscriptions.retrieve(subscription.id, {"expand": ["default_payment_method"]})
    invoice = world.latest_invoice(subscription)

    assert active.status == "active"
    assert active.default_payment_method.customer == customer.id
    assert (invoice.status, invoice.amount_paid, invoice.attempt_count) == ("paid", 9900, 1)
    assert invoice.number == f"{customer.invoice_prefix}-0001"
    assert world.event_types()[before:] == [
        "charge.succeeded",
        "payment_method.attached",
        "payment_intent.succeeded",
        "customer.subscription.updated",
        "invoice_payment.paid",
        "invoice.payment_succeeded",
        "invoice.paid",
        "customer.subscription.updated",
    ]


def test_a_new_subscription_is_told_in_the_documented_order(world: BillingWorld) -> None:
    customer, price = world.customer(None), world.price(9900)
    before = len(world.event_types())
    incomplete(world, customer, price)

    assert world.event_types()[before:] == [
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "payment_intent.created",
    ]


def test_a_declined_card_can_be_followed_by_a_good_one(world: BillingWorld) -> None:
    subscription = incomplete(world, world.customer(None), world.price(9900))
    error = refusal(lambda: pay(world, subscription, "pm_card_visa_chargeDeclined"))
    assert error.code == "card_declined"
    assert world.v1.subscriptions.retrieve(subscription.id).status == "incomplete"
    assert world.latest_invoice(subscription).status == "open"

    pay(world, subscription, "pm_card_visa")
    assert world.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert world.latest_invoice(subscription).attempt_count == 1


def test_without_a_method_an_immediate_charge_is_refused_and_nothing_is_made(world: BillingWorld) -> None:
    customer, price = world.customer(None), world.price(9900)
    error = refusal(lambda: world.subscribe(customer, price))

    assert (error.http_status, error.code, error.param) == (400, "resource_missing", None)
    assert world.v1.subscriptions.list({"customer": customer.id, "status": "all"}).data == []
    assert world.v1.invoices.list({"customer": customer.id}).data == []


def test_seats_by_the_year_and_usage_by_the_month_have_periods_of_their_own(world: BillingWorld) -> None:
    seat, usage = world.price(102_000, "year"), world.metered_price()
    items = [{"price": seat, "quantity": 12}, {"price": usage}]
    params = {"customer": world.customer().id, "items": items, "payment_behavior": "default_incomplete"}
    subscription = world.v1.subscriptions.create(params)
    by_year, by_month = subscription["items"].data
    invoice = world.latest_invoice(subscription)

    assert by_year.current_period_end - by_year.current_period_start == 365 * DAY
    assert by_month.current_period_end - by_month.current_period_start == 30 * DAY
    assert "quantity" not in by_month
    assert [line.amount for line in invoice.lines.data] == [1_224_000]
    assert invoice.lines.data[0].description == "12 × Seat (at $1,020.00 / year)"


def test_weeks_and_months_cannot_share_a_subscription(world: BillingWorld) -> None:
    customer = world.customer()
    error = refusal(lambda: world.subscribe(customer, world.price(100, "week"), world.price(100)))

    assert error.http_status == 400
    assert "multiples of its shortest interval" in str(error.user_message)


def test_usage_alone_makes_no_first_invoice_but_asks_for_a_method(world: BillingWorld) -> None:
    subscription = incomplete(world, world.customer(None), world.metered_price())

    assert (subscription.status, subscription.latest_invoice) == ("active", None)
    assert subscription.pending_setup_intent.status == "requires_payment_method"


def test_a_free_first_period_is_paid_and_its_setup_intent_keeps_the_method(world: BillingWorld) -> None:
    coupon = world.v1.coupons.create({"percent_off": 100, "duration": "once"})
    customer = world.customer(None)
    subscription = incomplete(world, customer, world.price(9900), discounts=[{"coupon": coupon.id}])
    assert (subscription.status, subscription.latest_invoice.status) == ("active", "paid")
    assert subscription.latest_invoice.confirmation_secret is None

    setup = subscription.pending_setup_intent
    world.v1.setup_intents.confirm(setup.id, {"payment_method": "pm_card_visa", **PAGE})
    kept = world.v1.subscriptions.retrieve(subscription.id)
    assert kept.pending_setup_intent is None
    method = world.v1.payment_methods.retrieve(str(kept.default_payment_method))
    assert method.customer == customer.id


def test_a_trial_bills_nothing_and_says_when_it_ends(world: BillingWorld) -> None:
    subscription = incomplete(world, world.customer(None), world.price(9900), trial_period_days=14)
    line = subscription.latest_invoice.lines.data[0]

    assert subscription.status == "trialing"
    assert subscription.trial_end == START + 14 * DAY
    assert (line.amount, line.description) == (0, "Trial period for Seat")
    assert subscription.pending_setup_intent is not None


def test_discounts_of_items_come_before_the_order_discount(world: BillingWorld) -> None:
    ten = world.v1.coupons.create({"percent_off": 10, "duration": "forever"})
    five = world.v1.coupons.create({"amount_off": 500, "currency": "usd", "duration": "once"})
    items = [
        {"price": world.price(9900), "quantity": 12, "discounts": [{"coupon": ten.id}]},
        {"price": world.price(3500), "quantity": 5},
        {"price": world.price(9900)},
        {"price": world.metered_price()},
    ]
    params: Any = {"customer": world.customer().id, "items": items, "discounts": [{"coupon": five.id}]}
    invoice = world.latest_invoice(world.v1.subscriptions.create(params))
    lines = invoice.lines.data
    discounted = [sum(row.amount for row in line.discount_amounts or []) for line in lines]

    assert [line.amount for line in lines] == [118_800, 17_500, 9_900]
    assert discounted == [12_278, 65, 37]
    assert (invoice.subtotal, invoice.total) == (134_320, 133_820)
    assert [row.amount for row in invoice.total_discount_amounts or []] == [11_880, 500]


def test_what_is_added_to_the_first_invoice_is_billed_once(world: BillingWorld) -> None:
    fee = world.price(5000, None, product="Setup")
    subscription = world.subscribe(
        world.customer(), world.price(9900), add_invoice_items=[{"price": fee, "quantity": 2}]
    )
    lines = world.latest_invoice(subscription).lines.data

    assert [(line.amount, line.description) for line in lines] == [
        (9900, "1 × Seat (at $99.00 / month)"),
        (10_000, "Setup"),
    ]
    assert lines[1].parent.type == "invoice_item_details"


def test_a_bank_debit_starts_the_subscription_while_it_is_under_way(world: BillingWorld) -> None:
    customer = world.customer(None, address=AMERICAN)
    subscription = incomplete(world, customer, world.price(9900))
    intent = pay(world, subscription, "pm_usBankAccount_success")
    assert intent.status == "processing"
    assert world.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert world.latest_invoice(subscription).status == "open"

    world.sandbox.advance(seconds=6 * DAY)
    assert world.latest_invoice(subscription).status == "paid"


def test_a_first_debit_that_comes_back_voids_the_invoice_and_leaves_the_subscription_active(
    world: BillingWorld,
) -> None:
    subscription = incomplete(world, world.customer(None), world.price(9900))
    pay(world, subscription, "pm_usBankAccount_debitNotAuthorized")
    world.sandbox.advance(seconds=6 * DAY)

    assert world.latest_invoice(subscription).status == "void"
    assert world.v1.subscriptions.retrieve(subscription.id).status == "active"
    assert "invoice.payment_failed" in world.event_types()


def test_an_unpaid_start_expires_after_twenty_three_hours(world: BillingWorld) -> None:
    subscription = incomplete(world, world.customer(None), world.price(9900))
    world.sandbox.advance(seconds=23 * HOUR - 1)
    assert world.v1.subscriptions.retrieve(subscription.id).status == "incomplete"

    world.sandbox.advance(seconds=1)
    assert world.v1.subscriptions.retrieve(subscription.id).status == "incomplete_expired"
    assert world.latest_invoice(subscription).status == "void"
    assert world.v1.payment_intents.retrieve(intent_of(subscription)).status == "canceled"


@pytest.mark.parametrize("how", ["void", "cancel"])
def test_an_incomplete_subscription_that_is_called_off_is_expired(world: BillingWorld, how: str) -> None:
    subscription = incomplete(world, world.customer(None), world.price(9900))
    if how == "void":
        world.v1.invoices.void_invoice(subscription.latest_invoice.id)
    else:
        ended = world.v1.subscriptions.cancel(subscription.id)
        assert ended.canceled_at == START

    assert world.v1.subscriptions.retrieve(subscription.id).status == "incomplete_expired"
    assert world.latest_invoice(subscription).status == "void"
    assert "customer.subscription.deleted" not in world.event_types()
    error = refusal(lambda: pay(world, subscription, "pm_card_visa"))
    assert error.code == "payment_intent_unexpected_state"


def test_an_incomplete_subscription_takes_few_changes(world: BillingWorld) -> None:
    subscription = incomplete(world, world.customer(), world.price(9900))
    item = subscription["items"].data[0].id
    error = refusal(
        lambda: world.v1.subscriptions.update(subscription.id, {"items": [{"id": item, "quantity": 2}]})
    )

    assert error.http_status == 400
    noted = world.v1.subscriptions.update(subscription.id, {"metadata": {"attempt": "A-1"}})
    assert noted.metadata.to_dict() == {"attempt": "A-1"}


def test_one_customer_pays_in_one_currency(world: BillingWorld) -> None:
    customer = world.customer()
    world.subscribe(customer, world.price(9900))
    error = refusal(lambda: world.subscribe(customer, world.price(9900, currency="eur")))

    assert "cannot combine currencies" in str(error.user_message)


def test_sent_invoices_start_the_subscription_at_once(world: BillingWorld) -> None:
    subscription = world.subscribe(
        world.customer(None), world.price(9900), collection_method="send_invoice", days_until_due=30
    )
    invoice = world.latest_invoice(subscription)
    assert (subscription.status, invoice.status) == ("active", "draft")
    assert invoice.due_date == START + 30 * DAY

    world.sandbox.advance(seconds=HOUR + 1)
    assert world.latest_invoice(subscription).status == "open"
    assert "invoice.sent" in world.event_types()


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"billing_cycle_anchor": START + DAY}, "billing_cycle_anchor"),
        ({"on_behalf_of": "acct_1"}, "on_behalf_of"),
        ({"backdate_start_date": START - DAY}, "backdate_start_date"),
    ],
)
def test_what_is_not_carried_out_is_refused_by_name(
    world: BillingWorld, params: dict[str, Any], name: str
) -> None:
    customer, price = world.customer(), world.price(9900)
    error = refusal(lambda: world.subscribe(customer, price, **params))

    assert (error.http_status, error.param) == (400, name)
    assert "not supported by this sandbox" in str(error.user_message)
