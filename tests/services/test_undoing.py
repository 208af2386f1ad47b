"""A purchase that is given up before it began costs nothing: what it took of the balance is back on it."""

import pytest

from portal.db import unit_of_work
from portal.models import BillingDetails
from portal.services import attempt_states, checkout
from tests.services.buying import Customer
from tests.services.test_attempts import CREATE, sweep
from tests.shop import TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR


def put_on_balance(customer: Customer, amount: int) -> None:
    with unit_of_work(customer.workspace_id) as session:
        customer_id = session.get_one(BillingDetails, customer.workspace_id).stripe_customer_id
    customer.shop.client.v1.customers.balance_transactions.create(
        customer_id, {"amount": -amount, "currency": "usd"}
    )


def balance(customer: Customer) -> int:
    """What the vendor owes the company."""
    (found,) = customer.shop.client.v1.customers.list().data
    return -found.balance


def test_what_a_given_up_purchase_took_of_the_balance_is_back_on_it(customer: Customer) -> None:
    put_on_balance(customer, 200_000)
    first = customer.prepare(TWELVE_BY_THE_MONTH)
    collected = customer.confirm(first).collect
    taken = balance(customer)
    second = customer.prepare(TWELVE_BY_THE_YEAR)
    customer.shop.faults.fail("timeout_after", "/v1/credit_notes", times=3)
    with pytest.raises(checkout.StillConfirmingError):
        customer.confirm(second)
    sweep(customer)
    customer.settle()

    assert (collected, taken, balance(customer)) == ("setup", 53_800, 200_000)
    assert customer.state(first) == "abandoned"
    # it was reckoned without what has come back
    with pytest.raises(checkout.QuoteChangedError):
        customer.confirm(second)


def test_what_a_promotion_took_off_is_not_given_back_with_it(customer: Customer) -> None:
    customer.shop.promotion("TENOFF", amount_off=1_000, currency="usd")
    put_on_balance(customer, 200_000)
    first = customer.prepare(TWELVE_BY_THE_MONTH, promotion_code="TENOFF")
    customer.confirm(first)
    taken = balance(customer)
    with pytest.raises(checkout.QuoteChangedError):
        customer.confirm(customer.prepare(TWELVE_BY_THE_YEAR))

    assert (taken, balance(customer), customer.incidents()) == (54_800, 200_000, [])


def test_a_balance_that_stripe_does_not_give_back_is_told_to_support_and_stops_no_other_purchase(
    customer: Customer,
) -> None:
    put_on_balance(customer, 200_000)
    customer.confirm(customer.prepare(TWELVE_BY_THE_MONTH))
    second = customer.prepare(TWELVE_BY_THE_YEAR)
    customer.shop.faults.fail("refuse", "/v1/credit_notes")
    collected = customer.confirm(second).collect

    assert (collected, customer.incidents()) == ("payment", ["balance_not_given_back"])


def test_cents_too_few_to_charge_are_not_owed_for_a_given_up_purchase(customer: Customer) -> None:
    put_on_balance(customer, 146_170)
    customer.confirm(customer.prepare(TWELVE_BY_THE_MONTH))
    owed = balance(customer)
    with pytest.raises(checkout.QuoteChangedError):
        customer.confirm(customer.prepare(TWELVE_BY_THE_YEAR))

    assert (owed, balance(customer)) == (-30, 146_170)


def test_an_invoice_that_is_not_the_quote_and_that_the_balance_paid_is_given_back(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.faults.fail("first", CREATE, action=lambda: put_on_balance(customer, 200_000))
    with pytest.raises(checkout.QuoteChangedError):
        customer.confirm(quote_id)

    assert [each.status for each in customer.shop.subscriptions()] == ["canceled"]
    assert (customer.attempt(quote_id).state, balance(customer)) == (attempt_states.REFUSED, 200_000)
