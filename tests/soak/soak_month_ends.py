"""More streams of conversations around a month's end than ``make test`` plays."""

import pytest

from tests.services.conftest import buyer, clock, customer, selling, shop, stripe
from tests.services.test_month_end_streams import test_each_month_is_billed_what_its_ledger_has

__all__ = [
    "buyer",
    "clock",
    "customer",
    "selling",
    "shop",
    "stripe",
    "test_each_month_is_billed_what_its_ledger_has",
]


@pytest.fixture(params=range(2, 12))
def seed(request: pytest.FixtureRequest) -> int:
    """Others than the one of ``make test``."""
    number: int = request.param
    return number
