"""Every night: ledger, outbox, Stripe's meters and the pages' rollup are held against each other, by period.

All sums of our rows are read in one statement for all workspaces. Then Stripe's sums are asked for, period by
period. A difference is explained by rows that wait, are on their way, failed or came late, and kept; what
nothing explains is for a person. Stripe reckons in whole minutes: of a period that begins and ends within one
the whole minutes between are asked for, and its edges are left to the invoice.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Row, delete, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import PortalError
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError
from portal.models import UsageDifference
from portal.services import incidents, usage_ledger, usage_matches

log = structlog.get_logger()

MINUTE = timedelta(minutes=1)
# of periods that ended longer ago than this, only the invoices count
LOOKED_BACK = timedelta(days=3)
# what was sent a moment ago may not be in Stripe's sums yet
SETTLED_AFTER = timedelta(hours=1)
# questions to Stripe at the same time, and rows that are asked about in one piece
ASKING = 8
PIECE = 500
EXPLAINED, UNEXPLAINED = "explained", "unexplained"

SUMS = text("""
WITH period AS (
  SELECT workspace_id, starts_at, ends_at FROM usage_period
  WHERE ends_at > :since AND (CAST(:workspace AS bigint) IS NULL OR workspace_id = :workspace)
), ledger AS (
  SELECT workspace_id, period_start, key, sum(quantity)::bigint AS metered
  FROM usage_entry
  -- as wide as the periods that are looked at: each row is not looked up, the few sums are
  WHERE charge = 'meter' AND period_start >= (SELECT min(starts_at) FROM period)
    AND (CAST(:workspace AS bigint) IS NULL OR workspace_id = :workspace)
  GROUP BY 1, 2, 3
), kinds AS (
  -- by few columns, and what is rare in sums of its own: so few groups are foreseen that cores share the work
  SELECT m.workspace_id, m.period_start, m.key, m.state, sum(m.quantity) AS quantity,
    sum(m.quantity) FILTER (WHERE m.resent_as IS NOT NULL) AS resent,
    sum(m.quantity) FILTER (
      WHERE m.resent_as IS NULL AND (m.error IS NULL OR m.error NOT LIKE 'after_end%')) AS owed,
    sum(m.quantity) FILTER (WHERE m.sent_at IS NOT NULL) AS reached,
    sum(m.quantity) FILTER (WHERE m.sent_at > :fresh) AS fresh,
    sum(m.quantity) FILTER (WHERE m.sent_at IS NOT NULL
      AND (m.at < m.period_start + interval '1 minute'
        AND m.at < date_trunc('minute', m.period_start + interval '59 seconds 999999 microseconds')
        OR m.at >= date_trunc('minute', p.ends_at))) AS edges
  FROM meter_event m
  -- when its period ends is looked up of what may be as late as that, and of no other row
  LEFT JOIN usage_period p ON p.workspace_id = CASE WHEN m.at >= :late THEN m.workspace_id END
    AND p.starts_at = m.period_start AND p.ends_at > :since
  WHERE m.period_start >= (SELECT min(starts_at) FROM period)
    AND (CAST(:workspace AS bigint) IS NULL OR m.workspace_id = :workspace)
  GROUP BY 1, 2, 3, 4
), outbox AS (
  SELECT workspace_id, period_start, key,
    sum(owed) FILTER (WHERE state IN ('waiting', 'sending', 'sent', 'failed'))::bigint AS owed,
    sum(reached) FILTER (WHERE state NOT IN ('cancelled', 'failed'))::bigint AS reached,
    sum(edges) FILTER (WHERE state NOT IN ('cancelled', 'failed'))::bigint AS edges,
    sum(fresh) FILTER (WHERE state NOT IN ('cancelled', 'failed'))::bigint AS fresh,
    sum(quantity) FILTER (WHERE state = 'waiting')::bigint AS waiting,
    sum(quantity) FILTER (WHERE state = 'sending')::bigint AS sending,
    sum(quantity) FILTER (WHERE state = 'cancelling')::bigint AS cancelling,
    sum(quantity - coalesce(resent, 0)) FILTER (WHERE state = 'failed')::bigint AS failed,
    sum(resent) FILTER (WHERE state = 'sent')::bigint AS late,
    sum(reached) FILTER (WHERE state IN ('crediting', 'credited'))::bigint AS credited
  FROM kinds GROUP BY 1, 2, 3
), rollup AS (
  SELECT workspace_id, period_start, key, sum(charged)::bigint AS charged
  FROM usage_day
  WHERE period_start >= (SELECT min(starts_at) FROM period)
    AND (CAST(:workspace AS bigint) IS NULL OR workspace_id = :workspace)
  GROUP BY 1, 2, 3
), held AS (
  SELECT * FROM ledger
  FULL JOIN outbox USING (workspace_id, period_start, key)
  FULL JOIN rollup USING (workspace_id, period_start, key)
)
SELECT h.workspace_id, h.period_start, p.ends_at, h.key, coalesce(metered, 0) AS metered,
  coalesce(charged, 0) AS charged, coalesce(owed, 0) AS owed, coalesce(edges, 0) AS edges,
  coalesce(reached, 0) - coalesce(edges, 0) AS sent,
  fresh, waiting, sending, cancelling, failed, late, credited,
  CASE WHEN owed IS NOT NULL OR reached IS NOT NULL THEN b.stripe_customer_id END AS customer
FROM held h JOIN period p ON p.workspace_id = h.workspace_id AND p.starts_at = h.period_start
LEFT JOIN billing_details b ON b.workspace_id = h.workspace_id
ORDER BY 1, 2, 4
""")
# A whole night's sums take longer than any page may, and stay in memory: those of 25,000 workspaces would be
# written to disk and read again.
PATIENTLY = text(
    "SELECT set_config('statement_timeout', '30min', true), set_config('work_mem', '64MB', true)"
)
PARTS = ("waiting", "sending", "cancelling", "failed", "late", "credited", "fresh")


@dataclass(frozen=True)
class Sums:
    """Our side of one key in one period.

    ``sent`` is what Stripe should say of its whole minutes, ``edges`` what was sent in the others; ``owed``
    what the outbox has or had to send.
    """

    workspace_id: int
    period_start: datetime
    ends_at: datetime
    key: str
    metered: int
    charged: int
    owed: int
    sent: int
    edges: int
    parts: dict[str, int]
    customer: str | None

    @property
    def whole(self) -> int:
        """What the ledger has in the period's whole minutes: Stripe's sums can be held against no more."""
        return self.metered - self.edges


@dataclass
class Found:
    """What a run came to."""

    compared: int = 0
    asked: int = 0
    explained: int = 0
    unexplained: int = 0
    unanswered: int = 0
    invoices: tuple[int, int] = field(default=(0, 0))  # keys compared, and those that differ

    def __str__(self) -> str:
        keys, differ = self.invoices
        return (
            f"{self.compared} sums compared, {self.asked} with Stripe ({self.unanswered} not answered): "
            f"{self.explained} differences explained, {self.unexplained} not. "
            f"{keys} sums of invoices compared, {differ} differ."
        )


def run(gateways: Gateways, *, workspace_id: int | None = None) -> Found:
    """Compare everything of the periods that are open or ended lately, of one workspace or all."""
    now = gateways.clock.now()
    found = Found()
    ours = sums(now, workspace_id=workspace_id)
    found.compared = len(ours)
    meters = _meters(gateways)
    for start in range(0, len(ours), PIECE):
        _piece(gateways, ours[start : start + PIECE], meters, now, found)
    if workspace_id is None:
        found.invoices = usage_matches.compare_recent(gateways)
    usage_matches.sweep(gateways)
    log.info("reconciled", outcome=str(found))
    return found


def sums(now: datetime, *, workspace_id: int | None = None) -> list[Sums]:
    """All sums of our own rows."""
    with unit_of_work(system=True) as session:
        session.execute(PATIENTLY)
        return read(session, now, workspace_id=workspace_id)


def read(session: Session, now: datetime, *, workspace_id: int | None = None) -> list[Sums]:
    """The same in the system's ``session``, in one statement."""
    since = now - LOOKED_BACK
    facts = {
        "since": since,
        # before it no period that is looked at has its last whole minute
        "late": _minute(since),
        "fresh": now - SETTLED_AFTER,
        "workspace": workspace_id,
    }
    return [_sums(row) for row in session.execute(SUMS, facts)]


def _sums(row: Row[tuple[object, ...]]) -> Sums:
    named = row._mapping
    return Sums(
        parts={part: int(named[part]) for part in PARTS if named[part]},
        **{
            name: named[name]
            for name in (
                *("workspace_id", "period_start", "ends_at", "key", "metered", "charged", "owed"),
                *("sent", "edges", "customer"),
            )
        },
    )


def _meters(gateways: Gateways) -> dict[str, str]:
    try:
        return gateways.stripe.meters.ids()
    except PortalError as error:
        log.warning("reconcile_without_stripe", reason=str(error))
        return {}


def _piece(
    gateways: Gateways, rows: Sequence[Sums], meters: dict[str, str], now: datetime, found: Found
) -> None:
    asked = [row for row in rows if row.customer and row.key in meters]

    def ask(row: Sums) -> int | None:
        return _ask(gateways, meters[row.key], row, now)

    answers = dict(zip((_name(row) for row in asked), _together(ask, asked), strict=True))
    found.asked += len(asked)
    found.unanswered += sum(answer is None for answer in answers.values())
    by_workspace: dict[int, list[Sums]] = {}
    for row in rows:
        by_workspace.setdefault(row.workspace_id, []).append(row)
    for workspace_id, own in by_workspace.items():
        with unit_of_work(workspace_id) as session:
            for row in own:
                _keep(session, gateways, row, answers.get(_name(row)), now, found)


def _name(row: Sums) -> tuple[int, datetime, str]:
    return row.workspace_id, row.period_start, row.key


def _together(ask: Callable[[Sums], int | None], rows: Sequence[Sums]) -> list[int | None]:
    if len(rows) < ASKING:
        return [ask(row) for row in rows]
    with ThreadPoolExecutor(ASKING) as pool:
        return list(pool.map(ask, rows))


def _ask(gateways: Gateways, meter_id: str, row: Sums, now: datetime) -> int | None:
    """What Stripe's meter has of the period's minutes; None when it does not say."""
    start = _minute(row.period_start + MINUTE - timedelta(microseconds=1))
    # of a period that runs, with the minute that runs
    end = min(_minute(row.ends_at), _minute(now) + MINUTE)
    if start >= end:
        return 0
    try:
        return gateways.stripe.meters.used(meter_id, str(row.customer), start, end)
    except StripeRefusedError as refusal:
        log.warning("summary_refused", workspace=row.workspace_id, key=row.key, reason=str(refusal))
        return 0
    except PortalError as error:
        log.warning("summary_unknown", workspace=row.workspace_id, key=row.key, reason=str(error))
        return None


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def explains(row: Sums, stripe: int) -> bool:
    """Whether Stripe's sum can be what our rows say.

    It may lack what was sent a moment ago or is being cancelled, and have what is being sent.
    """
    ends = (row.parts.get("sending", 0), -row.parts.get("cancelling", 0), -row.parts.get("fresh", 0))
    return sum(min(end, 0) for end in ends) <= stripe - row.sent <= sum(max(end, 0) for end in ends)


def _keep(
    session: Session, gateways: Gateways, row: Sums, stripe: int | None, now: datetime, found: Found
) -> None:
    """Write the difference, or remove the one that is gone; tell a person of what nothing explains."""
    wrong = []
    if row.metered != row.owed:
        wrong.append(f"the ledger has {row.metered}, the outbox {row.owed}")
    if stripe is not None and not explains(row, stripe):
        wrong.append(f"Stripe has {stripe}, {row.sent} were sent")
    if row.charged != row.metered:
        wrong.append(f"the pages show {row.charged}, the ledger has {row.metered}")
        usage_ledger.rebuild(session, row.period_start, row.key)
    differs = stripe is not None and stripe != row.whole
    own = (UsageDifference.period_start == row.period_start, UsageDifference.key == row.key)
    if not wrong and not differs:
        session.execute(delete(UsageDifference).where(*own))
        return
    found.unexplained += bool(wrong)
    found.explained += not wrong
    values = {
        "ledger": row.metered,
        "sent": row.sent,
        "stripe": stripe,
        "rollup": row.charged,
        "state": UNEXPLAINED if wrong else EXPLAINED,
        "parts": row.parts,
        "found_at": now,
    }
    statement = insert(UsageDifference).values(period_start=row.period_start, key=row.key, **values)
    index = [UsageDifference.workspace_id, UsageDifference.period_start, UsageDifference.key]
    session.execute(statement.on_conflict_do_update(index_elements=index, set_=values))
    if wrong:
        _tell(session, gateways, row, wrong, now)


def _tell(session: Session, gateways: Gateways, row: Sums, wrong: Sequence[str], now: datetime) -> None:
    incidents.report(
        session,
        gateways,
        "usage_difference",
        dedupe_key=f"usage_difference:{row.workspace_id}:{row.period_start:%Y-%m-%dT%H:%M}:{row.key}:{now:%Y-%m-%d}",
        workspace_id=row.workspace_id,
        summary=f"Usage of {row.key} does not add up: {'; '.join(wrong)}",
        details={"period": row.period_start.isoformat(), "parts": dict(row.parts)},
    )
