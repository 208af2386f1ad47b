"""A short walk through all changes; the long one is ``make soak``."""

import random

import pytest

from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.walking import Walk
from tests.shop import TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR

STEPS = 10
OLDER = 5  # the seed of who has the prices of 2023


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_whatever_is_changed_the_quote_is_the_invoice(customer: Customer, seed: int) -> None:
    if seed == OLDER:
        customer.at_the_time_of("2023-11").buy(TWELVE_BY_THE_MONTH)
    else:
        customer.buy(TWELVE_BY_THE_YEAR if seed % 2 else TWELVE_BY_THE_MONTH)
    walk = Walk(Changer(customer), random.Random(seed))
    for _ in range(STEPS):
        walk.step()

    walk.finish()

    assert sum(walk.seen.values()) == STEPS
