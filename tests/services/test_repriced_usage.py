"""Customers who have moved to other prices: what was billed before comes back as it was paid."""

import pytest

from portal.gateways import Gateways
from portal.services import demo, meter_countering
from tests.factories import Account
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.metering import Metered
from tests.services.test_usage_matches import matches
from tests.shop import Shop


@pytest.fixture
def acme(selling: Gateways, shop: Shop, run_jobs) -> Metered:  # type: ignore[no-untyped-def]
    """A company that pays 1.90 for a resolution, on the tenth day of its month."""
    made = shop.step("demo", lambda: demo.seed(selling, "2023-05", password_hash="-"))
    account = Account(made.workspace_id, None, made.email)  # type: ignore[arg-type]
    shop.advance(days=10)
    customer = Customer(selling, shop, account, run_jobs)
    customer.settle()
    return Metered(selling, made.workspace_id, customer)


@pytest.fixture
def moved(acme: Metered) -> tuple[Metered, list[str]]:
    """It resolved three, and pays 0.99 from its second month on; the three."""
    used = acme.use(3)
    acme.report()
    Changer(acme.customer).change(tier="advanced", catalog="2026-11")
    acme.advance(days=22)
    return acme, used


def test_a_unit_of_the_old_price_that_comes_back_gives_back_that_price(
    moved: tuple[Metered, list[str]],
) -> None:
    acme, [back, *_others] = moved
    acme.use(2)
    acme.report()
    acme.returns(back)
    acme.report()
    acme.credit()

    assert [(each.amount, each.state) for each in acme.credits()] == [(190, "done")]
    assert acme.balanced()
    acme.advance(days=31)
    assert acme.billed() == [2, 3]
    assert matches(acme) == [("resolution", 3, 3, "matched"), ("resolution", 2, 2, "matched")]
    assert acme.customer.incidents() == []


def test_a_unit_whose_cancel_comes_after_its_months_invoice_gives_back_its_price(acme: Metered) -> None:
    Changer(acme.customer).change(tier="advanced", catalog="2026-11")
    [month] = acme.periods()
    left = month.ends_at - acme.gateways.clock.now()
    acme.customer.shop.advance(seconds=left.total_seconds() - 7200)
    [back, *_others] = acme.use(3)
    acme.report()
    acme.returns(back)
    acme.advance(days=2)
    acme.use(2)
    meter_countering.cancel(acme.gateways)
    acme.report()
    acme.credit()

    assert [(each.amount, each.state) for each in acme.credits()] == [(190, "done")]
    acme.advance(days=31)
    assert acme.billed() == [2, 3]
    assert matches(acme) == [("resolution", 3, 3, "matched"), ("resolution", 2, 2, "matched")]
    assert acme.customer.incidents() == []


def test_a_unit_of_the_new_price_is_taken_off_its_own_month(moved: tuple[Metered, list[str]]) -> None:
    acme, _used = moved
    [back, _stays] = acme.use(2)
    acme.report()
    acme.customer.shop.advance(days=2)
    acme.returns(back)
    acme.report()

    assert (acme.credits(), acme.counted()) == ([], 4)
    assert acme.balanced()
