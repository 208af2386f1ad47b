"""A stream of everything that can happen to a resolution: each number is the same wherever it is said.

One stream; more of them are ``make soak``.
"""

import random

from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import Invoice
from portal.services import limits
from portal.services.limits import Wanted
from tests.browsing import Browser
from tests.programs import program
from tests.services.buying import Customer
from tests.services.counting import listed, shown
from tests.services.metering import Metered
from tests.services.usage_streaming import UsageStream
from tests.web.usage_books import UsageBooks

SEED, SIZE = 1, 25


def test_each_number_is_the_length_of_its_list_and_the_file_sums_to_the_invoice(
    app: Flask, buyer: Browser, customer: Customer
) -> None:
    acme = play(app, buyer, customer, SEED, SIZE)

    assert {entry.kind for entry in acme.entries()} == {"billable", "correction", "reversal"}
    assert {unit.contest for unit in acme.units()} > {"accepted", "open"}


def play(
    app: Flask, buyer: Browser, customer: Customer, seed: int, size: int, *, capped: bool = False
) -> Metered:
    """Play a stream and hold everything that is said of it against each other on the way."""
    acme = Metered.buy(customer)
    if capped:
        limits.save(acme.gateways, acme.workspace_id, customer.account.user_id, Wanted(cap_units=size // 2))
    books = UsageBooks(buyer, program(app, customer.account))
    for place in UsageStream(acme, random.Random(seed), size).play():
        assert listed(acme) == shown(acme), place
    with unit_of_work(acme.workspace_id) as session:
        books.check(list(session.scalars(select(Invoice))))
    [first, *_] = acme.periods()
    assert books.check_links(f"/usage?period={first.starts_at:%Y-%m-%dT%H:%M:%S}Z") > 5
    assert set(customer.incidents()) <= {"contest"}
    return acme
