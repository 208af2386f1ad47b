"""Bank debits: access while one is on its way, and what becomes of one that fails days later."""

import pytest

from portal.services import checkout
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR


def test_a_debit_on_its_way_gives_access_and_keeps_it_when_it_arrives(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay_by_debit(customer.confirm(quote_id).client_secret)
    customer.settle()
    waiting = (customer.state(quote_id), customer.access())
    customer.shop.advance(days=7)
    customer.settle()

    assert waiting == ("processing", "payment_pending")
    assert (customer.state(quote_id), customer.access()) == ("active", "active")
    assert customer.mails("receipt") == 1


def test_a_debit_that_fails_late_limits_the_workspace_and_is_mailed(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay_by_debit(customer.confirm(quote_id).client_secret, account="000222222227")
    customer.settle()
    customer.shop.advance(days=7)
    customer.settle()

    assert (customer.state(quote_id), customer.access()) == ("failed", "limited")
    assert customer.mails("debit_failed") == 1
    assert customer.mails("receipt") == 0
    assert [each.status for each in customer.shop.subscriptions()] == ["canceled"]


def test_after_a_failed_debit_the_company_can_buy_with_a_card(customer: Customer) -> None:
    first = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay_by_debit(customer.confirm(first).client_secret, account="000222222227")
    customer.settle()
    customer.shop.advance(days=7)
    customer.settle()
    second = customer.buy(TWELVE_BY_THE_MONTH)

    assert (customer.state(second), customer.access()) == ("active", "active")


def test_while_a_debit_is_on_its_way_nothing_else_is_bought(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    other = customer.prepare(TWELVE_BY_THE_YEAR)
    with pytest.raises(checkout.QuoteChangedError):
        customer.confirm(quote_id)
    customer.shop.pay_by_debit(customer.confirm(other).client_secret)

    with pytest.raises((checkout.PaymentUnderWayError, checkout.QuoteChangedError)):
        customer.confirm(quote_id)
    with pytest.raises(checkout.PaymentUnderWayError):
        customer.confirm(customer.prepare(TWELVE_BY_THE_MONTH))
    assert len(customer.shop.subscriptions()) == 1
