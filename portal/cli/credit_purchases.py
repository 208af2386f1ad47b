"""``flask support purchase …``: packs of annual credits, shown, gone on with, and taken back."""

import click

from portal.cli.commands import Commands, gateways, print_list
from portal.cli.support import WORKSPACE, support
from portal.db import unit_of_work
from portal.models import CreditPurchase, CreditRefund
from portal.services import credit_by_hand, credit_purchase_support, credit_refunds
from portal.services.credit_purchase_support import Shown


@support.group("purchase", cls=Commands)
def purchase() -> None:
    """Packs of annual credits that a customer bought."""


@purchase.command("list")
@click.argument("workspace_id", type=WORKSPACE)
def list_purchases(workspace_id: int) -> None:
    """Show every purchase of a customer, the newest first."""
    gateways()
    with unit_of_work(workspace_id) as session:
        found = map(_line, credit_purchase_support.listing(session))
        print_list(found, none="This customer has bought no pack.")


@purchase.command("show")
@click.argument("workspace_id", type=WORKSPACE)
@click.argument("purchase_id")
def show_purchase(workspace_id: int, purchase_id: str) -> None:
    """Show one purchase with its quote, invoice, attempt, lot, grant and refunds; what it waits for."""
    gateways()
    with unit_of_work(workspace_id) as session:
        found = credit_purchase_support.show(session, purchase_id)
    _show(found)


@purchase.command("repeat")
@click.argument("workspace_id", type=WORKSPACE)
@click.argument("purchase_id")
def repeat_purchase(workspace_id: int, purchase_id: str) -> None:
    """Go on with a purchase that is stuck, from whichever step it reached; nothing is done twice."""
    done = credit_purchase_support.repeat(gateways(), workspace_id, purchase_id)
    _show(done)


@purchase.command("refund")
@click.argument("workspace_id", type=WORKSPACE)
@click.argument("purchase_id")
@click.option("--reason", required=True, help="why; it is kept with the refund")
def refund_purchase(workspace_id: int, purchase_id: str, reason: str) -> None:
    """Take back what is left of a pack and give its share of the price back; the customer is mailed."""
    done = credit_refunds.return_rest(gateways(), workspace_id, purchase_id, reason=reason)
    click.echo(_refund_line(done))


@purchase.command("settle")
@click.argument("workspace_id", type=WORKSPACE)
@click.argument("purchase_id")
@click.option(
    "--units", required=True, type=click.IntRange(min=0), help="so many go; 0 leaves the pack whole"
)
@click.option("--reason", required=True, help="why; it is kept with the refund")
def settle_purchase(workspace_id: int, purchase_id: str, units: int, reason: str) -> None:
    """Take units off a pack for money that was given back in Stripe's dashboard; the customer is mailed."""
    done = credit_by_hand.settle(gateways(), workspace_id, purchase_id, units=units, reason=reason)
    click.echo(_refund_line(done))


def _show(found: Shown) -> None:
    click.echo(_line(found.purchase))
    for name, value in found.facts:
        click.echo(f"  {name:9} {value}")
    for row in found.refunds:
        click.echo(f"  refund    {_refund_line(row)}")
    click.echo(f"  next      {found.waits_for}")


def _line(row: CreditPurchase) -> str:
    price = f"{row.amount} minor units of {row.currency}"
    return f"{row.id}  {row.state:9}  {row.kind:8}  {row.units} units  {price}  {row.created_at:%Y-%m-%d}"


def _refund_line(row: CreditRefund) -> str:
    money = f"  {row.total} minor units of {row.currency}" if row.total else ""
    error = f"  {(row.error or {}).get('message')}" if row.error else ""
    return f"{row.id}  {row.state}  {row.kind}  {row.units} units{money}{error}"
