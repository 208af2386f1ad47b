"""Processes killed at any moment while packs are bought, granted, swapped and drawn: each is once."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from flask import Flask

from portal import pricing
from tests.credit_books import Books, Reader
from tests.database import TestDatabase
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.conftest import open_shop  # noqa: F401
from tests.services.credit_walking import CreditWalk
from tests.services.metering import Metered
from tests.services.reading_books import reader_of
from tests.services.test_killed import stripe_address  # noqa: F401

KILLS = int(os.environ.get("SOAK_KILLS", "60"))
SEED = int(os.environ.get("SOAK_SEED", "1000"))
LONGEST_SECONDS = 3.0
SEATS = 40


@pytest.fixture
def acme(open_shop: tuple[Flask, Customer]) -> Metered:  # noqa: F811
    """Forty Advanced seats by the month, for a day."""
    _app, customer = open_shop
    customer.buy(pricing.Selection("advanced", SEATS, "month"))
    customer.shop.advance(days=1)
    return Metered(customer.gateways, customer.workspace_id, customer)


@pytest.fixture
def reader(open_shop: tuple[Flask, Customer], acme: Metered) -> Reader:  # noqa: F811
    return reader_of(open_shop[0], acme)


def test_whenever_a_process_dies_each_pack_is_paid_granted_and_drawn_once(
    acme: Metered,
    reader: Reader,
    stripe_address: str,  # noqa: F811
    committing: TestDatabase,
    tmp_path: Path,
) -> None:
    chance = random.Random(SEED)
    own = os.environ | {
        "VICTIM_DATABASE": committing.app_url,
        "VICTIM_STRIPE": stripe_address,
        "VICTIM_DATA": str(tmp_path),
        "VICTIM_WORKSPACE": str(acme.workspace_id),
    }
    walk = CreditWalk(acme, reader, chance)
    for kill in range(KILLS):
        command = [sys.executable, "-m", "tests.services.crediting_victim", str(SEED + kill)]
        with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True) as victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0, LONGEST_SECONDS))
            victim.send_signal(signal.SIGKILL)
        # its claims run out; a month may have passed until somebody looks
        walk.come_to_rest()
        if chance.random() < 0.15:
            walk.month()
            walk.come_to_rest()
        walk.check()
    books = Books(reader).agree()
    kinds = [each.kind for each in walk.buyer.purchases() if each.state == "granted"]
    print(dict(books.total), {kind: kinds.count(kind) for kind in set(kinds)})

    assert len(kinds) == len(books.lots)
    assert Changer(acme.customer).held().selection.seats == SEATS - kinds.count("swap")
