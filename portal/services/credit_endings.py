"""Telling people in time that credits end: 60, 30 and 7 days before, once each, with what is at stake."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy import Select, func, literal, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import CreditLot, CreditSum, Mail
from portal.services import credit_notices, credit_outlook, credits
from portal.services.credits import Held

log = structlog.get_logger()

ENDING = "credits_ending"
# days before the end, the last one first
DAYS = (7, 30, 60)
BATCH = 200


def sweep(gateways: Gateways) -> int:
    """Write about each lot that comes near its end and has something left; how many mails.

    Whoever was away for one of the days hears of the next one only. One that fails stops no other.
    """
    now = gateways.clock.now()
    sent, after = 0, 0
    for days in DAYS:
        with unit_of_work(system=True) as session:
            due = session.execute(_due(now, after, days)).all()
        sent += sum(_tell(gateways, workspace_id, lot_id, days, now) for workspace_id, lot_id in due)
        after = days
    return sent


def _due(now: datetime, after: int, days: int) -> Select[int, str]:
    """Lots with units left that end within ``days`` but not within ``after``, of which nobody was told."""
    of_lot = (CreditSum.workspace_id == CreditLot.workspace_id, CreditSum.lot_id == CreditLot.id)
    left = select(func.sum(CreditSum.quantity)).where(*of_lot).scalar_subquery()
    told = select(Mail.id).where(Mail.dedupe_key == func.concat(_prefix(), CreditLot.id, f":{days}"))
    return (
        select(CreditLot.workspace_id, CreditLot.id)
        .where(
            CreditLot.ended_at.is_(None),
            CreditLot.expires_at > now + timedelta(days=after),
            CreditLot.expires_at <= now + timedelta(days=days),
            ~told.exists(),
            left > 0,
        )
        .order_by(func.random())
        .limit(BATCH)
    )


def _prefix() -> object:
    return literal(ENDING + ":")


def _tell(gateways: Gateways, workspace_id: int, lot_id: str, days: int, now: datetime) -> bool:
    try:
        with unit_of_work(workspace_id) as session:
            return _told(session, gateways, lot_id, days, now)
    except Exception:
        log.exception("credit_ending_failed", workspace=workspace_id, lot=lot_id)
        return False


def _told(session: Session, gateways: Gateways, lot_id: str, days: int, now: datetime) -> bool:
    balance = credits.read(session, now)
    held = next((each for each in balance.usable if each.lot.id == lot_id), None)
    if held is None:
        return False
    outlook = credit_outlook.read(session, balance)
    known = outlook is not None and outlook.monthly is not None
    lapsing = [each for each in outlook.lapsing if each.lot_id == lot_id] if outlook else []
    units = sum(each.units for each in lapsing) if known else None
    return _mail(session, gateways, held, days=days, lapsing=units)


def _mail(session: Session, gateways: Gateways, held: Held, *, days: int, lapsing: int | None) -> bool:
    """Word of a lot that ends in so many days at most; False where it was told before.

    ``lapsing``: how many units are expected to be left, None where nothing can be said.
    """
    facts: dict[str, object] = {
        "units": held.left,
        "amount": held.at_stake,
        "currency": held.currency,
        "expires_at": held.lot.expires_at,
        "lapsing": lapsing,
        "renews": held.renews,
    }
    return credit_notices.send(session, gateways, ENDING, f"{ENDING}:{held.lot.id}:{days}", facts)
