"""One door per neighbour: Stripe, the clock, mail, jobs. Tests swap them here and nowhere else."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from portal.config import Settings
from portal.gateways.clock import Clock, SandboxClock, SystemClock
from portal.gateways.jobs import Jobs
from portal.gateways.letters import Letters
from portal.gateways.mail import MailGateway, mail_gateway

if TYPE_CHECKING:
    from portal.gateways.stripe import StripeGateway


@dataclass(frozen=True)
class Gateways:
    """The neighbours of one running portal, and the settings that they were made from."""

    settings: Settings
    stripe: "StripeGateway"
    clock: Clock
    mail: MailGateway
    jobs: Jobs
    letters: Letters


def connect_gateways(settings: Settings, letters: Letters) -> Gateways:
    """The real ones, as ``settings`` name them. Opens no connection; the SDK of Stripe is loaded here."""
    from portal.gateways.stripe import connect_stripe

    return Gateways(
        settings=settings,
        stripe=connect_stripe(settings),
        clock=SandboxClock(settings.sandbox_url) if settings.sandbox_url else SystemClock(),
        mail=mail_gateway(settings),
        jobs=Jobs(),
        letters=letters,
    )
