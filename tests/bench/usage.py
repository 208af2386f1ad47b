"""Row 6: the usage page over ledgers of growing size, beside the same page over an empty one.

Where the ledgers are large, events are taken in beside them, too: one filling serves both.
"""

import http.client
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
from sqlalchemy import Connection, event, text

from portal.db import SessionLocal, connect, unit_of_work
from portal.services import demo_usage, usage
from portal.services.demo_usage import Shape
from portal.services.usage import Period
from tests.bench import ingestion
from tests.bench.load import percentile
from tests.bench.shop import Shop
from tests.bench.table import Row
from tests.journeys.customer import ESSENTIAL_MONTH, Customer

# so many requests, so many a second: the page's own time, not that of a queue
REQUESTS, PER_SECOND = 400, 40.0
ROUNDS = 3
DAYS = 25
MILLION = 1_000_000
SIZES = (MILLION,)
LARGE_SIZES = [int(size) * MILLION for size in os.environ.get("BENCH_MILLIONS", "1 5 20").split()]
TARGET = "p99 ≤ 10 ms, flat; SQL ≤ 1 ms"
NOW = text("SELECT max(starts_at) + :days FROM usage_period")
_DAYS = {"days": timedelta(days=DAYS)}
Beside = Callable[[Shop, int, datetime, str], list[Row]]


def page(shop: Shop) -> list[Row]:
    """The page over an empty ledger and over one of a million entries."""
    return measure(shop, SIZES)


def large(shop: Shop) -> list[Row]:
    """The same over large ledgers, with all their events, and rows 3 and 4 beside them."""
    return measure(shop, LARGE_SIZES, beside=ingestion.beside)


def measure(shop: Shop, sizes: Sequence[int], *, beside: Beside | None = None) -> list[Row]:
    """Fill the present period of a fresh customer step by step, and look at its page after each.

    ``beside`` is what else is measured at each size.
    """
    customer = _fresh(shop)
    with database(shop), shop.worker_asleep():
        workspace_id = _workspace_of(shop, customer.email)
        figures = _figures(_latency(shop, customer), sql_time(workspace_id))
        rows = [Row("6", "/usage, an empty ledger", figures, target=TARGET)]
        also = beside or (lambda *_: [])
        rows += also(shop, workspace_id, _now(workspace_id), "an empty ledger")
        filled = 0
        for number, size in enumerate(sizes, start=1):
            fill(workspace_id, size - filled, Shape(number, events=beside is not None))
            filled = size
            rows.append(
                _beside_empty(shop, customer, workspace_id, f"/usage, {size:,} units of the workspace")
            )
            rows += also(shop, workspace_id, _now(workspace_id), f"{size:,} units")
    return rows


def _beside_empty(shop: Shop, customer: Customer, workspace_id: int, what: str) -> Row:
    """The page beside that of who has used nothing, at the same moment."""
    empty, ours = _latency(shop, shop.buyer), _latency(shop, customer)
    ratio = f"{percentile(ours, 0.5) / percentile(empty, 0.5):.2f}"
    return Row("6", what, _figures(ours, sql_time(workspace_id)), _figures(empty), ratio, TARGET)


def _fresh(shop: Shop) -> Customer:
    """Who has bought and not used, most of a month ago."""
    browser = shop.buyer.context.browser
    assert browser
    customer = Customer(shop.stack, browser.new_context())
    customer.buy(ESSENTIAL_MONTH)
    shop.stack.advance(int(timedelta(days=DAYS).total_seconds()))
    return customer


@contextmanager
def database(shop: Shop) -> Iterator[None]:
    """The portal's own database, as the application sees it, with patience for what is bulky."""
    url = shop.worker_environment()["PORTAL_DATABASE_URL"]
    engine = connect(url, pool_size=1, max_overflow=1)

    @event.listens_for(engine, "connect")
    def patient(connection: Any, _record: Any) -> None:
        connection.execute("SET statement_timeout = 0")
        connection.commit()

    try:
        yield
    finally:
        SessionLocal.configure(bind=None)
        engine.dispose()


def fill(workspace_id: int, size: int, shape: Shape) -> None:
    """``size`` further units in the present period, then what a database does by itself over night."""
    now = _now(workspace_id)
    with unit_of_work(workspace_id) as session:
        period = usage.find(session, now)
    assert isinstance(period, Period)
    demo_usage.fill(workspace_id, period, now, size, shape)


def _now(workspace_id: int) -> datetime:
    with unit_of_work(workspace_id) as session:
        return session.execute(NOW, _DAYS).scalar_one()


def sql_time(workspace_id: int) -> float:
    """What the database itself takes to read the page's numbers: milliseconds, the best of a few."""
    return min(_sql_once(workspace_id) for _ in range(ROUNDS))


def _sql_once(workspace_id: int) -> float:
    now = _now(workspace_id)
    with unit_of_work(workspace_id) as session:
        connection = session.connection()
        with _listening(connection) as asked:
            assert usage.read(session, now) is not None
        return sum(_explain(connection, statement, values) for statement, values in asked)


@contextmanager
def _listening(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    asked: list[tuple[str, Any]] = []

    def hear(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", hear)
    try:
        yield asked
    finally:
        event.remove(connection, "before_cursor_execute", hear)


def _explain(connection: Connection, statement: str, values: Any) -> float:
    plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).scalar_one()
    return float(plan[0]["Execution Time"])


def _workspace_of(shop: Shop, email: str) -> int:
    with psycopg.connect(shop.owner_url()) as connection:
        found = connection.execute(
            "SELECT workspace_id FROM member m JOIN user_account u ON u.id = m.user_id WHERE u.email = %s",
            [email],
        ).fetchone()
    assert found
    return int(found[0])


def _latency(shop: Shop, customer: Customer) -> list[float]:
    """The latencies of the page in milliseconds, sorted, at a fixed rate over one connection."""
    parts = urlsplit(shop.stack.url)
    headers = {"Cookie": shop.cookie(customer), "Accept": "text/html"}
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    taken = []
    begin = time.perf_counter()
    for number in range(REQUESTS):
        time.sleep(max(0.0, begin + number / PER_SECOND - time.perf_counter()))
        started = time.perf_counter()
        connection.request("GET", "/usage", headers=headers)
        answer = connection.getresponse()
        answer.read()
        taken.append((time.perf_counter() - started) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"/usage answered {answer.status}")
    connection.close()
    return sorted(taken[REQUESTS // 10 :])


def _figures(latencies: list[float], sql: float | None = None) -> str:
    found = f"p50 {percentile(latencies, 0.5):.1f} ms, p99 {percentile(latencies, 0.99):.1f} ms"
    return found if sql is None else f"{found}, SQL {sql:.2f} ms"
