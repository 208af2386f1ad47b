"""Drawing the next pack at the cap: a pack that was bought by itself raises the cap by its size."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.models import Allowance, CapRaise, CreditPurchase, UsageLimit
from portal.services import allowances, audit
from portal.services.ids import new_id


def draws(session: Session) -> bool:
    """Whether the next pack is to be drawn at a hard cap."""
    limit = session.scalars(select(UsageLimit)).first()
    if limit is None or limit.at_cap != allowances.NEXT_PACK:
        return False
    return limit.hard and (limit.cap_units is not None or limit.cap_amount is not None)


def reached(session: Session, now: datetime) -> bool:
    """Whether the AI stands at a hard cap at which the next pack is to be drawn."""
    return _at_cap(session, now) is not None


def _at_cap(session: Session, now: datetime) -> Allowance | None:
    if not draws(session):
        return None
    row = allowances.locked(session, now)
    trial = allowances.is_trial(session, row.period_start)
    if row.cap is None or row.period_start is None or trial or row.used + row.held < row.cap:
        return None
    return row


def extend(session: Session, purchase: CreditPurchase, now: datetime) -> None:
    """Let the AI use as many units more as the pack holds, where that was chosen and the cap is reached.

    To be called once, in the transaction that notes the pack's payment.
    """
    row = _at_cap(session, now)
    if row is None:
        return
    more = CapRaise(
        id=new_id("L"), period_start=row.period_start, units=purchase.units, allowed_by=None, allowed_at=now
    )
    session.add(more)
    session.flush()
    before = row.cap
    allowances.set_cap(session, row)
    row.changed_at = now
    audit.record(
        session,
        "cap_raise.allowed",
        before={"cap": before},
        after={"cap": row.cap, "units": purchase.units},
        quote_id=purchase.quote_id,
    )
