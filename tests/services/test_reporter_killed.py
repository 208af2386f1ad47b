"""A reporter killed for real (SIGKILL) between ledger and meter: nothing cleans up, each unit counts once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from portal.services import meter_countering
from tests.database import TestDatabase
from tests.services.buying import Customer
from tests.services.metering import Metered
from tests.services.test_killed import stripe_address  # noqa: F401

SESSION, STREAM = "/v2/billing/meter_event_session", "/v2/billing/meter_event_stream"
CANCEL = "/v1/billing/meter_event_adjustments"


def environment(acme: Metered, committing: TestDatabase, address: str, folder: Path) -> dict[str, str]:
    """What a reporter in a process of its own needs to know."""
    return os.environ | {
        "VICTIM_DATABASE": committing.app_url,
        "VICTIM_STRIPE": address,
        "VICTIM_DATA": str(folder),
    }


def killed(point: list[str], own: dict[str, str]) -> int:
    """Report in a process that dies at ``point``; its exit status."""
    command = [sys.executable, "-m", "tests.services.reporting_victim", *point]
    return subprocess.run(command, env=own, timeout=120, check=False).returncode


@pytest.mark.parametrize(
    ("when", "path", "arrived"),
    [("before", SESSION, 0), ("after", SESSION, 0), ("before", STREAM, 0), ("after", STREAM, 3)],
    ids=[
        "between claim and call",
        "before anything is sent",
        "at the call",
        "between Stripe's answer and our commit",
    ],
)
def test_each_unit_counts_once_wherever_the_reporter_dies(
    open_shop: tuple[Flask, Customer],
    stripe_address: str,  # noqa: F811
    committing: TestDatabase,
    tmp_path: Path,
    when: str,
    path: str,
    arrived: int,
) -> None:
    acme = Metered.buy(open_shop[1])
    acme.use(3)
    died = killed([when, "POST", path], environment(acme, committing, stripe_address, tmp_path))
    left = (acme.outbox_states(), acme.counted(), acme.report())
    # two minutes pass
    acme.free()
    acme.report()

    assert died == -signal.SIGKILL
    assert left == (["sending"] * 3, arrived, 0)
    assert (acme.outbox_states(), acme.counted()) == (["sent"] * 3, 3)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_unit_is_taken_back_once_wherever_the_canceller_dies(
    open_shop: tuple[Flask, Customer],
    stripe_address: str,  # noqa: F811
    committing: TestDatabase,
    tmp_path: Path,
    when: str,
) -> None:
    acme = Metered.buy(open_shop[1])
    [unit, _other] = acme.use(2)
    acme.report()
    acme.customer.shop.advance(hours=1)
    acme.returns(unit)
    died = killed([when, "POST", CANCEL], environment(acme, committing, stripe_address, tmp_path))
    left = acme.outbox_states()
    acme.free()
    meter_countering.cancel(acme.gateways)

    assert (died, left) == (-signal.SIGKILL, ["cancelling", "sent"])
    assert (acme.outbox_states(), acme.counted()) == (["cancelled", "sent"], 1)
