"""Renewals that fail, for the tests of what comes after."""

from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import Invoice
from portal.services import dues, payment_methods, payments
from portal.services.payments import Payment
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH


def renew(customer: Customer, **delta: int) -> None:
    """Time passes, and everything that Stripe has to say arrives."""
    customer.shop.advance(**delta)
    customer.settle()


def stripes_customer(customer: Customer) -> str:
    """The company at Stripe."""
    return str(payment_methods.customer_of(customer.workspace_id))


def add(customer: Customer, card: str = "pm_card_visa") -> str:
    """A further method, as if it had been added; its id."""
    method = customer.shop.client.v1.payment_methods.attach(card, {"customer": stripes_customer(customer)})
    customer.settle()
    return method.id


def fall_behind(customer: Customer, card: str = "pm_card_chargeCustomerFail") -> str:
    """Buy, and have the first renewal fail; the id of the invoice that is owed."""
    customer.buy(TWELVE_BY_THE_MONTH)
    account = customer.shop.client.v1
    [subscription] = customer.shop.subscriptions()
    method = account.payment_methods.attach(card, {"customer": str(subscription.customer)})
    account.subscriptions.update(subscription.id, {"default_payment_method": method.id})
    end = max(item.current_period_end for item in subscription["items"].data)
    renew(customer, seconds=end - customer.shop.sandbox.now(), hours=2)
    [invoice] = open_invoices(customer)
    return invoice


def open_invoices(customer: Customer) -> list[str]:
    """Our rows of what is open, oldest first."""
    with unit_of_work(customer.workspace_id) as session:
        statement = select(Invoice.stripe_id).where(Invoice.status == "open").order_by(Invoice.issued_at)
        return list(session.scalars(statement))


def pay(customer: Customer, invoice_id: str, method_id: str | None) -> Payment:
    """The click on the button of the payment page."""
    return payments.pay(
        customer.gateways, customer.workspace_id, customer.account.user_id, invoice_id, method_id
    )


def answer_bank(customer: Customer, client_secret: str, *, passed: bool = True) -> None:
    """What a person does in the bank's dialog."""
    intent = client_secret.split("_secret_")[0]
    answer = customer.shop.application.test_client().post(
        f"/redirect/challenge/{intent}/decide",
        data={"outcome": "pass" if passed else "fail", "client_secret": client_secret, "dialog": "1"},
    )
    assert answer.status_code == 200, answer.text


def owed(customer: Customer) -> list[dues.Owed]:
    """What the banner is about."""
    with unit_of_work(customer.workspace_id) as session:
        row = payment_methods.live_subscription(session)
        return dues.owed(session, row, grace=customer.gateways.settings.grace)


def methods(customer: Customer) -> list[payment_methods.Shown]:
    """What the payment page lists."""
    with unit_of_work(customer.workspace_id) as session:
        return payment_methods.listing(session)


def dunning(customer: Customer, last_step: str) -> None:
    """What Stripe's account does after the last retry."""
    control = customer.shop.application.test_client()
    assert control.post("/_sandbox/dunning", json={"last_step": last_step}).status_code == 200
