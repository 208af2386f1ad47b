"""Commands: ``flask db …``, ``flask worker``, and those of the catalogue and of Stripe."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from portal import tasks
from portal.config import Settings, SettingsError
from portal.db import connect, unit_of_work
from portal.errors import PortalError
from portal.gateways import Gateways, connect_gateways
from portal.migrations import rows, runner
from portal.migrations.check import problems
from portal.services import catalogs, inbox, incidents, stripe_setup
from portal.web.letters import TemplateLetters

# what the commands for Stripe need; the webhook's secret is told by one of them
FOR_STRIPE = (
    *("environment", "base_url", "database_url", "default_catalog", "sandbox_url"),
    *("stripe_secret_key", "stripe_account", "tax_enabled"),
)
BIGGEST_ID = 2**63 - 1
INBOX_STATES = (inbox.RECEIVED, inbox.DONE, inbox.IGNORED, inbox.PARKED, inbox.REFUSED)


class Commands(AppGroup):
    """A group whose refusals are one sentence and exit status 2, not a traceback."""

    def invoke(self, context: click.Context) -> Any:
        with one_sentence():
            return super().invoke(context)


class Command(click.Command):
    """As Commands, for one that stands alone."""

    def invoke(self, context: click.Context) -> Any:
        with one_sentence():
            return super().invoke(context)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn a refusal into its sentence and exit status 2."""
    try:
        yield
    except PortalError as error:
        sentence, cause = error.message, error
    except SQLAlchemyError as error:
        why = str(error.orig if isinstance(error, DBAPIError) and error.orig else error).strip()
        sentence = f"The database cannot be used: {(why.splitlines() or [''])[0].rstrip('.')}."
        cause = error
    else:
        return
    click.echo(sentence, err=True)
    raise click.exceptions.Exit(2) from cause


class Percentage(click.ParamType):
    """A decimal above 0 and up to 100 with at most two places, as Stripe takes it."""

    name = "percentage"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Decimal:
        try:
            found = Decimal(value)
            fits = 0 < found <= 100 and found == round(found, 2)
        except InvalidOperation:
            fits = False
        if not fits:
            self.fail(f"{value!r} is not a percentage above 0 and up to 100, such as 20 or 12.5.")
        return found


def settings(*only: str) -> Settings:
    """The settings that the command runs with; ``only`` these fields when not all are right."""
    found: Settings | None = current_app.extensions.get("settings")
    return found or Settings.from_env(only=only or None)


def gateways() -> Gateways:
    """The neighbours that the command talks to."""
    found: Gateways | None = current_app.extensions.get("portal")
    if found is None:
        refused: SettingsError = current_app.extensions["settings_error"]
        raise refused
    return found


def account() -> Gateways:
    """As ``gateways``, for what is done before everything is set: prices, meters, the webhook endpoint."""
    if "portal" in current_app.extensions:
        return gateways()
    found = replace(settings(*FOR_STRIPE), stripe_webhook_secrets=())
    connect(found.database_url)
    return connect_gateways(found, TemplateLetters(current_app))


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
    """Make what is missing at Stripe: meters, webhook endpoint, domain for wallets."""
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
        for row in inbox.listing(session, state=state, limit=limit):
            click.echo(f"{row.id}  {row.state:8}  {row.tries}  {row.type}  {row.outcome or ''}")


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
        for row in incidents.unresolved(session):
            click.echo(f"{row.id}  {row.created_at:%Y-%m-%d %H:%M}  {row.kind}  {row.summary}")


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
    for command in (db, catalog, stripe, inbox_commands, incident_commands, worker):
        app.cli.add_command(command)
