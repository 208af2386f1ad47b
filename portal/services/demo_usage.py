"""Made-up usage in bulk: units, ledger, rollup and period agree as if each conversation had come by itself.

For demonstrations and measurements only. A day is one statement, so that a million units take a minute; no
meter event is written for them, Stripe is told the sum of a day.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.models import UsageDay
from portal.services import allowances
from portal.services.usage import Period
from portal.services.usage_prices import RESOLUTION

# of a hundred conversations
CONFIRMED, REVERSED, HELPED_BY_PEOPLE = 38, 3, 18
CHANNELS = ("chat", "email", "whatsapp")
# how busy each weekday is, Monday first, and how much a week grows over the one before
WEEK = (112, 118, 115, 108, 96, 52, 44)
GROWTH = 0.02
MOST_A_STATEMENT = 20_000

UNITS = text("""
WITH drawn AS MATERIALIZED (
  SELECT :mark || n AS conversation_id, n, hashtext(:mark || n) & 2147483647 AS h,
    CAST(:since AS timestamptz) + (CAST(:until AS timestamptz) - CAST(:since AS timestamptz))
      * ((n - :first + 0.5) / :many) AS at
  FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS n
), unit AS MATERIALIZED (
  SELECT conversation_id, at, at - (CASE WHEN h % 100 < :confirmed THEN interval '3 minutes'
      ELSE interval '24 hours' END) AS answered_at,
    CASE WHEN h % 100 < :confirmed THEN 'confirmed' ELSE 'assumed' END AS kind,
    (CAST(:channels AS text[]))[1 + CASE WHEN h / 100 % 10 < 6 THEN 0 WHEN h / 100 % 10 < 9 THEN 1 ELSE 2 END]
      AS channel,
    CASE WHEN h / 1000 % 100 < :reversed THEN least(at + interval '3 hours', :until) END AS reversed_at
  FROM drawn
), known AS (
  INSERT INTO resolution (workspace_id, conversation_id, episode, state, kind, because, channel, answered_at,
    billable_at, reversed_at, taken_back_at, period_start, counted_at, counted_as, counted_on, charge, counts,
    times)
  SELECT :workspace, conversation_id, 1, CASE WHEN reversed_at IS NULL THEN 'billable' ELSE 'reversed' END,
    kind, CASE WHEN reversed_at IS NULL THEN kind ELSE 'customer_asked_after' END, channel, answered_at,
    at, reversed_at, reversed_at, :period, at, kind, channel, CAST(:charge AS text), reversed_at IS NULL, 1
  FROM unit
), entry AS (
  INSERT INTO usage_entry (workspace_id, period_start, key, source, kind, basis, quantity, at, channel,
    charge)
  SELECT :workspace, :period, 'resolution', conversation_id || '#1', e.kind, unit.kind, e.quantity, e.at,
    channel, CAST(:charge AS text)
  FROM unit CROSS JOIN LATERAL (VALUES ('billable', 1, at), ('reversal', -1, reversed_at))
    AS e (kind, quantity, at)
  WHERE e.at IS NOT NULL
  RETURNING channel, kind, basis, quantity, at
), day AS (
  INSERT INTO usage_day AS d (workspace_id, period_start, key, channel, day,
    quantity, charged, confirmed, assumed, reversed)
  SELECT :workspace, :period, 'resolution', channel, (at AT TIME ZONE 'UTC')::date, sum(quantity),
    CASE WHEN :charge = 'meter' THEN sum(quantity) ELSE 0 END,
    count(*) FILTER (WHERE basis = 'confirmed' AND quantity > 0),
    count(*) FILTER (WHERE basis = 'assumed' AND quantity > 0), count(*) FILTER (WHERE quantity < 0)
  FROM entry GROUP BY 4, 5
  ON CONFLICT (workspace_id, period_start, key, channel, day) DO UPDATE SET
    quantity = d.quantity + excluded.quantity, charged = d.charged + excluded.charged,
    confirmed = d.confirmed + excluded.confirmed, assumed = d.assumed + excluded.assumed,
    reversed = d.reversed + excluded.reversed
), period AS (
  UPDATE usage_period SET used = used + (SELECT sum(quantity) FROM entry)
  WHERE workspace_id = :workspace AND starts_at = :period
)
SELECT sum(quantity) FROM entry
""")
# what people had to solve: no unit of the ledger's
HELPED = text("""
INSERT INTO resolution (workspace_id, conversation_id, episode, state, because, channel, answered_at)
SELECT :workspace, :mark || 'h' || n, 1, 'not_billable',
  CASE n % 3 WHEN 0 THEN 'human_requested' WHEN 1 THEN 'customer_asked' ELSE 'human_replied' END,
  (CAST(:channels AS text[]))[1 + n % 3],
  CAST(:since AS timestamptz)
    + (CAST(:until AS timestamptz) - CAST(:since AS timestamptz)) * (n - 0.5) / :many
FROM generate_series(1, CAST(:many AS integer)) AS n
""")
# the events that lead to the units of a day, for their evidence
EVENTS = text("""
INSERT INTO conversation_event
  (workspace_id, id, conversation_id, type, occurred_at, channel, test, received_at)
SELECT workspace_id, conversation_id || e.name, conversation_id, e.type, e.at, channel, false, e.at
FROM resolution CROSS JOIN LATERAL (VALUES
  ('.answer', 'ai_answered', answered_at),
  ('.thanks', 'customer_confirmed', CASE WHEN kind = 'confirmed' THEN billable_at END),
  ('.again', 'customer_asked', reversed_at),
  ('.help', because, CASE WHEN state = 'not_billable' THEN answered_at + interval '5 minutes' END)
) AS e (name, type, at)
WHERE workspace_id = :workspace AND conversation_id >= :mark AND conversation_id < :mark || 'z'
  AND e.at IS NOT NULL
""")


@dataclass(frozen=True)
class Shape:
    """How usage is spread: ``seed`` makes the same usage again, ``events`` writes each conversation's too."""

    seed: int = 1
    events: bool = True


def spread(size: int, days: int, seed: int) -> list[int]:
    """``size`` units over so many days: a rhythm of weeks, slow growth, and chance, the same by ``seed``."""
    chance = random.Random(seed)  # noqa: S311 (nothing secret)
    weights = [
        WEEK[day % len(WEEK)] * (1 + GROWTH) ** (day // len(WEEK)) * chance.uniform(0.85, 1.15)
        for day in range(days)
    ]
    total, found, given, seen = sum(weights), [], 0, 0.0
    for weight in weights:
        seen += weight
        upto = round(size * seen / total)
        found.append(upto - given)
        given = upto
    return found


def fill(workspace_id: int, period: Period, until: datetime, size: int, shape: Shape) -> dict[date, int]:
    """Write ``size`` resolutions into ``period``, from its start to ``until``; the net units by day."""
    pieces = list(_days(period.starts_at, min(until, period.ends_at)))
    found: dict[date, int] = {}
    for (since, end), many in zip(pieces, spread(size, len(pieces), shape.seed), strict=True):
        if many:
            found[since.date()] = _fill_day(workspace_id, period, since, end, many, shape)
    with unit_of_work(workspace_id) as session:
        _count_used(session, period, until)
    return found


def _days(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The stretch cut at midnights (UTC)."""
    while since < until:
        midnight = datetime.combine(since.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
        yield since.astimezone(UTC), min(midnight, until)
        since = midnight


def _fill_day(
    workspace_id: int, period: Period, since: datetime, until: datetime, many: int, shape: Shape
) -> int:
    """Write the units of one day; their net number."""
    # two periods share the day on which one ends and the other begins
    mark = f"demo{shape.seed}-{since:%Y%m%dT%H%M%S}-"
    values = {
        "workspace": workspace_id,
        "period": period.starts_at,
        "charge": "trial" if period.trial else "meter",
        "since": since,
        "until": until - timedelta(microseconds=1),
        "mark": mark,
        "many": many,
        "confirmed": CONFIRMED,
        "reversed": REVERSED,
        "channels": list(CHANNELS),
    }
    net = 0
    for first in range(1, many + 1, MOST_A_STATEMENT):
        last = min(first + MOST_A_STATEMENT - 1, many)
        with unit_of_work(workspace_id) as session:
            net += int(session.execute(UNITS, values | _slice(since, until, first, last, many)).scalar_one())
    helped = many * HELPED_BY_PEOPLE // 100
    with unit_of_work(workspace_id) as session:
        if helped:
            session.execute(HELPED, values | {"many": helped})
        if shape.events:
            session.execute(EVENTS, {"workspace": workspace_id, "mark": mark})
    return net


def _slice(since: datetime, until: datetime, first: int, last: int, many: int) -> dict[str, object]:
    """The part of the day that the units from ``first`` to ``last`` have."""
    whole = until - timedelta(microseconds=1) - since
    start = since + whole * ((first - 1) / many)
    return {
        "first": first,
        "last": last,
        "many": last - first + 1,
        "since": start,
        "until": since + whole * (last / many),
    }


def _count_used(session: Session, period: Period, now: datetime) -> None:
    """Have the allowance know what is used, if the period is the present one."""
    row = allowances.locked(session, now)
    if row.period_start == period.starts_at:
        used = select(func.coalesce(func.sum(UsageDay.quantity), 0)).where(
            UsageDay.period_start == period.starts_at, UsageDay.key == RESOLUTION
        )
        row.used = int(session.scalars(used).one())
