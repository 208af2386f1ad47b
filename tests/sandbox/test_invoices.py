"""Invoices by hand: items, lines, prices, taxes, discounts, and the ways to pay or not to pay."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal

DAY, HOUR = 86_400, 3600


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


@pytest.fixture
def customer(world: BillingWorld) -> stripe.Customer:
    return world.customer()


def add_item(world: BillingWorld, customer: stripe.Customer, **params: Any) -> stripe.InvoiceItem:
    return world.v1.invoice_items.create({"customer": customer.id, **params})


def draft(world: BillingWorld, customer: stripe.Customer, **params: Any) -> stripe.Invoice:
    """A draft that takes up what is pending."""
    sweep: Any = {"customer": customer.id, "pending_invoice_items_behavior": "include", **params}
    return world.v1.invoices.create(sweep)


def amounts(invoice: stripe.Invoice) -> list[int]:
    return [line.amount for line in invoice.lines.data]


def test_an_item_can_be_so_many_of_a_one_time_price(world: BillingWorld, customer: stripe.Customer) -> None:
    price = world.price(2500, None, product="Onboarding")
    item = add_item(world, customer, pricing={"price": price}, quantity=3)
    line = draft(world, customer).lines.data[0]

    assert (item.amount, item.quantity, item.description) == (7500, 3, "Onboarding")
    assert (line.amount, line.quantity) == (7500, 3)
    assert line.pricing.price_details.price == price
    assert str(line.pricing.unit_amount_decimal) == "2500"


def test_an_item_can_be_so_many_of_a_fraction_of_a_cent(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    item = add_item(world, customer, unit_amount_decimal="0.35", quantity=130, currency="usd")

    assert (item.amount, item.quantity) == (46, 130)  # 45.5 cents, half up


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"amount": 100}, "currency"),
        ({"currency": "usd"}, "amount"),
        ({"pricing": {"price": "price_nope"}}, "pricing[price]"),
        ({"amount": 100, "currency": "usd", "invoice": "in_nope"}, "invoice"),
    ],
)
def test_an_item_needs_an_amount_from_somewhere(
    world: BillingWorld, customer: stripe.Customer, params: dict[str, Any], param: str
) -> None:
    error = refusal(lambda: add_item(world, customer, **params))

    assert (error.http_status, error.param) == (400, param)


def test_a_recurring_price_is_no_item(world: BillingWorld, customer: stripe.Customer) -> None:
    error = refusal(lambda: add_item(world, customer, pricing={"price": world.price(1000)}))

    assert "type=one_time" in str(error.user_message)


def test_items_can_be_put_on_a_certain_draft_and_changed_there(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    invoice = draft(world, customer)
    first = add_item(world, customer, amount=1000, currency="usd", invoice=invoice.id)
    second = add_item(world, customer, amount=500, currency="usd", invoice=invoice.id)
    assert amounts(world.v1.invoices.retrieve(invoice.id)) == [1000, 500]

    line = world.v1.invoices.retrieve(invoice.id).lines.data[0].id
    changed = world.v1.invoice_items.update(first.id, {"amount": 1200, "description": "More"})
    after = world.v1.invoices.retrieve(invoice.id)
    assert (changed.amount, changed.net_amount, changed.description) == (1200, 1200, "More")
    assert (after.total, after.lines.data[0].id, after.lines.data[0].description) == (1700, line, "More")

    gone = world.v1.invoice_items.delete(second.id)
    assert gone.to_dict() == {"id": second.id, "object": "invoiceitem", "deleted": True}
    assert amounts(world.v1.invoices.retrieve(invoice.id)) == [1200]
    world.v1.invoices.finalize_invoice(invoice.id)
    assert refusal(lambda: world.v1.invoice_items.update(first.id, {"amount": 1})).http_status == 400


def test_a_pending_item_can_be_changed_and_deleted(world: BillingWorld, customer: stripe.Customer) -> None:
    item = add_item(world, customer, amount=1000, currency="usd", period={"start": START, "end": START + DAY})
    changed = world.v1.invoice_items.update(
        item.id, {"quantity": 2, "unit_amount_decimal": "700", "metadata": {"a": "b"}}
    )
    assert (changed.amount, changed.quantity) == (1400, 2)
    assert (changed.period.end, changed.metadata.to_dict()) == (START + DAY, {"a": "b"})

    world.v1.invoice_items.delete(item.id)
    error = refusal(lambda: world.v1.invoice_items.retrieve(item.id))
    assert (error.http_status, error.code) == (404, "resource_missing")


def test_items_are_listed_by_invoice_and_time(world: BillingWorld, customer: stripe.Customer) -> None:
    add_item(world, customer, amount=1, currency="usd")
    world.at(START + DAY)
    invoice = draft(world, customer)
    add_item(world, customer, amount=2, currency="usd")
    items = world.v1.invoice_items.list

    assert [row.amount for row in items({"invoice": invoice.id}).data] == [1]
    assert [row.amount for row in items({"created": {"gte": START + DAY}}).data] == [2]
    assert [row.amount for row in items({"pending": False}).data] == [1]


def test_a_line_can_have_a_price_of_its_own_for_a_product(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    invoice = world.v1.invoices.create({"customer": customer.id, "currency": "usd"})
    product = world.v1.products.create({"name": "Advanced"})
    price: Any = {"currency": "usd", "product": product.id, "unit_amount": 1500, "tax_behavior": "exclusive"}
    full = world.v1.invoices.add_lines(
        invoice.id, {"lines": [{"price_data": price, "quantity": 2, "description": "Two of them"}]}
    )
    [line] = full.lines.data

    assert (line.amount, line.quantity, line.description) == (3000, 2, "Two of them")
    assert line.pricing.price_details.product == product.id
    for wrong in ({"currency": "eur"}, {"product": "prod_nowhere"}):
        lines: Any = [{"price_data": price | wrong}]
        assert refusal(lambda lines=lines: world.v1.invoices.add_lines(invoice.id, {"lines": lines}))


def test_an_invoice_carries_the_customers_fields_unless_it_has_its_own(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    field: Any = {"name": "PO number", "value": "PO-1"}
    world.v1.customers.update(customer.id, {"invoice_settings": {"custom_fields": [field]}})
    own: Any = {"name": "PO number", "value": "PO-2"}
    made: Any = {"customer": customer.id, "currency": "usd"}
    fields = [
        world.v1.invoices.create(params).custom_fields for params in (made, {**made, "custom_fields": [own]})
    ]

    assert [[each.to_dict() for each in found or []] for found in fields] == [[field], [own]]


def test_lines_can_be_of_a_price_or_of_a_waiting_item_and_go_back_to_wait(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    invoice = world.v1.invoices.create({"customer": customer.id})
    waiting = add_item(world, customer, amount=300, currency="usd")
    price = world.price(1000, None)
    lines: Any = [{"pricing": {"price": price}, "quantity": 2}, {"invoice_item": waiting.id}]
    full = world.v1.invoices.add_lines(invoice.id, {"lines": lines, "invoice_metadata": {"k": "v"}})
    assert (amounts(full), full.total, full.metadata.to_dict()) == ([2000, 300], 2300, {"k": "v"})
    assert world.pending_amounts(customer) == []
    taken: Any = {"lines": [{"invoice_item": waiting.id}]}
    assert refusal(lambda: world.v1.invoices.add_lines(invoice.id, taken)).http_status == 400

    back: Any = {"lines": [{"id": full.lines.data[1].id, "behavior": "unassign"}]}
    assert amounts(world.v1.invoices.remove_lines(invoice.id, back)) == [2000]
    assert world.pending_amounts(customer) == [300]


def test_a_line_can_be_discounted_and_renamed(world: BillingWorld, customer: stripe.Customer) -> None:
    coupon = world.v1.coupons.create({"percent_off": 20, "duration": "once"})
    add_item(world, customer, amount=1000, currency="usd")
    invoice = draft(world, customer)
    line = invoice.lines.data[0].id
    changed = world.v1.invoices.line_items.update(
        invoice.id, line, {"description": "Agreed", "discounts": [{"coupon": coupon.id}]}
    )
    after = world.v1.invoices.retrieve(invoice.id)

    assert (changed.id, changed.description) == (line, "Agreed")
    assert [row.amount for row in changed.discount_amounts or []] == [200]
    assert (after.subtotal, after.total) == (800, 800)
    error = refusal(lambda: world.v1.invoices.line_items.update(invoice.id, "il_nope", {"amount": 1}))
    assert (error.http_status, error.code) == (404, "resource_missing")


def test_a_draft_can_change_how_it_is_collected_and_reckoned(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    coupon = world.v1.coupons.create({"amount_off": 300, "currency": "usd", "duration": "once"})
    rate = world.v1.tax_rates.create({"display_name": "Tax", "percentage": 10, "inclusive": False})
    add_item(world, customer, amount=1000, currency="usd")
    invoice = draft(world, customer)
    wanted: Any = {
        "collection_method": "send_invoice",
        "due_date": START + 5 * DAY,
        "discounts": [{"coupon": coupon.id}],
        "default_tax_rates": [rate.id],
        "description": "Thank you",
        "footer": "Net five days",
    }
    after = world.v1.invoices.update(invoice.id, wanted)

    assert (after.subtotal, after.total_excluding_tax, after.total) == (1000, 700, 770)
    assert (after.collection_method, after.due_date) == ("send_invoice", START + 5 * DAY)
    assert (after.description, after.footer) == ("Thank you", "Net five days")
    assert "invoice.updated" in world.event_types()


def test_an_automatic_draft_is_charged_an_hour_after_it_was_made(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    add_item(world, customer, amount=1000, currency="usd")
    invoice = draft(world, customer, auto_advance=True)
    world.sandbox.advance(seconds=HOUR + 1)

    assert world.v1.invoices.retrieve(invoice.id).status == "paid"


def test_a_declined_payment_leaves_the_invoice_open(world: BillingWorld) -> None:
    customer = world.customer("pm_card_chargeCustomerFail")
    add_item(world, customer, amount=1000, currency="usd")
    invoice = draft(world, customer)
    error = refusal(lambda: world.v1.invoices.pay(invoice.id))
    after = world.v1.invoices.retrieve(invoice.id)
    assert (error.http_status, error.code) == (402, "card_declined")
    assert (after.status, after.attempted, after.attempt_count) == ("open", True, 1)
    assert "invoice.payment_failed" in world.event_types()

    good = world.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    paid = world.v1.invoices.pay(invoice.id, {"payment_method": good.id})
    assert (paid.status, paid.attempt_count, paid.number) == ("paid", 1, after.number)


def test_a_payment_that_needs_the_customer_waits_for_it(world: BillingWorld) -> None:
    customer = world.customer("pm_card_authenticationRequired")
    add_item(world, customer, amount=1000, currency="usd")
    invoice = draft(world, customer)
    error = refusal(lambda: world.v1.invoices.pay(invoice.id, {"off_session": False}))

    assert (error.http_status, error.code) == (402, "invoice_payment_intent_requires_action")
    assert world.v1.invoices.retrieve(invoice.id).status == "open"
    assert "invoice.payment_action_required" in world.event_types()


def test_an_invoice_names_its_payments(world: BillingWorld, customer: stripe.Customer) -> None:
    add_item(world, customer, amount=1000, currency="usd")
    invoice = world.v1.invoices.pay(draft(world, customer).id, {"expand": ["payments"]})
    payment = invoice.payments.data[0]
    intent = str(payment.payment.payment_intent)
    found: Any = {"payment": {"type": "payment_intent", "payment_intent": intent}}

    assert (payment.status, payment.amount_paid, payment.is_default) == ("paid", 1000, True)
    assert world.v1.payment_intents.retrieve(intent).status == "succeeded"
    assert [row.id for row in world.v1.invoice_payments.list(found).data] == [payment.id]
    assert world.v1.invoice_payments.retrieve(payment.id).invoice == invoice.id
    assert refusal(lambda: world.v1.invoice_payments.retrieve("inpay_nope")).http_status == 404
    assert "payments" not in world.v1.invoices.retrieve(invoice.id)


def test_an_invoice_can_be_given_up_and_still_be_paid(world: BillingWorld, customer: stripe.Customer) -> None:
    add_item(world, customer, amount=1000, currency="usd")
    invoice = world.v1.invoices.finalize_invoice(draft(world, customer).id)
    given_up = world.v1.invoices.mark_uncollectible(invoice.id)
    again = refusal(lambda: world.v1.invoices.mark_uncollectible(invoice.id))

    assert (given_up.status, given_up.amount_remaining) == ("uncollectible", 1000)
    assert given_up.status_details.uncollectible.reason == "user_forgiven"
    assert again.user_message == "This invoice has already been marked uncollectible."
    assert world.v1.invoices.pay(invoice.id).status == "paid"


def test_voiding_gives_the_balance_its_part_back(world: BillingWorld) -> None:
    customer = world.customer(balance=-300)
    add_item(world, customer, amount=1000, currency="usd")
    invoice = world.v1.invoices.finalize_invoice(draft(world, customer).id)
    assert (invoice.amount_due, world.v1.customers.retrieve(customer.id).balance) == (700, 0)

    world.v1.invoices.void_invoice(invoice.id)
    rows = world.v1.customers.balance_transactions.list(customer.id).data
    assert world.v1.customers.retrieve(customer.id).balance == -300
    assert [(row.type, row.amount) for row in rows[:2]] == [
        ("unapplied_from_invoice", -300),
        ("applied_to_invoice", 300),
    ]
    error = refusal(lambda: world.v1.invoices.pay(invoice.id))
    assert "void" in str(error.user_message)


def test_a_paid_invoice_cannot_be_voided(world: BillingWorld, customer: stripe.Customer) -> None:
    add_item(world, customer, amount=1000, currency="usd")
    invoice = world.v1.invoices.pay(draft(world, customer).id)
    error = refusal(lambda: world.v1.invoices.void_invoice(invoice.id))

    assert error.user_message == "Invoices with `paid` payments cannot be voided."


def test_invoices_are_listed_by_what_they_are(world: BillingWorld, customer: stripe.Customer) -> None:
    subscription = world.subscribe(customer, world.price(1000))
    sent = draft(world, customer, collection_method="send_invoice", days_until_due=3)
    listed = world.v1.invoices.list

    assert [row.id for row in listed({"status": "draft"}).data] == [sent.id]
    assert [row.billing_reason for row in listed({"subscription": subscription.id}).data] == [
        "subscription_create"
    ]
    assert [row.id for row in listed({"due_date": {"lte": START + 3 * DAY}}).data] == [sent.id]
    assert len(listed({"customer": customer.id, "limit": 1}).data) == 1


def test_subscriptions_are_listed_by_what_they_are(world: BillingWorld, customer: stripe.Customer) -> None:
    price = world.price(1000)
    ended, running = world.subscribe(customer, price), world.subscribe(customer, world.price(2000))
    world.v1.subscriptions.cancel(ended.id)
    listed = world.v1.subscriptions.list

    assert [row.id for row in listed({"customer": customer.id}).data] == [running.id]
    assert [row.id for row in listed({"status": "all"}).data] == [running.id, ended.id]
    assert [row.id for row in listed({"status": "ended"}).data] == [ended.id]
    assert [row.id for row in listed({"status": "all", "price": price}).data] == [ended.id]


def test_an_invoice_of_a_subscription_is_not_deleted_by_hand(world: BillingWorld) -> None:
    params: Any = {"collection_method": "send_invoice", "days_until_due": 3}
    subscription = world.subscribe(world.customer(None), world.price(1000), **params)
    error = refusal(lambda: world.v1.invoices.delete(str(subscription.latest_invoice)))

    assert error.http_status == 400
