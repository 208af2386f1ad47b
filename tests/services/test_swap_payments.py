"""A swap that is paid by debit, taxed, of a year's seats, or killed on its way: one change, or none."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from portal import pricing
from portal.db import unit_of_work
from portal.models import CreditPurchase
from portal.services import changes, checkout, credit_purchase_sweeping, sweeping
from portal.services.credit_purchases import TooManyGrantsError
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.crediting import CreditBuyer
from tests.services.test_attempts import NOW, let_claims_run_out
from tests.services.test_change_payments import UPDATE, debit_payer, failing_account, pays_with
from tests.services.test_credit_grants import forget_keys, grant
from tests.services.test_swaps import (
    TWELVE,
    assert_swapped_once,
    balance,
    changer,
    grants,
    last_invoice,
    lots,
    prepare,
    purchases,
    simulated,
)
from tests.shop import BERLIN, Shop

__all__ = ["changer"]

GRANTS = "/v1/billing/credit_grants"
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


def seats(changer: Changer) -> int | None:
    """How many full seats there are at Stripe."""
    return next(count for key, count in changer.at_stripe().items() if ":seat:" in key)


def finish(changer: Changer) -> None:
    """Whoever worked on it is gone; the sweepers take it up."""
    changer.customer.shop.faults.mend()
    let_claims_run_out(changer.customer)
    changer.customer.settle()
    sweeping.sweep_attempts(changer.customer.gateways, left_behind_after=NOW)
    with unit_of_work(changer.customer.workspace_id) as session:
        for purchase in session.scalars(select(CreditPurchase)):
            purchase.claimed_until = None
    credit_purchase_sweeping.sweep(changer.customer.gateways, left_behind_after=NOW)
    changer.customer.settle()


# --- by debit ----------------------------------------------------------------------------------------


def test_a_swap_by_debit_gives_its_credits_when_the_money_is_there(customer: Customer) -> None:
    changer = debit_payer(customer)
    quote_id = prepare(changer, 2, 600)
    confirmation = changer.confirm(quote_id)
    customer.settle()
    waiting = (changer.state(quote_id), lots(changer), grants(changer))
    with pytest.raises(changes.PaymentUnderWayError):
        prepare(changer, 1)
    customer.shop.advance(days=7)
    finish(changer)

    assert confirmation.collect == "nothing"
    assert waiting == ("processing", [], 0)
    assert (changer.state(quote_id), customer.subscription().seats) == ("done", 10)  # type: ignore[union-attr]
    assert (lots(changer), grants(changer)) == ([600], 1)
    assert [each.state for each in purchases(changer)] == ["granted"]
    assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]
    assert customer.incidents() == []


def test_a_swap_whose_debit_comes_back_is_undone_with_seats_and_credits(customer: Customer) -> None:
    changer = debit_payer(customer)
    pays_with(changer, failing_account(customer))
    quote_id = prepare(changer, 2, 600)
    changer.confirm(quote_id)
    customer.settle()
    customer.shop.advance(days=5)
    finish(changer)

    assert changer.state(quote_id) == "failed"
    assert seats(changer) == 12
    assert (lots(changer), grants(changer), balance(changer)) == ([], 0, 0)
    assert [each.state for each in purchases(changer)] == ["void"]
    assert customer.incidents() == []


# --- with tax, and of a year -------------------------------------------------------------------------


def test_tax_is_on_what_the_pack_costs_more_than_the_seats_were_worth(shop: Shop, customer: Customer) -> None:
    checkout.save_details(customer.gateways, customer.workspace_id, customer.account.user_id, BERLIN)
    # the seller's registrations are of today, and June has 30 days
    shop.stand_at(datetime(2027, 6, 1, tzinfo=UTC))
    customer.buy(TWELVE)
    shop.advance(days=15)
    customer.settle()
    changer = Changer(customer)
    quote_id = prepare(changer, 4, 600)
    quote = changer.quote(quote_id)
    changer.confirm(quote_id)
    customer.settle()

    # $564.30 less $198.00 of seats, with Germany's 19 %
    assert (quote.subtotal, quote.tax, quote.total) == (36_630, 6_960, 43_590)
    assert last_invoice(changer) == (43_590, "paid")
    assert lots(changer) == [600]
    assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]
    [kept] = shop.client.v1.billing.credit_grants.list().data
    # credits pay before tax, so that a grant is worth the price without it
    assert kept.amount.monetary is not None
    assert kept.amount.monetary.value == 59_400


def test_seats_of_a_year_are_worth_what_is_left_of_the_year(shop: Shop, customer: Customer) -> None:
    shop.stand_at(NOVEMBER)
    customer.buy(pricing.Selection("advanced", 12, "year"))
    # the first of May: 184 of 365 days are left
    shop.advance(days=181)
    customer.settle()
    changer = Changer(customer)
    swap = simulated(changer, 3)
    quote_id = prepare(changer, 3, 3000)
    quote = changer.quote(quote_id)
    changer.confirm(quote_id)
    customer.settle()

    # 12 × $1,020.00 and 9 × $1,020.00, each for 184 of 365 days: $6,170.30 and $4,627.73
    assert swap.value == 154_257
    assert swap.renews_at == datetime(2027, 11, 1, tzinfo=UTC)
    assert changer.state(quote_id) == "done"
    assert quote.amount_due == last_invoice(changer)[0] == sum(a for *_, a in changer.amounts(quote_id))
    assert seats(changer) == 9
    [lot] = CreditBuyer(customer).lots()
    # the pack counts by months of usage, whatever the seats are paid by
    assert (lot.starts_at, lot.expires_at) == (
        datetime(2027, 5, 1, tzinfo=UTC),
        datetime(2028, 6, 1, tzinfo=UTC),
    )
    assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]
    assert customer.incidents() == []


# --- killed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["kill_before", "kill_after"])
@pytest.mark.parametrize("path", ["/v1/invoices/*", "/v1/subscriptions/*", "/v1/payment_intents/*"])
def test_killed_after_the_update_it_is_gone_on_with(changer: Changer, path: str, kind: str) -> None:
    faults = changer.customer.shop.faults
    quote_id = prepare(changer, 4, 600)
    # at what is read once the update is made
    faults.fail("then", UPDATE, action=lambda: faults.fail(kind, path, method="GET"))
    with pytest.raises(Killed):
        changer.confirm(quote_id)
    finish(changer)

    assert_swapped_once(changer, quote_id)
    assert [each.state for each in purchases(changer)] == ["granted"]
    assert changer.customer.incidents() == []


@pytest.mark.parametrize("kind", ["kill_before", "kill_after"])
def test_killed_at_the_grant_it_is_made_once(changer: Changer, kind: str) -> None:
    quote_id = prepare(changer, 4, 600)
    changer.confirm(quote_id)
    changer.customer.shop.faults.fail(kind, GRANTS)
    with pytest.raises(Killed):
        changer.customer.settle()
    # until the worker comes Stripe may have forgotten the key
    forget_keys(CreditBuyer(changer.customer))
    changer.customer.shop.advance(days=2)
    finish(changer)

    assert_swapped_once(changer, quote_id)


def test_a_key_that_stripe_has_forgotten_changes_nothing_twice(changer: Changer) -> None:
    quote_id = prepare(changer, 4, 600)
    changer.customer.shop.faults.fail("kill_after", UPDATE)
    with pytest.raises(Killed):
        changer.confirm(quote_id)
    forget_keys(CreditBuyer(changer.customer))
    changer.customer.shop.advance(days=2)
    finish(changer)

    assert_swapped_once(changer, quote_id)


# --- limits ------------------------------------------------------------------------------------------


def test_a_swap_makes_no_hundred_and_first_grant(changer: Changer) -> None:
    v1 = changer.customer.shop.client.v1
    [stripe_customer] = v1.customers.list().data
    price = purchases_price(changer)
    for _number in range(100):
        v1.billing.credit_grants.create(grant(stripe_customer.id, price))

    with pytest.raises(TooManyGrantsError):
        prepare(changer, 4, 600)
    assert seats(changer) == 12
    assert purchases(changer) == []


def purchases_price(changer: Changer) -> str:
    """By which resolutions are billed."""
    [item] = [each for each in changer.customer.subscription().items if each["key"] == "resolution"]  # type: ignore[union-attr]
    return str(item["stripe_price_id"])
