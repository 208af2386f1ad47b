"""Months that annual credits pay: our ledger, the invoice and Stripe's balance say the same, to the unit."""

import pytest

from portal.services import credit_reconcile
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.services.metering import Metered
from tests.services.test_credit_grants import heard, make
from tests.services.test_usage_matches import matches

PER_UNIT = 99


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that bought seats by the month, a day ago."""
    return Metered.buy(customer)


def at_stripe(acme: Metered, buyer: CreditBuyer) -> list[int]:
    """What Stripe has left of each grant, in minor units, the oldest first."""
    stripe_customer = acme.stripe_customer
    credits = acme.gateways.stripe.credits
    return [credits.left(stripe_customer, grant.id).ledger for grant in reversed(buyer.grants())]


def test_a_month_within_a_pack_costs_nothing_for_its_usage(acme: Metered) -> None:
    buyer = CreditBuyer(acme.customer)
    acme.use(2)
    buyer.buy(100)
    acme.use(3)
    acme.report()
    acme.advance(days=31)

    assert acme.billed()[0] == 5
    [month] = [invoice for invoice in acme.invoices() if invoice.billing_reason == "subscription_cycle"]
    assert sum(part.amount for part in month.total_pretax_credit_amounts or []) == 5 * PER_UNIT
    assert buyer.left() == 95
    assert at_stripe(acme, buyer) == [95 * PER_UNIT]
    assert matches(acme) == [("resolution", 5, 5, "matched")]
    assert acme.customer.incidents() == []


def test_what_exceeds_a_pack_is_paid_by_use(acme: Metered) -> None:
    buyer = CreditBuyer(acme.customer)
    buyer.buy(100)
    acme.use(103)
    acme.report()
    acme.advance(days=31)
    [month] = [invoice for invoice in acme.invoices() if invoice.billing_reason == "subscription_cycle"]

    assert sum(part.amount for part in month.total_pretax_credit_amounts or []) == 100 * PER_UNIT
    assert (buyer.left(), at_stripe(acme, buyer)) == (0, [0])
    assert acme.customer.incidents() == []


def test_a_pack_that_stripe_does_not_know_when_the_month_is_billed_is_told(acme: Metered) -> None:
    buyer = CreditBuyer(acme.customer)
    buyer.buy(100)
    [grant] = buyer.grants()
    acme.gateways.stripe.credits.void(grant.id, key="by-hand")
    acme.use(5)
    acme.report()
    acme.advance(days=31)

    assert "credits_differ" in acme.customer.incidents()


def test_a_grant_that_stripe_makes_only_after_the_month_pays_from_the_next_one_on(acme: Metered) -> None:
    buyer = CreditBuyer(acme.customer)
    acme.use(5)
    acme.report()
    quote_id = buyer.prepare(100)
    acme.customer.shop.pay(buyer.pay(quote_id).client_secret or "")
    heard(buyer)
    assert (buyer.purchase(quote_id).state, buyer.left()) == ("paid", 95)

    # the worker was away until after the month's invoice, which billed the five
    subscription = acme.customer.subscription()
    assert subscription is not None
    acme.customer.shop.advance(days=31)
    heard(buyer)
    make(buyer, quote_id)
    [lot] = buyer.lots()
    assert buyer.purchase(quote_id).state == "granted"
    assert (lot.starts_at, buyer.left()) == (subscription.usage_period_end, 100)
    assert acme.customer.incidents() == ["credits_differ"]
    [compared] = credit_reconcile.compare(buyer.gateways, buyer.workspace_id)
    assert (compared.expected, compared.taken, compared.explained) == (0, 0, True)
