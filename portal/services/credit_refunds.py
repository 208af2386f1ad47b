"""Taking back what is left of a pack: by the customer while it is unused, by support pro rata, by a bank.

The units go off the lot in the transaction that commits the intent, so that nobody uses them meanwhile; then
Stripe's grant ends, then the money goes back. Each step can be done again.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, PortalError
from portal.gateways import Gateways
from portal.models import Adjustment, CreditLot, CreditPurchase, CreditRefund, Invoice
from portal.services import (
    attempt_states,
    audit,
    claims,
    credit_further_grants,
    credit_ledger,
    credit_lots,
    credit_notices,
    turns,
    usage_periods,
)
from portal.services import credit_purchase_states as states
from portal.services import credit_refund_steps as steps
from portal.services.credit_purchase_kinds import SWAP
from portal.services.credit_refund_steps import FINISHED, GRANT, NOTE, REST, log
from portal.services.ids import new_id

UNUSED, PRO_RATA, CHARGEBACK = "unused", "pro_rata", "chargeback"
BY_HAND = steps.BY_HAND
OPEN, DONE, STUCK = steps.OPEN, steps.DONE, steps.STUCK
# so long a pack of which nothing was used may be returned
RETURN_WITHIN = timedelta(days=14)
RESUME = "credits.refund"
BATCH = 100


class NotRefundableError(ConflictError):
    """It cannot be returned by the customer; the message says why."""

    code = "not_refundable"


def why_not(purchase: CreditPurchase, lot: CreditLot | None, left: int, gateways: Gateways) -> str | None:
    """Why the customer cannot return the pack by itself, as a message; None when it can."""
    if purchase.state not in states.HELD or lot is None or purchase.paid_at is None:
        return N_("There is nothing of this pack to return.")
    if purchase.kind == SWAP:
        return N_("It came from seats and is part of that change. Write to support.")
    if left != lot.units:
        return N_("Resolutions of this pack were used already. Write to support about what is left.")
    if gateways.clock.now() > purchase.paid_at + RETURN_WITHIN:
        return N_("The 14 days in which a pack can be returned are over. Write to support.")
    return None


def return_unused(
    gateways: Gateways, workspace_id: int, user_id: int | None, purchase_id: str
) -> CreditRefund:
    """Return a pack of which nothing was used; a second click gets the first one's.

    Raises NotRefundableError, also when a unit was used in this very moment.
    """
    with unit_of_work(workspace_id) as session:
        known = _of_kind(session, purchase_id, UNUSED)
        if known is not None:
            return known
    try:
        with unit_of_work(workspace_id) as session:
            purchase, lot, left = _locked(session, purchase_id)
            reason = why_not(purchase, lot, left, gateways)
            if reason is not None or lot is None:
                raise NotRefundableError(reason or N_("There is nothing of this pack to return."))
            refund = _begin(session, gateways, purchase, lot, UNUSED, left, user_id=user_id)
    except IntegrityError as error:
        if "credit_refund" not in str(error.orig):
            raise
        with unit_of_work(workspace_id) as session:
            known = _of_kind(session, purchase_id, UNUSED)
        if known is None:
            raise
        return known
    return carry_out(gateways, workspace_id, refund.id)


def return_rest(gateways: Gateways, workspace_id: int, purchase_id: str, *, reason: str) -> CreditRefund:
    """Take back what is left of a pack and give its share of the price back: support's decision.

    Raises NotRefundableError when nothing is left.
    """
    with unit_of_work(workspace_id) as session:
        purchase, lot, left = _locked(session, purchase_id)
        if purchase.state not in states.HELD or lot is None or not left:
            raise NotRefundableError(N_("There is nothing of this pack to return."))
        refund = _begin(session, gateways, purchase, lot, PRO_RATA, left, reason=reason)
    return carry_out(gateways, workspace_id, refund.id)


def charged_back(gateways: Gateways, workspace_id: int, invoice_id: str, *, reason: str | None) -> None:
    """A bank took the money for a pack back: what is left of it goes, once.

    Of a swap's pack what the value of seats had paid for stays.
    """
    with unit_of_work(workspace_id) as session:
        purchase = states.of_invoice(session, invoice_id)
        if purchase is None or purchase.state not in states.HELD:
            return
        purchase, lot, left = _locked(session, purchase.id)
        # a dispute that was won is not lost again: what comes after it is for a person
        if lot is None or _of_kind(session, purchase.id, CHARGEBACK) is not None:
            return
        units = min(left, _charged_for(session, purchase))
        _begin(session, gateways, purchase, lot, CHARGEBACK, units, reason=reason)


def _charged_for(session: Session, purchase: CreditPurchase) -> int:
    """How many units the charge of its invoice had paid for."""
    if purchase.kind != SWAP:
        return purchase.units
    invoice = session.scalars(select(Invoice).where(Invoice.stripe_id == purchase.stripe_invoice_id)).one()
    packs = (each for each in invoice.lines if each["amount"] == purchase.amount and not each["proration"])
    cost = next((int(str(each["total"])) + int(str(each["tax"])) for each in packs), purchase.amount)
    return min(-(-purchase.units * invoice.amount_paid // cost), purchase.units) if cost else purchase.units


def give_again(session: Session, gateways: Gateways, purchase_id: str, *, dispute_id: str) -> None:
    """What a chargeback took off a pack counts again, with a grant of its own, since the dispute was won.

    Once; not before the taking back is done, nor while a month waits for its invoice, which a grant that is
    made now does not pay. The sweeper looks after both.
    """
    purchase, lot, _left = _locked(session, purchase_id)
    taken = _of_kind(session, purchase_id, CHARGEBACK)
    if purchase.state != states.DISPUTED or lot is None or taken is None or taken.state != DONE:
        return
    now = gateways.clock.now()
    if usage_periods.is_to_be_billed(session, now):
        return
    units = credit_ledger.give_again(session, lot, of=taken.id, source=dispute_id, at=now)
    states.move(session, purchase, states.GRANTED, actor=audit.STRIPE)
    facts: dict[str, object] = {"purchase": purchase.id, "units": units, "dispute": dispute_id}
    invoice_id = purchase.stripe_invoice_id
    audit.record(session, "credit_refund.undone", actor=audit.STRIPE, after=facts, invoice_id=invoice_id)
    if units and lot.ended_at is None:
        credit_notices.about_won(session, gateways, units=units, dispute_id=dispute_id)
        restored = credit_further_grants.RESTORED
        credit_further_grants.want(session, gateways, lot, restored, units, source=dispute_id)


def begin_by_hand(
    session: Session,
    gateways: Gateways,
    purchase_id: str,
    given: Sequence[Adjustment],
    *,
    units: int | None,
    reason: str | None,
) -> CreditRefund:
    """Take units off a pack whose price was ``given`` back at Stripe by hand; None: all that is left.

    Raises NotRefundableError for more than are left.
    """
    purchase, lot, left = _locked(session, purchase_id)
    wanted = left if units is None else units
    if lot is None or wanted > left:
        raise NotRefundableError(N_("The pack has not so many resolutions left."))
    before = select(func.count()).where(
        CreditRefund.purchase_id == purchase_id, CreditRefund.kind.startswith(BY_HAND)
    )
    number = session.scalar(before) or 0
    kind = BY_HAND if not number else f"{BY_HAND}_{number + 1}"
    refund = _begin(session, gateways, purchase, lot, kind, wanted, reason=reason)
    _note_given(refund, given)
    return refund


def take_up(session: Session, refund_id: str, given: Sequence[Adjustment]) -> None:
    """Let a refund that is stuck go on, for ``carry_out``; money ``given`` by hand since counts as its own.

    Stripe has refused its credit note, so that the next one has a key of its own. Where less was given
    than it comes to, the rest goes on the balance.
    """
    refund = steps.locked(session, refund_id)
    if refund.state != STUCK:
        return
    refund.state, refund.error, refund.tried_at = OPEN, None, None
    if given:
        _note_given(refund, given)
        refund.step = REST


def _note_given(refund: CreditRefund, given: Sequence[Adjustment]) -> None:
    refund.credit_note_id = given[0].stripe_id
    refund.total = sum(each.amount for each in given)
    refund.balance = sum(int(str(each.details.get("balance") or 0)) for each in given)
    refund.refunded = refund.total - refund.balance


def _locked(session: Session, purchase_id: str) -> tuple[CreditPurchase, CreditLot | None, int]:
    """The purchase and its lot, locked against draws, with what is left."""
    purchase = states.locked(session, purchase_id)
    usage_periods.lock_newest(session)
    own = select(CreditLot).where(CreditLot.purchase_id == purchase_id).with_for_update()
    lot = session.scalars(own).first()
    return purchase, lot, credit_lots.left(session, lot) if lot else 0


def _of_kind(session: Session, purchase_id: str, kind: str) -> CreditRefund | None:
    return session.scalars(
        select(CreditRefund).where(CreditRefund.purchase_id == purchase_id, CreditRefund.kind == kind)
    ).first()


def _begin(
    session: Session,
    gateways: Gateways,
    purchase: CreditPurchase,
    lot: CreditLot,
    kind: str,
    units: int,
    *,
    user_id: int | None = None,
    reason: str | None = None,
) -> CreditRefund:
    """Commit the intent, with the units off the lot; the worker goes on should this process die."""
    refund = CreditRefund(
        id=new_id("B"),
        purchase_id=purchase.id,
        kind=kind,
        state=OPEN,
        step=GRANT,
        units=units,
        kept_units=credit_lots.unbilled(session, lot),
        reason=reason,
        currency=purchase.currency,
        created_by=user_id,
        # grants that were wanted before are not made after this
        created_at=attempt_states.database_time(session),
    )
    session.add(refund)
    session.flush()
    if units:
        why = "disputed" if kind == CHARGEBACK else "refunded"
        credit_lots.take_back(session, lot, units, source=refund.id, why=why, at=gateways.clock.now())
    to = states.DISPUTED if kind == CHARGEBACK else states.REFUNDING
    states.move(session, purchase, to, user_id=user_id)
    facts: dict[str, object] = {"purchase": purchase.id, "units": units, "kind": kind}
    invoice_id = purchase.stripe_invoice_id
    audit.record(session, "credit_refund.begun", user_id=user_id, after=facts, invoice_id=invoice_id)
    gateways.jobs.defer(session, RESUME, workspace_id=purchase.workspace_id, refund_id=refund.id)
    return refund


# --- carrying it out -----------------------------------------------------------------------------------


def carry_out(gateways: Gateways, workspace_id: int, refund_id: str) -> CreditRefund:
    """Take a refund as far as it goes, unless somebody works on it; how it stands then.

    What Stripe has not answered is taken up again by the worker.
    """
    if _claim(workspace_id, refund_id):
        try:
            _steps(gateways, workspace_id, refund_id)
        except PortalError as error:
            log.warning("credit_refund_waits", refund=refund_id, reason=str(error))
        finally:
            claims.let_go(workspace_id, CreditRefund, CreditRefund.id == refund_id)
    with unit_of_work(workspace_id) as session:
        return steps.get(session, refund_id)


def _steps(gateways: Gateways, workspace_id: int, refund_id: str) -> None:
    work = steps.Work(gateways, workspace_id, refund_id)
    if work.refund.state == OPEN and work.refund.step == GRANT and not steps.end_grant(work):
        return
    if work.refund.state == OPEN and work.refund.step == NOTE:
        steps.give_back(work)
    if work.refund.state == OPEN and work.refund.step == REST:
        steps.give_back_rest(work)
    if work.refund.state == OPEN and work.refund.step == FINISHED:
        _finish(work)


def _finish(work: steps.Work) -> None:
    with unit_of_work(work.workspace_id) as session:
        refund = steps.locked(session, work.refund.id)
        if refund.state != OPEN:
            return
        refund.state = DONE
        refund.updated_at = attempt_states.database_time(session)
        purchase = states.locked(session, refund.purchase_id)
        if refund.kind != CHARGEBACK:
            lot = credit_lots.of_purchase(session, purchase.id)
            rest = lot is not None and credit_lots.left(session, lot)
            states.move(session, purchase, states.GRANTED if rest else states.REFUNDED)
        audit.record(
            session,
            "credit_refund.done",
            after={"purchase": purchase.id, "units": refund.units, "amount": refund.total or 0},
            invoice_id=purchase.stripe_invoice_id,
        )
        if refund.units or refund.kind == CHARGEBACK:
            credit_notices.about_refund(session, gateways=work.gateways, refund=refund)


def _claim(workspace_id: int, refund_id: str) -> bool:
    own = (CreditRefund.id == refund_id, CreditRefund.state == OPEN)
    return claims.take(workspace_id, CreditRefund, *own, lasting=steps.CLAIM)


def sweep(gateways: Gateways) -> int:
    """Go on with every refund that nobody works on; how many were looked at."""
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(CreditRefund.workspace_id, CreditRefund.id)
            .where(CreditRefund.state == OPEN, claims.is_free(CreditRefund))
            .order_by(CreditRefund.updated_at)
            .limit(BATCH)
        ).all()
    return turns.give(due, partial(carry_out, gateways), waits="credit_refund_waits")
