"""A unit that no meter can take back any more: its price comes back by a credit note on the invoice it is on.

One credit note per unit. The intent is committed with what it comes to, then Stripe is asked, then the result
is kept; each step may be repeated. What was paid is refunded to where it came from; where that cannot be, it
goes on the customer's balance. A unit that annual credits paid returns to its pack instead.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from itertools import product

import structlog
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError
from portal.gateways.stripe_words import Invoice as StripeInvoice
from portal.models import MeterEvent, UsageCredit
from portal.services import (
    adjustments,
    attempt_states,
    audit,
    claims,
    credit_returns,
    incidents,
    turns,
    units,
    usage_credit_plans,
    usage_moves,
    usage_periods,
)
from portal.services.meter_events import CREDITED, CREDITING
from portal.services.usage_credit_plans import Plan, StuckError
from portal.services.usage_periods import RESOLUTION

log = structlog.get_logger()

OPEN, DONE, STUCK = "open", "done", "stuck"
BATCH = 100
CLAIM = timedelta(seconds=120)
# Stripe keeps a key for 24 hours; after that only reading tells what was done
KEY_LIFETIME = timedelta(hours=23)
WAIT = timedelta(minutes=5)
# tax is rounded by Stripe, line by line
ROUNDING = (0, 1, -1, 2, -2)
REFUND, BALANCE = "refund_amount", "credit_amount"
NAMED = "named"


def of_unit(session: Session, key: str, source: str) -> UsageCredit | None:
    """The credit of a unit, by the ledger's name of it."""
    return session.scalars(
        select(UsageCredit).where(UsageCredit.key == key, UsageCredit.source == usage_moves.base(source))
    ).first()


def of_invoice(session: Session, invoice_id: str) -> list[UsageCredit]:
    """The units that were credited on an invoice, or are to be, oldest first."""
    return list(
        session.scalars(
            select(UsageCredit)
            .where(UsageCredit.stripe_invoice_id == invoice_id)
            .order_by(UsageCredit.created_at, UsageCredit.identifier)
        )
    )


def sweep(gateways: Gateways) -> int:
    """Carry out every credit that is owed, whatever becomes of the others; how many were looked at."""
    _begin()
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(UsageCredit.workspace_id, UsageCredit.identifier)
            .where(UsageCredit.state == OPEN, claims.is_free(UsageCredit))
            .order_by(UsageCredit.updated_at)
            .limit(BATCH)
        ).all()
    return turns.give(due, partial(carry_out, gateways), waits="usage_credit_waits")


def _begin() -> None:
    """Make the row of each credit that the outbox owes: one per unit, whatever repeats it."""
    owed = MeterEvent.state == CREDITING
    known = (
        select(UsageCredit.identifier)
        .where(
            UsageCredit.workspace_id == MeterEvent.workspace_id,
            UsageCredit.identifier == MeterEvent.identifier,
        )
        .exists()
    )
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(MeterEvent.workspace_id, MeterEvent.identifier)
            .where(owed, ~known)
            .order_by(MeterEvent.at)
            .limit(BATCH)
        ).all()
    for workspace_id, identifier in due:
        with unit_of_work(workspace_id) as session:
            row = session.scalars(
                select(MeterEvent).where(MeterEvent.identifier == identifier, owed).with_for_update()
            ).first()
            if row is None:
                continue
            source = usage_moves.base(usage_moves.entry_of(session, row).source)
            values = {"key": row.key, "source": source, "quantity": -row.quantity}
            session.execute(
                insert(UsageCredit).values(identifier=identifier, **values).on_conflict_do_nothing()
            )


def carry_out(gateways: Gateways, workspace_id: int, identifier: str) -> None:
    """Take one credit to its end, unless somebody works on it.

    Raises StripeUnknownError when it is not known what Stripe did: it is taken up again.
    """
    if not _claim(workspace_id, identifier):
        return
    with unit_of_work(workspace_id) as session:
        row = _get(session, identifier)
        try:
            plan = usage_credit_plans.make(session, row)
            if plan is not None and plan.covered and plan.invoice.status != "void":
                # a month that waits for its invoice is not paid by a grant that is made now
                if usage_periods.is_to_be_billed(session, gateways.clock.now()):
                    row.claimed_until = attempt_states.database_time(session) + WAIT
                else:
                    _return_to_pack(session, gateways, row, plan)
                return
        except StuckError as why:
            _stick(session, gateways, row, str(why))
            return
        if plan is None:
            # the month's invoice is not final yet
            row.claimed_until = attempt_states.database_time(session) + WAIT
            return
        if plan.amount == 0 or plan.invoice.status == "void":
            _finish(session, row, plan, note_id=None)
            return
    _issue(gateways, workspace_id, row, plan)


def _return_to_pack(session: Session, gateways: Gateways, row: UsageCredit, plan: Plan) -> None:
    """Let the unit count again, and Stripe be asked for what pays for it. Raises StuckError."""
    back = credit_returns.take_in(session, gateways, plan.month, row.quantity, of=row.identifier)
    if back is None:
        raise StuckError("the ledger of credits does not say which pack paid for the unit")
    row.line_id, row.total, row.refunded, row.balance = str(plan.line["id"]), 0, 0, 0
    row.lot_id, row.grant_id = back.lot_id, back.grant_id
    _finish(session, row, plan, note_id=None)


def _claim(workspace_id: int, identifier: str) -> bool:
    own = (UsageCredit.identifier == identifier, UsageCredit.state == OPEN)
    return claims.take(workspace_id, UsageCredit, *own, lasting=CLAIM)


def _get(session: Session, identifier: str) -> UsageCredit:
    return session.scalars(
        select(UsageCredit).where(UsageCredit.identifier == identifier).with_for_update()
    ).one()


# --- having it issued --------------------------------------------------------------------------------


def _issue(gateways: Gateways, workspace_id: int, row: UsageCredit, plan: Plan) -> None:
    note_id = None
    if row.tried_at is None:
        parts = _parts(gateways, plan)
        row = _intend(gateways, workspace_id, row, plan, parts)
        if row.state != OPEN:
            return
    elif gateways.clock.now() - row.tried_at > KEY_LIFETIME:
        notes = gateways.stripe.invoices.credit_notes(plan.invoice.stripe_id)
        note_id = next((note.id for note in notes if note.details.get("unit") == row.identifier), None)
        if note_id is None:
            _forget_try(workspace_id, row)
            return
    try:
        note_id = note_id or _ask(gateways, row, plan)
    except StripeRefusedError as refusal:
        log.warning("usage_credit_refused", identifier=row.identifier, reason=str(refusal))
        _forget_try(workspace_id, row)
        return
    adjustments.refresh_credit_note(gateways, note_id)
    with unit_of_work(workspace_id) as session:
        _finish(session, _get(session, row.identifier), plan, note_id=note_id)


def _parts(gateways: Gateways, plan: Plan) -> dict[str, int] | None:
    """Where the money goes, as Stripe's preview agrees to it; None when it agrees to nothing."""
    invoice: StripeInvoice = gateways.stripe.invoice(plan.invoice.stripe_id)
    unpaid = invoice.amount_due - invoice.amount_paid if invoice.status == "open" else 0
    for way, named, more in product((REFUND, BALANCE), plan.namings, ROUNDING):
        total = plan.estimate + more
        paid = total - min(total, unpaid)
        parts = {way: paid} if paid else {}
        try:
            found = gateways.stripe.invoices.preview_note(invoice.id, {str(plan.line["id"]): named}, parts)
        except StripeRefusedError as refusal:
            log.info("usage_credit_preview", way=way, total=total, named=named, answer=str(refusal))
            continue
        return {"total": found, NAMED: named} | parts
    return None


def _intend(
    gateways: Gateways, workspace_id: int, row: UsageCredit, plan: Plan, parts: Mapping[str, int] | None
) -> UsageCredit:
    """Commit what is going to be asked for, before it is."""
    with unit_of_work(workspace_id) as session:
        found = _get(session, row.identifier)
        if found.state != OPEN or found.tried_at is not None:
            return found  # another has, while Stripe was so slow that the claim ran out
        if parts is None:
            _stick(session, gateways, found, "Stripe agrees to no credit note for it")
            return found
        found.stripe_invoice_id, found.line_id = plan.invoice.stripe_id, str(plan.line["id"])
        found.currency, found.amount = plan.invoice.currency, plan.amount
        found.line_amount = parts[NAMED]
        found.total, found.refunded = parts["total"], parts.get(REFUND, 0)
        found.balance = parts.get(BALANCE, 0)
        found.tried_at = gateways.clock.now()
        return found


def _ask(gateways: Gateways, row: UsageCredit, plan: Plan) -> str:
    assert row.tried_at is not None
    parts = {REFUND: row.refunded or 0, BALANCE: row.balance or 0}
    # an older row's amount is what it named
    named = row.line_amount if row.line_amount is not None else plan.amount
    return gateways.stripe.invoices.issue_note(
        plan.invoice.stripe_id,
        {str(row.line_id): named},
        {name: part for name, part in parts.items() if part},
        memo=memo(row.key, row.source),
        metadata={"unit": row.identifier, "source": row.source},
        key=f"{row.identifier}:{int(row.tried_at.timestamp())}",
    ).id


def memo(key: str, source: str) -> str:
    """What the credit note says it is for, in the invoice's language."""
    if key == RESOLUTION:
        conversation_id, episode = units.unit_of(source)
        return f"Resolution taken back: conversation {conversation_id}, episode {episode}"
    return f"Usage taken back: {key} {source}"


def _forget_try(workspace_id: int, row: UsageCredit) -> None:
    """Nothing was done under that key: it is planned anew, under another."""
    with unit_of_work(workspace_id) as session:
        found = _get(session, row.identifier)
        if found.state != OPEN:
            return
        found.tried_at = found.line_id = found.amount = found.line_amount = found.total = None
        found.claimed_until = attempt_states.database_time(session) + WAIT


def _finish(session: Session, row: UsageCredit, plan: Plan, *, note_id: str | None) -> None:
    row.state, row.claimed_until, row.credit_note_id = DONE, None, note_id
    row.stripe_invoice_id, row.currency, row.amount = (
        plan.invoice.stripe_id,
        plan.invoice.currency,
        plan.amount,
    )
    row.updated_at = attempt_states.database_time(session)
    _settle(session, row.identifier)
    audit.record(
        session,
        "usage.credited",
        actor=audit.SYSTEM,
        after={"source": row.source, "amount": row.total or 0, "credit_note": note_id}
        | ({"lot": row.lot_id} if row.lot_id else {}),
        invoice_id=plan.invoice.stripe_id,
    )


def _settle(session: Session, identifier: str) -> None:
    session.execute(
        update(MeterEvent)
        .where(MeterEvent.identifier == identifier, MeterEvent.state == CREDITING)
        .values(state=CREDITED)
    )


def _stick(session: Session, gateways: Gateways, row: UsageCredit, why: str) -> None:
    """What is owed cannot be given back by this: a person has to."""
    row.state, row.claimed_until, row.error = STUCK, None, {"code": "stuck", "message": why}
    incidents.report(
        session,
        gateways,
        "usage_credit_stuck",
        dedupe_key=f"usage_credit_stuck:{row.identifier}",
        workspace_id=row.workspace_id,
        summary=f"A unit was taken back and its price could not be credited: {why}",
        details={"source": row.source, "key": row.key, "identifier": row.identifier},
    )
