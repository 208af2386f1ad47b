"""The invoice's page proves its usage by the ledger, and a resolution's page tells of its credit."""

from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import UsageMatch
from portal.services import usage_moves
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.metering import Metered
from tests.web.reading import words


def newest(acme: Metered) -> str:
    """The address of the invoice that bills the usage."""
    with unit_of_work(acme.workspace_id) as session:
        return f"/billing/invoices/{session.scalars(select(UsageMatch.stripe_invoice_id)).one()}"


def test_an_invoice_that_bills_usage_shows_that_it_is_the_ledgers(buyer: Browser, customer: Customer) -> None:
    acme = Metered.buy(customer)
    acme.use(3)
    acme.report()
    acme.advance(days=33)
    text = words(buyer.get(newest(acme)))

    assert "Usage matched unit for unit" in text
    assert "3 resolutions: as many as the ledger has for this period." in text


def test_an_invoice_that_differs_says_by_what_and_what_comes_of_it(
    buyer: Browser, customer: Customer
) -> None:
    acme = Metered.buy(customer)
    acme.use(2)
    acme.advance(days=33)
    text = words(buyer.get(newest(acme)))

    assert "Its usage differs from the ledger" in text
    assert "Our ledger has 2 resolutions, the invoice bills 0 resolutions." in text
    assert "They had not reached Stripe yet, and are billed with the open month." in text


def test_a_credited_unit_leads_to_its_credit_note(buyer: Browser, customer: Customer) -> None:
    acme = Metered.buy(customer)
    [unit, _other] = acme.use(2)
    acme.report()
    acme.advance(days=33)
    acme.returns(unit)
    before = words(buyer.get(f"/usage/resolutions/{unit}/1"))
    acme.credit()
    after = words(buyer.get(f"/usage/resolutions/{unit}/1"))
    invoice = words(buyer.get(newest(acme)))

    assert "Credit note Its price is on its way back" in before
    assert "Credit note $0.99 with tax, by a credit note on its invoice" in after
    assert "$0.99 goes back to what it was paid with." in invoice


def test_a_unit_that_moved_into_the_open_month_says_so(buyer: Browser, customer: Customer) -> None:
    acme = Metered.buy(customer)
    [unit] = acme.use(1)
    acme.advance(days=33)
    usage_moves.sweep(acme.gateways)
    text = words(buyer.get(f"/usage/resolutions/{unit}/1"))

    assert text.count("Its own period was closed already, so it stands in the open one.") == 2


def test_a_unit_that_stripe_could_not_use_says_so(buyer: Browser, customer: Customer) -> None:
    acme = Metered.buy(customer)
    [unit] = acme.use(1)
    acme.change(stripe_customer_id="cus_gone")
    acme.report()
    acme.advance(seconds=15)

    assert "Stripe could not use the report" in words(buyer.get(f"/usage/resolutions/{unit}/1"))
