"""Commands that make something to look at; only where nothing is real."""

import secrets

import click
from flask_security import hash_password

from portal import pricing
from portal.cli.commands import Commands, gateways
from portal.errors import PortalError
from portal.services import demo as customers

demo = Commands("demo", help="Customers to try things with, in development only.")


@demo.command("seed")
@click.option("--catalog", "version", default="2023-05", help="whose prices it pays, such as 2023-05")
def seed(version: str) -> None:
    """Make a customer with a paid subscription on a catalogue; prints its login and password."""
    found = gateways()
    if not found.settings.sandbox_url or found.settings.environment == "production":
        raise PortalError("Customers are made up in development only, with the Stripe sandbox.")
    password = secrets.token_urlsafe(12)
    try:
        made = customers.seed(found, version, password_hash=hash_password(password))
    except pricing.PricingError as error:
        raise PortalError(error.message) from error
    click.echo(f"Login:     {made.email}")
    click.echo(f"Password:  {password}")
    click.echo(f"Workspace {made.workspace_id} pays for {made.seats} {made.tier} seats of {version}.")
