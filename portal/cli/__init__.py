"""Commands: ``flask db …``, ``flask worker``, and those of the catalogue and of Stripe."""

from decimal import Decimal

import click
from flask import Flask
from flask.cli import with_appcontext

from portal import tasks
from portal.cli import credit_purchases as _credit_purchases  # noqa: F401 adds its commands to support
from portal.cli.commands import (
    BIGGEST_ID,
    Command,
    Commands,
    Percentage,
    account,
    gateways,
    print_list,
    settings,
)
from portal.cli.demo_stream import demo
from portal.cli.support import support
from portal.cli.usage import reconcile, usage
from portal.config import SettingsError
from portal.db import unit_of_work
from portal.errors import PortalError
from portal.migrations import rows, runner
from portal.migrations.check import problems
from portal.services import catalogs, inbox, incidents, stripe_setup

INBOX_STATES = (inbox.RECEIVED, inbox.DONE, inbox.IGNORED, inbox.PARKED, inbox.REFUSED)

db = Commands("db", help="The database's schema.")


@db.command("upgrade")
def upgrade() -> None:
    """Bring the database to this version's schema, as its owner (PORTAL_MIGRATION_URL)."""
    url = settings("migration_url").migration_url
    if url is None:
        raise PortalError("PORTAL_MIGRATION_URL is not set: migrations run as the database's owner.")
    click.echo(f"The database is at revision {runner.upgrade(url)}.")


@db.command("check")
def check() -> None:
    """Say what is wrong with the database; status 1 if anything is."""
    found = problems(settings("database_url"))
    for problem in found:
        click.echo(problem, err=True)
    if found:
        raise click.exceptions.Exit(1)
    click.echo("The database fits this version, and row-level security holds.")


@db.command("roles")
def roles() -> None:
    """Print the SQL that makes the roles; run it once as a superuser, then give the logins passwords."""
    click.echo(rows.ROLES)


catalog = Commands("catalog", help="The prices that are sold.")


@catalog.command("push")
def push() -> None:
    """Bring every catalogue to Stripe; what is there already stays."""
    done = catalogs.push(account())
    click.echo(f"{len(done.prices)} prices made, {len(done.kept)} there already.")


@catalog.command("promotion")
@click.argument("code")
@click.option("--percent-off", type=Percentage(), help="such as 20 or 12.5")
@click.option("--amount-off", type=click.IntRange(min=1), help="minor units of the catalogue's currency")
@click.option("--duration", type=click.Choice(["once", "repeating", "forever"]), default="once")
@click.option("--months", type=click.IntRange(min=1), help="with --duration repeating")
def promotion(
    code: str, percent_off: Decimal | None, amount_off: int | None, duration: str, months: int | None
) -> None:
    """Make a promotion code for seats and add-ons; usage is never discounted."""
    if (percent_off is None) == (amount_off is None) or (months is None) == (duration == "repeating"):
        raise click.UsageError("Give --percent-off or --amount-off, and --months with --duration repeating.")
    made = catalogs.promote(
        account(), code, percent_off=percent_off, amount_off=amount_off, duration=duration, months=months
    )
    click.echo(f"{code} is {made}.")


stripe = Commands("stripe", help="What the account at Stripe needs.")


@stripe.command("setup")
def setup() -> None:
    """Make what is missing at Stripe: meters, endpoints for events, domain for wallets."""
    for line in stripe_setup.setup(account()):
        click.echo(line)


@stripe.command("check")
def check_stripe() -> None:
    """Name what is missing at Stripe; status 1 if anything is."""
    found = stripe_setup.check(account())
    for finding in found:
        click.echo(("missing  " if finding.problem else "ok       ") + finding.text, err=finding.problem)
    if any(finding.problem for finding in found):
        raise click.exceptions.Exit(1)


inbox_commands = Commands("inbox", help="Events that Stripe sent.")


@inbox_commands.command("list")
@click.option("--state", type=click.Choice(INBOX_STATES), help="only events of this state")
@click.option("--limit", type=click.IntRange(1, 1000), default=50)
def list_events(state: str | None, limit: int) -> None:
    """Show the newest events and what came of each."""
    gateways()
    with unit_of_work() as session:
        found = inbox.listing(session, state=state, limit=limit)
        lines = (f"{row.id}  {row.state:8}  {row.tries}  {row.type}  {row.outcome or ''}" for row in found)
        print_list(lines, none="There is no such event.")


@inbox_commands.command("replay")
@click.argument("event_id")
def replay(event_id: str) -> None:
    """Work on an event again, whatever became of it."""
    click.echo(f"{event_id} is {inbox.replay(gateways(), event_id)}.")


incident_commands = Commands("incidents", help="What somebody has to look at.")


@incident_commands.command("list")
def list_incidents() -> None:
    """Show what nobody has resolved yet."""
    gateways()
    with unit_of_work(system=True) as session:
        found = incidents.unresolved(session)
        lines = (f"{row.id}  {row.created_at:%Y-%m-%d %H:%M}  {row.kind}  {row.summary}" for row in found)
        print_list(lines, none="Nothing has to be looked at.")


@incident_commands.command("resolve")
@click.argument("incident_id", type=click.IntRange(1, BIGGEST_ID))
def resolve(incident_id: int) -> None:
    """Close an incident."""
    gateways()
    with unit_of_work(system=True) as session:
        closed = incidents.resolve(session, incident_id)
    click.echo(
        f"Incident {incident_id} is closed." if closed else f"There is no open incident {incident_id}."
    )


@click.command("worker", cls=Command)
@with_appcontext
def worker() -> None:
    """Run jobs and the timetable until stopped."""
    found = gateways()
    tasks.run_worker(found.settings, found)


def app_without(error: SettingsError) -> Flask:
    """An application with commands only: those that need few settings run, the others say what is wrong."""
    app = Flask("portal", template_folder=None, static_folder=None)
    app.extensions["settings_error"] = error
    install(app)
    return app


def install(app: Flask) -> None:
    """Give ``app`` its commands."""
    for command in (
        db,
        catalog,
        stripe,
        usage,
        reconcile,
        inbox_commands,
        incident_commands,
        support,
        demo,
        worker,
    ):
        app.cli.add_command(command)
