"""What Stripe answers about credit grants, and about a pack that is bought with a change of the seats."""

import time
from typing import Any

import pytest
import stripe as sdk

from portal.gateways.stripe_credits import Grant, Left, NewGrant
from portal.gateways.stripe_errors import StripeRefusedError
from portal.services.ids import new_id
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH, price_id

YEAR = 365 * 86_400
RESOLUTION = "2026-11:resolution:month"
SEAT = "2026-11:seat:advanced:month"


def wanted(customer: Customer, purchase: str, **changed: Any) -> NewGrant:
    """A thousand resolutions' worth for a year, of the newest customer."""
    customer.prepare(TWELVE_BY_THE_MONTH)  # makes the customer at Stripe
    buyer = customer.shop.client.v1.customers.list({"limit": 1}).data[0]
    expires = int(customer.gateways.clock.now().timestamp()) + YEAR
    terms = {"value": 99_000, "expires_at": expires, "currency": "usd", **changed}
    return NewGrant(
        buyer.id, "1,000 resolutions", price_id=price_id(RESOLUTION), metadata={"purchase": purchase}, **terms
    )


def made(customer: Customer) -> Grant:
    return customer.shop.gateway.credits.create(wanted(customer, new_id("P")), key=new_id("A"))


def test_a_grant_can_be_used_in_full_and_is_found_by_its_purchase(customer: Customer) -> None:
    credits, purchase = customer.shop.gateway.credits, new_id("P")
    grant = credits.create(wanted(customer, purchase), key=new_id("A"))
    owner = str(grant.customer_id)

    assert (grant.value, grant.currency, grant.voided_at) == (99_000, "usd", None)
    assert [found.id for found in credits.made_for(owner, purchase=purchase)] == [grant.id]
    assert credits.left(owner, grant.id) == Left(99_000, 99_000)
    assert [(row.why, row.amount) for row in credits.transactions(owner, grant.id)] == [
        ("credits_granted", 99_000)
    ]


def test_the_same_key_gives_the_same_grant(customer: Customer) -> None:
    grant, key = wanted(customer, new_id("P")), new_id("A")
    ids = [customer.shop.gateway.credits.create(grant, key=key).id for _ in range(2)]

    assert ids[0] == ids[1]


@pytest.mark.parametrize("changed", [{"value": 0}, {"expires_at": 1}], ids=["nothing", "over"])
def test_a_grant_of_nothing_or_of_the_past_is_refused(customer: Customer, changed: dict[str, int]) -> None:
    with pytest.raises(StripeRefusedError):
        customer.shop.gateway.credits.create(wanted(customer, new_id("P"), **changed), key=new_id("A"))


def test_a_grant_that_paid_nothing_can_be_voided(customer: Customer) -> None:
    credits, grant = customer.shop.gateway.credits, made(customer)
    voided = credits.void(grant.id, key=new_id("A"))

    assert voided.voided_at is not None
    assert credits.left(str(grant.customer_id), grant.id).available == 0


def test_a_grant_can_be_ended_now(customer: Customer) -> None:
    credits, grant = customer.shop.gateway.credits, made(customer)
    credits.expire(grant.id, key=new_id("A"))

    assert credits.left(str(grant.customer_id), grant.id).available == 0


def swapped(found: sdk.Subscription, price: str) -> tuple[Any, Any]:
    """The preview's and the update's parameters for four seats fewer and a pack."""
    [seats] = [row for row in found["items"].data if row.price.id == price_id(SEAT)]
    common = {
        "items": [{"id": seats.id, "quantity": 8}],
        "proration_behavior": "always_invoice",
        "proration_date": max(int(time.time()), seats.current_period_start),
    }
    pack = [{"price": price, "quantity": 1, "discountable": False}]
    preview = {"subscription": found.id, "subscription_details": common, "invoice_items": pack}
    return preview, {**common, "add_invoice_items": pack, "payment_behavior": "pending_if_incomplete"}


def test_a_pack_and_fewer_seats_are_one_invoice_as_previewed(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret or "")
    assert customer.state(quote_id, ask_stripe=True) == "active"
    subscription = customer.subscription()
    assert subscription
    v1 = customer.shop.client.v1
    found = v1.subscriptions.retrieve(subscription.stripe_id)
    product = v1.products.create({"name": "Contract: resolution credits"})
    price = v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 56_430, "tax_behavior": "exclusive"}
    )
    preview, update = swapped(found, price.id)
    shown = v1.invoices.create_preview(preview)
    after = v1.subscriptions.update(found.id, update)
    invoice = v1.invoices.retrieve(str(after.latest_invoice))

    assert invoice.total == shown.total
    assert 56_430 in [line.amount for line in shown.lines.data]
    assert sorted(line.amount for line in invoice.lines.data) == sorted(
        line.amount for line in shown.lines.data
    )
    assert (invoice.status, after.pending_update) == ("paid", None)
