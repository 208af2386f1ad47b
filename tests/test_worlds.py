"""What tests start from: a step that was taken before leaves all that it left the first time."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection

from tests import snapshots, worlds
from tests.services.buying import Customer
from tests.services.conftest import buyer, clock, customer, selling, shop, stripe
from tests.shop import TWELVE_BY_THE_MONTH

__all__ = ["buyer", "clock", "customer", "selling", "shop", "stripe"]

FIRST: list[Any] = []


@pytest.fixture(scope="module", autouse=True)
def nothing_kept() -> None:
    """No step of an older test may grow too old between the tests that compare."""
    worlds.forget()


def everything(connection: Connection, customer: Customer) -> Any:
    """All rows, all of Stripe's documents, what it was asked, and the mails."""
    tables = sorted(snapshots.written(connection))
    mails = sorted(path.name for path in (customer.gateways.settings.data_dir / "mail").iterdir())
    sandbox, calls = customer.shop.sandbox, customer.shop.faults.calls
    return snapshots.rows(connection, tables), sandbox.store.freeze(), list(calls), mails


@pytest.mark.parametrize("time", ["the first time", "again"])
def test_a_purchase_that_is_not_made_again_is_the_same_to_the_last_row(
    app: Flask, connection: Connection, customer: Customer, time: str
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=1)
    FIRST.append((everything(connection, customer), customer.shop.sandbox.now()))

    assert len(customer.shop.subscriptions()) == 1
    (first, then), (again, now) = FIRST[0], FIRST[-1]
    assert first == again
    assert abs(now - then) < 60


def test_what_a_test_does_between_steps_is_not_lost(customer: Customer) -> None:
    customer.shop.client.v1.customers.create({"name": "Somebody else"})
    customer.buy(TWELVE_BY_THE_MONTH)

    assert "Somebody else" in [each.name for each in customer.shop.client.v1.customers.list()]


@pytest.mark.parametrize("time", ["the first time", "again"])
def test_what_somebody_else_than_the_portal_hears_is_done_each_time(customer: Customer, time: str) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    heard: list[bytes] = []
    customer.shop.post = lambda body, headers: heard.append(body) or 200  # type: ignore[func-returns-value]
    customer.shop.advance(days=32)
    customer.settle()

    assert heard != []
