"""Two thousand steps through seats, tiers, add-ons, intervals, discounts, failed payments and time."""

import os
import random

import pytest

from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.conftest import (  # noqa: F401
    buyer,
    clock,
    customer,
    selling,
    shop,
    stripe,
)
from tests.services.walking import Walk
from tests.shop import TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR

STEPS = int(os.environ.get("SOAK_STEPS", "50"))
FIRST = int(os.environ.get("SOAK_SEED", "1000"))
WALKS = int(os.environ.get("SOAK_WALKS", "40"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + WALKS))
def test_whatever_is_changed_the_quote_is_the_invoice(customer: Customer, seed: int) -> None:  # noqa: F811
    customer.buy(TWELVE_BY_THE_YEAR if seed % 2 else TWELVE_BY_THE_MONTH)
    walk = Walk(Changer(customer), random.Random(seed))
    for _ in range(STEPS):
        walk.step()
    print(walk.seen)

    assert sum(walk.seen.values()) == STEPS
