"""A hundred reporters killed at any moment while units come and go: each is billed once, and none is lost."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from flask import Flask

from portal.services import meter_countering, meter_settling, usage_moves
from tests.database import TestDatabase
from tests.services.buying import Customer
from tests.services.conftest import open_shop  # noqa: F401
from tests.services.metering import Metered
from tests.services.test_killed import stripe_address  # noqa: F401
from tests.services.test_reporter_killed import environment

KILLS = int(os.environ.get("SOAK_KILLS", "100"))
SEED = int(os.environ.get("SOAK_SEED", "1000"))
LONGEST_SECONDS = 0.4


def test_a_hundred_random_kills_bill_each_unit_once(
    open_shop: tuple[Flask, Customer],  # noqa: F811
    stripe_address: str,  # noqa: F811
    committing: TestDatabase,
    tmp_path: Path,
) -> None:
    chance = random.Random(SEED)
    acme = Metered.buy(open_shop[1])
    command = [sys.executable, "-m", "tests.services.reporting_victim", "never", "-", "-"]
    own = environment(acme, committing, stripe_address, tmp_path)
    living: list[str] = []
    for _kill in range(KILLS):
        living += acme.use(chance.randint(1, 5))
        if len(living) > 10 and chance.random() < 0.3:
            acme.customer.shop.advance(minutes=10)
            acme.returns(living.pop(chance.randrange(len(living))))
        with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True) as reporter:
            assert reporter.stdout is not None
            reporter.stdout.readline()
            time.sleep(chance.uniform(0, LONGEST_SECONDS))
            reporter.send_signal(signal.SIGKILL)
        # its claims run out
        acme.free()
    for _round in range(3):
        acme.free()
        acme.report()
        meter_countering.cancel(acme.gateways)
        meter_settling.settle(acme.gateways)
    acme.advance(days=33)
    usage_moves.sweep(acme.gateways)

    print({state: acme.outbox_states().count(state) for state in set(acme.outbox_states())})
    assert acme.used() == len(living)
    assert acme.counted() == len(living)
    assert acme.billed() == [len(living)]
