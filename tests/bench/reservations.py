"""Row 5: a unit held under a cap, for 64 clients of one workspace and of 64."""

import re
import secrets
import statistics
import subprocess
import tempfile

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier, Placeholder
from psycopg.types.json import Jsonb

from portal.development.postgres import EmbeddedPostgres
from portal.services import api_keys
from tests.bench.ingestion import LIMITS
from tests.bench.load import rate
from tests.bench.shop import Shop, serve
from tests.bench.table import Row

SECONDS = 5
ROUNDS = 3
CLIENTS = 64
# as in the other rows; more would only wait for each other on one row
UPDATERS = 8
PATH = "/v1/reservations"
# a cap that holds and is never reached
CAP = 10**9
# the workspaces of the benchmark, far from those that sign up
FIRST = 900_001
FLOOR = """
CREATE TABLE IF NOT EXISTS floor_allowance (id bigint PRIMARY KEY, held bigint NOT NULL)
WITH (fillfactor = 50)
"""
UPDATE = """\
\\set n random(1, {rows})
UPDATE floor_allowance SET held = held + 1 WHERE id = :n RETURNING held;
"""
# each conversation is new, and the keys take turns
ASK = """
local keys = {{{keys}}}
local asked = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
function request()
  asked = asked + 1
  wrk.headers["Authorization"] = "Bearer " .. keys[asked % #keys + 1]
  return wrk.format(nil, nil, nil, '{{"conversation_id":"{turn}_' .. asked .. '"}}')
end
"""


def holding(shop: Shop) -> list[Row]:
    """Reservations a second, on one hot row and on 64."""
    keys = _prepare(shop)
    turns: dict[int, list[tuple[float, float]]] = {1: [], CLIENTS: []}
    with serve("wsgi:app", {**shop.worker_environment(), **LIMITS}) as url, shop.worker_asleep():
        for turn in range(ROUNDS):
            for rows, measured in turns.items():
                measured.append((_floor(shop, rows), _held(url, keys[:rows], f"{rows}_{turn}")))
    return [
        _row(f"a unit held under a cap, {CLIENTS} clients of one workspace", turns[1]),
        _row(f"the same of {CLIENTS} workspaces", turns[CLIENTS]),
    ]


def _row(what: str, turns: list[tuple[float, float]]) -> Row:
    floor, ours = (statistics.median(column) for column in zip(*turns, strict=True))
    ratio = statistics.median(portal / bare for bare, portal in turns)
    return Row("5", what, f"{ours:,.0f}/s", f"{floor:,.0f}/s", f"{ratio:.2f}", "≥ 0.15")


def _held(url: str, keys: list[str], turn: str) -> float:
    script = ASK.format(keys=", ".join(f'"{key}"' for key in keys), turn=turn)
    measured = rate(url + PATH, SECONDS, script=script, connections=CLIENTS)
    if measured.failed:
        raise RuntimeError(f"{measured.failed} reservations were not answered with 2xx")
    return measured.per_second


def _floor(shop: Shop, rows: int) -> float:
    """The bare UPDATE and commit, on eight connections, by PostgreSQL's own pgbench."""
    programs = EmbeddedPostgres(shop.stack.data / "postgres").programs
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(UPDATE.format(rows=rows))
        script.flush()
        command = [str(programs / "pgbench"), "-n", "-M", "prepared", f"-c{UPDATERS}", "-j2", f"-T{SECONDS}"]
        done = subprocess.run(
            [*command, "-f", script.name, shop.owner_url()], check=True, capture_output=True, text=True
        )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench said:\n{done.stdout}{done.stderr}")
    return float(found[1])


def _prepare(shop: Shop) -> list[str]:
    """The floor's rows, and 64 workspaces as the one that has bought, each with a cap and a key; the keys."""
    keys = [f"bk_HOLD{number:06}_{secrets.token_urlsafe(32)}" for number in range(CLIENTS)]
    with psycopg.connect(shop.owner_url(), autocommit=True) as connection:
        connection.execute(FLOOR)
        connection.execute("TRUNCATE floor_allowance")
        connection.execute(
            "INSERT INTO floor_allowance SELECT n, 0 FROM generate_series(1, %s) n", (CLIENTS,)
        )
        for number, key in enumerate(keys):
            _copy_buyer(connection, FIRST + number)
            connection.execute(
                "INSERT INTO api_key (id, workspace_id, name, prefix, hash, scopes, created_at)"
                " VALUES (%s, %s, 'Bench', %s, %s, %s, now())",
                (f"K-HOLD{number:06}", FIRST + number, key[:13], api_keys.digest(key), [api_keys.WRITE]),
            )
    return keys


def _copy_buyer(connection: psycopg.Connection, workspace_id: int) -> None:
    """A workspace with the subscription and the usage period of the one that has bought, and a cap."""
    connection.execute("INSERT INTO workspace (id, name) VALUES (%s, 'Bench')", (workspace_id,))
    for table in ("subscription", "usage_period"):
        cursor = connection.cursor(row_factory=dict_row)
        found = cursor.execute(
            SQL("SELECT t.* FROM {} t JOIN subscription s USING (workspace_id) WHERE s.access = 'active'"
                " ORDER BY workspace_id LIMIT 1").format(Identifier(table))
        ).fetchone()  # fmt: skip
        assert found
        values = {
            name: Jsonb(value) if isinstance(value, (dict, list)) else value for name, value in found.items()
        }
        values["workspace_id"] = workspace_id
        connection.execute(
            SQL("INSERT INTO {} ({}) VALUES ({})").format(
                Identifier(table),
                SQL(", ").join(map(Identifier, values)),
                SQL(", ").join(map(Placeholder, values)),
            ),
            values,
        )
    connection.execute(
        "INSERT INTO usage_limit (workspace_id, cap_units) VALUES (%s, %s)", (workspace_id, CAP)
    )
