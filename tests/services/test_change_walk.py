"""A short walk through all changes; the long one is ``make soak``."""

import random

import pytest

from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.walking import Walk
from tests.shop import TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR

STEPS = 10


@pytest.mark.parametrize("seed", [3, 4])
def test_whatever_is_changed_the_quote_is_the_invoice(customer: Customer, seed: int) -> None:
    customer.buy(TWELVE_BY_THE_YEAR if seed % 2 else TWELVE_BY_THE_MONTH)
    walk = Walk(Changer(customer), random.Random(seed))
    for _ in range(STEPS):
        walk.step()

    assert sum(walk.seen.values()) == STEPS
