"""The ledger is the invoice: what a month's invoice bills of each key is what the ledger has, unit for unit.

Compared when the invoice becomes final, kept and shown. What differs is explained by rows of the outbox, set
right as far as rows can be, and looked at again until it matches; what nothing explains is for a person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Invoice, MeterEvent, UsageMatch
from portal.services import incidents, meter_countering, usage_moves, usage_periods
from portal.services.meter_events import CREDITING, SENT
from portal.services.usage_periods import Periods

MATCHED, EXPLAINED, UNEXPLAINED = "matched", "explained", "unexplained"
BATCH = 200
# a month is compared again for so long after it was closed, should the first time have been missed
COMPARED_FOR = timedelta(days=3)

# One statement for any number of workspaces: the ledger's sums and the invoices' lines side by side. A line's
# month is told by its end; of a graduated price there are several. A void invoice bills nothing.
COMPARED = """
WITH due AS (
  SELECT p.workspace_id, p.starts_at, p.ends_at, p.stripe_invoice_id FROM usage_period p
  JOIN invoice i ON i.workspace_id = p.workspace_id AND i.stripe_id = p.stripe_invoice_id
    AND i.status <> 'void'
  WHERE p.state = 'closed' AND {which}
), summed AS (
  SELECT e.workspace_id, e.period_start, e.key, sum(e.quantity)::bigint AS quantity
  FROM usage_entry e
  -- as wide as the months that are due: each row is not looked up, the few sums are
  WHERE e.charge = 'meter' AND e.period_start >= (SELECT min(starts_at) FROM due)
    AND e.period_start <= (SELECT max(starts_at) FROM due)
  GROUP BY 1, 2, 3
), ledger AS (
  SELECT s.* FROM summed s
  JOIN due d ON d.workspace_id = s.workspace_id AND d.starts_at = s.period_start
), billed AS (
  SELECT d.workspace_id, d.starts_at AS period_start, line ->> 'key' AS key,
    sum((line ->> 'quantity')::bigint)::bigint AS quantity
  FROM due d JOIN invoice i ON i.workspace_id = d.workspace_id AND i.stripe_id = d.stripe_invoice_id
  CROSS JOIN LATERAL jsonb_array_elements(i.lines) AS line
  WHERE line ->> 'key' = ANY(:keys) AND NOT (line ->> 'proration')::boolean
    AND (line ->> 'period_end')::bigint = extract(epoch FROM d.ends_at)::bigint
  GROUP BY 1, 2, 3
), compared AS (
  SELECT workspace_id, period_start, key, coalesce(l.quantity, 0) AS ledger,
    coalesce(b.quantity, 0) AS invoiced
  FROM ledger l FULL JOIN billed b USING (workspace_id, period_start, key)
  WHERE coalesce(l.quantity, 0) <> 0 OR coalesce(b.quantity, 0) <> 0 OR EXISTS (
    SELECT FROM usage_match k WHERE k.workspace_id = coalesce(l.workspace_id, b.workspace_id)
      AND k.period_start = coalesce(l.period_start, b.period_start) AND k.key = coalesce(l.key, b.key))
), stored AS (
  INSERT INTO usage_match AS m
    (workspace_id, period_start, key, stripe_invoice_id, ledger, invoiced, state, parts, compared_at)
  SELECT c.workspace_id, c.period_start, c.key, d.stripe_invoice_id, c.ledger, c.invoiced,
    CASE WHEN c.ledger = c.invoiced THEN 'matched' ELSE 'unexplained' END, '{{}}', :now
  FROM compared c JOIN due d ON d.workspace_id = c.workspace_id AND d.starts_at = c.period_start
  ON CONFLICT (workspace_id, period_start, key) DO UPDATE SET
    ledger = excluded.ledger, invoiced = excluded.invoiced, state = excluded.state, parts = '{{}}',
    compared_at = excluded.compared_at
  WHERE (m.ledger, m.invoiced) <> (excluded.ledger, excluded.invoiced)
)
SELECT workspace_id, period_start, key, ledger, invoiced FROM compared
"""
OF_INVOICE = text(COMPARED.format(which="p.stripe_invoice_id = :invoice"))
OF_PERIOD = text(COMPARED.format(which="p.starts_at = :period"))
RECENT = text(COMPARED.format(which="p.closed_at >= :since"))

# A month of all workspaces takes longer than any page may; and how many months are due the planner cannot
# know: looking each of the sums up in all of them would take minutes.
AS_A_WHOLE = text(
    "SELECT set_config('statement_timeout', '30min', true), set_config('enable_nestloop', 'off', true)"
)

# rows that are not where an invoice would have them, by why; those taken back too late count against it
PARTS = text("""
SELECT CASE
    WHEN m.state = 'waiting' THEN 'waiting'
    WHEN m.state = 'failed' AND m.resent_as IS NULL AND m.error NOT LIKE 'after_end%' THEN 'failed'
    WHEN m.state = 'sending' THEN 'sending'
    WHEN m.state = 'cancelling' THEN 'cancelling'
    WHEN m.state = 'sent' AND m.resent_as IS NULL AND m.sent_at > :issued THEN 'late'
    WHEN m.state = 'cancelled' AND m.cancelled_at > :issued AND m.resent_as IS NULL THEN 'cancelled_late'
  END AS part, sum(m.quantity)::bigint AS quantity, array_agg(m.identifier) AS identifiers
FROM meter_event m WHERE m.period_start = :period AND m.key = :key GROUP BY 1
""")


def usage_keys() -> list[str]:
    """Every key that is counted by a meter in any catalogue."""
    return sorted({key for catalog in pricing.catalogs() for key in catalog.usage})


def of_invoice(session: Session, invoice_id: str) -> list[UsageMatch]:
    """The stored comparisons of an invoice's usage with the ledger, by key."""
    return list(
        session.scalars(
            select(UsageMatch)
            .where(UsageMatch.stripe_invoice_id == invoice_id)
            .order_by(UsageMatch.period_start, UsageMatch.key)
        )
    )


def compare(session: Session, invoice_id: str, now: datetime) -> None:
    """Compare the months that a final invoice closed, in the transaction that closes them."""
    facts = {"invoice": invoice_id, "keys": usage_keys(), "now": now}
    rows = session.execute(OF_INVOICE, facts).all()
    for row in rows:
        if row.ledger != row.invoiced:
            _explain(session, _get(session, row.period_start, row.key))


def compare_recent(gateways: Gateways) -> tuple[int, int]:
    """Compare all months that were closed lately, in one statement; how many keys, and how many differ."""
    now = gateways.clock.now()
    facts = {"since": now - COMPARED_FOR, "keys": usage_keys(), "now": now}
    with unit_of_work(system=True) as session:
        session.execute(AS_A_WHOLE)
        rows = session.execute(RECENT, facts).all()
    return len(rows), sum(row.ledger != row.invoiced for row in rows)


def _get(session: Session, period_start: datetime, key: str) -> UsageMatch:
    return session.scalars(
        select(UsageMatch)
        .where(UsageMatch.period_start == period_start, UsageMatch.key == key)
        .execution_options(populate_existing=True)
    ).one()


@dataclass(frozen=True)
class Part:
    """Rows that explain a part of a difference: their units, and their identifiers."""

    quantity: int
    identifiers: Sequence[str]


def _parts(session: Session, match: UsageMatch) -> dict[str, Part]:
    issued = session.scalars(
        select(Invoice.issued_at).where(Invoice.stripe_id == match.stripe_invoice_id)
    ).one()
    facts = {"period": match.period_start, "key": match.key, "issued": issued}
    rows = session.execute(PARTS, facts)
    return {row.part: Part(row.quantity, row.identifiers) for row in rows if row.part}


def _explain(session: Session, match: UsageMatch) -> dict[str, Part]:
    """Note which rows the difference comes from; all of them."""
    parts = _parts(session, match)
    match.parts = {name: part.quantity for name, part in parts.items()}
    match.state = MATCHED
    if match.ledger != match.invoiced:
        match.state = EXPLAINED if explains(match.ledger - match.invoiced, match.parts) else UNEXPLAINED
    return parts


def explains(difference: int, parts: Mapping[str, object]) -> bool:
    """Whether ledger minus invoice can come from these rows.

    What waits, failed or came too late is missing on the invoice; what was cancelled too late is on it. Of
    what is being sent or cancelled nobody knows yet.
    """
    units = {name: int(str(quantity)) for name, quantity in parts.items()}
    certain = sum(units.get(name, 0) for name in ("waiting", "failed", "late"))
    rest = difference - certain + units.get("cancelled_late", 0)
    open_ends = (units.get("sending", 0), -units.get("cancelling", 0))
    return sum(min(end, 0) for end in open_ends) <= rest <= sum(max(end, 0) for end in open_ends)


def sweep(gateways: Gateways) -> int:
    """Look again at what did not match: set right what rows can, tell a person of the rest; how many."""
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(UsageMatch.workspace_id, UsageMatch.period_start, UsageMatch.key)
            .where(UsageMatch.state != MATCHED)
            .order_by(func.random())
            .limit(BATCH)
        ).all()
    for workspace_id, period_start, key in due:
        with unit_of_work(workspace_id) as session:
            _look_again(session, gateways, workspace_id, period_start, key)
    return len(due)


def _look_again(
    session: Session, gateways: Gateways, workspace_id: int, period_start: datetime, key: str
) -> None:
    now = gateways.clock.now()
    periods = usage_periods.locked(session, since=period_start, until=now, now=now)
    _compare_period(session, period_start, now)
    match = _get(session, period_start, key)
    parts = _explain(session, match)
    if _set_right(session, workspace_id, match, parts, periods):
        session.flush()
        _compare_period(session, period_start, now)
        match = _get(session, period_start, key)
        _explain(session, match)
    if match.state == UNEXPLAINED:
        _tell(session, gateways, match)


def _compare_period(session: Session, period_start: datetime, now: datetime) -> None:
    session.execute(OF_PERIOD, {"period": period_start, "keys": usage_keys(), "now": now})


def _set_right(
    session: Session, workspace_id: int, match: UsageMatch, parts: Mapping[str, Part], periods: Periods
) -> bool:
    """Bill what came too late with the open month, give back what was taken back too late; whether any."""
    if match.ledger < 0 and match.invoiced == 0:
        return _credit_shortfall(session, workspace_id, match, periods)
    done = False
    for row in _rows(session, parts.get("late")):
        done |= usage_moves.send_again(session, workspace_id, row, periods) is not None
    for row in _rows(session, parts.get("cancelled_late")):
        meter_countering.counter(session, row, periods)
        row.resent_as = row.identifier + meter_countering.REVERSAL
        done = True
    return done


def _rows(session: Session, part: Part | None) -> Sequence[MeterEvent]:
    if part is None:
        return []
    return session.scalars(
        select(MeterEvent)
        .where(MeterEvent.identifier.in_(part.identifiers))
        .order_by(MeterEvent.identifier)
        .with_for_update()
    ).all()


def _credit_shortfall(session: Session, workspace_id: int, match: UsageMatch, periods: Periods) -> bool:
    """A month's sum ended below zero and was billed as nothing: the last of what it took back is credited."""
    negative = session.scalars(
        select(MeterEvent)
        .where(
            MeterEvent.period_start == match.period_start,
            MeterEvent.key == match.key,
            MeterEvent.state == SENT,
            MeterEvent.quantity < 0,
        )
        .order_by(MeterEvent.at.desc(), MeterEvent.identifier)
        .with_for_update()
    )
    short = match.ledger
    done = False
    for row in negative:
        if short >= 0 or row.quantity < short:
            break
        entry = usage_moves.entry_of(session, row)
        usage_moves.credit_instead(session, workspace_id, entry, customer_id=periods.customer_id)
        row.state = CREDITING
        short -= row.quantity
        done = True
    return done


def _tell(session: Session, gateways: Gateways, match: UsageMatch) -> None:
    incidents.report(
        session,
        gateways,
        "usage_mismatch",
        dedupe_key=f"usage_mismatch:{match.workspace_id}:{match.stripe_invoice_id}:{match.key}",
        workspace_id=match.workspace_id,
        summary=f"An invoice bills {match.invoiced} units of {match.key}, the ledger has {match.ledger}",
        details={"invoice": match.stripe_invoice_id, "parts": dict(match.parts)},
    )
