"""Every night Stripe's balance of credits is held against our ledger."""

import pytest
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import CreditEntry
from portal.services import credit_reconcile
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.services.metering import Metered
from tests.services.using import Workspace
from tests.shop import TWELVE_BY_THE_MONTH


@pytest.fixture
def credits(customer: Customer) -> CreditBuyer:
    """A company with a pack of 600."""
    customer.buy(TWELVE_BY_THE_MONTH)
    made = CreditBuyer(customer)
    made.buy(600)
    return made


def test_what_was_bought_and_not_billed_yet_is_the_same_on_both_sides(credits: CreditBuyer) -> None:
    Workspace(credits.gateways, credits.workspace_id).resolve()
    [found] = credit_reconcile.compare(credits.gateways, credits.workspace_id)

    assert found.explained
    # 600 × $0.99; Stripe takes of it when the month's invoice is final
    assert (found.taken, found.expected, found.balance) == (0, 0, 59400)
    assert credit_reconcile.run(credits.gateways) == 0
    assert credits.customer.incidents() == []


def test_an_invoice_that_credits_paid_took_what_our_ledger_drew(customer: Customer) -> None:
    acme = Metered.buy(customer)
    CreditBuyer(customer).buy(100)
    acme.use(7)
    acme.report()
    acme.advance(days=31)
    [found] = credit_reconcile.compare(acme.gateways, acme.workspace_id)

    # 7 of 100 at $0.99
    assert (found.taken, found.expected, found.balance, found.late) == (693, 693, 9207, 0)
    assert credit_reconcile.run(acme.gateways) == 0
    assert customer.incidents() == []


def test_a_grant_that_somebody_ended_at_stripe_is_raised_the_next_night(customer: Customer) -> None:
    acme = Metered.buy(customer)
    buyer = CreditBuyer(customer)
    buyer.buy(100)
    acme.use(7)
    acme.report()
    [grant] = buyer.grants()
    acme.gateways.stripe.credits.expire(grant.id, key="by hand")
    acme.advance(days=31)

    assert credit_reconcile.run(acme.gateways) == 1
    assert "credit_balance_differs" in customer.incidents()


def test_what_nothing_explains_is_raised_once(credits: CreditBuyer) -> None:
    [lot] = credits.lots()
    with unit_of_work(credits.workspace_id) as session:
        bought = session.scalars(select(CreditEntry)).one()
        # drawn for a month that no invoice billed
        session.add(
            CreditEntry(
                lot_id=lot.id, kind="drawn", quantity=-5, period_start=None, at=bought.at, source="wrong"
            )
        )
    found = [credit_reconcile.run(credits.gateways) for _night in range(2)]

    assert found == [1, 1]
    assert credits.customer.incidents() == ["credit_balance_differs"]


def test_stripe_being_away_is_asked_again_the_next_night(credits: CreditBuyer) -> None:
    credits.shop.faults.fail("timeout_before", "credit_balance_transactions", method="GET", times=3)

    assert credit_reconcile.run(credits.gateways) == 0
    assert credits.customer.incidents() == []
