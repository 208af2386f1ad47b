"""A process killed for real (SIGKILL) while it buys: nothing cleans up, and yet one purchase comes of it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from werkzeug.serving import make_server

from portal.db import unit_of_work
from portal.models import Attempt
from portal.services import sweeping
from tests.database import TestDatabase
from tests.services.buying import Customer
from tests.services.test_attempts import NOW
from tests.shop import TWELVE_BY_THE_MONTH


@pytest.fixture
def stripe_address(open_shop: tuple[Flask, Customer]) -> Iterator[str]:
    """The engine behind a socket, for a process that shares nothing with this one."""
    server = make_server("127.0.0.1", 0, open_shop[1].shop.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def killed(point: list[str], own: dict[str, str]) -> int:
    """Confirm in a process of its own that dies at ``point``; its exit status."""
    command = [sys.executable, "-m", "tests.services.victim", *point]
    return subprocess.run(command, env=os.environ | own, timeout=120, check=False).returncode


@pytest.mark.parametrize(
    ("when", "method", "path"),
    [
        ("before", "POST", "/v1/subscriptions"),
        ("after", "POST", "/v1/subscriptions"),
        ("after", "GET", "/v1/invoices/"),
    ],
    ids=["before the call", "between Stripe's answer and our commit", "before the comparison is kept"],
)
def test_a_killed_process_leaves_a_purchase_that_the_sweeper_finishes(
    open_shop: tuple[Flask, Customer],
    stripe_address: str,
    committing: TestDatabase,
    tmp_path: Path,
    when: str,
    method: str,
    path: str,
) -> None:
    _app, customer = open_shop
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    own = {
        "VICTIM_DATABASE": committing.app_url,
        "VICTIM_STRIPE": stripe_address,
        "VICTIM_DATA": str(tmp_path),
        "VICTIM_WORKSPACE": str(customer.workspace_id),
        "VICTIM_QUOTE": quote_id,
    }
    died = killed([when, method, path], own)
    sweeping.sweep_attempts(customer.gateways, left_behind_after=NOW)
    held = customer.state(quote_id)
    with unit_of_work(customer.workspace_id) as session:
        claimed = session.scalar(select(Attempt.claimed_until > func.clock_timestamp()))
        # a minute passes
        session.execute(update(Attempt).values(claimed_until=func.clock_timestamp()))
    sweeping.sweep_attempts(customer.gateways, left_behind_after=NOW)
    confirmation = customer.confirm(quote_id)
    customer.shop.pay(confirmation.client_secret or "")
    customer.settle()

    assert died == -signal.SIGKILL
    assert (held, claimed) == ("confirming", True)
    assert customer.state(quote_id) == "active"
    assert len(customer.shop.subscriptions()) == 1
    assert [charge.amount for charge in customer.shop.charges()] == [146_200]
