"""Bank debits: access while one is on its way, and what becomes of one that fails days later."""

from datetime import timedelta

import pytest

from portal.services import checkout, method_changes, payment_sweeping
from tests.services.buying import Customer
from tests.services.failing import add, fall_behind, methods, pay
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


def choose(customer: Customer, method_id: str) -> None:
    method_changes.make_default(customer.gateways, customer.workspace_id, customer.account.user_id, method_id)
    customer.settle()


def settled_by_debit(customer: Customer) -> list[tuple[str, bool]]:
    """The methods, and which is the default, after the debit's days and the sweeper."""
    customer.shop.advance(days=7)
    customer.settle()
    payment_sweeping.sweep(customer.gateways, left_behind_after=timedelta(0))
    customer.settle()
    return [(method.type, method.default) for method in methods(customer)]


def test_a_debit_that_arrives_does_not_take_the_place_of_what_was_chosen_since(customer: Customer) -> None:
    customer.shop.pay_by_debit(customer.confirm(customer.prepare(TWELVE_BY_THE_MONTH)).client_secret)
    customer.settle()
    card = add(customer, "pm_card_visa")
    choose(customer, card)
    found = settled_by_debit(customer)
    [subscription] = customer.shop.subscriptions("active")

    assert found == [("card", True), ("us_bank_account", False)]
    assert subscription.default_payment_method == card


def test_a_debit_that_arrives_is_the_default_where_nothing_else_was_chosen(customer: Customer) -> None:
    customer.shop.pay_by_debit(customer.confirm(customer.prepare(TWELVE_BY_THE_MONTH)).client_secret)
    customer.settle()
    add(customer, "pm_card_visa")

    assert settled_by_debit(customer) == [("us_bank_account", True), ("card", False)]


def test_a_renewal_s_debit_that_arrives_leaves_the_card_that_was_chosen_meanwhile(customer: Customer) -> None:
    customer.shop.pay_by_debit(customer.confirm(customer.prepare(TWELVE_BY_THE_MONTH)).client_secret)
    customer.settle()
    settled_by_debit(customer)
    customer.shop.advance(days=24, hours=2)
    customer.settle()
    choose(customer, add(customer, "pm_card_visa"))

    assert settled_by_debit(customer) == [("card", True), ("us_bank_account", False)]


def test_a_debit_that_was_begun_after_choosing_is_chosen_itself(customer: Customer) -> None:
    invoice = fall_behind(customer)
    choose(customer, add(customer, "pm_card_mastercard"))
    pay(customer, invoice, add(customer, "pm_usBankAccount_success"))
    customer.settle()

    assert [kind for kind, default in settled_by_debit(customer) if default] == ["us_bank_account"]


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
