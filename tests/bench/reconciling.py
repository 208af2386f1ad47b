"""Row 9: closing a month for 25,000 workspaces and reconciling its ledger, against one query that sums it.

In a database of its own, as large as asked for; each side is run in turn and the best of three is kept.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from portal.db import SessionLocal, connect, unit_of_work
from portal.services import reconcile, usage_matches
from tests.bench.table import Row
from tests.database import TestServer

WORKSPACES = 25_000
ENTRIES = int(os.environ.get("BENCH_ENTRIES", "5000000"))
TIMES = 3
FOLDER = Path(__file__).resolve().parent.parent.parent / ".data" / "tests"
STARTS = datetime(2026, 11, 1, tzinfo=UTC)
ENDS = datetime(2026, 12, 1, tzinfo=UTC)
NOW = ENDS + timedelta(hours=2)

FLOOR = text("SELECT workspace_id, period_start, key, sum(quantity) FROM usage_entry GROUP BY 1, 2, 3")
# a month of resolutions that reached the meter, its invoices with six metered lines each, its rollup
FILL = (
    "INSERT INTO workspace (id, name) SELECT g, 'Bench' FROM generate_series(1, :workspaces) g",
    """
    INSERT INTO usage_period (workspace_id, starts_at, ends_at, stripe_subscription_id, state, closed_at,
      stripe_invoice_id)
    SELECT g, :starts, :ends, 'sub_' || g, 'closed', :now, 'in_' || g FROM generate_series(1, :workspaces) g
    """,
    """
    INSERT INTO usage_entry (workspace_id, period_start, key, source, kind, basis, quantity, at, channel,
      charge)
    SELECT 1 + n % :workspaces, :starts, 'resolution', 'c' || n || '#1', 'billable', 'assumed', 1,
      :starts + n % 2500000 * interval '1 second', 'chat', 'meter' FROM generate_series(1, :entries) n
    """,
    """
    INSERT INTO meter_event (workspace_id, identifier, key, event_name, stripe_customer_id, quantity, at,
      period_start, entry_id, state, first_tried_at, sent_at)
    SELECT workspace_id, workspace_id || '-' || encode(sha256(source::bytea), 'hex'), key, key,
      'cus_' || workspace_id, quantity, at, period_start, id, 'sent', at, at FROM usage_entry
    """,
    """
    INSERT INTO usage_day (workspace_id, period_start, key, channel, day, quantity, charged)
    SELECT workspace_id, period_start, key, channel, (at AT TIME ZONE 'UTC')::date, sum(quantity),
      sum(quantity)
    FROM usage_entry GROUP BY 1, 2, 3, 4, 5
    """,
    """
    INSERT INTO invoice (workspace_id, stripe_id, status, currency, subtotal, discount, tax, total,
      amount_due, amount_paid, starting_balance, lines, billing, issued_at, synced_at)
    SELECT e.workspace_id, 'in_' || e.workspace_id, 'paid', 'usd', 0, 0, 0, 0, 0, 0, 0, jsonb_build_array(
      jsonb_build_object('key', 'resolution', 'quantity', e.quantity, 'proration', false, 'amount', 0,
        'period_end', extract(epoch FROM CAST(:ends AS timestamptz))::bigint)) ||
      (SELECT jsonb_agg(jsonb_build_object('key', k, 'quantity', 0, 'proration', false, 'amount', 0,
        'period_end', extract(epoch FROM CAST(:ends AS timestamptz))::bigint))
       FROM unnest(ARRAY['sms', 'whatsapp', 'phone_minute', 'bulk_email', 'proactive_message']) k),
      '{}', :now, :now
    FROM (SELECT workspace_id, sum(quantity) AS quantity FROM usage_entry GROUP BY 1) e
    """,
    "ANALYZE",
)


@contextmanager
def month() -> Iterator[None]:
    """A filled database; services are connected to it."""
    facts = {"workspaces": WORKSPACES, "entries": ENTRIES, "starts": STARTS, "ends": ENDS, "now": NOW}
    with TestServer(FOLDER) as server, server.database() as made:
        owner = create_engine(made.owner_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with owner.connect() as connection:
            for statement in FILL:
                wanted = {name: facts[name] for name in facts if f":{name}" in statement}
                connection.execute(text(statement), wanted)
        engine = connect(made.app_url)
        yield
        SessionLocal.configure(bind=None)
        engine.dispose()


def best(work: Callable[[], Any]) -> float:
    """The shortest of a few runs, in seconds."""
    took = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return min(took)


def _patient(work: Callable[[Any], Any], settings: Any = reconcile.PATIENTLY) -> None:
    with unit_of_work(system=True) as session:
        session.execute(settings)
        work(session)


def closing() -> list[Row]:
    """Both rows; a statement may take as long as it does here."""
    facts = {"since": NOW - usage_matches.COMPARED_FOR, "keys": usage_matches.usage_keys(), "now": NOW}
    with month():
        floor = best(lambda: _patient(lambda session: session.execute(FLOOR).all()))
        closed = best(
            lambda: _patient(
                lambda session: session.execute(usage_matches.RECENT, facts).all(), usage_matches.AS_A_WHOLE
            )
        )
        summed = best(lambda: _patient(lambda session: reconcile.read(session, NOW)))
    size = f"{ENTRIES:,} entries"
    return [
        _row(f"closing a month for {WORKSPACES:,} workspaces, {size}", closed, floor),
        _row(f"reconciling {size}", summed, floor),
    ]


def _row(what: str, ours: float, floor: float) -> Row:
    return Row("9", what, f"{ours:.2f} s", f"{floor:.2f} s", f"{ours / floor:.2f}", "≤ 4")
