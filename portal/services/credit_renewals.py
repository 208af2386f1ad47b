"""Renewing a pack at its end: off unless it was chosen, once, at the price of that day."""

from datetime import datetime
from functools import partial

from sqlalchemy import exists, func, select
from sqlalchemy.orm import aliased

from portal.db import unit_of_work
from portal.errors import N_, ConflictError
from portal.gateways import Gateways
from portal.models import CreditLot, CreditPurchase
from portal.services import audit, credit_buying, credit_lots, credit_notices, turns
from portal.services import credit_purchase_states as states
from portal.services.credit_purchase_kinds import RENEWAL
from portal.services.credit_purchases import Wanted

BATCH = 50


class NotRenewableError(ConflictError):
    """The pack does not count any more; what is chosen then would be bought at once."""

    code = "not_renewable"

    def __init__(self) -> None:
        super().__init__(
            N_("This pack has ended or was taken back, so there is nothing to renew. You can buy another.")
        )


def may_renew(purchase: CreditPurchase, lot: CreditLot | None, now: datetime) -> bool:
    """Whether it can be chosen that the pack is followed by another: it is held, and has not ended."""
    return purchase.state in states.HELD and lot is not None and now < lot.expires_at


def choose(
    gateways: Gateways, workspace_id: int, user_id: int | None, purchase_id: str, *, renews: bool
) -> None:
    """Have a pack renewed at its end, or not any more. Raises NotRenewableError, NotFoundError."""
    with unit_of_work(workspace_id) as session:
        purchase = states.locked(session, purchase_id)
        if purchase.renews == renews:
            return
        lot = credit_lots.of_purchase(session, purchase_id)
        if renews and not may_renew(purchase, lot, gateways.clock.now()):
            raise NotRenewableError
        audit.record(
            session,
            "credit_purchase.renewal_chosen",
            user_id=user_id,
            before={"renews": purchase.renews},
            after={"renews": renews, "units": purchase.units},
            quote_id=purchase.quote_id,
        )
        purchase.renews = renews


def sweep(gateways: Gateways) -> int:
    """Renew every pack that has ended and is to be; how many. One that fails stops no other."""
    later = aliased(CreditPurchase)
    renewed = exists().where(
        later.workspace_id == CreditPurchase.workspace_id, later.renewal_of == CreditPurchase.id
    )
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(CreditPurchase.workspace_id, CreditPurchase.id)
            .join(
                CreditLot,
                (CreditLot.workspace_id == CreditPurchase.workspace_id)
                & (CreditLot.purchase_id == CreditPurchase.id),
            )
            .where(
                CreditPurchase.renews,
                CreditPurchase.state.in_(states.HELD),
                CreditLot.expires_at <= gateways.clock.now(),
                ~renewed,
            )
            .order_by(func.random())
            .limit(BATCH)
        ).all()
    return turns.give(due, partial(renew, gateways), waits="renewal_waits")


def renew(gateways: Gateways, workspace_id: int, purchase_id: str) -> str:
    """Buy the pack that follows one that has ended; what came of it, by ``credit_buying``'s words.

    What cannot be bought is told once by mail and not tried again.
    """
    with unit_of_work(workspace_id) as session:
        purchase = states.get(session, purchase_id)
    wanted = Wanted(purchase.units, RENEWAL, renewal_of=purchase_id)
    result = credit_buying.buy(gateways, workspace_id, wanted)
    if result in (credit_buying.BOUGHT, credit_buying.WAITS):
        return result
    with unit_of_work(workspace_id) as session:
        purchase = states.locked(session, purchase_id)
        purchase.renews = False
        credit_notices.about_blocked(
            session,
            gateways,
            kind=RENEWAL,
            units=purchase.units,
            reason=result,
            dedupe_key=f"credits_blocked:{purchase_id}",
        )
    return result
