"""Two thousand steps through seats, tiers, add-ons, intervals, discounts, failed payments and time."""

import os
import random
from dataclasses import replace

import pytest

from portal.services import demo
from tests.factories import Account
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
    walk = Walk(Changer(begun(customer, seed)), random.Random(seed))
    for _ in range(STEPS):
        walk.step()
    walk.finish()
    print(walk.seen)

    assert sum(walk.seen.values()) == STEPS


def begun(customer: Customer, seed: int) -> Customer:  # noqa: F811
    """A customer who pays by the month, by the year, or by the month at the prices of 2023."""
    if seed % 3 < 2:
        customer.buy(TWELVE_BY_THE_YEAR if seed % 3 else TWELVE_BY_THE_MONTH)
        return customer
    made = demo.seed(customer.gateways, "2023-05" if seed % 2 else "2023-11", password_hash="-")
    account = Account(made.workspace_id, None, made.email)  # type: ignore[arg-type]
    customer.settle()
    return replace(customer, account=account)
