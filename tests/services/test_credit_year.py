"""A year with annual credits, month by month: every unit and every cent is accounted for on all sides."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from portal import pricing
from portal.services import credit_ledger, credit_reconcile, credit_refunds, meter_countering, swaps
from tests.credit_books import Books, Reader
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.crediting import CreditBuyer
from tests.services.metering import Metered
from tests.services.reading_books import reader_of
from tests.services.test_usage_matches import matches
from tests.shop import Shop

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
FINAL = timedelta(hours=2)


@pytest.fixture
def acme(shop: Shop, customer: Customer) -> Metered:
    """Twelve Advanced seats at $99.00 by the calendar's month; a resolution is $0.99."""
    shop.stand_at(NOVEMBER)
    customer.buy(pricing.Selection("advanced", 12, "month"))
    return Metered(customer.gateways, customer.workspace_id, customer)


@pytest.fixture
def reader(app: Flask, acme: Metered) -> Reader:
    """A browser that is signed in, a program with a key, and Stripe's own SDK."""
    return reader_of(app, acme)


def go_to(acme: Metered, year: int, month: int, day: int = 1, *, seconds: float = 0) -> None:
    """Time passes up to some seconds after the beginning of a day; what is due happens."""
    until = datetime(year, month, day, tzinfo=UTC) + timedelta(seconds=seconds) - acme.gateways.clock.now()
    acme.advance(seconds=until.total_seconds())


def bill(acme: Metered, year: int, month: int) -> None:
    """What was used is reported, and the month before the one that is named is billed."""
    carry_out(acme)
    go_to(acme, year, month, seconds=FINAL.total_seconds())


def carry_out(acme: Metered) -> None:
    """What the worker does every few seconds."""
    acme.free()
    acme.report()
    meter_countering.cancel(acme.gateways)
    acme.report()


def november_and_december(acme: Metered, reader: Reader) -> None:
    """Two resolutions before a pack of a hundred, three after it, one comes back; then more than is left."""
    buyer = CreditBuyer(acme.customer)
    go_to(acme, 2026, 11, 10)
    acme.use(2)
    buyer.buy(100)
    back, *_stay = acme.use(3)
    acme.report()
    acme.customer.shop.advance(hours=1)
    acme.returns(back)
    assert buyer.left() == 96
    bill(acme, 2026, 12)
    go_to(acme, 2026, 12, 20)
    acme.use(98)
    assert buyer.left() == 0
    bill(acme, 2027, 1)
    Books(reader).agree()


def january_and_february(acme: Metered, reader: Reader) -> None:
    """A second pack; and six hundred that are returned while the pack that ends first goes on."""
    buyer = CreditBuyer(acme.customer)
    go_to(acme, 2027, 1, 10)
    buyer.buy(100)
    acme.use(5)
    bill(acme, 2027, 2)
    go_to(acme, 2027, 2, 3)
    six_hundred = buyer.buy(600)
    acme.use(4)
    go_to(acme, 2027, 2, 13)
    credit_refunds.return_unused(
        acme.gateways, acme.workspace_id, acme.customer.account.user_id, six_hundred.id
    )
    acme.customer.settle()
    bill(acme, 2027, 3)
    Books(reader).agree()


def march(acme: Metered) -> None:
    """A seat for half a month is swapped, which is worth less than a hundred resolutions."""
    changer = Changer(acme.customer)
    go_to(acme, 2027, 3, 17)
    quote_id = swaps.prepare(*changer.place, dropped=1, units=100)
    assert changer.quote(quote_id).amount_due > 0
    changer.confirm(quote_id)
    acme.customer.settle()
    assert changer.state(quote_id) == "done"
    acme.use(4)
    bill(acme, 2027, 4)


def test_after_a_year_every_unit_and_every_cent_is_accounted_for(acme: Metered, reader: Reader) -> None:
    november_and_december(acme, reader)
    january_and_february(acme, reader)
    march(acme)
    for month in range(5, 12):
        acme.use(3)
        bill(acme, 2027, month)
    year = Books(reader).agree()
    year.usage_pages_agree()
    year.invoice_pages_agree()

    cycles = [each for each in year.invoices if each.billing_reason == "subscription_cycle"]
    assert len(cycles) == 12
    # 4 and 96 of the first pack, 5 + 4 + 4 + 21 of the second
    assert year.total == {
        "units": 900, "used_billed": 134, "used_open": 0, "lapsed": 0, "returned": 600, "left": 166,
    }  # fmt: skip
    assert [units for _key, units, _invoiced, _state in matches(acme)] == [4, 98, 5, 4, 4, *[3] * 7]
    pack_ends(acme, reader)


def pack_ends(acme: Metered, reader: Reader) -> None:
    """The second pack covers the last second of January 2028, the swapped one the next; the rest lapses."""
    bill(acme, 2027, 12)
    bill(acme, 2028, 1)
    go_to(acme, 2028, 2, 1, seconds=-1)
    acme.use(1)
    carry_out(acme)
    go_to(acme, 2028, 2, 1)
    acme.use(1)
    Books(reader).agree()
    go_to(acme, 2028, 2, 1, seconds=3 * 3600)
    assert credit_ledger.sweep(acme.gateways) == 2
    first, second, _returned, swapped = sorted(
        Books(reader).agree().lots.values(), key=lambda lot: str(lot["starts_at"])
    )
    assert (first["used_billed"], first["lapsed"]) == (100, 0)
    assert (second["used_billed"], second["lapsed"]) == (35, 65)
    assert (swapped["used_open"], swapped["left"]) == (1, 99)

    # a week later Stripe lets its grant go, too
    go_to(acme, 2028, 2, 10)
    Books(reader).agree()
    assert credit_reconcile.run(acme.gateways) == 0
    assert acme.balanced()
    assert acme.customer.incidents() == []
