"""What becomes of a change by debit when something else happens before the debit has arrived."""

from portal.services import leaving
from tests.services.buying import Customer
from tests.services.test_change_payments import debit_payer


def test_an_end_that_was_asked_for_meanwhile_stays_when_the_debit_arrives(customer: Customer) -> None:
    changer = debit_payer(customer)
    quote_id = changer.prepare(seats=8, tier="expert")
    changer.confirm(quote_id)
    customer.settle()
    leaving.ask(*changer.place, leaving.AT_PERIOD_END)
    customer.settle()
    ends_at = customer.subscription().cancel_at
    customer.shop.advance(days=7)
    customer.settle()

    assert (changer.state(quote_id), customer.subscription().tier) == ("done", "expert")
    assert changer.planned() is None
    assert ends_at is not None
    assert customer.subscription().cancel_at == ends_at


def test_voiding_the_invoice_of_a_debit_by_hand_takes_the_seats_back(customer: Customer) -> None:
    changer = debit_payer(customer)
    quote_id = changer.prepare(seats=15)
    changer.confirm(quote_id)
    customer.settle()
    [subscription] = customer.shop.subscriptions()
    customer.shop.client.v1.invoices.void_invoice(str(subscription.latest_invoice))
    customer.settle()

    assert changer.state(quote_id) == "expired"
    assert changer.at_stripe()["2026-11:seat:advanced:month"] == 12
    assert customer.subscription().seats == 12


def test_a_debit_that_is_only_the_customers_default_pays_a_change(customer: Customer) -> None:
    changer = debit_payer(customer)
    [subscription] = customer.shop.subscriptions()
    v1 = customer.shop.client.v1
    method = str(subscription.default_payment_method)
    v1.customers.update(str(subscription.customer), {"invoice_settings": {"default_payment_method": method}})
    v1.subscriptions.update(subscription.id, {"default_payment_method": ""})
    customer.settle()
    quote_id = changer.prepare(seats=15)
    changer.confirm(quote_id)
    customer.settle()

    assert changer.held().payer == "us_bank_account"
    assert changer.state(quote_id) == "processing"
