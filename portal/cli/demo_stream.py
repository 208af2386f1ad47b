"""``flask demo stream``: made-up conversations, sent to the running portal as a help desk sends them."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

import click

from portal.cli.commands import BIGGEST_ID
from portal.cli.demo import a_moment, demo, in_development, turned
from portal.db import unit_of_work
from portal.errors import PortalError
from portal.gateways import Gateways
from portal.services import api_keys, conversations, demo_playing, demo_stream
from portal.services.demo_stream import Sent

TIMEOUT = 60.0
EVENTS = "/v1/events"


class Player:
    """Sends batches to /v1/events with a key; counts what was answered to each event."""

    def __init__(self, url: str, key: str) -> None:
        self._url = urlsplit(url)
        self._key = key
        self.answers: Counter[str] = Counter()

    def send(self, batch: Sequence[Sent]) -> None:
        """Post one batch. Raises PortalError when the portal does not take it."""
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        connection = kind(self._url.netloc, timeout=TIMEOUT)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        try:
            connection.request("POST", EVENTS, json.dumps(list(map(_plain, batch))), headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, HTTPException) as error:
            raise PortalError(f"The portal does not answer at {self._url.geturl()}: {error}") from error
        finally:
            connection.close()
        if answer.status not in (200, 422):
            raise PortalError(f"The portal answered {answer.status}: {said.decode(errors='replace')[:500]}")
        for each in json.loads(said).get("results", ()):
            why = each.get("reason") or each.get("detail") or each.get("message")
            self.answers[f"{each['status']} ({why})" if why else each["status"]] += 1


def _plain(sent: Sent) -> dict[str, object]:
    event = sent.event
    return {
        "id": event.id,
        "conversation_id": event.conversation_id,
        "type": event.type,
        "occurred_at": event.occurred_at.isoformat(),
        "channel": event.channel,
        "test": event.test,
    }


@demo.command("stream")
@click.argument("workspace_id", type=click.IntRange(1, BIGGEST_ID))
@click.option("--conversations", "size", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True)
@click.option("--seed", type=click.IntRange(min=1), default=1, help="the same makes the same stream")
@click.option("--hours", type=click.IntRange(1, 24 * 28), default=24, help="how long the stream is")
@click.option("--batch", type=click.IntRange(1, conversations.BATCH), default=500, help="events in a request")
@click.option("--url", help="the running portal; the one of the settings if it is not given")
@click.option("--to-invoice", is_flag=True, help="go on to the month's invoice and compare")
def stream(
    workspace_id: int, size: int, seed: int, hours: int, batch: int, url: str | None, to_invoice: bool
) -> None:
    """Play a stream of conversations for WORKSPACE_ID into the running portal.

    Events are repeated, late, out of order, and customers return. The sandbox's clock is turned hour by hour,
    for everybody, as the stream goes on, and a day further, so that everything is decided. At the end the
    ledger is compared with what the rules alone make of the stream; the exit status is 1 if they differ.
    """
    found = in_development()
    turn = turned(found)
    since = found.clock.now().replace(microsecond=0)
    until = since + timedelta(hours=hours)
    sent = demo_stream.stream(seed, size, since, until)
    # what was answered before the stream matures while it is played
    before = demo_playing.settle(found, workspace_id) + demo_playing.undecided(workspace_id)
    player = Player(url or found.settings.base_url, _key(found, workspace_id))
    chance = random.Random(seed)  # noqa: S311 (nothing secret)
    for end, ready in demo_playing.hours(sent, since, timedelta(hours=1)):
        turn(end)
        chance.shuffle(ready)
        for first in range(0, len(ready), batch):
            player.send(ready[first : first + batch])
    turn(until + demo_playing.DAY + timedelta(minutes=1))
    click.echo(", ".join(f"{count} {answer}" for answer, count in sorted(player.answers.items())))
    agree = _tell(found, workspace_id, sent, before)
    if to_invoice:
        agree = _tell_invoice(found, workspace_id) and agree
    if not agree:
        raise click.exceptions.Exit(1)


def _key(found: Gateways, workspace_id: int) -> str:
    """A key for this stream, made by the workspace's owner."""
    with unit_of_work(workspace_id) as session:
        owner = demo_playing.owner_of(session)
        made = api_keys.make(session, found, name="demo stream", scopes=[api_keys.WRITE], by=owner)
    return made.secret


def _tell(found: Gateways, workspace_id: int, sent: Sequence[Sent], before: int) -> bool:
    after = demo_playing.settle(found, workspace_id) - before
    by_rules = demo_playing.expected((each.event for each in sent), found.clock.now())
    click.echo(f"Resolutions by the rules: {by_rules}. In the ledger: {after}.")
    return after == by_rules


def _tell_invoice(found: Gateways, workspace_id: int) -> bool:
    closed = demo_playing.close_month(found, workspace_id, turned(found), a_moment)
    click.echo(f"Ledger:   {closed.ledger} resolutions")
    click.echo(f"CSV:      {closed.file_units} resolutions, {closed.file_amount} minor units")
    invoiced = f"{closed.invoice_units} resolutions, {closed.invoice_amount} minor units"
    click.echo(f"Invoice:  {invoiced} ({closed.invoice})")
    return closed.agrees
