"""Rows 3 and 4: conversation events taken in, a hundred to a request and one by one, beside any ledger."""

import json
import multiprocessing
import re
import secrets
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
COPIERS, INSERTERS = 2, 8
# as many companies send at once, each with its own key
COMPANIES = 8
PATH = "/v1/events"
# counted as always, and never refused
LIMITS = {"PORTAL_LIMITS": "yes", "PORTAL_LIMIT_API": "1000000 per second; 10000000 per minute"}
FLOOR = "CREATE TABLE IF NOT EXISTS floor_conversation_event (LIKE conversation_event INCLUDING ALL)"
INSERT = """\
\\set n random(1, 1000000000000)
INSERT INTO floor_conversation_event VALUES
  (1, 'evt_' || :n || '_{turn}', 'conv_' || :n, 'ai_answered', now(), 'chat', false, now());
"""


# a company like the one that has bought: its own ids, everything else the same
MAKE = """
WITH bought AS (SELECT workspace_id, stripe_id FROM subscription WHERE access = 'active' LIMIT 1),
  named AS (INSERT INTO workspace (id, name) SELECT %(id)s, 'Bench' RETURNING id),
  details AS (INSERT INTO billing_details SELECT (jsonb_populate_record(b,
    jsonb_build_object('workspace_id', id, 'stripe_customer_id', 'cus_bench' || id))).*
    FROM billing_details b JOIN bought USING (workspace_id), named),
  months AS (INSERT INTO usage_period SELECT
    (jsonb_populate_record(p, jsonb_build_object('workspace_id', id, 'used', 0))).*
    FROM usage_period p JOIN bought USING (workspace_id), named)
INSERT INTO subscription SELECT
  (jsonb_populate_record(s, jsonb_build_object('workspace_id', id, 'stripe_id', 'sub_bench' || id))).*
  FROM subscription s JOIN bought USING (workspace_id, stripe_id), named
"""
KEY = """
INSERT INTO api_key (id, workspace_id, name, prefix, hash, scopes, created_at)
VALUES ('K-BENCH' || %(id)s, %(id)s, 'Bench', 'bk_bench', %(hash)s, %(scopes)s, now())
"""
# of what was sent nothing is left that the worker would tell Stripe of
GROWN = (
    "conversation_event",
    "resolution",
    "usage_entry",
    "usage_day",
    "meter_event",
    "allowance",
    "reservation",
)
MADE = ("api_key", "usage_period", "subscription", "billing_details")
FIRST_ID = 900_000_000


@dataclass(frozen=True)
class Kind:
    """A row and its floor; ``requests``: more than are sent in a turn, so that none is sent twice."""

    number: str
    what: str
    floor: Callable[[Shop, int], float]
    requests: int
    target: str


def batches(shop: Shop) -> list[Row]:
    """Row 3: rows per second."""
    return _by_companies(shop, BATCH)


def singles(shop: Shop) -> list[Row]:
    """Row 4: events per second."""
    return _by_companies(shop, 1)


def beside(shop: Shop, workspace_id: int, at: datetime, entries: str) -> list[Row]:
    """Both from one company whose ledger is filled, at the shop's present; its worker should be asleep."""
    with psycopg.connect(shop.owner_url(), autocommit=True) as connection:
        connection.execute(FLOOR)
        connection.execute("DELETE FROM api_key WHERE workspace_id = %s", [workspace_id])
        keys = [_new_key(connection, workspace_id)]
        rows = [_measured(shop, keys, size, f"beside {entries}", at) for size in (BATCH, 1)]
        connection.execute("TRUNCATE floor_conversation_event")
    return rows


def _by_companies(shop: Shop, size: int) -> list[Row]:
    """From eight companies at once, and from one, whose events wait for one another."""
    rows = []
    for companies, words in ((COMPANIES, f"{COMPANIES} companies"), (1, "one company")):
        keys = _prepare(shop, companies)
        with shop.worker_asleep():
            rows.append(_measured(shop, keys, size, words, datetime.now(UTC)))
            _forget(shop)
    return rows


def _measured(shop: Shop, keys: Sequence[str], size: int, words: str, at: datetime) -> Row:
    """The floor and ours in turn, requests of ``size`` events that have happened by ``at``."""
    kind = KINDS[size]
    turns = []
    with serve("wsgi:app", {**shop.worker_environment(), **LIMITS}) as url:
        for turn in range(ROUNDS):
            name = f"{words.replace(' ', '-')}-{turn}"
            bodies = _bodies(name, kind.requests, size, len(keys), at)
            turns.append((kind.floor(shop, turn), _taken(url, bodies, size, keys)))
    return _row(kind, words, turns)


def _row(kind: Kind, words: str, turns: list[tuple[float, float]]) -> Row:
    floor, ours = (statistics.median(column) for column in zip(*turns, strict=True))
    ratio = statistics.median(portal / bare for bare, portal in turns)
    figures = (f"{ours:,.0f}/s", f"{floor:,.0f}/s", f"{ratio:.2f}")
    return Row(kind.number, f"{kind.what}, {words}", *figures, kind.target)


def _prepare(shop: Shop, companies: int) -> list[str]:
    """The floor's table, and the companies; their keys."""
    with psycopg.connect(shop.owner_url(), autocommit=True) as connection:
        connection.execute(FLOOR)
        ids = range(FIRST_ID, FIRST_ID + companies)
        for id in ids:
            connection.execute(MAKE, {"id": id})
        return [_new_key(connection, id) for id in ids]


def _new_key(connection: psycopg.Connection, workspace_id: int) -> str:
    key = f"bk_bench{workspace_id}_{secrets.token_urlsafe(32)}"
    values = {"id": workspace_id, "hash": api_keys.digest(key), "scopes": [api_keys.WRITE]}
    connection.execute(KEY, values)
    return key


def _forget(shop: Shop) -> None:
    """Remove what was sent, and who sent it."""
    with psycopg.connect(shop.owner_url(), autocommit=True) as connection:
        for how in ("DISABLE", "ENABLE"):
            # ledgers refuse it, as they should
            for table in GROWN:
                connection.execute(f"ALTER TABLE {table} {how} TRIGGER USER")
            if how == "DISABLE":
                connection.execute(f"TRUNCATE floor_conversation_event, {', '.join(GROWN)}")
        for table in MADE:
            connection.execute(f"DELETE FROM {table} WHERE workspace_id >= {FIRST_ID}")
        connection.execute(f"DELETE FROM workspace WHERE id >= {FIRST_ID}")


def _taken(url: str, bodies: Iterator[str], size: int, keys: Sequence[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        script = posted_script(bodies, keys, Path(folder))
        measured = rate(url + PATH, SECONDS, script=script)
    if measured.failed:
        raise RuntimeError(f"{measured.failed} requests of events were not answered with 2xx")
    return measured.per_second * size


def _bodies(turn: str, requests: int, size: int, companies: int, at: datetime) -> Iterator[str]:
    """Conversations that were answered and confirmed: two events each, and one unit in the ledger.

    One by one, each company's answers come before its confirmations.
    """
    answered = at - timedelta(minutes=3)
    steps = (("ai_answered", answered), ("customer_confirmed", answered + timedelta(minutes=1)))
    for request in range(requests):
        if size == 1:
            block, place = divmod(request, 2 * companies)
            step, company = divmod(place, companies)
            yield json.dumps(_event(turn, block * companies + company, *steps[step]))
            continue
        first = request * size // 2
        conversations = range(first, first + size // 2)
        yield json.dumps([_event(turn, number, *step) for number in conversations for step in steps])


def _event(turn: str, conversation: int, type: str, at: datetime) -> dict[str, str]:
    return {
        "id": f"evt_{turn}_{conversation:09d}_{type}",
        "conversation_id": f"conv_{turn}_{conversation:09d}",
        "type": type,
        "occurred_at": at.isoformat(),
        "channel": "chat",
    }


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


# by the events in a request
KINDS = {
    BATCH: Kind("3", f"events taken in, {BATCH} to a request, rows", _copied, 6_000, "≥ 0.40"),
    1: Kind("4", "events taken in, one to a request", _inserted, 40_000, "≥ 0.18"),
}
