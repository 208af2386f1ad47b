"""Months that annual credits pay: our ledger, the invoice and Stripe's balance say the same, to the unit."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.services import credit_purchase_sweeping, credit_reconcile
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


@pytest.fixture
def still(customer: Customer) -> Metered:
    """The same while time stands still unless it is turned on."""
    customer.shop.stand_at(datetime(2026, 11, 10, 12, tzinfo=UTC))
    return Metered.buy(customer)


@pytest.fixture
def packs(still: Metered) -> CreditBuyer:
    return CreditBuyer(still.customer)


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


def go_to(acme: Metered, moment: datetime, *, seconds: float = 0) -> None:
    """Time passes up to so many seconds after a moment; what is due happens."""
    left = moment + timedelta(seconds=seconds) - acme.gateways.clock.now()
    acme.advance(seconds=left.total_seconds())


def by_credits(acme: Metered) -> list[int]:
    """What grants paid of each month's invoice, in cents, the newest first."""
    months = [each for each in acme.invoices() if each.billing_reason == "subscription_cycle"]
    return [sum(part.amount for part in each.total_pretax_credit_amounts or []) for each in months]


def test_a_pack_that_is_paid_in_the_last_second_of_a_month_pays_all_of_it(
    still: Metered, packs: CreditBuyer
) -> None:
    still.use(3)
    still.report()
    ends = still.periods()[-1].ends_at
    go_to(still, ends, seconds=-1)
    packs.buy(100)
    go_to(still, ends, seconds=7200)

    assert (by_credits(still), packs.left(), at_stripe(still, packs)) == ([3 * PER_UNIT], 97, [97 * PER_UNIT])
    assert still.customer.incidents() == []


@pytest.mark.parametrize("seconds", [0, 1, 59])
def test_one_that_is_paid_as_the_next_month_begins_pays_nothing_of_the_one_before(
    still: Metered, packs: CreditBuyer, seconds: int
) -> None:
    still.use(3)
    still.report()
    ends = still.periods()[-1].ends_at
    go_to(still, ends, seconds=seconds)
    packs.buy(100)
    go_to(still, ends, seconds=120)
    credit_purchase_sweeping.sweep(still.gateways)
    still.use(2)
    still.report()
    go_to(still, ends, seconds=7200)
    [lot] = packs.lots()

    assert (lot.starts_at, packs.left()) == (ends, 98)
    assert (by_credits(still), at_stripe(still, packs)) == ([0], [100 * PER_UNIT])
    still.advance(days=31)
    assert (by_credits(still), at_stripe(still, packs)) == ([2 * PER_UNIT, 0], [98 * PER_UNIT])
    assert still.customer.incidents() == []


def test_a_unit_that_returns_while_a_month_waits_for_its_invoice_pays_from_the_next_one_on(
    still: Metered, packs: CreditBuyer
) -> None:
    packs.buy(100)
    unit, *_others = still.use(100)
    still.report()
    go_to(still, still.periods()[-1].ends_at, seconds=7200)
    still.use(3)
    still.report()
    ends = still.periods()[-1].ends_at
    go_to(still, ends, seconds=40 * 60)
    still.returns(unit)
    still.credit()
    go_to(still, ends, seconds=7200)
    still.credit()
    assert ([row.state for row in still.credits()], packs.left()) == (["done"], 1)

    still.use(2)
    still.report()
    still.advance(days=31)
    assert (by_credits(still), packs.left()) == ([PER_UNIT, 0, 100 * PER_UNIT], 0)
    assert still.customer.incidents() == []
