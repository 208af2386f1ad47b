"""Paying an open invoice: once, with any method, whatever is pressed and whatever Stripe does not answer."""

import threading

import pytest
from flask import Flask

from portal.db import unit_of_work
from portal.models import PaymentAction
from portal.services import dues, payment_sweeping, payments
from portal.services.payment_actions import StillWorkingError
from tests.services.buying import Customer
from tests.services.failing import add, answer_bank, fall_behind, open_invoices, owed, pay, renew


def paid(customer: Customer) -> list[int]:
    """The amounts that were taken, newest first."""
    return [charge.amount for charge in customer.shop.charges() if charge.paid]


def states(customer: Customer) -> list[tuple[str, str]]:
    with unit_of_work(customer.workspace_id) as session:
        rows = session.query(PaymentAction).order_by(PaymentAction.created_at).all()
        return [(row.kind, row.state) for row in rows if row.kind == "pay"]


def test_a_failed_renewal_says_why_and_until_when_and_another_card_pays_it_once(customer: Customer) -> None:
    invoice, card = fall_behind(customer), add(customer)
    [found] = owed(customer)
    names = [pay(customer, invoice, card).name, pay(customer, invoice, card).name]
    customer.settle()

    assert found.invoice.amount_due == 146_200
    assert found.invoice.payment["error"]["decline_code"] == "generic_decline"
    assert (found.until - found.invoice.issued_at).days == 7
    assert (found.next_attempt - found.invoice.issued_at).days == 3
    assert not found.limited
    assert names == ["paid", "paid"]
    assert paid(customer) == [146_200, 146_200]
    assert (customer.subscription().status, customer.access(), owed(customer)) == ("active", "active", [])
    assert customer.subscription().default_payment_method["last4"] == "4242"
    assert customer.mails("receipt") == 2


def test_a_declined_card_says_why_and_the_next_click_may_use_another(customer: Customer) -> None:
    invoice = fall_behind(customer)
    with pytest.raises(payments.Declined) as declined:
        pay(customer, invoice, add(customer, "pm_card_chargeCustomerFail"))
    customer.settle()
    came = pay(customer, invoice, add(customer))

    assert declined.value.decline["decline_code"] == "generic_decline"
    assert came.name == "paid"
    assert states(customer) == [("pay", "refused"), ("pay", "done")]
    assert customer.mails("payment_failed") == 1
    keys = customer.shop.faults.keys(f"/v1/invoices/{invoice}/pay")
    assert len(set(keys)) == len(keys) == 2


def test_when_the_answer_is_lost_the_same_key_finds_out(customer: Customer) -> None:
    invoice, card = fall_behind(customer), add(customer)
    customer.shop.faults.fail("timeout_after", f"/v1/invoices/{invoice}/pay", times=3)
    with pytest.raises(StillWorkingError):
        pay(customer, invoice, card)
    waiting = payments.standing(customer.gateways, customer.workspace_id, invoice)
    came = pay(customer, invoice, card)

    assert (waiting, came.name) == ("waiting", "paid")
    assert paid(customer) == [146_200, 146_200]
    assert len(set(customer.shop.faults.keys(f"/v1/invoices/{invoice}/pay"))) == 1


def test_what_never_reached_stripe_is_done_by_the_sweeper(customer: Customer) -> None:
    invoice, card = fall_behind(customer), add(customer)
    customer.shop.faults.fail("timeout_before", f"/v1/invoices/{invoice}/pay", times=3)
    with pytest.raises(StillWorkingError):
        pay(customer, invoice, card)
    customer.shop.faults.mend()
    swept = payment_sweeping.sweep(customer.gateways, left_behind_after=-payment_sweeping.LEFT_BEHIND_AFTER)

    assert swept == 1
    assert payments.standing(customer.gateways, customer.workspace_id, invoice) == "paid"
    assert paid(customer) == [146_200, 146_200]


def test_the_bank_asks_and_the_browser_answers(customer: Customer) -> None:
    invoice = fall_behind(customer)
    came = pay(customer, invoice, add(customer, "pm_card_authenticationRequired"))
    waiting = payments.standing(customer.gateways, customer.workspace_id, invoice)
    answer_bank(customer, came.client_secret or "")
    customer.settle()

    assert (came.name, waiting) == ("action", "waiting")
    assert payments.standing(customer.gateways, customer.workspace_id, invoice) == "paid"
    assert paid(customer) == [146_200, 146_200]


def test_a_new_card_is_typed_in_on_the_invoices_own_intent_also_in_another_tab(customer: Customer) -> None:
    invoice = fall_behind(customer)
    first, second = pay(customer, invoice, None), pay(customer, invoice, None)
    customer.shop.pay(second.client_secret or "")
    customer.settle()

    assert (first.name, first.client_secret) == ("collect", second.client_secret)
    assert states(customer) == [("pay", "replaced"), ("pay", "done")]
    assert (customer.access(), owed(customer)) == ("active", [])


def test_a_debit_is_on_its_way_and_then_arrives(customer: Customer) -> None:
    invoice = fall_behind(customer)
    came = pay(customer, invoice, add(customer, "pm_usBankAccount_success"))
    customer.settle()
    [on_its_way] = owed(customer)
    with pytest.raises(dues.OnItsWayError):
        pay(customer, invoice, add(customer))
    renew(customer, days=5)

    assert (came.name, on_its_way.processing) == ("processing", True)
    assert (customer.access(), owed(customer)) == ("active", [])


def test_a_debit_that_comes_back_is_mailed_and_paid_again_with_a_card(customer: Customer) -> None:
    invoice = fall_behind(customer)
    pay(customer, invoice, add(customer, "pm_usBankAccount_insufficientFunds"))
    customer.settle()
    renew(customer, days=5)
    [found] = owed(customer)
    came_back = (customer.mails("payment_failed"), found.limited, found.processing)
    came = pay(customer, invoice, add(customer))
    customer.settle()

    assert came_back == (2, False, False)
    assert found.invoice.payment["error"]["code"] == "insufficient_funds"
    assert (came.name, customer.access()) == ("paid", "active")


def test_what_belongs_to_a_first_purchase_is_not_paid_here(customer: Customer) -> None:
    quote_id = customer.prepare()
    customer.confirm(quote_id)
    customer.settle()
    [invoice] = open_invoices(customer)

    with pytest.raises(dues.NotPayableError):
        pay(customer, invoice, None)


def test_two_tabs_at_the_same_moment_take_it_once(open_shop: tuple[Flask, Customer]) -> None:
    app, customer = open_shop
    invoice, card = fall_behind(customer), add(customer)
    names: list[str] = []

    def click() -> None:
        with app.app_context():
            names.append(pay(customer, invoice, card).name)

    threads = [threading.Thread(target=click) for _tab in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert names == ["paid", "paid", "paid"]
    assert paid(customer) == [146_200, 146_200]
