"""A thousand steps with annual credits: bought, used, come back, returned, renewed, swapped, in trouble."""

import os
import random

import pytest

from portal import pricing
from tests.credit_books import Reader
from tests.services.buying import Customer
from tests.services.conftest import (  # noqa: F401
    buyer,
    clock,
    customer,
    selling,
    shop,
    stripe,
)
from tests.services.credit_walking import CreditWalk
from tests.services.metering import Metered
from tests.services.test_credit_year import reader  # noqa: F401

STEPS = int(os.environ.get("SOAK_STEPS", "50"))
FIRST = int(os.environ.get("SOAK_SEED", "1000"))
WALKS = int(os.environ.get("SOAK_WALKS", "20"))


@pytest.fixture
def acme(customer: Customer) -> Metered:  # noqa: F811
    """Twelve Advanced seats by the month, for a day."""
    customer.buy(pricing.Selection("advanced", 12, "month"))
    customer.shop.advance(days=1)
    return Metered(customer.gateways, customer.workspace_id, customer)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + WALKS))
def test_whatever_happens_every_unit_and_cent_is_accounted_for(
    acme: Metered,
    reader: Reader,  # noqa: F811
    seed: int,
) -> None:
    # every other walk has trouble with Stripe on its way
    walk = CreditWalk(acme, reader, random.Random(seed), trouble=0.5 if seed % 2 else 0.0)
    for _ in range(STEPS):
        walk.step()
    print(walk.seen)

    assert sum(walk.seen.values()) == STEPS
