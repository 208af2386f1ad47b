"""A short walk with annual credits; the long one is ``make soak``."""

import random

import pytest

from portal import pricing
from tests.credit_books import Reader
from tests.services.buying import Customer
from tests.services.credit_walking import CreditWalk
from tests.services.metering import Metered
from tests.services.test_credit_year import reader

__all__ = ["reader"]

STEPS = 8


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """Twelve Advanced seats by the month, for a day."""
    customer.buy(pricing.Selection("advanced", 12, "month"))
    customer.shop.advance(days=1)
    return Metered(customer.gateways, customer.workspace_id, customer)


@pytest.mark.parametrize(("seed", "trouble"), [(6, 0.0), (7, 0.5)])
def test_whatever_happens_every_unit_and_cent_is_accounted_for(
    acme: Metered, reader: Reader, seed: int, trouble: float
) -> None:
    walk = CreditWalk(acme, reader, random.Random(seed), trouble)
    for _step in range(STEPS):
        walk.step()

    assert sum(walk.seen.values()) == STEPS
