"""The steps of a refund of credits: Stripe's grant ends, then a credit note gives the money back.

What was used in a month whose invoice is not final stays paid for, by a grant of just that much.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_credits import Grant, NewGrant
from portal.gateways.stripe_errors import StripeRefusedError
from portal.gateways.stripe_invoices import Adjustment
from portal.gateways.stripe_words import Invoice, InvoiceLine
from portal.models import BillingDetails, CreditPurchase, CreditRefund, UsagePeriod
from portal.pricing.money import round_half_up
from portal.services import (
    adjustments,
    attempt_states,
    audit,
    credit_grants,
    credit_lots,
    incidents,
    usage_periods,
)
from portal.services import credit_purchase_states as states
from portal.services.credit_purchase_kinds import SWAP
from portal.services.usage_periods import OPEN as PERIOD_OPEN

log = structlog.get_logger()

OPEN, DONE, STUCK = "open", "done", "stuck"
GRANT, NOTE, REST, FINISHED = "grant", "note", "rest", "finished"
CLAIM = timedelta(seconds=120)
# Stripe keeps a key for 24 hours; after that only reading tells what was done
KEY_LIFETIME = timedelta(hours=23)
REFUND, BALANCE = "refund_amount", "credit_amount"
# begins the kind of a refund whose money was given back at Stripe
BY_HAND = "by_hand"
# tax is rounded by Stripe
ROUNDING = (0, 1, -1, 2, -2)


def get(session: Session, refund_id: str) -> CreditRefund:
    """One refund of the entered workspace."""
    return session.scalars(select(CreditRefund).where(CreditRefund.id == refund_id)).one()


def locked(session: Session, refund_id: str) -> CreditRefund:
    """The refund, locked until the transaction ends."""
    return session.scalars(select(CreditRefund).where(CreditRefund.id == refund_id).with_for_update()).one()


class Work:
    """One refund with its purchase, as they are committed."""

    def __init__(self, gateways: Gateways, workspace_id: int, refund_id: str) -> None:
        self.gateways = gateways
        self.workspace_id = workspace_id
        with unit_of_work(workspace_id) as session:
            self.refund = get(session, refund_id)
            self.purchase: CreditPurchase = states.get(session, self.refund.purchase_id)
            details = session.scalars(select(BillingDetails)).one()
        self.customer_id = str(details.stripe_customer_id)

    def go_on(self, step: str, **facts: object) -> None:
        """Commit what a step brought, and the next one; what another committed meanwhile counts instead.

        So a worker whose claim ran out while Stripe was slow asks for nothing under a key of its own.
        """
        known = (self.refund.state, self.refund.step, self.refund.tried_at)
        with unit_of_work(self.workspace_id) as session:
            row = locked(session, self.refund.id)
            if (row.state, row.step, row.tried_at) == known:
                for name, value in facts.items():
                    setattr(row, name, value)
                row.step = step
                row.updated_at = attempt_states.database_time(session)
            self.refund = row

    def stick(self, why: str) -> None:
        """It cannot go on by itself: a person has to."""
        with unit_of_work(self.workspace_id) as session:
            row = locked(session, self.refund.id)
            row.state, row.error = STUCK, {"code": "stuck", "message": why}
            facts: dict[str, object] = {"purchase": self.purchase.id, "units": row.units}
            audit.record(session, "credit_refund.stuck", after=facts)
            incidents.report(
                session,
                self.gateways,
                "credit_refund_stuck",
                dedupe_key=f"credit_refund_stuck:{row.id}",
                workspace_id=self.workspace_id,
                summary=f"Credits of purchase {self.purchase.id} are taken back, but {why}",
                details={
                    "refund": row.id,
                    "purchase": self.purchase.id,
                    "step": row.step,
                    "repeat": f"flask support purchase repeat {self.workspace_id} {self.purchase.id}",
                },
            )
            self.refund = row


# --- step: grant ---------------------------------------------------------------------------------------


def end_grant(work: Work) -> bool:
    """End every grant of the purchase; False while one may just be being made, or has to pay an invoice.

    A month that has ended is paid by the grants that were there at its end, until its invoice is final.
    """
    if work.refund.kept_units and _is_to_be_billed(work):
        return False
    claimed = credit_grants.claim(work.workspace_id, work.purchase.id)
    if claimed is None:
        return False
    try:
        credit_grants.settle(work.gateways, work.workspace_id, work.purchase.id)
        grants = work.gateways.stripe.credits.made_for(work.customer_id, purchase=work.purchase.id)
        rest = next((each for each in grants if each.metadata.get("refund") == work.refund.id), None)
        rest = rest or _rest(work)
        now = int(work.gateways.clock.now().timestamp())
        for grant in grants:
            if grant.counts(now) and grant != rest:
                credit_grants.end(work.gateways, grant, by=work.refund.id)
    finally:
        credit_grants.release(work.workspace_id, work.purchase.id, claimed)
    if rest is not None:
        with unit_of_work(work.workspace_id) as session:
            lot = credit_grants.lot_of(session, work.purchase.id)
            credit_lots.granted(session, lot.id, rest.id, rest.value)
    is_given = work.refund.kind == "chargeback" or work.refund.kind.startswith(BY_HAND)
    work.go_on(FINISHED if is_given else NOTE)
    return True


def _is_to_be_billed(work: Work) -> bool:
    with unit_of_work(work.workspace_id) as session:
        return usage_periods.is_to_be_billed(session, work.gateways.clock.now())


def _rest(work: Work) -> Grant | None:
    """A grant of what was used and is not billed yet, if anything is; it ends with the months it is for.

    Of what stays of a pack, too, and then it ends with that.
    """
    with unit_of_work(work.workspace_id) as session:
        lot = credit_grants.lot_of(session, work.purchase.id)
        kept, left = credit_lots.unbilled(session, lot), credit_lots.left(session, lot)
        until = credit_grants.until(session, lot)
    work.go_on(GRANT, kept_units=kept)
    if not kept + left:
        return None
    if not left:
        until = int((_end_of_open_months(work) + credit_grants.AFTER_THE_END).timestamp())
    wanted = NewGrant(
        customer_id=work.customer_id,
        name=f"{kept + left:,} resolutions, of a pack that was taken back",
        currency=work.purchase.currency,
        value=credit_grants.worth(lot, kept + left),
        price_id=lot.price_id,
        expires_at=until,
        metadata={
            "purchase": work.purchase.id,
            "refund": work.refund.id,
            "price": lot.price_id,
            "units": str(kept + left),
        },
    )
    return work.gateways.stripe.credits.create(wanted, key=f"{work.refund.id}:rest")


def _end_of_open_months(work: Work) -> datetime:
    with unit_of_work(work.workspace_id) as session:
        last = session.scalar(select(func.max(UsagePeriod.ends_at)).where(UsagePeriod.state == PERIOD_OPEN))
    return last or work.gateways.clock.now()


# --- step: note ----------------------------------------------------------------------------------------


def give_back(work: Work) -> None:
    """Issue the credit note of what is given back; what was charged goes where it came from."""
    note_id = None
    tried = work.refund.tried_at
    if tried is not None and work.gateways.clock.now() - tried > KEY_LIFETIME:
        notes = work.gateways.stripe.invoices.credit_notes(str(work.purchase.stripe_invoice_id))
        note_id = next((note.id for note in notes if note.details.get("refund") == work.refund.id), None)
        if note_id is None:
            work.go_on(NOTE, tried_at=None)
    if work.refund.tried_at is None:
        _intend(work)
    if work.refund.state == OPEN and work.refund.step == NOTE:
        try:
            note_id = note_id or _issue(work)
        except StripeRefusedError as refusal:
            work.stick(f"Stripe refuses the credit note: {refusal.message}")
            return
        adjustments.refresh_credit_note(work.gateways, note_id)
        work.go_on(REST if work.purchase.kind == SWAP else FINISHED, credit_note_id=note_id)


def share(purchase: CreditPurchase, units: int) -> int:
    """What was paid for so many units of a pack, before tax, in minor units, a tie upward."""
    return round_half_up(purchase.amount * units, purchase.units)


def _intend(work: Work) -> None:
    """Commit what is going to be asked for, as Stripe's preview agrees to it."""
    invoice = work.gateways.stripe.invoice(str(work.purchase.stripe_invoice_id))
    amount = share(work.purchase, work.refund.units)
    line = _line(work, invoice)
    if line is None:
        work.stick("its invoice has no line of that amount")
        return
    if not amount:
        work.go_on(FINISHED, amount=0, total=0)
        return
    notes = work.gateways.stripe.invoices.credit_notes(invoice.id)
    noted = _creditable(invoice, notes, amount, _with_tax(line, amount))
    if not noted and work.purchase.kind == SWAP:
        work.go_on(REST, amount=0, total=0, refunded=0, balance=0)
        return
    parts = _agreed(work, invoice, notes, {line.id: noted}, _with_tax(line, noted))
    if parts is None:
        work.stick("Stripe agrees to no credit note for it")
        return
    work.go_on(
        NOTE,
        line_id=line.id,
        amount=noted,
        total=parts[REFUND] + parts[BALANCE],
        refunded=parts[REFUND],
        balance=parts[BALANCE],
        tried_at=work.gateways.clock.now(),
    )


def _line(work: Work, invoice: Invoice) -> InvoiceLine | None:
    """The pack's line; a swap's stands beside those of its seats, which are prorated."""
    packs = (each for each in invoice.lines if each.amount == work.purchase.amount and not each.proration)
    return next(packs, None)


def _with_tax(line: InvoiceLine, amount: int) -> int:
    return amount + (round_half_up(line.tax * amount, line.total) if line.total else 0)


def _creditable(invoice: Invoice, notes: Sequence[Adjustment], amount: int, whole: int) -> int:
    """How much of ``amount`` a credit note may name: all notes together are never more than the invoice.

    A swap's is what the pack costs more than its seats were worth, so that it may be less than the pack.
    """
    room = invoice.total - sum(note.amount for note in notes if note.status != adjustments.VOID)
    return amount if whole <= room else max(amount * room // whole, 0)


def _agreed(
    work: Work, invoice: Invoice, notes: Sequence[Adjustment], lines: dict[str, int], estimate: int
) -> dict[str, int] | None:
    """Where the money goes, as Stripe agrees to it: to what paid, as far as it did, else to the balance."""
    back = sum(int(str(note.details.get("refunded") or 0)) for note in notes)
    for most in (max(invoice.amount_paid - back, 0), 0):
        for more in ROUNDING:
            total = estimate + more
            parts = {REFUND: min(total, most), BALANCE: total - min(total, most)}
            asked = {name: part for name, part in parts.items() if part}
            try:
                work.gateways.stripe.invoices.preview_note(invoice.id, lines, asked)
            except StripeRefusedError as refusal:
                log.info("credit_refund_preview", total=total, most=most, answer=str(refusal))
                continue
            return parts
    return None


def _issue(work: Work) -> str:
    refund = work.refund
    parts = {REFUND: refund.refunded or 0, BALANCE: refund.balance or 0}
    tried = int(refund.tried_at.timestamp()) if refund.tried_at else 0
    return work.gateways.stripe.invoices.issue_note(
        str(work.purchase.stripe_invoice_id),
        {str(refund.line_id): refund.amount or 0},
        {name: part for name, part in parts.items() if part},
        memo=f"{refund.units:,} of {work.purchase.units:,} resolutions returned",
        metadata={"refund": refund.id, "purchase": work.purchase.id},
        key=f"{refund.id}:note:{tried}",
    ).id


# --- step: rest ----------------------------------------------------------------------------------------


def give_back_rest(work: Work) -> None:
    """Put on the balance what the value of seats had paid of a swap's pack: no credit note can name that.

    Also what was not given back of any pack where somebody gave a part of it by hand.
    """
    refund, invoices = work.refund, work.gateways.stripe.invoices
    invoice = work.gateways.stripe.invoice(str(work.purchase.stripe_invoice_id))
    amount, line = share(work.purchase, refund.units), _line(work, invoice)
    rest = _with_tax(line, amount) - (refund.total or 0) if line is not None else 0
    if rest <= max(ROUNDING):
        work.go_on(FINISHED, amount=amount)
        return
    # once: Stripe may have forgotten the key
    if not invoices.was_put_on_balance(work.customer_id, refund=refund.id):
        invoices.put_on_balance(
            work.customer_id,
            rest,
            refund.currency,
            memo=f"{refund.units:,} of {work.purchase.units:,} resolutions returned",
            metadata={"refund": refund.id, "purchase": work.purchase.id},
            key=f"{refund.id}:balance",
        )
    totals = {"total": (refund.total or 0) + rest, "balance": (refund.balance or 0) + rest}
    work.go_on(FINISHED, amount=amount, **totals)
