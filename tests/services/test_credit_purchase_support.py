"""What support sees of a purchase of credits, and goes on with when it is stuck."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import CreditPurchase
from portal.services import credit_purchase_support
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.test_attempts import let_claims_run_out
from tests.services.test_change_payments import UPDATE, pays_with
from tests.services.test_swaps import TWELVE, prepare, swapped_once


def test_a_swap_that_is_stuck_goes_on_as_the_change_that_it_is(customer: Customer) -> None:
    now = 1_793_491_200  # the first of November 2026
    customer.shop.sandbox.clock.source = lambda: now
    customer.buy(TWELVE)
    customer.shop.advance(days=15)
    customer.settle()
    changer = Changer(customer)
    pays_with(changer, "pm_card_authenticationRequired")
    quote_id = prepare(changer, 4, 600)
    faults = customer.shop.faults
    # Stripe has made the invoice, and nobody has compared it
    faults.fail("then", UPDATE, action=lambda: faults.fail("kill_before", "/v1/invoices/*", method="GET"))
    with pytest.raises(Killed):
        changer.confirm(quote_id)
    let_claims_run_out(customer)

    with unit_of_work(customer.workspace_id) as session:
        purchase_id = session.scalars(select(CreditPurchase.id)).one()
    credit_purchase_support.repeat(customer.gateways, customer.workspace_id, purchase_id)
    customer.settle()
    assert changer.state(quote_id) == "requires_action"

    customer.shop.pay(changer.confirm(quote_id).client_secret or "")
    customer.settle()
    swapped_once(changer, quote_id)
    assert customer.incidents() == []


@pytest.mark.parametrize("command", ["show", "repeat", "refund"])
def test_a_purchase_that_is_not_there_is_said_so(app: Flask, customer: Customer, command: str) -> None:
    more = ["--reason", "asked"] if command == "refund" else []
    asked = ["support", "purchase", command, str(customer.workspace_id), "C-NOBODY", *more]
    done = app.test_cli_runner().invoke(args=asked)

    assert "There is no such purchase." in done.output
    assert done.exit_code == 2
