"""A change of the price of a resolution within a pack's year: the units promised stay.

Stripe's grants are money for one price, so a lot gets another grant at the new price, for what it has left
then, and the grants at the old one end. What costs changes only between two months: the month before is paid
by the old grants, so that the new one is made when its invoice is final, and the old ones end after that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import structlog
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import CreditGrant, CreditLot, CreditPurchase, Subscription, UsageCredit
from portal.services import audit, credit_further_grants, credit_lots, subscriptions, usage_periods
from portal.services.credit_further_grants import DROPPED, OPEN, REPLACED, REPLACING, REPRICED, RETURNED
from portal.services.credit_lots import Counting
from portal.services.usage_prices import RESOLUTION

log = structlog.get_logger()

BATCH = 200
# lots that count at another price than their workspace pays for what it uses
BEHIND = text("""
SELECT DISTINCT l.workspace_id FROM credit_lot l
JOIN subscription s ON s.workspace_id = l.workspace_id AND s.status NOT IN ('canceled', 'incomplete_expired')
  AND s.access <> 'none'
CROSS JOIN LATERAL jsonb_array_elements(s.items) AS item
WHERE l.ended_at IS NULL AND item ->> 'key' = 'resolution' AND (item ->> 'metered')::boolean
  AND item ->> 'unit_amount' IS NOT NULL AND item ->> 'stripe_price_id' <> l.price_id
LIMIT :batch
""")


@dataclass(frozen=True)
class _Price:
    """What a resolution costs from the month on that starts at ``since``."""

    id: str
    unit_amount: Decimal
    since: datetime


def follow(
    session: Session, gateways: Gateways, subscription: Subscription, lots: Sequence[Counting]
) -> None:
    """Let every lot that counts follow the price by which resolutions are billed now; once per change.

    ``subscription`` is the projection that was just written.
    """
    price = _price(subscription)
    if price is None or all(lot.price_id == price.id for lot in lots):
        return
    # in the order in which whoever books usage locks
    usage_periods.lock_newest(session)
    behind = (CreditLot.ended_at.is_(None), CreditLot.price_id != price.id)
    wanted = select(CreditLot).where(*behind).order_by(CreditLot.id).with_for_update()
    for lot in session.scalars(wanted).all():
        _reprice(session, gateways, lot, price)
    credit_lots.changed(session)


def _price(subscription: Subscription) -> _Price | None:
    """None where nothing is sold by one rate, or nothing is sold any more."""
    if subscription.status in subscriptions.ENDED or subscription.access == subscriptions.NONE:
        return None
    found = (each for each in subscription.items if each.get("key") == RESOLUTION and each.get("metered"))
    item: Mapping[str, object] = next(found, {})
    if not item.get("stripe_price_id") or item.get("unit_amount") is None or not item.get("period_start"):
        return None
    since = datetime.fromtimestamp(int(str(item["period_start"])), UTC)
    return _Price(str(item["stripe_price_id"]), Decimal(str(item["unit_amount"])), since)


def _reprice(session: Session, gateways: Gateways, lot: CreditLot, price: _Price) -> None:
    before: dict[str, object] = {"price": lot.price_id, "unit_amount": str(lot.unit_amount)}
    lot.price_id, lot.unit_amount = price.id, price.unit_amount
    waiting = _drop_waiting(session, lot)
    if _granted_at(session, lot) == price.id:
        # back before anything was made at the other price: the grants that are there pay again
        if back := _returned(session, waiting):
            _point(session, waiting, _want(session, gateways, lot, RETURNED, back, price))
    else:
        _point(session, waiting, _want(session, gateways, lot, REPRICED, lot.units, price))
    audit.record(
        session,
        "credit_lot.repriced",
        actor=audit.SYSTEM,
        before=before,
        after={"lot": lot.id, "price": price.id, "unit_amount": str(price.unit_amount)},
    )


def replace(session: Session, gateways: Gateways, lot: CreditLot, *, source: str) -> None:
    """Want one grant at the present price for all that a lot has, once per ``source``; those before it end.

    The lot is locked. A month that waits for its invoice is paid by the grants before.
    """
    repricing = (CreditGrant.lot_id == lot.id, CreditGrant.kind == REPRICED, CreditGrant.state == OPEN)
    if session.scalar(select(CreditGrant.id).where(*repricing).limit(1)) is not None:
        return  # a new price replaces them all
    waiting = _drop_waiting(session, lot)
    row = credit_further_grants.want(session, gateways, lot, REPLACED, lot.units, source=source)
    _point(session, waiting, row)


def _drop_waiting(session: Session, lot: CreditLot) -> Sequence[str]:
    """Let what was not asked for yet be part of what is wanted now; the rows' ids."""
    untried = (CreditGrant.lot_id == lot.id, CreditGrant.state == OPEN, CreditGrant.tried_at.is_(None))
    return session.scalars(
        update(CreditGrant)
        .where(*untried, CreditGrant.kind.in_((RETURNED, *REPLACING)))
        .values(state=DROPPED, updated_at=func.clock_timestamp())
        .returning(CreditGrant.id)
    ).all()


def _granted_at(session: Session, lot: CreditLot) -> str:
    """The price at which the lot's grants were made last, or are being made."""
    last = session.scalars(
        select(CreditGrant.price_id)
        .where(CreditGrant.lot_id == lot.id, CreditGrant.kind == REPRICED, CreditGrant.state != DROPPED)
        .order_by(CreditGrant.created_at.desc())
        .limit(1)
    ).first()
    first = select(CreditPurchase.price_id).where(CreditPurchase.id == lot.purchase_id)
    return last or str(session.scalar(first))


def _want(
    session: Session, gateways: Gateways, lot: CreditLot, kind: str, units: int, price: _Price
) -> CreditGrant:
    number = session.scalar(select(func.count()).where(CreditGrant.lot_id == lot.id)) or 0
    since = price.since if kind == REPRICED else None
    source = f"{price.id}#{number + 1}"
    return credit_further_grants.want(session, gateways, lot, kind, units, source=source, since=since)


def _returned(session: Session, rows: Sequence[str]) -> int:
    """How many units that came back wait for these grants."""
    total = select(func.coalesce(func.sum(UsageCredit.quantity), 0)).where(UsageCredit.grant_id.in_(rows))
    return int(session.scalar(total) or 0)


def _point(session: Session, rows: Sequence[str], to: CreditGrant) -> None:
    """Units that came back are paid for by another grant than the one that they waited for."""
    session.execute(update(UsageCredit).where(UsageCredit.grant_id.in_(rows)).values(grant_id=to.id))


def sweep(gateways: Gateways) -> int:
    """Let lots follow whose change of price nobody told of, or that were paid after it; of how many."""
    with unit_of_work(system=True) as session:
        due = session.scalars(BEHIND, {"batch": BATCH}).all()
    for workspace_id in due:
        try:
            with unit_of_work(workspace_id) as session:
                subscription = subscriptions.current(session)
                if subscription is not None:
                    follow(session, gateways, subscription, credit_lots.counting(session))
        except Exception:
            log.exception("repricing_failed", workspace=workspace_id)
    return len(due)
