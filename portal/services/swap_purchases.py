"""The purchase that is part of a swap: its row follows the change whose invoice pays for it.

Once that invoice is known the row follows it like every other purchase (``credit_purchase_states``).
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Attempt, CreditPurchase, Quote
from portal.services import attempt_states, change_quotes
from portal.services import credit_purchase_states as states
from portal.services.credit_purchase_kinds import SWAP
from portal.services.ids import new_id

BATCH = 100


def open_for(session: Session, quote: Quote) -> None:
    """Write the purchase that the quote of a swap is for; nothing for any other change."""
    pack = change_quotes.pack_of(quote)
    if pack is None:
        return
    terms: Any = quote.terms or {}
    session.add(
        CreditPurchase(
            id=new_id("C"),
            kind=SWAP,
            state=states.OPEN,
            units=int(pack["units"]),
            catalog=str(pack["catalog"]),
            price_id=str(terms["undo"]["metered"][pack["usage"]]),
            unit_amount=Decimal(str(pack["unit_amount"])),
            percent_off=Decimal(str(pack["percent_off"])),
            amount=int(pack["total"]),
            currency=quote.currency,
            quote_id=quote.id,
            created_by=quote.created_by,
        )
    )
    session.flush()


def begun(session: Session, quote: Quote, *, user_id: int | None) -> None:
    """The swap was confirmed: note it in the transaction that commits the attempt."""
    purchase = _of(session, quote)
    if purchase is not None and purchase.state == states.OPEN:
        states.move(session, purchase, states.PAYING, user_id=user_id)


def billed(session: Session, quote: Quote, invoice_id: str) -> None:
    """The invoice that pays for the seats' change and the pack; the purchase follows it from now on."""
    purchase = _of(session, quote)
    if purchase is not None and purchase.stripe_invoice_id is None:
        purchase.stripe_invoice_id = invoice_id


def _of(session: Session, quote: Quote) -> CreditPurchase | None:
    if change_quotes.pack_of(quote) is None:
        return None
    return session.scalars(
        select(CreditPurchase).where(CreditPurchase.quote_id == quote.id).with_for_update()
    ).first()


def sweep(gateways: Gateways) -> int:
    """End the swaps that were never billed: quoted and over, refused, or given up; how many there were."""
    going_on = exists().where(
        Attempt.workspace_id == CreditPurchase.workspace_id,
        Attempt.quote_id == CreditPurchase.quote_id,
        Attempt.state.in_((*attempt_states.LIVE, attempt_states.SUCCEEDED)),
    )
    over = or_(Quote.replaced_at.is_not(None), Quote.expires_at <= gateways.clock.now())
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(CreditPurchase.workspace_id, CreditPurchase.id)
            .join(
                Quote,
                (Quote.workspace_id == CreditPurchase.workspace_id) & (Quote.id == CreditPurchase.quote_id),
            )
            .where(
                CreditPurchase.kind == SWAP,
                CreditPurchase.state.in_(states.UNPAID),
                CreditPurchase.stripe_invoice_id.is_(None),
                over,
                ~going_on,
            )
            .limit(BATCH)
        ).all()
    for workspace_id, purchase_id in due:
        with unit_of_work(workspace_id) as session:
            purchase = states.locked(session, purchase_id)
            if purchase.state in states.UNPAID and purchase.stripe_invoice_id is None:
                states.move(session, purchase, states.VOID)
    return len(due)
