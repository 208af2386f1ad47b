"""What every command shares: refusals in one sentence, settings, and the neighbours that it talks to."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from portal.config import Settings, SettingsError
from portal.db import connect
from portal.errors import PortalError
from portal.gateways import Gateways, connect_gateways
from portal.web.letters import TemplateLetters

# what the commands for Stripe need; the webhook's secret is told by one of them
FOR_STRIPE = (
    *("environment", "base_url", "database_url", "default_catalog", "sandbox_url"),
    *("stripe_secret_key", "stripe_account", "tax_enabled"),
)
BIGGEST_ID = 2**63 - 1


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


def print_list(lines: Iterable[str], *, none: str) -> None:
    """Print a line for each, or the sentence ``none``, which is no line of the list, on standard error."""
    empty = True
    for line in lines:
        click.echo(line)
        empty = False
    if empty:
        click.echo(none, err=True)


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
