"""Whether the AI may answer now: what is used and held in the present usage period, and the cap on both.

One row of each workspace holds it, so that a cap is kept by one UPDATE. Whoever needs more than it locks in
the same order everywhere, so that no two wait for each other: usage periods, this row, reservations. The row
is of the present period; the first who finds that a new one has begun turns it.
"""

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import ScalarSelect, Select, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import (
    Allowance,
    CapRaise,
    Reservation,
    Resolution,
    Subscription,
    UsageDay,
    UsageEntry,
    UsageLimit,
    UsagePeriod,
)
from portal.read_ahead import first
from portal.services import bulk, credit_lots, subscriptions, usage_periods, usage_prices
from portal.services.usage_prices import RESOLUTION

log = structlog.get_logger()

HELD, ANSWERED, SETTLED, LAPSED, RELEASED = "held", "answered", "settled", "lapsed", "released"
STOP, HAND_OVER, ASK_APPROVER, NEXT_PACK = "stop", "hand_over", "ask_approver", "next_pack"
PENDING, OVER_CAP = "pending", "over_cap"
# why the AI may not answer
CAP_REACHED, LIMITED, NOT_SUBSCRIBED = "cap_reached", "limited", "not_subscribed"
# with one of these the AI works
WORKING = (subscriptions.ACTIVE, subscriptions.PAYMENT_PENDING)
BATCH = 500


@dataclass(frozen=True)
class State:
    """The allowance of one moment, in units of resolutions.

    ``used`` are billed (free in a trial), ``pending`` may still become so, ``held`` are reserved without an
    answer yet. ``cap`` is None, and so is ``left``, where nothing stops the AI; ``trial_cap`` says that it is
    the trial's. The period is [``starts_at``, ``until``), None before there is one; a ``trial`` is free.
    ``fills_next`` says that what is undecided at its end is all that the next one's cap allows.
    """

    may_answer: bool
    reason: str | None
    used: int
    pending: int
    held: int
    cap: int | None
    at_cap: str
    trial: bool
    trial_cap: bool
    starts_at: datetime | None
    until: datetime | None
    fills_next: bool

    @property
    def accrued(self) -> int:
        """All that is or may become billed."""
        return self.used + self.pending + self.held

    @property
    def left(self) -> int | None:
        """How many units the AI may still take."""
        return None if self.cap is None else max(self.cap - self.accrued, 0)


def current(gateways: Gateways, workspace_id: int) -> State:
    """May the AI answer now, how much is left, until when, and what to do at the cap."""
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        row = session.scalars(select(Allowance)).first()
        if row is None or is_over(row, now) or _has_lapsed(session, now):
            row = locked(session, now)
        return state(session, row)


ROW, _LIMIT = select(Allowance), select(UsageLimit)


def stopped(session: Session, now: datetime) -> State | None:
    """How the allowance stands where a cap keeps the AI from answering; None elsewhere. Only reads."""
    row = first(session, ROW)
    if row is None or row.cap is None or is_over(row, now) or row.used + row.held < row.cap:
        return None
    found = state(session, row)
    return found if found.reason == CAP_REACHED else None


def state(session: Session, row: Allowance, subscription: Subscription | None = None) -> State:
    """What ``row``, which is of the present period, comes to.

    ``subscription``: the workspace's, where it has been read already.
    """
    waiting = select(func.count()).select_from(Reservation).where(Reservation.state == HELD)
    held = session.scalars(waiting).one()
    subscription = subscription or subscriptions.current(session)
    limit = session.scalars(_LIMIT).first()
    trial = is_trial(session, row.period_start)
    trial_cap = row.cap is not None and trial and _units_of_trial(subscription) == row.cap
    reason = _reason(row, subscription)
    return State(
        may_answer=reason is None,
        reason=reason,
        used=row.used,
        pending=max(row.held - held, 0),
        held=held,
        cap=row.cap,
        at_cap=what_happens(limit.at_cap if limit else None, trial=trial, trial_cap=trial_cap),
        trial=trial,
        trial_cap=trial_cap,
        starts_at=row.period_start,
        until=row.period_end,
        fills_next=reason == CAP_REACHED and _fills_next(session, row),
    )


def what_happens(chosen: str | None, *, trial: bool, trial_cap: bool) -> str:
    """What happens at the cap of what was ``chosen``: nobody raises a trial's, no pack is bought in one."""
    idle = (trial_cap and chosen == ASK_APPROVER) or (trial and chosen == NEXT_PACK)
    return STOP if idle or chosen is None else chosen


def _fills_next(session: Session, row: Allowance) -> bool:
    """Whether units that are decided after the period, and so count in the next one, fill the cap of that."""
    cap = hard_cap(session, row.period_end)
    if cap is None:
        return False
    pending = Resolution.state == PENDING, Resolution.matures_at >= row.period_end
    waiting = Reservation.state == HELD, Reservation.expires_at > row.period_end
    carried = sum(
        session.scalars(select(func.count()).select_from(model).where(*which)).one()
        for model, which in ((Resolution, pending), (Reservation, waiting))
    )
    return carried >= cap


def _reason(row: Allowance, subscription: Subscription | None) -> str | None:
    access = subscription.access if subscription else subscriptions.NONE
    if access == subscriptions.LIMITED:
        return LIMITED
    if access not in WORKING:
        return NOT_SUBSCRIBED
    return CAP_REACHED if row.cap is not None and row.used + row.held >= row.cap else None


# --- the row -------------------------------------------------------------------------------------------


def locked(session: Session, now: datetime) -> Allowance:
    """The entered workspace's row, of the present period, held until ``session`` commits.

    Reservations without an answer in time are let go.
    """
    known = session.scalars(select(Allowance)).first()
    if known is None or is_over(known, now):
        # opened ahead, should Stripe have begun one and not yet told
        usage_periods.locked(session, since=now, until=now, now=now)
        session.execute(insert(Allowance).values(used=0, held=held_now()).on_conflict_do_nothing())
    row = session.scalars(select(Allowance).with_for_update().execution_options(populate_existing=True)).one()
    if is_over(row, now):
        _turn(session, row, now)
    if _has_lapsed(session, now):
        _let_go(session, row, now)
    return row


def is_over(row: Allowance, now: datetime) -> bool:
    """Whether the row is of a period that has ended, or of none."""
    return row.period_end is None or now >= row.period_end


def _turn(session: Session, row: Allowance, now: datetime) -> None:
    """Begin the present period, if there is one. What is held counts in it as it did before."""
    period = session.scalars(period_at(now)).first()
    row.period_start = period.starts_at if period else None
    row.period_end = period.ends_at if period else None
    row.used = used_in(session, period.starts_at) if period else 0
    row.changed_at = now
    set_cap(session, row)


def period_at(now: datetime) -> Select[UsagePeriod]:
    """The usage period that ``now`` is in; of two, the one that began later."""
    return (
        select(UsagePeriod)
        .where(UsagePeriod.starts_at <= now, UsagePeriod.ends_at > now)
        .order_by(UsagePeriod.starts_at.desc())
        .limit(1)
    )


def used_in(session: Session, period_start: datetime) -> int:
    """The resolutions of a period that count against its cap; those that were free above it do not."""
    if is_trial(session, period_start):
        total = session.scalars(
            select(func.sum(UsageEntry.quantity)).where(
                UsageEntry.period_start == period_start,
                UsageEntry.key == RESOLUTION,
                UsageEntry.charge != OVER_CAP,
            )
        ).one()
    else:
        total = session.scalars(
            select(func.sum(UsageDay.charged)).where(
                UsageDay.period_start == period_start, UsageDay.key == RESOLUTION
            )
        ).one()
    return max(int(total or 0), 0)


RECOUNT = """
UPDATE allowance a SET used = s.used
FROM (SELECT greatest(coalesce(sum(charged), 0), 0) AS used FROM usage_day
  WHERE workspace_id = %(workspace)s AND period_start = %(period)s AND key = 'resolution') AS s
WHERE a.workspace_id = %(workspace)s AND a.period_start = %(period)s AND a.used <> s.used
  AND NOT (SELECT trial FROM usage_period WHERE workspace_id = %(workspace)s AND starts_at = %(period)s)
"""


def recount(session: Session, period_start: datetime) -> None:
    """Have the row say what the period's ledger has, where that took something back.

    Only with the whole transaction is it known whether that makes the invoice smaller, or is credited.
    """
    bulk.run(session, RECOUNT, {"workspace": session.info["workspace_id"], "period": period_start})


def held_now() -> ScalarSelect[int]:
    """What is held, counted anew: reservations without an answer, and units that are pending."""
    waiting = select(func.count()).select_from(Reservation).where(Reservation.state == HELD)
    pending = select(func.count()).select_from(Resolution).where(Resolution.state == PENDING)
    return select(waiting.scalar_subquery() + pending.scalar_subquery()).scalar_subquery()


def _has_lapsed(session: Session, now: datetime) -> bool:
    late = select(Reservation.id).where(Reservation.state == HELD, Reservation.expires_at <= now)
    return session.execute(late.limit(1)).first() is not None


def _let_go(session: Session, row: Allowance, now: datetime) -> None:
    late = (
        update(Reservation)
        .where(Reservation.state == HELD, Reservation.expires_at <= now)
        .values(state=LAPSED, settled_at=now)
        .returning(Reservation.id)
    )
    row.held -= len(session.execute(late).all())
    row.changed_at = now
    session.flush()


def repair(gateways: Gateways) -> int:
    """Count what is used and held anew, a workspace at a time; returns how many rows were not right.

    Nothing should ever be wrong; what is, is logged and put right.
    """
    now = gateways.clock.now()
    wrong, last = 0, 0
    while True:
        with unit_of_work(system=True) as session:
            following = select(Allowance.workspace_id).where(Allowance.workspace_id > last)
            batch = session.scalars(following.order_by(Allowance.workspace_id).limit(BATCH)).all()
        wrong += sum(_repair_one(workspace_id, now) for workspace_id in batch)
        if len(batch) < BATCH:
            return wrong
        last = batch[-1]


def _repair_one(workspace_id: int, now: datetime) -> bool:
    with unit_of_work(workspace_id) as session:
        row = locked(session, now)
        was = (row.used, row.held)
        used = used_in(session, row.period_start) if row.period_start else 0
        right = (used, session.scalars(select(held_now())).one())
        if was != right:
            log.error("allowance_repaired", workspace=workspace_id, was=was, right=right)
            row.used, row.held = right
            row.changed_at = now
        set_cap(session, row)
        return was != right


# --- the cap -------------------------------------------------------------------------------------------


def set_cap(session: Session, row: Allowance) -> None:
    """Put the hard cap of the row's period where the reservations look for it."""
    row.cap = hard_cap(session, row.period_start)
    session.flush()


def hard_cap(
    session: Session, period_start: datetime | None, subscription: Subscription | None = None
) -> int | None:
    """The units at which the AI stops in the period: the customer's own hard cap, a trial's, or neither.

    ``subscription``: the workspace's, where it has been read already.
    """
    subscription = subscription or subscriptions.current(session)
    limit = session.scalars(_LIMIT).first()
    own = None
    if limit is not None and limit.hard:
        own = own_cap(session, limit, subscription, period_start)
    if own is not None and limit is not None:
        own += raised(session, limit, period_start)
    caps = [cap for cap in (own, trial_cap(session, period_start, subscription)) if cap is not None]
    return min(caps, default=None)


def own_cap(
    session: Session, limit: UsageLimit, subscription: Subscription | None, period_start: datetime | None
) -> int | None:
    """The customer's cap in units; one in money by the own price, on top of what credits pay."""
    if limit.cap_amount is None:
        return limit.cap_units
    price = usage_prices.of_key(subscription, RESOLUTION)
    return price.units(limit.cap_amount) + credit_lots.covering(session, period_start) if price else None


def raised(session: Session, limit: UsageLimit, period_start: datetime | None) -> int:
    """The units that were allowed in the period on top of the cap that counts now."""
    total = select(func.coalesce(func.sum(CapRaise.units), 0)).where(CapRaise.period_start == period_start)
    if limit.cap_since is not None:
        total = total.where(CapRaise.allowed_at >= limit.cap_since)
    return int(session.scalars(total).one())


def trial_cap(
    session: Session, period_start: datetime | None, subscription: Subscription | None
) -> int | None:
    """The units that a trial has, if the period is one; they are hard whatever was chosen."""
    return _units_of_trial(subscription) if is_trial(session, period_start) else None


def _units_of_trial(subscription: Subscription | None) -> int | None:
    catalog = usage_prices.catalog_of(subscription)
    return catalog.trial.caps.get(RESOLUTION) if catalog.trial else None


_TRIAL = select(UsagePeriod.trial).where(UsagePeriod.starts_at == bindparam("starts_at"))


def is_trial(session: Session, period_start: datetime | None) -> bool:
    """Whether the period is a trial, whose resolutions are free."""
    return bool(session.scalars(_TRIAL, {"starts_at": period_start}).first())
