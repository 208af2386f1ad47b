"""Single answers of Stripe's that the portal builds upon."""

from decimal import Decimal

import pytest

from portal.gateways.stripe_errors import StripeRefusedError, StripeUnknownError
from portal.gateways.stripe_words import Purchase, PurchaseItem
from portal.services import catalogs
from portal.services.event_handlers import EVENT_TYPES
from portal.services.ids import new_id
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH, price_id


def seats(customer: Customer, metadata: dict[str, str] | None = None) -> Purchase:
    [mine] = {str(customer.prepare(TWELVE_BY_THE_MONTH))}
    with_quote = customer.shop.client.v1.customers.list({"limit": 1}).data[0]
    item = PurchaseItem(price_id("2026-11:seat:advanced:month"), 3)
    return Purchase(with_quote.id, (item,), "usd", metadata=metadata or {"quote": mine})


def test_the_same_key_gives_the_same_subscription(customer: Customer) -> None:
    purchase, key = seats(customer), f"{new_id('A')}:create_subscription"
    made = [customer.shop.gateway.create_subscription(purchase, key=key).id for _ in range(2)]

    assert made[0] == made[1]


def test_the_same_key_for_another_purchase_is_an_error_of_ours(customer: Customer) -> None:
    key = f"{new_id('A')}:create_subscription"
    customer.shop.gateway.create_subscription(seats(customer), key=key)

    with pytest.raises(StripeUnknownError):
        customer.shop.gateway.create_subscription(seats(customer, {"quote": "other"}), key=key)


def test_a_subscription_is_found_by_its_attempt(customer: Customer) -> None:
    attempt = new_id("A")
    purchase = seats(customer, {"attempt": attempt})
    made = customer.shop.gateway.create_subscription(purchase, key=new_id("A"))
    found = customer.shop.gateway.find_subscription(purchase.customer_id, "attempt", attempt)

    assert found is not None
    assert found.id == made.id


def test_voiding_the_first_invoice_ends_the_subscription(customer: Customer) -> None:
    gateway = customer.shop.gateway
    made = gateway.create_subscription(seats(customer), key=new_id("A"))
    voided = gateway.void_invoice(str(made.latest_invoice_id), key=new_id("A"))
    after = gateway.cancel_subscription(made.id, key=new_id("A"))

    assert voided.status == "void"
    assert after.status in ("incomplete_expired", "canceled")


def test_a_paid_invoice_cannot_be_voided(customer: Customer) -> None:
    gateway = customer.shop.gateway
    made = gateway.create_subscription(seats(customer), key=new_id("A"))
    invoice = gateway.invoice(str(made.latest_invoice_id))
    customer.shop.pay(invoice.client_secret or "")

    with pytest.raises(StripeRefusedError):
        gateway.void_invoice(invoice.id, key=new_id("A"))


def test_an_open_first_invoice_has_its_secret_and_its_intent(customer: Customer) -> None:
    gateway = customer.shop.gateway
    made = gateway.create_subscription(seats(customer), key=new_id("A"))
    invoice = gateway.invoice(str(made.latest_invoice_id))
    intent = gateway.payment_intent(str(invoice.intent_id))

    assert (made.status, invoice.status, invoice.total) == ("incomplete", "open", 29_700)
    assert invoice.client_secret == intent.client_secret
    assert (intent.status, intent.amount) == ("requires_payment_method", 29_700)


def test_a_second_push_finds_every_price_unchanged(customer: Customer) -> None:
    done = catalogs.push(customer.gateways)

    assert (done.prices, len(done.kept)) == ([], 29)


def test_rates_of_a_fraction_of_a_cent_come_back_exactly(customer: Customer) -> None:
    known = customer.shop.gateway.account.prices(["2026-11:phone_minute:month", "2026-11:sms:month"])

    assert known["2026-11:phone_minute:month"].unit_amount == Decimal("3.8")
    assert [band.unit_amount for band in known["2026-11:sms:month"].bands] == [
        Decimal(4),
        Decimal("3.2"),
        Decimal("2.5"),
    ]


def test_what_happened_can_be_asked_for(customer: Customer) -> None:
    made = customer.shop.gateway.create_subscription(seats(customer), key=new_id("A"))
    events = customer.shop.gateway.events_since(made.created, EVENT_TYPES)

    assert made.id in [event.object_id for event in events]
    assert [event.created for event in events] == sorted(event.created for event in events)
