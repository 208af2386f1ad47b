"""Credits and usage at the same moment, with real commits and real threads: nobody waits for ever."""

import threading
import time
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from portal.db import unit_of_work
from portal.services import allowances, credit_refunds, projections, usage_periods
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.shop import TWELVE_BY_THE_MONTH

WAITS = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def while_usage_is_booked(buyer: CreditBuyer, work: Callable[[], object]) -> None:
    """Run ``work`` so that it meets a booking that has locked the month and goes on to the allowance."""
    failed: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            failed.append(error)

    other = threading.Thread(target=run)
    now = buyer.gateways.clock.now()
    with unit_of_work(buyer.workspace_id) as session:
        usage_periods.locked(session, since=now, until=now, now=now)
        other.start()
        until_somebody_waits()
        allowances.locked(session, now)
    other.join()
    assert failed == []


def until_somebody_waits() -> None:
    for _ in range(500):
        with unit_of_work() as session:
            if session.scalar(WAITS):
                return
        time.sleep(0.01)
    pytest.fail("nobody has waited for the month")


@pytest.fixture
def buyer(open_shop: tuple[Flask, Customer]) -> CreditBuyer:
    """A company with a pack, and an allowance."""
    _app, customer = open_shop
    customer.buy(TWELVE_BY_THE_MONTH)
    made = CreditBuyer(customer)
    made.buy(600)
    with unit_of_work(made.workspace_id) as session:
        allowances.locked(session, made.gateways.clock.now())
    return made


def test_a_pack_is_paid_while_usage_is_booked(buyer: CreditBuyer) -> None:
    quote_id = buyer.prepare(600)
    buyer.shop.pay(buyer.pay(quote_id).client_secret or "")
    invoice_id = str(buyer.purchase(quote_id).stripe_invoice_id)
    while_usage_is_booked(buyer, lambda: projections.refresh_invoice(buyer.gateways, invoice_id))

    assert buyer.left() == 1200


def test_a_pack_is_taken_back_while_usage_is_booked(buyer: CreditBuyer) -> None:
    purchase = buyer.purchases()[0]
    while_usage_is_booked(
        buyer,
        lambda: credit_refunds.return_unused(buyer.gateways, buyer.workspace_id, None, purchase.id),
    )

    assert buyer.left() == 0
