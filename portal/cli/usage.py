"""What a developer does about usage: ``flask usage …`` and ``flask reconcile``."""

from collections.abc import Iterator

import click
from flask.cli import with_appcontext

from portal.cli.commands import BIGGEST_ID, Command, Commands, gateways, print_list
from portal.db import unit_of_work
from portal.services import meter_errors
from portal.services import reconcile as reconciling

usage = Commands("usage", help="Usage on its way to Stripe's meters.")


@usage.command("errors")
def errors() -> None:
    """Show what Stripe could not use, by report, and which rows failed and were not sent again."""
    gateways()
    print_list(_errors(), none="Stripe could use everything.")


def _errors() -> Iterator[str]:
    with unit_of_work() as session:
        for row in meter_errors.listing(session):
            named = f"{row.marked} of {row.errors} marked"
            yield f"{row.window_end:%Y-%m-%d %H:%M}  {row.event_name or '-'}  {row.code}  {named}"
            for sample in row.samples:
                yield f"    {sample['identifier']}  {sample['message']}"
    with unit_of_work(system=True) as session:
        for workspace_id, meter, error, count in meter_errors.failed(session):
            yield f"workspace {workspace_id}  {meter}  {count} failed  {error}"


@usage.command("resend")
@click.option("--workspace", type=click.IntRange(1, BIGGEST_ID), help="only what this one used")
@click.option("--code", help="only what failed with this error, such as meter_event_customer_not_found")
def resend(workspace: int | None, code: str | None) -> None:
    """Send what failed again, once its cause is mended; each row once."""
    count = meter_errors.resend(gateways(), workspace_id=workspace, code=code)
    click.echo(f"{count} rows wait to be sent again.")


@click.command("reconcile", cls=Command)
@click.option("--workspace", type=click.IntRange(1, BIGGEST_ID), help="only this one's usage")
@with_appcontext
def reconcile(workspace: int | None) -> None:
    """Hold ledger, outbox, Stripe's meters, invoices and pages against each other, as every night."""
    click.echo(str(reconciling.run(gateways(), workspace_id=workspace)))
