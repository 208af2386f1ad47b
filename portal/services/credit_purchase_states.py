"""The states of a purchase of credits, and how it follows what Stripe says about its invoice.

What is paid has its lot in the transaction that notes the payment; Stripe's grant is made after that.
"""

from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from portal.errors import N_, NotFoundError
from portal.gateways import Gateways
from portal.models import Attempt, CreditPurchase, Invoice
from portal.services import attempt_states as attempt_words
from portal.services import audit, credit_caps, credit_ledger, credit_lots, credit_notices
from portal.services.credit_purchase_kinds import SWAP, TOP_UP

OPEN, PAYING, PAID, GRANTED = "open", "paying", "paid", "granted"
REFUNDING, REFUNDED, DISPUTED, VOID = "refunding", "refunded", "disputed", "void"
UNPAID = (OPEN, PAYING)
HELD = (PAID, GRANTED)
GRANT = "credits.grant"
FAILED = "debit_failed"


def get(session: Session, purchase_id: str) -> CreditPurchase:
    """One purchase of the entered workspace. Raises NotFoundError."""
    return _found(session, select(CreditPurchase).where(CreditPurchase.id == purchase_id))


def locked(session: Session, purchase_id: str) -> CreditPurchase:
    """The purchase, locked until the transaction ends. Raises NotFoundError."""
    return _found(session, select(CreditPurchase).where(CreditPurchase.id == purchase_id).with_for_update())


def _found(session: Session, statement: Select[CreditPurchase]) -> CreditPurchase:
    purchase = session.scalars(statement).first()
    if purchase is None:
        raise NotFoundError(N_("There is no such purchase."))
    return purchase


def of_quote(session: Session, quote_id: str) -> CreditPurchase | None:
    """The purchase that a quote is for."""
    return session.scalars(select(CreditPurchase).where(CreditPurchase.quote_id == quote_id)).first()


def of_invoice(session: Session, invoice_id: str) -> CreditPurchase | None:
    """The purchase that an invoice pays, locked until the transaction ends."""
    return session.scalars(
        select(CreditPurchase).where(CreditPurchase.stripe_invoice_id == invoice_id).with_for_update()
    ).first()


def move(
    session: Session,
    purchase: CreditPurchase,
    state: str,
    *,
    actor: str = audit.SYSTEM,
    user_id: int | None = None,
) -> None:
    """Set the state and keep the change in the history."""
    before, purchase.state = purchase.state, state
    if state == VOID:
        purchase.renewal_of = None  # the renewal is still to be made
    purchase.updated_at = attempt_words.database_time(session)
    audit.record(
        session,
        f"credit_purchase.{state}",
        user_id=user_id,
        actor=actor,
        before={"state": before},
        after={"state": state, "purchase": purchase.id, "units": purchase.units},
        quote_id=purchase.quote_id,
        invoice_id=purchase.stripe_invoice_id,
    )


def follow(session: Session, gateways: Gateways, invoice: Invoice) -> None:
    """Move the purchase that ``invoice`` pays to where its payment is; the projection was just written.

    To be called under the lock of the workspace's projections.
    """
    purchase = of_invoice(session, invoice.stripe_id)
    if purchase is None:
        return
    attempt = _attempt(session, purchase)
    if invoice.status == "paid":
        if purchase.state in (*UNPAID, VOID):
            paid(session, gateways, purchase, invoice.paid_at or gateways.clock.now())
        if attempt is not None and attempt.state in attempt_words.LIVE:
            attempt.step, attempt.error = attempt_words.DONE, None
            attempt_words.move(session, attempt, attempt_words.SUCCEEDED, actor=audit.STRIPE)
    elif invoice.status in ("void", "uncollectible"):
        if purchase.state in UNPAID:
            move(session, purchase, VOID, actor=audit.STRIPE)
        if attempt is not None and attempt.step == attempt_words.COLLECT:
            attempt.step, attempt.error = attempt_words.DONE, {"code": "expired"}
            attempt_words.move(session, attempt, attempt_words.ABANDONED, actor=audit.STRIPE)
    elif attempt is not None and attempt.step == attempt_words.COLLECT:
        _follow_payment(session, gateways, attempt, invoice)


def paid(session: Session, gateways: Gateways, purchase: CreditPurchase, at: datetime) -> None:
    """The money is there: the lot is opened in this very transaction, and the grant is asked for after it."""
    purchase.paid_at = purchase.paid_at or at
    move(session, purchase, PAID, actor=audit.STRIPE)
    session.flush()
    lot = credit_lots.open_lot(session, purchase)
    # it covers what was used before in the open month, too
    credit_ledger.follow(session, at=purchase.paid_at)
    gateways.jobs.defer(session, GRANT, workspace_id=purchase.workspace_id, purchase_id=purchase.id)
    if purchase.kind == TOP_UP:
        credit_caps.extend(session, purchase, gateways.clock.now())
    credit_notices.about_bought(session, gateways, purchase, lot)


def _attempt(session: Session, purchase: CreditPurchase) -> Attempt | None:
    """What carries the purchase out; a swap's is that of the change that it is part of."""
    if purchase.quote_id is None or purchase.kind == SWAP:
        return None
    return session.scalars(
        select(Attempt)
        .where(Attempt.quote_id == purchase.quote_id, Attempt.state != attempt_words.REFUSED)
        .with_for_update()
    ).first()


def _follow_payment(session: Session, gateways: Gateways, attempt: Attempt, invoice: Invoice) -> None:
    """Note how the payment of an open invoice stands; a debit that came back ends the purchase."""
    payment = invoice.payment or {}
    state, error = payment.get("state"), payment.get("error")
    attempt.intent_status = str(state) if state else attempt.intent_status
    attempt.error = error if isinstance(error, dict) else None
    if state == "processing":
        if attempt.state != attempt_words.PROCESSING:
            attempt_words.move(session, attempt, attempt_words.PROCESSING, actor=audit.STRIPE)
    elif attempt.state == attempt_words.PROCESSING:
        attempt.error = (attempt.error or {}) | {"code": FAILED}
        attempt_words.move(session, attempt, attempt_words.FAILED, actor=audit.STRIPE)
        attempt.step = attempt_words.VOID
        gateways.jobs.defer(
            session, attempt_words.RESUME, workspace_id=attempt.workspace_id, attempt_id=attempt.id
        )
        credit_notices.about_returned_debit(session, gateways, invoice, attempt_id=attempt.id)
