"""The ledger of usage: entries with their rollup and what Stripe is to be told, written in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from portal.gateways.jobs import soon
from portal.models import UsageDay, UsagePeriod
from portal.services import allowances, bulk, credit_ledger, meter_events
from portal.services.usage_periods import RESOLUTION

# kinds: a resolution, its reversal, another key's units, and what corrects where one of them stands
BILLABLE, REVERSAL, USAGE, CORRECTION = "billable", "reversal", "usage", "correction"
# a correction that Stripe heard of too late: billed with its month, and taken back with a later one
CARRIED = "carried"
# charges: by Stripe's meter, not at all, or given back by a credit note, which the meter knows nothing of
METER, TRIAL, OVER_CAP, CREDITED = "meter", "trial", "over_cap", "credited"

# why an entry is not where one would look for it
LATE = "late"  # its own month was closed: it is in the open one, stamped when it was found out
LATE_EVENT = "late_event"  # an event that arrived late made it another outcome
AFTER_END = "after_end"  # the subscription had ended; what is owed for it is credited
CONTESTED = "contested"
NOTES = (LATE, LATE_EVENT, AFTER_END, CONTESTED)

# a day's sums, of whatever entries; those by kind are the lengths of the lists of the units that stand there
DAYS = """
  SELECT workspace_id, period_start, key, channel, (at AT TIME ZONE 'UTC')::date,
    sum(quantity), coalesce(sum(quantity) FILTER (WHERE charge = 'meter'), 0),
    coalesce(sum(quantity) FILTER (WHERE basis = 'confirmed' AND kind IN ('billable', 'correction')), 0),
    coalesce(sum(quantity) FILTER (WHERE basis = 'assumed' AND kind IN ('billable', 'correction')), 0),
    -coalesce(sum(quantity) FILTER (WHERE kind = 'reversal'), 0)
""".strip()
REBUILD = text(f"""
INSERT INTO usage_day (workspace_id, period_start, key, channel, day,
  quantity, charged, confirmed, assumed, reversed)
{DAYS}
FROM usage_entry WHERE period_start = :period AND key = :key GROUP BY 1, 2, 3, 4, 5
""")

WRITE = f"""
WITH sent AS MATERIALIZED (
  SELECT * FROM unnest(%(period_start)s::timestamptz[], %(key)s::text[], %(source)s::text[], %(kind)s::text[],
    %(quantity)s::bigint[], %(at)s::timestamptz[], %(channel)s::text[], %(charge)s::text[], %(basis)s::text[],
    %(note)s::text[], %(occurred_at)s::timestamptz[], %(sent_quantity)s::bigint[], %(outbox)s::text[],
    %(identifier)s::text[]) AS s (period_start, key, source, kind, quantity, at, channel, charge, basis,
    note, occurred_at, sent_quantity, outbox, identifier)
), entry AS (
  INSERT INTO usage_entry (workspace_id, period_start, key, source, kind, basis, quantity, at, channel,
    charge, note, occurred_at, sent_quantity)
  SELECT %(workspace)s, period_start, key, source, kind, basis, quantity, at, channel, charge,
    note, occurred_at, sent_quantity FROM sent
  ON CONFLICT DO NOTHING
  RETURNING workspace_id, period_start, id, key, source, kind, basis, quantity, at, channel, charge
), outbox AS ({meter_events.ENQUEUE}
), day AS (
  INSERT INTO usage_day AS d (workspace_id, period_start, key, channel, day,
    quantity, charged, confirmed, assumed, reversed)
  {DAYS}
  FROM entry GROUP BY 1, 2, 3, 4, 5
  ON CONFLICT (workspace_id, period_start, key, channel, day) DO UPDATE SET
    quantity = d.quantity + excluded.quantity, charged = d.charged + excluded.charged,
    confirmed = d.confirmed + excluded.confirmed, assumed = d.assumed + excluded.assumed,
    reversed = d.reversed + excluded.reversed
), used AS (
  UPDATE usage_period p SET used = p.used + s.quantity
  FROM (SELECT period_start, sum(quantity) AS quantity FROM entry WHERE key = 'resolution' GROUP BY 1) s
  WHERE p.workspace_id = %(workspace)s AND p.starts_at = s.period_start
)
SELECT count(*), EXISTS (SELECT FROM credit_lot) FROM entry
"""  # noqa: S608 (all of it is ours)


@dataclass(slots=True)
class Entry:
    """One line of the ledger; ``outbox`` is the state in which Stripe's meter is to hear of it, if at all."""

    period_start: datetime
    key: str
    source: str
    kind: str
    quantity: int
    at: datetime
    channel: str
    charge: str
    basis: str | None = None
    note: str | None = None
    occurred_at: datetime | None = None
    sent_quantity: int | None = None
    outbox: str | None = None
    identifier: str | None = None


ENTRY = tuple(field.name for field in fields(Entry))


def write(session: Session, workspace_id: int, entries: Sequence[Entry], *, customer_id: str | None) -> int:
    """Add entries, their sums and the outbox's rows, and let credits follow; how many were not there before.

    The periods' rows are locked by the caller, so that sums are written one after the other.
    """
    if any(entry.outbox for entry in entries):
        soon(session, meter_events.REPORT)
    values = bulk.columns(entries, ENTRY) | {"workspace": workspace_id, "customer": customer_id}
    [(added, has_credits)] = bulk.run(session, WRITE, values)
    for month in {each.period_start for each in entries if each.key == RESOLUTION and each.quantity < 0}:
        allowances.recount(session, month)
    metered = [each for each in entries if each.charge == METER and each.key == RESOLUTION]
    if added and has_credits and metered:
        months = {each.period_start for each in metered}
        credit_ledger.follow(session, at=max(each.at for each in metered), also=months)
    return int(added)


def charged(session: Session, period_start: datetime, key: str) -> int:
    """The sum of what is charged in a period so far."""
    total = select(func.coalesce(func.sum(UsageDay.charged), 0)).where(
        UsageDay.period_start == period_start, UsageDay.key == key
    )
    return int(session.scalar(total) or 0)


def rebuild(session: Session, period_start: datetime, key: str) -> None:
    """Derive a period's sums of one key anew from its entries; whoever adds some waits meanwhile."""
    period = select(UsagePeriod.starts_at).where(UsagePeriod.starts_at == period_start).with_for_update()
    session.execute(period)
    own = (UsageDay.period_start == period_start, UsageDay.key == key)
    session.execute(delete(UsageDay).where(*own))
    session.execute(REBUILD, {"period": period_start, "key": key})
