"""Commands that make something to look at; only where nothing is real."""

import secrets
import time
from datetime import datetime
from http.client import HTTPException

import click
from flask_security import hash_password

from portal import pricing
from portal.cli.commands import Commands, gateways
from portal.errors import PortalError
from portal.gateways import Gateways
from portal.gateways.clock import SANDBOX_TIME_GOOD_FOR, SandboxClock
from portal.services import demo as customers
from portal.services import demo_months
from portal.services.demo_playing import Turn
from portal.services.demo_usage import Shape

demo = Commands("demo", help="Customers to try things with, in development only.")


MOST_UNITS = 50_000_000
MOST_MONTHS = 24


@demo.command("seed")
@click.option("--catalog", "version", default="2023-05", help="whose prices it pays, such as 2023-05")
@click.option("--size", type=click.IntRange(0, MOST_UNITS), default=0, help="resolutions in its past months")
@click.option("--months", type=click.IntRange(0, MOST_MONTHS), default=3, help="whole months before this one")
@click.option("--seed", "number", type=click.IntRange(min=1), default=1, help="the same makes the same usage")
@click.option("--events/--no-events", default=True, help="also each conversation's events, its evidence")
def seed(version: str, size: int, months: int, number: int, events: bool) -> None:
    """Make a customer with a paid subscription on a catalogue; prints its login and password.

    With --size it has used the AI since: the sandbox's clock is turned for everybody, month by month, so that
    each month ends with its invoice. Up to 1,000 resolutions a month come in as events, more in bulk.
    """
    found = in_development()
    password = secrets.token_urlsafe(12)
    try:
        made = customers.seed(found, version, password_hash=hash_password(password))
    except pricing.PricingError as error:
        raise PortalError(error.message) from error
    click.echo(f"Login:     {made.email}")
    click.echo(f"Password:  {password}")
    click.echo(f"Workspace {made.workspace_id} pays for {made.seats} {made.tier} seats of {version}.")
    if size:
        shape = Shape(number, events)
        done = demo_months.live(
            found, made, size, months=months, shape=shape, turn=turned(found), wait=a_moment
        )
        for line in done:
            click.echo(line)


def a_moment() -> None:
    """How long is waited for what other processes do."""
    time.sleep(1)


def in_development() -> Gateways:
    """The neighbours; refused where something is real."""
    found = gateways()
    if not found.settings.sandbox_url or found.settings.environment == "production":
        raise PortalError("Customers are made up in development only, with the Stripe sandbox.")
    return found


def turned(found: Gateways) -> Turn:
    """How the sandbox's clock is turned; what went wrong is one sentence."""
    clock = found.clock
    assert isinstance(clock, SandboxClock)

    def turn(to: datetime) -> None:
        try:
            clock.turn(to)
            # the portal's other processes remember the time for so long
            time.sleep(SANDBOX_TIME_GOOD_FOR)
        except (OSError, HTTPException, ValueError) as error:
            raise PortalError(f"The sandbox's clock cannot be turned: {error}") from error

    return turn
