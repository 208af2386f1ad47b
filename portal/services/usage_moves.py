"""Ledger entries that cannot be billed with their month any more, moved: out of it, and into the open one.

The ledger only grows, so a move is two corrections. What a month's invoice bills stays its ledger's sum.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import MeterEvent, Resolution, UsageEntry, UsagePeriod
from portal.services import incidents, limits, units, usage_ledger, usage_periods
from portal.services.meter_events import CREDITING, DROPPED, FAILED, WAITING
from portal.services.meter_sending import OLDEST
from portal.services.usage_ledger import Entry
from portal.services.usage_periods import RESOLUTION, Period, Periods

log = structlog.get_logger()

BATCH = 500
RESENT = re.compile(r"(.+)-r(\d+)")
# between a unit's source and the entry that was moved
MOVED = units.SOURCE_TIMES + units.SOURCE_TIMES
ENDING = re.compile(rf"(?:{MOVED}\d+-(?:in|out|credit|uncharged))+$")


@dataclass(frozen=True)
class Moved:
    """Where an entry stands now; ``entry_id`` None: no month is open, so it is billed nowhere.

    ``free``: the open month's hard cap is reached, so Stripe is not to be told of it.
    """

    entry_id: int | None
    period_start: datetime
    at: datetime
    free: bool = False


def sweep(gateways: Gateways) -> int:
    """Move what waits to be sent and can no longer be billed with its month; how many rows.

    A batch at a time, a workspace at a time; one that fails is logged and does not keep the others from it.
    """
    now = gateways.clock.now()
    closed = (
        select(UsagePeriod.starts_at)
        .where(
            UsagePeriod.workspace_id == MeterEvent.workspace_id,
            UsagePeriod.starts_at == MeterEvent.period_start,
            UsagePeriod.state == usage_periods.CLOSED,
        )
        .exists()
    )
    late = (MeterEvent.state == WAITING, or_(MeterEvent.at <= now - OLDEST, closed))
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(MeterEvent.workspace_id, MeterEvent.identifier)
            .where(*late)
            .order_by(func.random())
            .limit(BATCH)
        ).all()
    by_workspace: dict[int, list[str]] = {}
    for workspace_id, identifier in due:
        by_workspace.setdefault(workspace_id, []).append(identifier)
    for workspace_id, identifiers in by_workspace.items():
        try:
            with unit_of_work(workspace_id) as session:
                _move_events(session, gateways, workspace_id, identifiers)
        except Exception:
            log.exception("moving_failed", workspace=workspace_id)
    return len(due)


def _move_events(session: Session, gateways: Gateways, workspace_id: int, identifiers: Sequence[str]) -> None:
    now = gateways.clock.now()
    ours = (MeterEvent.identifier.in_(identifiers), MeterEvent.state == WAITING)
    since = session.scalar(select(func.min(MeterEvent.period_start)).where(*ours))
    if since is None:
        return
    # in the order in which whoever takes a unit back locks
    periods = usage_periods.locked(session, since=since, until=now, now=now)
    rows = session.scalars(
        select(MeterEvent).where(*ours).order_by(MeterEvent.identifier).with_for_update()
    ).all()
    lost = []
    for row in rows:
        moved = move(session, workspace_id, entry_of(session, row), periods)
        row.period_start, row.at = moved.period_start, moved.at
        if moved.entry_id is not None:
            row.entry_id = moved.entry_id
            if moved.free:
                row.state = DROPPED
            elif row.quantity < 0:
                keep_above_zero(session, workspace_id, row, periods)
        elif row.quantity < 0:
            row.state = CREDITING
        else:
            row.state, row.error = FAILED, "after_end: no month is open in which it could be billed"
            lost.append(row.identifier)
    if lost:
        _tell_of_lost(session, gateways, workspace_id, lost)


def _tell_of_lost(session: Session, gateways: Gateways, workspace_id: int, lost: Sequence[str]) -> None:
    incidents.report(
        session,
        gateways,
        "usage_unbilled",
        dedupe_key=f"usage_unbilled:{lost[0]}",
        workspace_id=workspace_id,
        summary="Usage reached Stripe after the subscription's last invoice; it is billed nowhere",
        details={"count": len(lost), "first": list(lost[:20])},
    )


def entry_of(session: Session, row: MeterEvent) -> UsageEntry:
    """The ledger's entry that a row of the outbox is about."""
    return session.scalars(
        select(UsageEntry).where(UsageEntry.period_start == row.period_start, UsageEntry.id == row.entry_id)
    ).one()


def move(session: Session, workspace_id: int, entry: UsageEntry, periods: Periods) -> Moved:
    """Book ``entry`` out of its month and, now, into the open one; once, whatever repeats it.

    The caller holds the periods' locks. The unit's own row follows.
    """
    now = periods.now
    current = periods.containing(now)
    target = current if current is not None and current.takes(now) else None
    if target is not None and target.starts_at == entry.period_start:
        return Moved(entry.id, entry.period_start, now)
    own = _copy(entry, at=entry.at, quantity=-entry.quantity, ending="out")
    if target is None:
        own = replace(own, note=usage_ledger.AFTER_END)
        usage_ledger.write(session, workspace_id, [own], customer_id=periods.customer_id)
        _follow(session, entry, None)
        if entry.quantity < 0:
            credited = _copy(entry, at=entry.at, quantity=entry.quantity, ending="credit")
            given = replace(credited, charge=usage_ledger.CREDITED, note=usage_ledger.AFTER_END)
            usage_ledger.write(session, workspace_id, [given], customer_id=periods.customer_id)
        return Moved(None, entry.period_start, entry.at)
    new = replace(_copy(entry, at=now, quantity=entry.quantity, ending="in"), period_start=target.starts_at)
    new = replace(new, charge=_charge_in(session, entry, new, target, now))
    usage_ledger.write(session, workspace_id, [own, new], customer_id=periods.customer_id)
    _follow(session, entry, new)
    return Moved(_id_of(session, new), target.starts_at, now, new.charge == usage_ledger.OVER_CAP)


def _charge_in(session: Session, entry: UsageEntry, new: Entry, target: Period, now: datetime) -> str:
    """How an entry is charged in the month that it comes into, whose cap counts it; once."""
    if entry.key != RESOLUTION or entry.charge != usage_ledger.METER:
        return entry.charge
    known = session.scalar(
        select(UsageEntry.charge).where(
            UsageEntry.key == new.key, UsageEntry.source == new.source, UsageEntry.kind == new.kind
        )
    )
    if known is not None:
        return known
    if entry.quantity < 0:
        limits.taken_back(session, target, -entry.quantity, now)
        return entry.charge
    [charge] = limits.charge_for(session, target, entry.quantity, now)
    return charge


def base(source: str) -> str:
    """The source of the unit that an entry is about, whether it was moved or not."""
    return ENDING.sub("", source)


def _copy(entry: UsageEntry, *, at: datetime, quantity: int, ending: str) -> Entry:
    return Entry(
        entry.period_start,
        entry.key,
        # of one entry, which may be moved again
        f"{base(entry.source)}{MOVED}{entry.id}-{ending}",
        _kind(entry),
        quantity,
        at,
        entry.channel,
        entry.charge,
        basis=entry.basis,
        note=usage_ledger.LATE,
    )


def _kind(entry: UsageEntry) -> str:
    """What an entry is in the month that it comes into, and what takes it out of its own."""
    if entry.kind == usage_ledger.CORRECTION and entry.key == RESOLUTION and entry.quantity < 0:
        return usage_ledger.CARRIED
    stays = entry.kind in (usage_ledger.REVERSAL, usage_ledger.CARRIED)
    return entry.kind if stays else usage_ledger.CORRECTION


def _follow(session: Session, entry: UsageEntry, new: Entry | None) -> None:
    """Let the row of the unit say where it stands, or was taken back, now; ``new`` None: nowhere."""
    if entry.key != RESOLUTION:
        return
    source = base(entry.source)
    conversation_id, episode = units.unit_of(source)
    row = update(Resolution).where(
        Resolution.conversation_id == conversation_id,
        Resolution.episode == episode,
        Resolution.times == units.times_of(source),
    )
    if entry.kind == usage_ledger.REVERSAL and new is not None:
        session.execute(row.where(Resolution.taken_back_at.is_not(None)).values(taken_back_at=new.at))
    elif entry.quantity > 0:
        own = row.where(Resolution.period_start == entry.period_start)
        if new is None:
            session.execute(own.values(counts=False))
            return
        session.execute(own.values(period_start=new.period_start, counted_at=new.at, charge=new.charge))


def _id_of(session: Session, entry: Entry) -> int:
    return session.scalars(
        select(UsageEntry.id).where(
            UsageEntry.key == entry.key, UsageEntry.source == entry.source, UsageEntry.kind == entry.kind
        )
    ).one()


def keep_above_zero(session: Session, workspace_id: int, row: MeterEvent, periods: Periods) -> None:
    """Let a negative row be a credit note instead when its month's sum is below zero with it.

    Stripe bills a negative sum as nothing, and what it should have given back would be gone.
    """
    if usage_ledger.charged(session, row.period_start, row.key) < 0:
        credit_instead(session, workspace_id, entry_of(session, row), customer_id=periods.customer_id)
        row.state = CREDITING


def credit_instead(
    session: Session, workspace_id: int, entry: UsageEntry, *, customer_id: str | None
) -> None:
    """Book a negative entry as given back by a credit note, so that the meter's sum is without it."""
    out = _copy(entry, at=entry.at, quantity=-entry.quantity, ending="uncharged")
    given = _copy(entry, at=entry.at, quantity=entry.quantity, ending="credit")
    given = replace(given, charge=usage_ledger.CREDITED)
    usage_ledger.write(session, workspace_id, [out, given], customer_id=customer_id)


def send_again(session: Session, workspace_id: int, row: MeterEvent, periods: Periods) -> str | None:
    """Put a row in the outbox for one that Stripe has not billed and never will; its identifier.

    In its own month while that can be billed, else in the open one. Once, whatever repeats it; None when no
    month is open.
    """
    own, entry = periods.starting(row.period_start), entry_of(session, row)
    if own is not None and own.takes(periods.now) and row.at > periods.now - OLDEST:
        place = Moved(entry.id, row.period_start, row.at)
    else:
        place = move(session, workspace_id, entry, periods)
    if place.entry_id is None:
        return None
    identifier = next_of(row.identifier)
    statement = insert(MeterEvent).values(
        identifier=identifier,
        key=row.key,
        event_name=row.event_name,
        stripe_customer_id=periods.customer_id or row.stripe_customer_id,
        quantity=row.quantity,
        at=place.at,
        period_start=place.period_start,
        entry_id=place.entry_id,
        state=DROPPED if place.free else WAITING,
    )
    session.execute(statement.on_conflict_do_nothing())
    row.resent_as = identifier
    session.flush()
    return identifier


def next_of(identifier: str) -> str:
    """The identifier of what is sent in an event's stead: ``…-r2``, ``…-r3``."""
    known = RESENT.fullmatch(identifier)
    base, number = (known[1], int(known[2])) if known else (identifier, 1)
    return f"{base}-r{number + 1}"
