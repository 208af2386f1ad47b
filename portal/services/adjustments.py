"""Money that came back after an invoice was final: credit notes, refunds and disputes, read anew and kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways import stripe_invoices as words
from portal.models import Adjustment, Invoice
from portal.services import audit, incidents, projections
from portal.services.subscriptions import moment

CREDIT_NOTE, REFUND, DISPUTE = "credit_note", "refund", "dispute"
VOID = "void"
NOT_REFUNDED = ("failed", "canceled")


def refresh_credit_note(gateways: Gateways, credit_note_id: str) -> projections.Outcome:
    """Read a credit note, and the invoice that it lessens, and keep both."""
    read_at = projections.database_time()
    found = gateways.stripe.invoices.credit_note(credit_note_id)
    done = _keep(gateways, [found], found.invoice_id, read_at)
    if done.workspace_id is not None and found.invoice_id:
        projections.refresh_invoice(gateways, found.invoice_id)
    return done


def refresh_refund(gateways: Gateways, refund_id: str) -> projections.Outcome:
    """Read a refund and keep it with the invoice whose payment it gives back."""
    read_at = projections.database_time()
    found = gateways.stripe.invoices.refund(refund_id)
    return _keep(gateways, [found], _paid_by(gateways, found), read_at)


def refresh_charge(gateways: Gateways, charge_id: str) -> projections.Outcome:
    """Read all refunds of a charge: Stripe tells of the charge as well as of each refund."""
    read_at = projections.database_time()
    found = gateways.stripe.invoices.refunds(charge_id)
    return _keep(gateways, found, _paid_by(gateways, found[0]) if found else None, read_at)


def refresh_given_back(gateways: Gateways, invoice_id: str) -> projections.Outcome:
    """Read all credit notes and refunds of an invoice, whether they have been heard of yet or not."""
    read_at = projections.database_time()
    invoice = gateways.stripe.invoice(invoice_id)
    found = gateways.stripe.invoices.credit_notes(invoice_id)
    if invoice.intent_id:
        found = [*found, *gateways.stripe.invoices.refunds_of_payment(invoice.intent_id)]
    return _keep(gateways, found, invoice_id, read_at)


def refresh_dispute(gateways: Gateways, dispute_id: str) -> projections.Outcome:
    """Read a dispute and keep it; support is told of a new one, since the answer has a date."""
    read_at = projections.database_time()
    found = gateways.stripe.invoices.dispute(dispute_id)
    done = _keep(gateways, [found], _paid_by(gateways, found), read_at)
    if done.workspace_id is not None:
        with unit_of_work(done.workspace_id) as session:
            incidents.report(
                session,
                gateways,
                "dispute",
                dedupe_key=f"dispute:{found.id}",
                workspace_id=done.workspace_id,
                summary="A customer's bank disputes a payment; evidence has to be given in time",
                details={"dispute": found.id, "reason": found.reason, **found.details},
            )
    return done


def of_invoice(session: Session, invoice_id: str) -> list[Adjustment]:
    """What happened to one invoice, oldest first."""
    return list(
        session.scalars(
            select(Adjustment)
            .where(Adjustment.stripe_invoice_id == invoice_id)
            .order_by(Adjustment.occurred_at, Adjustment.stripe_id)
        )
    )


@dataclass(frozen=True)
class GivenBack:
    """What came off an invoice, in minor units: by credit notes, and by refunds apart from those."""

    credited: int = 0
    refunded: int = 0


def given_back(session: Session, invoice_ids: Iterable[str]) -> dict[str, GivenBack]:
    """What came off each of these invoices; one of which nothing did is no key."""
    statement = select(Adjustment).where(Adjustment.stripe_invoice_id.in_(list(invoice_ids)))
    by_invoice: dict[str, list[Adjustment]] = {}
    for each in session.scalars(statement):
        by_invoice.setdefault(each.stripe_invoice_id, []).append(each)
    found = {invoice_id: _given_back(rows) for invoice_id, rows in by_invoice.items()}
    return {invoice_id: back for invoice_id, back in found.items() if back != GivenBack()}


def _given_back(found: Sequence[Adjustment]) -> GivenBack:
    notes = (each.amount for each in found if each.kind == CREDIT_NOTE and each.status != VOID)
    refunds = (each.amount for each in refunded_apart(found) if each.status not in NOT_REFUNDED)
    return GivenBack(sum(notes), sum(refunds))


def refunded_apart(found: Sequence[Adjustment]) -> list[Adjustment]:
    """The refunds that no credit note speaks of."""
    told: set[object] = set()
    for each in found:
        refunds = each.details.get("refunds")
        told |= set(refunds) if isinstance(refunds, list) else set()
    return [each for each in found if each.kind == REFUND and each.stripe_id not in told]


def _paid_by(gateways: Gateways, found: words.Adjustment) -> str | None:
    return gateways.stripe.invoices.paid_by(found.intent_id) if found.intent_id else None


def _keep(
    gateways: Gateways, found: Sequence[words.Adjustment], invoice_id: str | None, read_at: datetime
) -> projections.Outcome:
    workspace_id = _workspace_of(gateways, invoice_id) if invoice_id else None
    if workspace_id is None or invoice_id is None:
        return projections.Outcome(projections.NOT_OURS)
    with unit_of_work(workspace_id) as session:
        session.execute(projections.WRITING, {"what": f"purchase:{workspace_id}"})
        done = [_store(session, each, invoice_id, read_at) for each in found]
    return projections.Outcome("; ".join(done), workspace_id, invoice_id)


def _workspace_of(gateways: Gateways, invoice_id: str) -> int | None:
    """Whose invoice that is; one whose own news has not been heard yet is read first."""
    with unit_of_work(system=True) as session:
        known = session.scalar(select(Invoice.workspace_id).where(Invoice.stripe_id == invoice_id))
    return known or projections.refresh_invoice(gateways, invoice_id).workspace_id


def _store(session: Session, found: words.Adjustment, invoice_id: str, read_at: datetime) -> str:
    known = session.scalars(select(Adjustment).where(Adjustment.stripe_id == found.id)).first()
    if known is not None and known.synced_at > read_at:
        return f"{found.kind} {found.id} is known in a newer state"
    before = _facts(known) if known else None
    values: dict[str, object] = {
        "kind": found.kind,
        "stripe_invoice_id": invoice_id,
        "status": found.status,
        "reason": found.reason,
        "currency": found.currency,
        "amount": found.amount,
        "details": dict(found.details),
        "occurred_at": moment(found.created),
        "synced_at": read_at,
    }
    statement = insert(Adjustment).values(stripe_id=found.id, **values)
    key = [Adjustment.workspace_id, Adjustment.stripe_id]
    session.execute(statement.on_conflict_do_update(index_elements=key, set_=values))
    after: dict[str, object] = {"id": found.id, "status": found.status, "amount": found.amount}
    if after != before:
        action = f"{found.kind}.{found.status}"
        audit.record(session, action, actor=audit.STRIPE, before=before, after=after, invoice_id=invoice_id)
    return f"{found.kind} {found.id} {found.status}"


def _facts(row: Adjustment) -> dict[str, object]:
    return {"id": row.stripe_id, "status": row.status, "amount": row.amount}
