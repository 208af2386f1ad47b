"""Commands: ``flask db …``, ``flask worker``, and those of the catalogue and of Stripe."""

from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext

from portal import tasks
from portal.config import Settings
from portal.errors import PortalError
from portal.gateways import Gateways
from portal.migrations import rows, runner
from portal.migrations.check import problems
from portal.services import catalogs


class Commands(AppGroup):
    """A group whose refusals are one sentence and exit status 2, not a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except PortalError as error:
            click.echo(error.message, err=True)
            raise click.exceptions.Exit(2) from error


def settings() -> Settings:
    """The settings that the command runs with."""
    found: Settings = current_app.extensions["settings"]
    return found


def gateways() -> Gateways:
    """The neighbours that the command talks to."""
    found: Gateways = current_app.extensions["portal"]
    return found


db = Commands("db", help="The database's schema.")


@db.command("upgrade")
def upgrade() -> None:
    """Bring the database to this version's schema, as its owner (PORTAL_MIGRATION_URL)."""
    url = settings().migration_url
    if url is None:
        raise PortalError("PORTAL_MIGRATION_URL is not set: migrations run as the database's owner.")
    click.echo(f"The database is at revision {runner.upgrade(url)}.")


@db.command("check")
def check() -> None:
    """Say what is wrong with the database; status 1 if anything is."""
    found = problems(settings())
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
    done = catalogs.push(gateways())
    click.echo(f"{len(done.prices)} prices made, {len(done.kept)} there already.")


@click.command("worker")
@with_appcontext
def worker() -> None:
    """Run jobs and the timetable until stopped."""
    tasks.run_worker(settings(), gateways())


def install(app: Flask) -> None:
    """Give ``app`` its commands."""
    for command in (db, catalog, worker):
        app.cli.add_command(command)
