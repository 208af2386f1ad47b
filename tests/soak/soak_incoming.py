"""Everything nasty to every address; ``make test`` sends a third of it."""

import pytest

from tests.web.conftest import clock, selling, shop, stripe
from tests.web.test_incoming import (
    NASTY,
    Kinds,
    anyone,
    test_no_form_makes_us_fail,
    test_no_name_in_an_address_makes_us_fail,
    test_no_query_makes_us_fail,
)

__all__ = [
    "anyone",
    "clock",
    "selling",
    "shop",
    "stripe",
    "test_no_form_makes_us_fail",
    "test_no_name_in_an_address_makes_us_fail",
    "test_no_query_makes_us_fail",
]


@pytest.fixture
def kinds() -> Kinds:
    """All of it."""
    return lambda number: list(NASTY.items())
