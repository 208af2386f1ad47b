"""A paid invoice made out anew: the same lines and total, with the customer's present name and address.

Stripe's final invoices cannot be edited, so the customer is credited what it paid and a new invoice is paid
from that at once. Nobody's money moves: the balance ends as it began, and the two totals are equal to the
cent, which is seen to before anything is credited. Each step may be repeated under its key.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, PortalError
from portal.gateways import Gateways
from portal.models import Adjustment, BillingDetails, Correction, Invoice
from portal.services import (
    attempt_states,
    audit,
    billing_details,
    claims,
    correction_steps,
    invoices,
    turns,
)
from portal.services.billing_details import DetailsError
from portal.services.details_changes import LONGEST_PURCHASE_ORDER
from portal.services.ids import new_id

OPEN, DONE, REFUSED, STUCK = "open", "done", "refused", "stuck"
LIVE = (OPEN, DONE, STUCK)
# older ones are in books that are closed
LONGEST_AGE = timedelta(days=365)


class NotCorrectableError(ConflictError):
    """This invoice cannot be made out anew by the customer; the message says why and whom to ask."""

    code = "not_correctable"


def of_invoice(session: Session, invoice_id: str) -> Correction | None:
    """The correction that this invoice was replaced by, or came from; a refused one only as the last."""
    mine = or_(Correction.stripe_invoice_id == invoice_id, Correction.replacement_id == invoice_id)
    live = Correction.state.in_(LIVE).desc()
    statement = select(Correction).where(mine).order_by(live, Correction.created_at.desc()).limit(1)
    return session.scalars(statement).first()


def obstacle(session: Session, invoice: Invoice, now: datetime) -> str | None:
    """Why the invoice cannot be corrected by the customer; None when it can, as far as our rows tell."""
    if invoice.status != "paid":
        return {
            "open": N_("It can be corrected once it is paid."),
            "void": N_("It is void, so there is nothing to correct."),
        }.get(invoice.status, N_("It was not paid. Write to support."))
    if invoice.total <= 0:
        return N_("Nothing was charged by it. Write to support if you need it made out anew.")
    if invoice.issued_at is None or now - invoice.issued_at > LONGEST_AGE:
        return N_("It is older than a year. Write to support.")
    if any(int(str(line["amount"])) < 0 for line in invoice.lines):
        return N_("It holds credits for an earlier invoice, which cannot be made out anew. Write to support.")
    if any(line.get("id") is None for line in invoice.lines):
        return N_("It was issued before corrections were possible here. Write to support.")
    touched = select(Adjustment.stripe_id).where(
        Adjustment.stripe_invoice_id == invoice.stripe_id, Adjustment.status != "void"
    )
    if session.scalars(touched.limit(1)).first() is not None:
        return N_("Something was credited, refunded or disputed on it already. Write to support.")
    return _other_place(session, invoice)


def _other_place(session: Session, invoice: Invoice) -> str | None:
    details = billing_details.current(session)
    address = invoice.billing.get("address")
    country = address.get("country") if isinstance(address, dict) else None
    if details is None or (details.address or {}).get("country") != country:
        return N_("It was issued to another country. Write to support.")
    numbers = invoice.billing.get("tax_ids")
    stood = {str(each["value"]) for each in numbers} if isinstance(numbers, list) else set()
    if stood != ({details.tax_id_value} if details.tax_id_value else set()):
        return N_("It was issued with another tax number. Write to support.")
    return None


def wanted(details: BillingDetails, purchase_order: str | None) -> dict[str, object]:
    """What would stand on the new invoice."""
    return {
        "company_name": details.company_name,
        "address": dict(details.address or {}),
        "purchase_order": purchase_order,
    }


def same(invoice: Invoice, wants: Mapping[str, object]) -> bool:
    """Whether the invoice says all that already."""
    address = invoice.billing.get("address")
    stands = {name: part for name, part in (address if isinstance(address, dict) else {}).items() if part}
    fields = invoice.billing.get("custom_fields")
    number = fields[0]["value"] if isinstance(fields, list) and fields else None
    return (invoice.billing.get("name"), stands, number) == (
        wants["company_name"],
        wants["address"],
        wants["purchase_order"],
    )


def correct(
    gateways: Gateways, workspace_id: int, user_id: int, invoice_id: str, purchase_order: str | None
) -> Correction:
    """Make the invoice out anew to the present billing details, with this purchase-order number.

    A second click gets the first one's result. Raises NotFoundError, DetailsError, NotCorrectableError (with
    what Stripe objects to; nothing was changed), UnavailableError (it goes on by itself).
    """
    number = " ".join((purchase_order or "").split()) or None
    if number and len(number) > LONGEST_PURCHASE_ORDER:
        raise DetailsError(
            {"purchase_order": N_("Keep this under %(limit)s characters.", limit=LONGEST_PURCHASE_ORDER)}
        )
    try:
        correction_id, mine = _begin(gateways, workspace_id, user_id, invoice_id, number)
    except IntegrityError as error:
        if "uq_correction_live" not in str(error.orig):
            raise
        raise NotCorrectableError(N_("It is being corrected already. Look again in a moment.")) from error
    if mine:
        correction_steps.carry_out(gateways, workspace_id, correction_id)
    with unit_of_work(workspace_id) as session:
        row = get(session, correction_id)
    if row.state == REFUSED:
        raise NotCorrectableError(str((row.error or {}).get("message")))
    return row


def get(session: Session, correction_id: str) -> Correction:
    """One correction of the entered workspace."""
    return session.scalars(select(Correction).where(Correction.id == correction_id)).one()


def _begin(
    gateways: Gateways, workspace_id: int, user_id: int, invoice_id: str, number: str | None
) -> tuple[str, bool]:
    """Commit the intent; the correction's id, and whether it is this call's to carry out."""
    with unit_of_work(workspace_id) as session:
        invoice = invoices.get(session, invoice_id)
        known = of_invoice(session, invoice_id)
        if known is not None and known.state in LIVE:
            return known.id, False
        problem = obstacle(session, invoice, gateways.clock.now())
        if problem is not None:
            raise NotCorrectableError(problem)
        details = session.scalars(select(BillingDetails)).one()
        wants = wanted(details, number)
        if same(invoice, wants):
            raise NotCorrectableError(N_("The invoice says that already. Change your billing details first."))
        row = Correction(
            id=new_id("K"),
            stripe_invoice_id=invoice_id,
            state=OPEN,
            step=correction_steps.DRAFT,
            wanted=wants,
            claimed_until=attempt_states.database_time(session) + attempt_states.CLAIM,
            created_by=user_id,
        )
        session.add(row)
        session.flush()
        before: dict[str, object] = {
            "name": invoice.billing.get("name"),
            "address": invoice.billing.get("address"),
        }
        audit.record(
            session, "correction.begun", user_id=user_id, before=before, after=wants, invoice_id=invoice_id
        )
        return row.id, True


def sweep(gateways: Gateways) -> int:
    """Take up every correction that a crash or a silent Stripe left behind; returns how many."""
    late = Correction.updated_at < func.clock_timestamp() - timedelta(seconds=30)
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(Correction.workspace_id, Correction.id)
            .where(Correction.state == OPEN, claims.is_free(Correction), late)
            .order_by(Correction.updated_at)
            .limit(100)
        ).all()
    return turns.give(due, partial(resume, gateways), waits="correction_waits")


def resume(gateways: Gateways, workspace_id: int, correction_id: str) -> None:
    """Go on with one, unless somebody works on it."""
    own = (Correction.id == correction_id, Correction.state == OPEN)
    if not claims.take(workspace_id, Correction, *own, lasting=attempt_states.CLAIM):
        return
    try:
        correction_steps.carry_out(gateways, workspace_id, correction_id)
    except PortalError as error:
        correction_steps.log.warning("correction_waits", correction=correction_id, reason=str(error))
