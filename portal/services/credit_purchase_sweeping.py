"""What a crash, a closed tab or the end of a price left of packs: drafts that nobody is going to pay."""

from datetime import timedelta
from functools import partial

from sqlalchemy import Select, exists, func, or_, select

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Attempt, CreditPurchase, Quote
from portal.services import attempt_states, credit_grants, payment_methods, swap_purchases, turns
from portal.services import credit_purchase_states as states
from portal.services.credit_purchase_kinds import SWAP

BATCH = 100
# a request that is still at work is left alone
LEFT_BEHIND_AFTER = timedelta(minutes=5)


def sweep(gateways: Gateways, *, left_behind_after: timedelta = LEFT_BEHIND_AFTER) -> int:
    """Make the grants that are owed, and end what was quoted and is over; how many were looked at."""
    looked_at = credit_grants.sweep(gateways) + swap_purchases.sweep(gateways)
    with unit_of_work(system=True) as session:
        due = session.execute(_over(gateways, left_behind_after)).all()
    return looked_at + turns.give(due, partial(throw_away, gateways), waits="draft_waits")


def _over(gateways: Gateways, left_behind_after: timedelta) -> Select[int, str]:
    """The purchases whose quote never came about, was replaced, or has expired, and was not confirmed."""
    carried_out = exists().where(
        Attempt.workspace_id == CreditPurchase.workspace_id,
        Attempt.quote_id == CreditPurchase.quote_id,
        Attempt.state != attempt_states.REFUSED,
    )
    now = gateways.clock.now()
    never = CreditPurchase.quote_id.is_(None) & (
        CreditPurchase.updated_at < func.clock_timestamp() - left_behind_after
    )
    over = or_(Quote.replaced_at.is_not(None), Quote.expires_at <= now)
    return (
        select(CreditPurchase.workspace_id, CreditPurchase.id)
        .outerjoin(
            Quote,
            (Quote.workspace_id == CreditPurchase.workspace_id) & (Quote.id == CreditPurchase.quote_id),
        )
        .where(
            CreditPurchase.state == states.OPEN,
            CreditPurchase.kind != SWAP,
            or_(never, over),
            ~carried_out,
        )
        .order_by(CreditPurchase.updated_at)
        .limit(BATCH)
    )


def throw_away_if_over(gateways: Gateways, workspace_id: int, purchase_id: str) -> None:
    """The same for one purchase, however young it is."""
    with unit_of_work(workspace_id) as session:
        over = session.execute(_over(gateways, timedelta(0)).where(CreditPurchase.id == purchase_id)).first()
    if over is not None:
        throw_away(gateways, workspace_id, purchase_id)


def throw_away(gateways: Gateways, workspace_id: int, purchase_id: str) -> None:
    """End a purchase that was not confirmed: its draft goes, and its row says so."""
    with unit_of_work(workspace_id) as session:
        purchase = states.get(session, purchase_id)
    draft_id = purchase.stripe_invoice_id or _unnoted(gateways, workspace_id, purchase_id)
    if draft_id is not None:
        gateways.stripe.invoices.delete_draft(draft_id)
    with unit_of_work(workspace_id) as session:
        purchase = states.locked(session, purchase_id)
        if purchase.state == states.OPEN:
            states.move(session, purchase, states.VOID)


def _unnoted(gateways: Gateways, workspace_id: int, purchase_id: str) -> str | None:
    """The draft of a purchase that died before it could note its id, if there is one."""
    customer_id = payment_methods.customer_of(workspace_id)
    drafts = gateways.stripe.invoices.drafts(customer_id) if customer_id else []
    return next((each.id for each in drafts if each.own_metadata.get("purchase") == purchase_id), None)
