"""A final invoice that is not what its quote promised is kept, and told to support once."""

from dataclasses import replace

from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import Invoice, Quote
from portal.services import matches
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH


def settle(customer: Customer, *, times: int, dearer: int) -> None:
    """Hold a copy of the first invoice, dearer by so many cents, against the quote."""
    with unit_of_work(customer.workspace_id) as session:
        stripe_id = session.scalars(select(Invoice.stripe_id)).one()
    invoice = customer.gateways.stripe.invoice(stripe_id)
    with unit_of_work(customer.workspace_id) as session:
        quote = session.scalars(select(Quote)).one()
        # the page's own comparison, which found nothing, was of the invoice itself
        copy = replace(invoice, id="in_copy", total=invoice.total + dearer)
        keys = {line.price_id or "": "seat" for line in invoice.lines if line.quantity}
        found = [
            each for each in matches.differences(matches.quoted(quote), copy, keys) if each.what == "total"
        ]
        for _time in range(times):
            matches.settle(session, customer.gateways, quote, copy, found)


def test_a_difference_is_told_once(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    settle(customer, times=2, dearer=1)

    assert customer.incidents() == ["quote_mismatch"]


def test_what_matches_is_told_to_nobody(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    settle(customer, times=1, dearer=0)

    assert customer.incidents() == []
