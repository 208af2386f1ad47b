"""A customer and a worker in one process, busy with credits until it is killed.

``python -m tests.services.crediting_victim SEED``; the rest comes from the environment. It says ``ready`` as
it begins: then it buys packs, swaps seats and uses resolutions, and carries out what waits, again and again.
"""

import os
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from portal.db import connect, unit_of_work
from portal.errors import PortalError
from portal.gateways import Gateways
from portal.gateways.clock import SandboxClock
from portal.gateways.jobs import Jobs
from portal.gateways.mail import mail_gateway
from portal.gateways.stripe import StripeGateway
from portal.models import InboxEvent
from portal.services import (
    changes,
    credit_further_grants,
    credit_purchase_sweeping,
    credit_purchases,
    credit_refunds,
    inbox,
    meter_countering,
    meter_sending,
    payment_methods,
    swaps,
    sweeping,
)
from portal.services.credit_purchases import Wanted
from tests import factories
from tests.services.using import Workspace, new_conversation
from tests.services.victim import NoLetters

NOW = timedelta(0)


class Victim:
    """What it does, one thing after the other, until it is gone."""

    def __init__(self, gateways: Gateways, workspace_id: int, seed: int) -> None:
        self.gateways, self.workspace_id = gateways, workspace_id
        self.seed, self.number = seed, 0
        self.chance = random.Random(seed)

    def live(self) -> None:
        """Work until killed; what is refused is no reason to stop."""
        deeds: tuple[Callable[[], object], ...] = (self.buy, self.buy, self.swap, self.use, self.use)
        while True:
            for deed in (self.chance.choice(deeds), self.work):
                with suppress(PortalError):
                    deed()

    def buy(self) -> None:
        quote_id = credit_purchases.prepare(self.gateways, self.workspace_id, None, Wanted(100))
        with unit_of_work(self.workspace_id) as session:
            method_id = payment_methods.default_id(session)
        credit_purchases.pay(self.gateways, self.workspace_id, None, quote_id, method_id)

    def swap(self) -> None:
        quote_id = swaps.prepare(self.gateways, self.workspace_id, None, dropped=1, units=100)
        changes.confirm(self.gateways, self.workspace_id, None, quote_id)

    def use(self) -> None:
        workspace = Workspace(self.gateways, self.workspace_id)
        for _unit in range(self.chance.randint(1, 4)):
            self.number += 1
            workspace.resolve(f"v{self.seed}-{self.number}-{new_conversation()}")

    def work(self) -> None:
        """What the worker does every few seconds."""
        with unit_of_work() as session:
            waiting = list(session.scalars(select(InboxEvent.id).where(InboxEvent.state == "received")))
        for event_id in waiting:
            inbox.process(self.gateways, event_id)
        sweeping.sweep_attempts(self.gateways, left_behind_after=NOW)
        credit_purchase_sweeping.sweep(self.gateways, left_behind_after=NOW)
        credit_further_grants.sweep(self.gateways)
        credit_refunds.sweep(self.gateways)
        meter_sending.report(self.gateways)
        meter_countering.cancel(self.gateways)


def main(seed: int) -> None:
    settings = replace(
        factories.settings(),
        database_url=os.environ["VICTIM_DATABASE"],
        data_dir=Path(os.environ["VICTIM_DATA"]),
    )
    connect(settings.database_url)
    address = os.environ["VICTIM_STRIPE"]
    gateway = StripeGateway("sk_test_sandbox", base_address=address)
    gateways = Gateways(settings, gateway, SandboxClock(address), mail_gateway(settings), Jobs(), NoLetters())
    victim = Victim(gateways, int(os.environ["VICTIM_WORKSPACE"]), seed)
    print("ready", flush=True)
    victim.live()


if __name__ == "__main__":
    main(int(sys.argv[1]))
