"""What support does for one customer, on the record: ``flask support discount …``."""

from datetime import datetime
from decimal import Decimal

import click

from portal import pricing
from portal.cli.commands import BIGGEST_ID, Commands, Percentage, gateways, print_list
from portal.db import unit_of_work
from portal.errors import PortalError
from portal.models import Contest, NegotiatedDiscount
from portal.pricing import outcomes as rules
from portal.services import (
    contests,
    details_changes,
    factor_resets,
    negotiated_discounts,
    resolution_evidence,
)

support = Commands("support", help="What is agreed with one customer; every use is in its history.")
WORKSPACE = click.IntRange(1, BIGGEST_ID)
EPISODE = click.IntRange(1, 2**31 - 1)


@support.group("discount", cls=Commands)
def discount() -> None:
    """Discounts on one line of a customer's subscription."""


@discount.command("set")
@click.argument("workspace_id", type=WORKSPACE)
@click.argument("line")
@click.option("--percent-off", type=Percentage(), help="such as 20 or 12.5")
@click.option("--amount-off", type=click.IntRange(min=1), help="minor units a period")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="invoices made before that day have it")
def set_discount(
    workspace_id: int,
    line: str,
    percent_off: Decimal | None,
    amount_off: int | None,
    until: datetime | None,
) -> None:
    """Agree on a discount on LINE (seat, copilot …), instead of the one that is there."""
    try:
        made = negotiated_discounts.agree(
            gateways(),
            workspace_id,
            line,
            percent_off=percent_off,
            amount_off=amount_off,
            until=until.date() if until else None,
        )
    except pricing.PricingError as error:
        raise PortalError(error.message) from error
    click.echo(_line(made))


@discount.command("list")
@click.argument("workspace_id", type=WORKSPACE)
def list_discounts(workspace_id: int) -> None:
    """Show what was agreed with a customer, newest first."""
    gateways()
    with unit_of_work(workspace_id) as session:
        found = map(_line, negotiated_discounts.listing(session))
        print_list(found, none="Nothing was agreed with this customer.")


@discount.command("end")
@click.argument("workspace_id", type=WORKSPACE)
@click.argument("discount_id")
def end_discount(workspace_id: int, discount_id: str) -> None:
    """Take a discount away; the next invoice is without it."""
    click.echo(_line(negotiated_discounts.end(gateways(), workspace_id, discount_id)))


def _line(row: NegotiatedDiscount) -> str:
    off = f"{row.amount_off} minor units of {row.currency}"
    if row.percent_off is not None:
        off = f"{row.percent_off.normalize():f} %"
    until = f" until {row.ends_at:%Y-%m-%d}" if row.ends_at else ""
    return f"{row.id}  {row.state:7}  {row.line}  {off} off{until}"


@support.group("factors", cls=Commands)
def factors() -> None:
    """Second steps of a login that its person has lost."""


@factors.command("reset")
@click.argument("email")
@click.option("--passkeys", is_flag=True, help="remove the login's passkeys as well")
def reset_factors(email: str, passkeys: bool) -> None:
    """Let the password alone sign EMAIL in again; be sure who asks before. The person is mailed."""
    done = factor_resets.reset(gateways(), email, with_passkeys=passkeys)
    app = "two-step sign-in is off" if done.app else "two-step sign-in was not on"
    click.echo(f"{done.email}: {app}, {done.passkeys} passkeys removed, every browser signed out.")


@support.group("details", cls=Commands)
def details() -> None:
    """Requests for another country or tax number."""


@details.command("accept")
@click.argument("workspace_id", type=WORKSPACE)
def accept_details(workspace_id: int) -> None:
    """Carry the open request out; the tax of later invoices follows, and the customer is mailed."""
    done = details_changes.resolve(gateways(), workspace_id, accepted=True)
    click.echo(f"{done.id} is carried out.")


@details.command("refuse")
@click.argument("workspace_id", type=WORKSPACE)
def refuse_details(workspace_id: int) -> None:
    """Leave everything as it is; the customer is mailed, and the reason is yours to write."""
    done = details_changes.resolve(gateways(), workspace_id, accepted=False)
    click.echo(f"{done.id} is refused.")


@support.group("contest", cls=Commands)
def contest() -> None:
    """Resolutions that customers contest and whose events do not decide it."""


@contest.command("list")
def list_contests() -> None:
    """Show what waits for an answer, of all customers, the oldest first."""
    gateways()
    with unit_of_work(system=True) as session:
        found = map(_contest_line, contests.unanswered(session))
        print_list(found, none="No contest waits for an answer.")


@contest.command("show")
@click.argument("workspace_id", type=WORKSPACE)
@click.argument("conversation")
@click.argument("episode", type=EPISODE)
def show_contest(workspace_id: int, conversation: str, episode: int) -> None:
    """Show a contest with the events of its conversation, in the order in which they count."""
    gateways()
    with unit_of_work(workspace_id) as session:
        found = contests.of_unit(session, conversation, episode)
        if found is None:
            raise PortalError(f"Workspace {workspace_id} did not contest {conversation} ({episode}).")
        evidence = resolution_evidence.find(session, conversation, episode)
        click.echo(_contest_line(found))
        click.echo(f"{evidence.unit.state}: {rules.BECAUSE[evidence.unit.because]}")
        for event in evidence.events:
            test = "  test" if event.test else ""
            click.echo(f"  {event.occurred_at:%Y-%m-%d %H:%M:%S %Z}  {event.type}  {event.channel}{test}")


@contest.command("accept")
@click.argument("workspace_id", type=WORKSPACE)
@click.argument("conversation")
@click.argument("episode", type=EPISODE)
@click.option("--answer", default="", help="what the customer is told beside the decision")
def accept_contest(workspace_id: int, conversation: str, episode: int, answer: str) -> None:
    """Take the resolution back; the money follows by itself, and the customer is mailed."""
    click.echo(_decided(workspace_id, conversation, episode, accepted=True, answer=answer))


@contest.command("refuse")
@click.argument("workspace_id", type=WORKSPACE)
@click.argument("conversation")
@click.argument("episode", type=EPISODE)
@click.option("--answer", required=True, help="why it stays; the customer reads it")
def refuse_contest(workspace_id: int, conversation: str, episode: int, answer: str) -> None:
    """Let the resolution stay; the customer is mailed with the reason."""
    click.echo(_decided(workspace_id, conversation, episode, accepted=False, answer=answer))


def _decided(workspace_id: int, conversation: str, episode: int, *, accepted: bool, answer: str) -> str:
    done = contests.decide(gateways(), workspace_id, conversation, episode, accepted=accepted, answer=answer)
    return _contest_line(done)


def _contest_line(row: Contest) -> str:
    comment = f"  {row.comment}" if row.comment else ""
    return (
        f"{row.workspace_id}  {row.conversation_id} ({row.episode})  {row.state}  {row.reason}"
        f"  since {row.created_at:%Y-%m-%d}{comment}"
    )
