"""Packs of who left and came back: the new subscription has months of its own, and a pack ends with one.

Stripe's grant pays a month's invoice only if it ends after that month; so a pack that would end within a
month of the new subscription counts to the end of it, here at once and at Stripe by the worker.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.models import CreditLot, Subscription
from portal.pricing import periods as calendar
from portal.services import audit, credit_further_grants, credit_lots, subscriptions, usage_periods
from portal.services.credit_further_grants import EXTENDED
from portal.services.credit_lots import Counting


def follow(
    session: Session, gateways: Gateways, subscription: Subscription, lots: Sequence[Counting]
) -> None:
    """Let every lot that counts end with a month of the subscription; later than it did, never earlier.

    ``subscription`` is the projection that was just written.
    """
    if subscription.status in subscriptions.ENDED or subscription.access == subscriptions.NONE:
        return
    now = gateways.clock.now()
    running = [lot for lot in lots if lot.expires_at > now]
    late = [lot.id for lot in running if _end(subscription, lot.expires_at) != lot.expires_at]
    if not late:
        return
    # in the order in which whoever books usage locks
    usage_periods.lock_newest(session)
    wanted = select(CreditLot).where(CreditLot.id.in_(late)).order_by(CreditLot.id).with_for_update()
    for lot in session.scalars(wanted):
        _extend(session, gateways, lot, _end(subscription, lot.expires_at))
    credit_lots.changed(session)


def _end(subscription: Subscription, expires_at: datetime) -> datetime:
    """The end of the subscription's month that the last second before ``expires_at`` lies in."""
    anchor = subscription.anchor or subscription.started_at or subscription.synced_at
    last = int(expires_at.timestamp()) - 1
    _, end = calendar.containing(int(anchor.timestamp()), "month", last)
    return datetime.fromtimestamp(end, UTC)


def _extend(session: Session, gateways: Gateways, lot: CreditLot, end: datetime) -> None:
    before: dict[str, object] = {"expires_at": lot.expires_at.isoformat()}
    lot.expires_at = end
    session.flush()
    credit_further_grants.want(session, gateways, lot, EXTENDED, lot.units, source=end.isoformat())
    audit.record(
        session,
        "credit_lot.extended",
        actor=audit.SYSTEM,
        before=before,
        after={"lot": lot.id, "expires_at": end.isoformat()},
    )
