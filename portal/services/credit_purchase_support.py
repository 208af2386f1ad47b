"""A purchase of credits as support sees it: every part of it, what it waits for, and going on with it."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Attempt, CreditGrant, CreditPurchase, CreditRefund
from portal.services import (
    attempt_states,
    attempts,
    audit,
    credit_by_hand,
    credit_further_grants,
    credit_grants,
    credit_lots,
    credit_purchase_sweeping,
    credit_refunds,
    sweeping,
)
from portal.services import credit_purchase_states as states

WAITS_FOR = {
    states.OPEN: "the customer's confirmation, or the end of its price",
    states.PAYING: "its payment",
    states.PAID: "Stripe's grant; our ledger has its units",
    states.GRANTED: "nothing",
    states.REFUNDING: "its refund",
    states.REFUNDED: "nothing: it was taken back",
    states.DISPUTED: "a person: its payment is disputed",
    states.VOID: "nothing: it was not bought",
}
STUCK = "a person: repeat it once Stripe can give the money back, or once that was done by hand at Stripe"


@dataclass(frozen=True)
class Shown:
    """One purchase with its parts, as lines of a name and a value."""

    purchase: CreditPurchase
    facts: tuple[tuple[str, str], ...]
    refunds: tuple[CreditRefund, ...]

    @property
    def waits_for(self) -> str:
        """What it needs to go on."""
        if any(refund.state == credit_refunds.STUCK for refund in self.refunds):
            return STUCK
        return WAITS_FOR[self.purchase.state]


def listing(session: Session) -> list[CreditPurchase]:
    """All purchases of the entered workspace, newest first."""
    return list(session.scalars(select(CreditPurchase).order_by(CreditPurchase.created_at.desc())))


def show(session: Session, purchase_id: str) -> Shown:
    """One purchase with all that belongs to it. Raises NotFoundError."""
    purchase = states.get(session, purchase_id)
    attempt = attempts.of_quote(session, purchase.quote_id) if purchase.quote_id else None
    refunds = select(CreditRefund).where(CreditRefund.purchase_id == purchase.id)
    return Shown(
        purchase,
        tuple(_facts(session, purchase, attempt)),
        tuple(session.scalars(refunds.order_by(CreditRefund.created_at))),
    )


def _facts(session: Session, purchase: CreditPurchase, attempt: Attempt | None) -> list[tuple[str, str]]:
    lot = credit_lots.of_purchase(session, purchase.id)
    found = [
        ("quote", purchase.quote_id or "none"),
        ("invoice", purchase.stripe_invoice_id or "none"),
        ("attempt", f"{attempt.id} {attempt.state}, step {attempt.step}" if attempt else "none"),
        ("paid", f"{purchase.paid_at:%Y-%m-%d %H:%M:%S %Z}" if purchase.paid_at else "not yet"),
    ]
    if lot is not None:
        left = credit_lots.left(session, lot)
        span = f"{lot.starts_at:%Y-%m-%d} to {lot.expires_at:%Y-%m-%d}"
        grant = lot.stripe_credit_grant_id or "not yet"
        found += [("lot", f"{lot.id} {left} of {lot.units} left, {span}"), ("grant", grant)]
        further = credit_further_grants.of_purchase(session, purchase.id)
        found += [("grant", _further(row)) for row in further]
    if purchase.error:
        found.append(("error", str(purchase.error.get("message"))))
    return found


def _further(row: CreditGrant) -> str:
    error = f": {(row.error or {}).get('message')}" if row.error else ""
    at_stripe = f" {row.stripe_credit_grant_id}" if row.stripe_credit_grant_id else ""
    return f"{row.id}{at_stripe} {row.state}, {row.units} {row.kind} at {row.unit_amount}{error}"


def repeat(gateways: Gateways, workspace_id: int, purchase_id: str) -> Shown:
    """Go on with a purchase from whichever step it reached, now; how it stands after that.

    Raises NotFoundError and what the step raises.
    """
    with unit_of_work(workspace_id) as session:
        shown = show(session, purchase_id)
        purchase = states.locked(session, purchase_id)
        attempt = attempts.of_quote(session, purchase.quote_id) if purchase.quote_id else None
        audit.record(session, "credit_purchase.repeated", after={"purchase": purchase_id})
        if purchase.state == states.PAID:
            # a refusal makes the sweeper wait; support need not
            purchase.claimed_until = None
    _go_on(gateways, shown, attempt)
    with unit_of_work(workspace_id) as session:
        return show(session, purchase_id)


def _go_on(gateways: Gateways, shown: Shown, attempt: Attempt | None) -> None:
    purchase = shown.purchase
    workspace_id = purchase.workspace_id
    if attempt is not None and (
        attempt.state in attempt_states.LIVE or attempt.step in attempt_states.UNDOING_ANY
    ):
        # a swap's is that of a change of the subscription, which has steps of its own
        sweeping.resume(gateways, workspace_id, attempt.id)
    elif purchase.state == states.OPEN:
        credit_purchase_sweeping.throw_away_if_over(gateways, workspace_id, purchase.id)
    with unit_of_work(workspace_id) as session:
        state = states.get(session, purchase.id).state
    if state == states.PAID:
        credit_grants.make(gateways, workspace_id, purchase.id)
    credit_further_grants.make(gateways, workspace_id, purchase.id)
    for refund in shown.refunds:
        if refund.state == credit_refunds.STUCK:
            credit_by_hand.take_up(gateways, workspace_id, refund.id)
        elif refund.state == credit_refunds.OPEN:
            credit_refunds.carry_out(gateways, workspace_id, refund.id)
