"""The draw-down of annual credits: which lot covers how many units of each month of usage, in real time.

A month's sum decides, as at Stripe, where credits are applied when its invoice becomes final. So the entries
of a month follow its sum: the lot that ends first is drawn first, what comes back goes to the lot drawn last.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import (
    CreditEntry,
    CreditLot,
    CreditSum,
    MeterEvent,
    UsageCredit,
    UsageDay,
    UsagePeriod,
)
from portal.pricing import credits as rules
from portal.services import credit_lots, usage_periods
from portal.services.credit_lots import DISPUTED, DRAWN, GIVEN_BACK, LAPSED, OF_UNIT, ORDER, RETURNED
from portal.services.usage_periods import OPEN, RESOLUTION

log = structlog.get_logger()

BATCH = 200
# an invoice is made final an hour after its month; what is left of a lot is told to have lapsed after that
LAPSES_AFTER = timedelta(hours=2)
_OF_A_MONTH = (DRAWN, GIVEN_BACK)


@dataclass(frozen=True)
class _Held:
    """Lots that are locked, and their entries' sums: of single months, and of all else."""

    lots: Sequence[CreditLot]
    drawn: Mapping[tuple[str, datetime], int]  # lot, month → units that it covers
    free: Mapping[str, int]  # lot → units that no other month has


def follow(session: Session, *, at: datetime, also: Collection[datetime] = ()) -> None:
    """Let the lots cover what the open months, and those that start at ``also``, have come to.

    In the transaction that changed their sums, or that opened or ended a lot; ``at`` is noted on the entries.
    Nothing happens, but for one question, in a workspace without lots.
    """
    if not any_lot(session):
        return
    usage_periods.lock_newest(session)
    wanted = or_(UsagePeriod.state == OPEN, UsagePeriod.starts_at.in_(also))
    months = session.scalars(
        select(UsagePeriod.starts_at).where(wanted).order_by(UsagePeriod.starts_at)
    ).all()
    held = _held(session, months)
    used, credited = _used(session, months), _credited(session, months)
    # of lots that end together the rules draw the one first whose name comes first
    names = {f"{place:06}": lot.id for place, lot in enumerate(held.lots)}
    drawn = rules.draw(
        [_lot(name, lot, held.free[lot.id]) for name, lot in zip(names, held.lots, strict=True)],
        [rules.Use(_seconds(month), max(used.get(month, 0) - credited.get(month, 0), 0)) for month in months],
        now=0,
        period_starts=[_seconds(month) for month in months],
    )
    for month, use in zip(months, drawn.uses, strict=True):
        covered = {names[each.lot]: each.units for each in use.by.lots}
        for lot in held.lots:
            change = covered.get(lot.id, 0) - held.drawn.get((lot.id, month), 0)
            if change:
                _enter(session, lot, month, change, at)


def begin_with(session: Session, lot: CreditLot, effective_at: datetime) -> None:
    """Let a lot begin with the first month whose invoice its grant pays: one that ends after it was made.

    What the lot covered of a month before was paid by use, since Stripe was late to have the grant; the lot
    has those units again. The caller has locked the newest month.
    """
    sold = UsagePeriod.starts_at >= lot.starts_at
    missed = session.scalars(
        select(UsagePeriod).where(sold, UsagePeriod.ends_at < effective_at).order_by(UsagePeriod.starts_at)
    ).all()
    if missed:
        lot.starts_at = missed[-1].ends_at
        session.flush()
        follow(session, at=effective_at, also=[month.starts_at for month in missed])


def any_lot(session: Session) -> bool:
    """Whether the workspace has ever had a lot."""
    return session.scalar(select(CreditLot.id).limit(1)) is not None


def _held(session: Session, months: Sequence[datetime]) -> _Held:
    lots = session.scalars(select(CreditLot).order_by(*ORDER).with_for_update(of=CreditLot)).all()
    of_month = CreditSum.kind.in_(_OF_A_MONTH) & CreditSum.period_start.in_(months)
    month = CreditSum.period_start
    sums = select(CreditSum.lot_id, month, func.sum(CreditSum.quantity)).where(of_month)
    drawn = {
        (lot, start): -int(total)
        for lot, start, total in session.execute(sums.group_by(CreditSum.lot_id, month))
    }
    others = select(CreditSum.lot_id, func.sum(CreditSum.quantity)).where(~of_month)
    free = {lot: int(total) for lot, total in session.execute(others.group_by(CreditSum.lot_id))}
    return _Held(lots, drawn, {lot.id: max(free.get(lot.id, 0), 0) for lot in lots})


def _lot(name: str, lot: CreditLot, units: int) -> rules.Lot:
    return rules.Lot(name, units, _seconds(lot.expires_at), _seconds(lot.starts_at))


def _used(session: Session, months: Sequence[datetime]) -> dict[datetime, int]:
    """What is charged of each month so far."""
    sums = (
        select(UsageDay.period_start, func.sum(UsageDay.charged))
        .where(UsageDay.key == RESOLUTION, UsageDay.period_start.in_(months))
        .group_by(UsageDay.period_start)
    )
    return {start: int(total) for start, total in session.execute(sums)}


def _credited(session: Session, months: Sequence[datetime]) -> dict[datetime, int]:
    """How many billed units of each month came back to what paid for them; its own sum still has them."""
    counted = select(UsagePeriod.starts_at, func.sum(UsageCredit.quantity)).join(
        UsageCredit, UsageCredit.stripe_invoice_id == UsagePeriod.stripe_invoice_id
    )
    back = counted.join(MeterEvent, MeterEvent.identifier == UsageCredit.identifier).where(
        UsagePeriod.starts_at.in_(months),
        UsageCredit.key == RESOLUTION,
        UsageCredit.line_id.is_not(None),
        # one that no later month could take is off its own month's sum
        MeterEvent.period_start != UsagePeriod.starts_at,
    )
    return {start: int(total) for start, total in session.execute(back.group_by(UsagePeriod.starts_at))}


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _enter(session: Session, lot: CreditLot, month: datetime, units: int, at: datetime) -> None:
    """Note that a lot covers so many units more of a month; less for a negative number."""
    of_month = (CreditSum.lot_id == lot.id, CreditSum.period_start == month)
    # the lot is locked, so the number is this entry's alone
    number = int(session.scalar(select(func.sum(CreditSum.entries)).where(*of_month)) or 0)
    session.add(
        CreditEntry(
            lot_id=lot.id,
            kind=DRAWN if units > 0 else GIVEN_BACK,
            quantity=-units,
            period_start=month,
            at=at,
            source=f"{month.isoformat()}#{number + 1}",
        )
    )
    session.flush()


def give_back(session: Session, month: datetime, *, source: str, at: datetime) -> list[CreditLot]:
    """Give back what the month's voided invoice took, once per ``source``; the lots that it came back to.

    Stripe does the same (docs.stripe.com/billing/subscriptions/usage-based/billing-credits). A unit that had
    come back before is among it, and so has come back once too often.
    """
    usage_periods.lock_newest(session)
    held, before = _held(session, [month]), _came_back(session, month)
    found = []
    for lot in held.lots:
        units, back = held.drawn.get((lot.id, month), 0), before.get(lot.id, 0)
        if units + back <= 0:
            continue
        _add(session, lot, GIVEN_BACK, units + back, at, source, month)
        if back:
            _add(session, lot, GIVEN_BACK, -back, at, f"{OF_UNIT}{source}", month)
        _count_again(session, lot, units, at, f"{OF_UNIT}{source}")
        found.append(lot)
    return found


def _came_back(session: Session, month: datetime) -> dict[str, int]:
    """How many billed units of the month have come back to each lot."""
    sums = select(CreditSum.lot_id, func.sum(CreditSum.quantity)).where(
        CreditSum.kind.in_(_OF_A_MONTH), CreditSum.period_start == month, CreditSum.of_unit
    )
    return {lot: int(total) for lot, total in session.execute(sums.group_by(CreditSum.lot_id))}


def take_back(session: Session, month: datetime, units: int, *, of: str, at: datetime) -> CreditLot | None:
    """Let billed units of a month return to the lot that was drawn last for it, once per ``of``.

    What has ended with its time lapses, and what a bank took the money for is nobody's. None when no lot has
    covered so many.
    """
    usage_periods.lock_newest(session)
    held = _held(session, [month])
    able = [lot for lot in held.lots if held.drawn.get((lot.id, month), 0) >= units]
    if not able:
        return None
    lot = able[-1]
    source = f"{OF_UNIT}{of}"
    _add(session, lot, GIVEN_BACK, units, at, source, month)
    _count_again(session, lot, units, at, source)
    return lot


def _count_again(session: Session, lot: CreditLot, units: int, at: datetime, source: str) -> None:
    """Let units that have just come back to a lot count in it, or end with it if it has ended."""
    if lot.ended_why == LAPSED:
        _lapse(session, lot, at, source)
    elif lot.ended_why == DISPUTED and units:
        _add(session, lot, RETURNED, -units, at, source, None)
    elif lot.ended_at is not None and units:
        # it was refunded before this came back, so that this is what it has left
        lot.ended_at = lot.ended_why = None
    session.flush()


def give_again(session: Session, lot: CreditLot, *, of: str, source: str, at: datetime) -> int:
    """Let what was taken back as ``of``, and what came back since, count again in a lot; how many units.

    Once per ``source``; the caller has locked the newest month and the lot. What has ended meanwhile lapses.
    """
    taken = select(func.coalesce(func.sum(-CreditEntry.quantity), 0)).where(
        CreditEntry.lot_id == lot.id,
        CreditEntry.kind == RETURNED,
        or_(CreditEntry.source == of, CreditEntry.source.startswith(OF_UNIT)),
    )
    units = int(session.scalar(taken) or 0)
    lot.ended_at = lot.ended_why = None
    if units:
        _add(session, lot, RETURNED, units, at, source, None)
        session.flush()
    if lot.expires_at <= at - LAPSES_AFTER:
        lot.ended_at, lot.ended_why = lot.expires_at, LAPSED
        _lapse(session, lot, lot.expires_at, source)
    credit_lots.changed(session)
    follow(session, at=at)
    return units


def sweep(gateways: Gateways) -> int:
    """Note what has lapsed of lots that have ended; how many lots. One that fails stops no other."""
    now = gateways.clock.now()
    over = (CreditLot.ended_at.is_(None), CreditLot.expires_at <= now - LAPSES_AFTER)
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(CreditLot.workspace_id, CreditLot.id).where(*over).order_by(func.random()).limit(BATCH)
        ).all()
    return sum(_end(workspace_id, lot_id, now) for workspace_id, lot_id in due)


def _end(workspace_id: int, lot_id: str, now: datetime) -> bool:
    """End a lot, unless a month that it covers is still open."""
    try:
        with unit_of_work(workspace_id) as session:
            lot = session.scalars(select(CreditLot).where(CreditLot.id == lot_id).with_for_update()).one()
            still_open = select(UsagePeriod.starts_at).where(
                UsagePeriod.state == OPEN, UsagePeriod.starts_at < lot.expires_at
            )
            if lot.ended_at is not None or session.scalar(still_open.limit(1)) is not None:
                return False
            lot.ended_at, lot.ended_why = lot.expires_at, LAPSED
            _lapse(session, lot, lot.expires_at, "end")
            return True
    except Exception:
        log.exception("lapsing_failed", workspace=workspace_id, lot=lot_id)
        return False


def _lapse(session: Session, lot: CreditLot, at: datetime, source: str) -> None:
    left = credit_lots.left(session, lot)
    if left > 0:
        _add(session, lot, LAPSED, -left, at, source, None)


def _add(
    session: Session,
    lot: CreditLot,
    kind: str,
    quantity: int,
    at: datetime,
    source: str,
    month: datetime | None,
) -> None:
    """Add an entry, once per kind and source."""
    values = {"kind": kind, "quantity": quantity, "source": source, "period_start": month}
    session.execute(insert(CreditEntry).values(lot_id=lot.id, at=at, **values).on_conflict_do_nothing())
