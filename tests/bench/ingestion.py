"""Rows 3 and 4: conversation events taken in, a hundred to a request and one by one."""

import json
import multiprocessing
import re
import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from portal.development.postgres import EmbeddedPostgres
from portal.services import api_keys
from tests.bench.load import posted_script, rate
from tests.bench.shop import Shop, serve
from tests.bench.table import Row

SECONDS = 5
ROUNDS = 3
BATCH = 100
# more than are sent in a turn, so that none is sent twice
BATCHES, SINGLES = 6_000, 40_000
COPIERS, INSERTERS = 2, 8
PATH = "/v1/events"
KEY = "bk_BENCHBENCH_" + secrets.token_urlsafe(32)
# counted as always, and never refused
LIMITS = {"PORTAL_LIMITS": "yes", "PORTAL_LIMIT_API": "1000000 per second; 10000000 per minute"}
FLOOR = "CREATE TABLE IF NOT EXISTS floor_conversation_event (LIKE conversation_event INCLUDING ALL)"
INSERT = """\
\\set n random(1, 1000000000000)
INSERT INTO floor_conversation_event VALUES
  (1, 'evt_' || :n || '_{turn}', 'conv_' || :n, 'ai_answered', now(), 'chat', false, now());
"""


def batches(shop: Shop) -> list[Row]:
    """Row 3: rows per second."""
    turns = _turns(shop, _copied, BATCHES, BATCH)
    return [_row("3", f"events taken in, {BATCH} to a request, rows", turns, "≥ 0.40")]


def singles(shop: Shop) -> list[Row]:
    """Row 4: events per second."""
    return [_row("4", "events taken in, one to a request", _turns(shop, _inserted, SINGLES, 1), "≥ 0.18")]


def _row(number: str, what: str, turns: list[tuple[float, float]], target: str) -> Row:
    floor, ours = (statistics.median(column) for column in zip(*turns, strict=True))
    ratio = statistics.median(portal / bare for bare, portal in turns)
    return Row(number, what, f"{ours:,.0f}/s", f"{floor:,.0f}/s", f"{ratio:.2f}", target)


def _turns(
    shop: Shop, floor: Callable[[Shop, int], float], requests: int, size: int
) -> list[tuple[float, float]]:
    """(floor, ours) of each turn, in rows a second; the worker sleeps meanwhile."""
    _prepare(shop)
    turns = []
    with serve("wsgi:app", {**shop.worker_environment(), **LIMITS}) as url, shop.worker_asleep():
        for turn in range(ROUNDS):
            turns.append((floor(shop, turn), _taken(shop, url, f"{size}-{turn}", requests, size)))
    return turns


def _prepare(shop: Shop) -> None:
    """The floor's table, and a key of the company that has bought."""
    with psycopg.connect(shop.owner_url(), autocommit=True) as connection:
        connection.execute(FLOOR)
        connection.execute("TRUNCATE floor_conversation_event")
        connection.execute("DELETE FROM api_key WHERE hash = %s", (api_keys.digest(KEY),))
        connection.execute(
            "INSERT INTO api_key (id, workspace_id, name, prefix, hash, scopes, created_at)"
            " SELECT 'K-BENCHBENCH', workspace_id, 'Bench', 'bk_BENCHBENCH', %s, %s, now()"
            " FROM subscription WHERE access = 'active' LIMIT 1",
            (api_keys.digest(KEY), [api_keys.WRITE]),
        )


def _taken(shop: Shop, url: str, turn: str, requests: int, size: int) -> float:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with tempfile.TemporaryDirectory() as folder:
        script = posted_script(_bodies(turn, requests, size), headers, Path(folder))
        measured = rate(url + PATH, SECONDS, script=script)
    if measured.failed:
        raise RuntimeError(f"{measured.failed} requests of events were not answered with 2xx")
    return measured.per_second * size


def _bodies(turn: str, requests: int, size: int) -> Iterator[str]:
    """Conversations that were answered and confirmed: two events each, and one unit in the ledger."""
    answered = datetime.now(UTC) - timedelta(minutes=3)
    steps = (("ai_answered", answered), ("customer_confirmed", answered + timedelta(minutes=1)))
    for request in range(requests):
        numbers = range(request * size, request * size + size)
        events = [
            {
                "id": f"evt_{turn}_{number:09d}",
                "conversation_id": f"conv_{turn}_{number // 2:09d}",
                "type": steps[number % 2][0],
                "occurred_at": steps[number % 2][1].isoformat(),
                "channel": "chat",
            }
            for number in numbers
        ]
        yield json.dumps(events if size > 1 else events[0])


def _copied(shop: Shop, turn: int) -> float:
    """COPY of 100 rows and commit, on two connections, each in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(COPIERS) as pool:
        done = pool.starmap(_copy, [(shop.owner_url(), f"{turn}-{copier}") for copier in range(COPIERS)])
    return sum(done)


def _copy(url: str, name: str) -> float:
    at = datetime.now(UTC).isoformat()
    copied = 0
    with psycopg.connect(url) as connection:
        began = time.monotonic()
        while time.monotonic() - began < SECONDS:
            numbers = range(copied, copied + BATCH)
            lines = "".join(
                f"1\tevt_{name}_{n:09d}\tconv_{name}_{n // 2:09d}\tai_answered\t{at}\tchat\tf\t{at}\n"
                for n in numbers
            )
            with connection.cursor().copy("COPY floor_conversation_event FROM STDIN") as copy:
                copy.write(lines)
            connection.commit()
            copied += BATCH
        return copied / (time.monotonic() - began)


def _inserted(shop: Shop, turn: int) -> float:
    """One row and commit, on eight connections, by PostgreSQL's own pgbench."""
    programs = EmbeddedPostgres(shop.stack.data / "postgres").programs
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(INSERT.format(turn=turn))
        script.flush()
        command = [str(programs / "pgbench"), "-n", "-M", "prepared", f"-c{INSERTERS}", "-j2"]
        command += [f"-T{SECONDS}", "-f", script.name, shop.owner_url()]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench said:\n{done.stdout}{done.stderr}")
    return float(found[1])
