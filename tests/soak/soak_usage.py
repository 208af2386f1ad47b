"""Streams of everything that can happen to a resolution: each number is the same wherever it is said."""

import os

import pytest
from flask import Flask

from tests.browsing import Browser
from tests.services.buying import Customer
from tests.web.conftest import buyer, clock, customer, selling, shop, stripe  # noqa: F401
from tests.web.test_usage_stream import play

FIRST = int(os.environ.get("SOAK_SEED", "1000"))
STREAMS = int(os.environ.get("SOAK_WALKS", "20"))
SIZE = 60


@pytest.mark.parametrize("seed", range(FIRST, FIRST + STREAMS))
def test_each_number_is_the_length_of_its_list_and_the_file_sums_to_the_invoice(
    app: Flask,
    buyer: Browser,  # noqa: F811
    customer: Customer,  # noqa: F811
    seed: int,
) -> None:
    acme = play(app, buyer, customer, seed, SIZE, capped=seed % 2 == 1)

    assert len(acme.entries()) > SIZE
