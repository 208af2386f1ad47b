"""What Stripe does after the last retry, as its account says: end, hold, leave past due; and coming back."""

import pytest
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import Invoice
from portal.services import dues, payments, subscriptions, sweeping
from tests.services.buying import Customer
from tests.services.failing import add, dunning, fall_behind, open_invoices, owed, pay, renew
from tests.shop import TWELVE_BY_THE_MONTH


def give_up(customer: Customer, last_step: str) -> str:
    """All retries fail; the invoice that is owed."""
    dunning(customer, last_step)
    invoice = fall_behind(customer)
    renew(customer, days=16)
    sweeping.sweep_grace(customer.gateways)
    return invoice


def due(customer: Customer) -> dues.Due:
    now = customer.gateways.clock.now()
    with unit_of_work(customer.workspace_id) as session:
        row = subscriptions.current(session)
        return dues.due(session, row, grace=customer.gateways.settings.grace, today=now.date())


def amounts(customer: Customer) -> list[tuple[str, int]]:
    with unit_of_work(customer.workspace_id) as session:
        rows = session.scalars(select(Invoice).order_by(Invoice.issued_at))
        return [(row.status, row.amount_due) for row in rows]


def test_grace_then_limited_then_ended_each_told_once(customer: Customer) -> None:
    dunning(customer, "cancel")
    invoice = fall_behind(customer)
    seen = [customer.access()]
    renew(customer, days=9)
    sweeping.sweep_grace(customer.gateways)
    seen.append(customer.access())
    renew(customer, days=7)
    seen.append(customer.access())

    assert seen == ["active", "limited", "ended"]
    told = [customer.mails(kind) for kind in ("payment_failed", "access_limited", "ended_unpaid")]
    assert told == [2, 1, 1]
    assert customer.incidents() == ["ended_unpaid"]
    found = due(customer)
    assert (found.owed, found.ended_for and found.ended_for.stripe_id) == ((), invoice)
    with pytest.raises(dues.NotPayableError):
        pay(customer, invoice, None)

    customer.buy(TWELVE_BY_THE_MONTH)
    assert (customer.access(), due(customer).ended_for) == ("active", None)


def test_on_hold_the_old_invoice_is_paid_first_and_then_those_made_since(customer: Customer) -> None:
    first = give_up(customer, "unpaid")
    held = (customer.subscription().status, customer.access())
    renew(customer, days=31)
    before = amounts(customer)
    card = add(customer)
    pay(customer, first, card)
    still = (payments.standing(customer.gateways, customer.workspace_id, first), customer.access())
    customer.settle()
    [second] = open_invoices(customer)
    pay(customer, second, card)
    customer.settle()

    assert held == ("unpaid", "limited")
    assert before == [("paid", 146_200), ("open", 146_200)]
    assert still == ("waiting", "limited")
    assert amounts(customer) == [("paid", 146_200)] * 3
    assert (customer.subscription().status, customer.access(), owed(customer)) == ("active", "active", [])


def test_left_past_due_it_stays_limited_until_the_old_invoice_is_paid(customer: Customer) -> None:
    invoice = give_up(customer, "past_due")
    found = (customer.subscription().status, customer.access(), owed(customer)[0].limited)
    pay(customer, invoice, add(customer))
    customer.settle()

    assert found == ("past_due", "limited", True)
    assert (customer.subscription().status, customer.access()) == ("active", "active")
