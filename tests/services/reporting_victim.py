"""A reporter that is killed, for real: round one of its requests to Stripe, or whenever its starter likes.

``python -m tests.services.reporting_victim before|after|never METHOD PATH-END``; the rest comes from the
environment. With ``never`` it goes on until it is killed, and says ``ready`` when it begins.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from portal.db import connect
from portal.gateways import Gateways
from portal.gateways.clock import SandboxClock
from portal.gateways.jobs import Jobs
from portal.gateways.mail import mail_gateway
from portal.gateways.stripe import StripeGateway
from portal.services import meter_countering, meter_sending
from tests import factories
from tests.services.victim import Deadly, NoLetters


def main(when: str, method: str, path: str) -> None:
    settings = replace(
        factories.settings(),
        database_url=os.environ["VICTIM_DATABASE"],
        data_dir=Path(os.environ["VICTIM_DATA"]),
    )
    connect(settings.database_url)
    address = os.environ["VICTIM_STRIPE"]
    gateway = StripeGateway("sk_test_sandbox", base_address=address, http_client=Deadly(when, method, path))
    gateways = Gateways(settings, gateway, SandboxClock(address), mail_gateway(settings), Jobs(), NoLetters())
    print("ready", flush=True)
    while True:
        meter_sending.report(gateways)
        meter_countering.cancel(gateways)
        if when != "never":
            break


if __name__ == "__main__":
    main(*sys.argv[1:])
