"""A made-up customer's months: each ends with an invoice that bills what the ledger has."""

from datetime import datetime

import pytest
from sqlalchemy import select

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Invoice, UsagePeriod
from portal.services import demo, demo_months, demo_usage, usage_invoices
from portal.services.demo import DemoCustomer
from portal.services.demo_usage import Shape
from tests.services.using import Workspace
from tests.shop import Shop


@pytest.fixture
def made(selling: Gateways) -> DemoCustomer:
    """Eight seats of the catalogue of May 2023, whose resolutions cost 1.90 dollars."""
    return demo.seed(selling, "2023-05", password_hash="-")


def live(gateways: Gateways, shop: Shop, made: DemoCustomer, size: int) -> list[str]:
    def turn(to: datetime) -> None:
        shop.sandbox.advance(to=int(to.timestamp()))

    months = demo_months.live(gateways, made, size, months=1, shape=Shape(3), turn=turn, wait=lambda: None)
    return list(months)


@pytest.mark.parametrize("size", [90, 1_500])
def test_a_month_ends_with_an_invoice_that_bills_the_ledger(
    selling: Gateways, shop: Shop, made: DemoCustomer, size: int
) -> None:
    said = live(selling, shop, made, size)
    with unit_of_work(made.workspace_id) as session:
        first = session.scalars(select(UsagePeriod).order_by(UsagePeriod.starts_at)).first()
        assert first is not None
        invoice = session.get_one(Invoice, (made.workspace_id, first.stripe_invoice_id))
        [line] = usage_invoices.billed(invoice, first.ends_at).values()

    assert len(said) == 2
    assert 0 < line.quantity == first.used
    assert line.amount == 190 * line.quantity
    assert len(Workspace(selling, made.workspace_id).entries()) > size * 0.7


def test_units_are_spread_over_the_days_without_losing_one() -> None:
    days = demo_usage.spread(10_000, 31, seed=2)

    assert (len(days), sum(days)) == (31, 10_000)
    assert min(days) > 0
    assert days == demo_usage.spread(10_000, 31, seed=2)
