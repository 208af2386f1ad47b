"""The steps of a correction: draft, lines, check, credit, finalize; or, when it cannot be, discard.

Until ``credit`` nothing that the customer sees has changed and the draft can be thrown away. After it the
customer's balance holds the whole amount, and the new invoice takes it from there.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import func, select

from portal.db import unit_of_work
from portal.errors import N_
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError
from portal.gateways.stripe_invoices import NewLine
from portal.gateways.stripe_words import Invoice as StripeInvoice
from portal.models import BillingDetails, Correction, Invoice
from portal.services import adjustments, audit, incidents, projections

log = structlog.get_logger()

DRAFT, LINES, CHECK, CREDIT, FINALIZE, FINISHED, DISCARD = (
    "draft", "lines", "check", "credit", "finalize", "done", "discard",
)  # fmt: skip
OPEN, DONE, REFUSED, STUCK = "open", "done", "refused", "stuck"
# Stripe keeps a key for 24 hours; after that only reading tells what was done
KEY_LIFETIME = timedelta(hours=23)


class _Work:
    """One correction with the invoice that it replaces, as they are committed."""

    def __init__(self, gateways: Gateways, workspace_id: int, correction_id: str) -> None:
        self.gateways = gateways
        self.workspace_id = workspace_id
        with unit_of_work(workspace_id) as session:
            self.row = session.scalars(select(Correction).where(Correction.id == correction_id)).one()
            self.invoice = session.scalars(
                select(Invoice).where(Invoice.stripe_id == self.row.stripe_invoice_id)
            ).one()
            details = session.scalars(select(BillingDetails)).one()
        self.customer_id = str(details.stripe_customer_id)

    @property
    def stripe(self) -> Any:
        """The invoices' side of Stripe."""
        return self.gateways.stripe.invoices

    @property
    def key(self) -> str:
        """The idempotency key of the present step."""
        return f"{self.row.id}:{self.row.step}"

    @property
    def lines(self) -> list[Mapping[str, Any]]:
        """The lines that charged something."""
        return [line for line in self.invoice.lines if line["amount"]]

    @property
    def late(self) -> bool:
        """Whether Stripe may have forgotten the keys."""
        with unit_of_work() as session:
            now = session.execute(select(func.clock_timestamp())).scalar_one()
        return bool(now - self.row.created_at > KEY_LIFETIME)

    def go_on(self, step: str, **facts: object) -> None:
        """Commit what a step brought, and the next one."""
        with unit_of_work(self.workspace_id) as session:
            row = session.scalars(
                select(Correction).where(Correction.id == self.row.id).with_for_update()
            ).one()
            for name, value in facts.items():
                setattr(row, name, value)
            row.step = step
            row.updated_at = session.execute(select(func.clock_timestamp())).scalar_one()
            self.row = row


def carry_out(gateways: Gateways, workspace_id: int, correction_id: str) -> None:
    """Take a claimed correction to its end, and let it go.

    Raises StripeUnknownError when it is not known what Stripe did: it stays open and is taken up again.
    """
    work = _Work(gateways, workspace_id, correction_id)
    steps = {
        DRAFT: _draft, LINES: _lines, CHECK: _check, CREDIT: _credit, FINALIZE: _finalize, DISCARD: _discard,
    }  # fmt: skip
    try:
        while work.row.state == OPEN:
            steps[work.row.step](work)
    finally:
        with unit_of_work(workspace_id) as session:
            row = session.scalars(select(Correction).where(Correction.id == correction_id)).one()
            row.claimed_until = None


def _draft(work: _Work) -> None:
    made = None
    if work.late:
        since = int(work.row.created_at.timestamp()) - 60
        made = work.stripe.made_for(work.customer_id, "correction", work.row.id, since=since)
    number = work.row.wanted.get("purchase_order")
    try:
        made = made or work.stripe.create_draft(
            work.customer_id,
            work.invoice.currency,
            purchase_order=str(number) if number else None,
            description=f"Replaces invoice {work.invoice.number}",
            metadata={
                "correction": work.row.id,
                "corrects": work.invoice.stripe_id,
                "workspace": str(work.workspace_id),
            },
            tax=work.invoice.billing.get("tax_status") is not None,
            key=work.key,
        )
    except StripeRefusedError as refusal:
        _refuse(work, refusal.message, refusal.stripe_code)
        return
    work.go_on(LINES, replacement_id=made.id)


def _lines(work: _Work) -> None:
    if _replacement(work).lines:
        work.go_on(CHECK)
        return
    rows = [
        NewLine(
            description=_description(line, work.invoice.currency),
            amount=line["total"],
            product_id=line.get("product"),
            period_start=line["period_start"],
            period_end=line["period_end"],
            metadata={"line": str(line["id"])},
        )
        for line in work.lines
    ]
    try:
        work.stripe.add_lines(work.row.replacement_id, work.invoice.currency, rows, key=work.key)
    except StripeRefusedError as refusal:
        _refuse(work, refusal.message, refusal.stripe_code)
        return
    work.go_on(CHECK)


def _description(line: Mapping[str, Any], currency: str) -> str:
    """As it stood, with what was off named, since the new line is the amount after it."""
    if not line["discount"]:
        return str(line["description"])
    return f"{line['description']}, after discounts"


def _replacement(work: _Work) -> StripeInvoice:
    return work.gateways.stripe.invoice(str(work.row.replacement_id))


def _check(work: _Work) -> None:
    """See that everything comes out to the cent before anything is credited."""
    made = _replacement(work)
    if (made.total, made.tax, made.currency) != (
        work.invoice.total,
        work.invoice.tax,
        work.invoice.currency,
    ):
        said = N_("The total would be another, since the tax is another at this address. Write to support.")
        _refuse(work, said, "total")
        return
    if any(each.id != made.id for each in work.stripe.drafts(work.customer_id)):
        said = N_("Another invoice is being made for you right now. Try again in two hours.")
        _refuse(work, said, "draft")
        return
    if work.stripe.balance(work.customer_id) > 0:
        said = N_("A small amount waits for your next invoice. Try again after it, or write to support.")
        _refuse(work, said, "balance")
        return
    try:
        credit = work.stripe.preview_credit(
            work.invoice.stripe_id, _credited(work), amount=work.invoice.total
        )
    except StripeRefusedError as refusal:
        _refuse(work, N_("Stripe does not let this invoice be credited. Write to support."), str(refusal))
        return
    if credit != work.invoice.total:
        _refuse(work, N_("The credit would not be the whole invoice. Write to support."), "credit")
        return
    work.go_on(CREDIT)


def _credited(work: _Work) -> dict[str, int]:
    return {str(line["id"]): line["amount"] for line in work.lines}


def _credit(work: _Work) -> None:
    known = None
    if work.late:
        notes = work.stripe.credit_notes(work.invoice.stripe_id)
        known = next((each for each in notes if each.details.get("correction") == work.row.id), None)
    try:
        note = known or work.stripe.credit_to_balance(
            work.invoice.stripe_id,
            _credited(work),
            amount=work.invoice.total,
            memo="Replaced by an invoice with corrected details",
            metadata={"correction": work.row.id},
            key=work.key,
        )
    except StripeRefusedError as refusal:
        _refuse(work, N_("Stripe does not let this invoice be credited. Write to support."), str(refusal))
        return
    work.go_on(FINALIZE, credit_note_id=note.id)


def _finalize(work: _Work) -> None:
    made = _replacement(work)
    if made.status == "draft":
        try:
            work.stripe.finalize(made.id, key=work.key)
        except StripeRefusedError as refusal:
            _stick(work, f"the new invoice cannot be made final: {refusal}")
            return
        made = _replacement(work)
    if made.status != "paid" or made.amount_paid:
        _stick(work, f"the new invoice is {made.status}, {made.amount_due} is due on it")
        return
    _end(work, DONE, FINISHED)
    adjustments.refresh_credit_note(work.gateways, str(work.row.credit_note_id))
    projections.refresh_invoice(work.gateways, made.id)


def _refuse(work: _Work, message: str, code: str | None) -> None:
    work.go_on(DISCARD, error={"code": code, "message": message})


def _discard(work: _Work) -> None:
    """Nothing was credited: the draft goes, and the invoice is as it was."""
    if work.row.replacement_id is not None:
        work.stripe.delete_draft(work.row.replacement_id)
    _end(work, REFUSED, DISCARD)


def _stick(work: _Work, why: str) -> None:
    """The credit is there and the new invoice is not paid by it: a person has to look."""
    _end(work, STUCK, FINALIZE)
    with unit_of_work(work.workspace_id) as session:
        incidents.report(
            session,
            work.gateways,
            "correction_stuck",
            dedupe_key=f"correction_stuck:{work.row.id}",
            workspace_id=work.workspace_id,
            summary=f"Correction {work.row.id} is credited, but {why}",
            details={"invoice": work.invoice.stripe_id, "replacement": work.row.replacement_id},
        )


def _end(work: _Work, state: str, step: str) -> None:
    work.go_on(step, state=state)
    with unit_of_work(work.workspace_id) as session:
        audit.record(
            session,
            f"correction.{state}",
            user_id=work.row.created_by,
            after={"replacement": work.row.replacement_id, "credit_note": work.row.credit_note_id},
            invoice_id=work.invoice.stripe_id,
        )
