"""What hangs on a customer: cards, the default one, subscriptions, and what deletion does to them."""

from __future__ import annotations

import pytest
import stripe

from tests.sandbox.recorded import refusal


@pytest.fixture
def customer(client: stripe.StripeClient) -> stripe.Customer:
    """A customer with a card by default."""
    made = client.v1.customers.create({"payment_method": "pm_card_visa", "balance": -300})
    (card,) = client.v1.payment_methods.list({"customer": made.id}).data
    return client.v1.customers.update(made.id, {"invoice_settings": {"default_payment_method": card.id}})


@pytest.fixture
def subscription(client: stripe.StripeClient, customer: stripe.Customer) -> stripe.Subscription:
    price = client.v1.prices.create(
        {
            "product_data": {"name": "Seat"},
            "currency": "usd",
            "unit_amount": 9900,
            "recurring": {"interval": "month"},
        }
    )
    return client.v1.subscriptions.create({"customer": customer.id, "items": [{"price": price.id}]})


def test_a_customer_may_come_with_a_card_and_a_balance(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    shown = client.v1.customers.retrieve(
        customer.id, {"expand": ["invoice_settings.default_payment_method", "invoice_credit_balance"]}
    )
    (row,) = client.v1.customers.balance_transactions.list(customer.id).data

    assert shown.invoice_settings.default_payment_method.card.last4 == "4242"
    assert shown.invoice_credit_balance.to_dict() == {"usd": -300}
    assert (row.type, row.amount, row.ending_balance) == ("initial", -300, -300)


def test_another_customers_card_cannot_be_the_default(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    card = customer.invoice_settings.default_payment_method
    settings = {"invoice_settings": {"default_payment_method": card}}
    error = refusal(lambda: client.v1.customers.create(settings))

    assert (error.code, error.param) == ("resource_missing", "invoice_settings[default_payment_method]")
    assert "must be attached to the customer" in error.user_message


def test_the_running_subscriptions_can_be_expanded(
    client: stripe.StripeClient, customer: stripe.Customer, subscription: stripe.Subscription
) -> None:
    shown = client.v1.customers.retrieve(customer.id, {"expand": ["subscriptions"]})

    assert [row.id for row in shown.subscriptions.data] == [subscription.id]


def test_deleting_a_customer_ends_its_subscriptions_and_takes_its_cards(
    client: stripe.StripeClient, customer: stripe.Customer, subscription: stripe.Subscription
) -> None:
    card = customer.invoice_settings.default_payment_method
    client.v1.customers.delete(customer.id)
    types = {event.type for event in client.v1.events.list({"limit": 10}).data}
    again = client.v1.customers.create({"name": "Next"})
    reused = refusal(lambda: client.v1.payment_methods.attach(card, {"customer": again.id}))

    assert client.v1.subscriptions.retrieve(subscription.id).status == "canceled"
    assert client.v1.payment_methods.retrieve(card).customer is None
    assert {"customer.subscription.deleted", "payment_method.detached", "customer.deleted"} <= types
    assert reused.http_status == 400


def test_where_a_registration_has_ended_no_tax_is_collected(client: stripe.StripeClient) -> None:
    address = {"country": "US", "state": "NY", "postal_code": "10001"}
    price = {"product_data": {"name": "Seat"}, "currency": "usd", "unit_amount": 10000}
    made = client.v1.prices.create({**price, "recurring": {"interval": "month"}})
    buyer = client.v1.customers.create({"address": address})

    def preview() -> stripe.Invoice:
        return client.v1.invoices.create_preview(
            {
                "customer": buyer.id,
                "automatic_tax": {"enabled": True},
                "subscription_details": {"items": [{"price": made.id}]},
            }
        )

    before = preview()
    for registration in client.v1.tax.registrations.list({"limit": 100}).data:
        client.v1.tax.registrations.update(registration.id, {"expires_at": "now"})
    after = preview()
    place = client.v1.customers.retrieve(buyer.id, {"expand": ["tax"]}).tax

    assert (before.total_taxes[0].amount, before.total_taxes[0].taxability_reason) == (888, "standard_rated")
    assert (after.total_taxes[0].amount, after.total_taxes[0].taxability_reason) == (0, "not_collecting")
    assert (place.automatic_tax, place.location.state) == ("not_collecting", "NY")


@pytest.mark.parametrize("value", ["DE136695976", "000000000"])
def test_a_business_elsewhere_in_the_union_accounts_for_the_tax_itself(
    client: stripe.StripeClient, value: str
) -> None:
    number = [{"type": "eu_vat", "value": value}]
    buyer = client.v1.customers.create({"address": {"country": "DE"}, "tax_id_data": number})
    price = {"product_data": {"name": "Seat"}, "currency": "usd", "unit_amount": 10000}
    made = client.v1.prices.create({**price, "recurring": {"interval": "month"}})
    preview = client.v1.invoices.create_preview(
        {
            "customer": buyer.id,
            "automatic_tax": {"enabled": True},
            "subscription_details": {"items": [{"price": made.id}]},
        }
    )

    assert [row.taxability_reason for row in preview.total_taxes] == ["reverse_charge"]
    assert preview.total == 10000
