"""A process that confirms a quote and is killed, for real, round one of its requests to Stripe.

``python -m tests.services.victim before|after METHOD PATH-END``; the rest comes from the environment.
"""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import stripe

from portal.db import connect
from portal.gateways import Gateways
from portal.gateways.clock import SystemClock
from portal.gateways.jobs import Jobs
from portal.gateways.letters import Letter
from portal.gateways.mail import mail_gateway
from portal.gateways.stripe import StripeGateway
from portal.services import checkout
from tests import factories


class Deadly(stripe.RequestsClient):
    """The SDK's own client, until the request at which the process dies without a word."""

    def __init__(self, when: str, method: str, path: str) -> None:
        super().__init__(timeout=15)
        self._point = (when, method, path)

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> Any:
        when, wanted, path = self._point
        here = method.upper() == wanted and path in url
        if here and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = super().request(method, url, headers, post_data)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


class NoLetters:
    """Nothing is mailed before anything is paid."""

    def write(self, kind: str, facts: dict[str, object]) -> Letter:
        return Letter(kind, kind)


def main(when: str, method: str, path: str) -> None:
    settings = replace(
        factories.settings(),
        database_url=os.environ["VICTIM_DATABASE"],
        data_dir=Path(os.environ["VICTIM_DATA"]),
    )
    connect(settings.database_url)
    gateway = StripeGateway(
        "sk_test_sandbox", base_address=os.environ["VICTIM_STRIPE"], http_client=Deadly(when, method, path)
    )
    gateways = Gateways(settings, gateway, SystemClock(), mail_gateway(settings), Jobs(), NoLetters())
    checkout.confirm(gateways, int(os.environ["VICTIM_WORKSPACE"]), None, os.environ["VICTIM_QUOTE"])


if __name__ == "__main__":
    main(*sys.argv[1:])
