"""Rows 1 and 2: taking webhooks in, and applying them."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.bench import events
from tests.bench.load import paced, percentile, rate, signed_script
from tests.bench.shop import Shop, serve
from tests.bench.table import Row

SECONDS = 5
ROUNDS = 3
UNIQUE = 20_000
CALM_PER_SECOND = 20
CALM_EVENTS = 200
PRESSED_PER_SECOND = 100
PRESSED_SECONDS = 60
OBJECTS = 500
LONGEST_WAIT = 30.0
PATH = "/webhooks/stripe"
FLOOR_SECRET = "whsec_floor"
# a type that the worker applies, so that its job is deferred too
TYPE = "invoice.paid"
LAG = "SELECT extract(epoch FROM handled_at - received_at) FROM inbox_event WHERE state = 'done' ORDER BY 1"


def receiving(shop: Shop) -> list[Row]:
    """Row 1, with the worker asleep: only the receiving counts. In turn, and the middle of all turns."""
    floor_database = {"FLOOR_DATABASE": shop.owner_url(), "FLOOR_SECRET": FLOOR_SECRET}
    with serve("tests.bench.floors:app", floor_database) as floor, shop.worker_asleep():
        both = ((floor, FLOOR_SECRET), (shop.stack.url, shop.webhook_secret))
        fast = [[_rate(url, secret, turn * UNIQUE) for url, secret in both] for turn in range(ROUNDS)]
        calm = [
            [percentile(_calm(url, secret, (ROUNDS + turn) * UNIQUE), 0.99) for url, secret in both]
            for turn in range(ROUNDS)
        ]
        shop.empty_inbox()
    return [
        _compared("webhooks taken in, 3 KB, 8 connections", fast, "{:,.0f}/s", "≥ 0.75"),
        _compared(f"the same at {CALM_PER_SECOND}/s, p99", calm, "{:.1f} ms", "≤ 1.5"),
    ]


def _compared(what: str, turns: list[list[float]], unit: str, target: str) -> Row:
    floor, ours = (statistics.median(column) for column in zip(*turns, strict=True))
    ratio = statistics.median(portal / bare for bare, portal in turns)
    return Row("1", what, unit.format(ours), unit.format(floor), f"{ratio:.2f}", target)


def _rate(url: str, secret: str, start: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        made = events.deliveries(UNIQUE, secret, type=TYPE, objects=["in_bench"], start=start)
        measured = rate(url + PATH, SECONDS, script=signed_script(made, Path(folder)))
    if measured.failed:
        raise RuntimeError(f"{measured.failed} deliveries to {url} were not answered with 2xx")
    return measured.per_second


def _calm(url: str, secret: str, start: int) -> list[float]:
    made = events.deliveries(CALM_EVENTS, secret, type=TYPE, objects=["in_bench"], start=start)
    return paced(url + PATH, made, CALM_PER_SECOND)


def applying(shop: Shop) -> list[Row]:
    """Row 2: a worker whose Stripe answers at once; 100 events a second for a minute."""
    with _neighbour(shop) as address, shop.worker_asleep(), _worker(shop, address):
        objects = [f"in_bench{number}" for number in range(OBJECTS)]
        count = PRESSED_PER_SECOND * PRESSED_SECONDS
        made = list(events.deliveries(count, shop.webhook_secret, type=TYPE, objects=objects, start=10**6))
        paced(shop.stack.url + PATH, made, PRESSED_PER_SECOND)
        waiting = _waiting(shop)
        end = time.monotonic() + LONGEST_WAIT
        while _waiting(shop) and time.monotonic() < end:
            time.sleep(0.2)
        with psycopg.connect(shop.owner_url()) as connection:
            lags = [float(lag) for (lag,) in connection.execute(LAG)]
        shop.empty_inbox()
    # what is left over waits longer than whatever was applied
    lags += [LONGEST_WAIT] * (count - len(lags))
    lag = f"p50 {percentile(lags, 0.5) * 1000:,.0f} ms, p99 {percentile(lags, 0.99) * 1000:,.0f} ms"
    what = f"webhooks until applied, {PRESSED_PER_SECOND}/s for {PRESSED_SECONDS} s"
    return [Row("2", what, f"{lag}; {waiting} waiting at the end", target="p99 ≤ 1 s, no backlog")]


def _waiting(shop: Shop) -> int:
    with psycopg.connect(shop.owner_url()) as connection:
        row = connection.execute("SELECT count(*) FROM inbox_event WHERE state = 'received'").fetchone()
    return int(row[0]) if row else 0


@contextmanager
def _neighbour(shop: Shop) -> Iterator[str]:
    subscription = shop.buyer.subscriptions()[0]
    originals = {"sub": subscription["id"], "in": subscription["latest_invoice"]}
    environment = {
        "NEIGHBOUR_SANDBOX": shop.stack.sandbox_url,
        "NEIGHBOUR_ORIGINALS": json.dumps(originals),
    }
    with serve("tests.bench.neighbour:app", environment) as address:
        yield address


@contextmanager
def _worker(shop: Shop, address: str) -> Iterator[None]:
    environment = {**shop.worker_environment(), "PORTAL_SANDBOX_URL": address}
    worker = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", "worker"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(30)
