"""A portal with one customer who has bought and one who is about to, and what the rows need of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psycopg

from portal.development.postgres import EmbeddedPostgres
from portal.migrations import rows
from tests.chromium import launched
from tests.journeys.customer import Customer
from tests.stack import START_SECONDS, Stack, free_ports

SERVER = (
    "--interface",
    "wsgi",
    "--host",
    "127.0.0.1",
    "--workers",
    "2",
    "--blocking-threads",
    "4",
    "--no-access-log",
)


@dataclass(frozen=True)
class Shop:
    """What the rows measure on."""

    stack: Stack
    buyer: Customer  # has bought
    visitor: Customer  # is at /checkout
    quote_id: str  # the visitor's

    @property
    def webhook_secret(self) -> str:
        return f"whsec_{(self.stack.data / 'webhook_secret').read_text().strip()}"

    def cookie(self, customer: Customer) -> str:
        found = customer.context.cookies(self.stack.url)
        return "; ".join(f"{one['name']}={one['value']}" for one in found)

    def owner_url(self) -> str:
        """libpq address of the portal's database, as its owner."""
        postgres = EmbeddedPostgres(self.stack.data / "postgres")
        return postgres.url(rows.OWNER, "portal").replace("+psycopg", "")

    def empty_inbox(self) -> None:
        """Forget the events and jobs of a measurement."""
        with psycopg.connect(self.owner_url(), autocommit=True) as connection:
            connection.execute("TRUNCATE inbox_event, procrastinate_jobs CASCADE")

    @contextmanager
    def worker_asleep(self) -> Iterator[None]:
        """Stop the worker's process for as long as something else is measured."""
        os.kill(self._worker, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._worker, signal.SIGCONT)

    def worker_environment(self) -> dict[str, str]:
        """The settings that the worker was started with."""
        raw = Path(f"/proc/{self._worker}/environ").read_text()
        return dict(setting.split("=", 1) for setting in raw.split("\0") if setting)

    @property
    def _worker(self) -> int:
        return int(json.loads((self.stack.data / "processes.json").read_text())["worker"][0])


@contextmanager
def open_shop() -> Iterator[Shop]:
    """Start a portal, buy once, bring a second customer to the quote."""
    with launched() as browser, Stack() as stack:
        buyer, visitor = (Customer(stack, browser.new_context()) for _ in range(2))
        buyer.ready_to_pay()
        buyer.pay_by_card()
        buyer.expect_live()
        quote_id = visitor.ready_to_pay()
        yield Shop(stack, buyer, visitor, quote_id)


@contextmanager
def serve(target: str, environment: dict[str, str]) -> Iterator[str]:
    """Serve a floor as the portal is served; gives its address."""
    (port,) = free_ports(1)
    command = [str(Path(sys.executable).with_name("granian")), *SERVER, "--port", str(port), target]
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://localhost:{port}"
    try:
        _until_served(url)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _until_served(url: str) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            urlopen(url + "/nothing", timeout=5)
        except HTTPError:
            return
        except (URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"nothing is served at {url}")
