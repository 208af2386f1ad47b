"""/billing/invoices: the list, and one invoice with every line explained and its quote held against it."""

from datetime import datetime

from flask import Blueprint, render_template, request, url_for
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.models import Invoice
from portal.services import invoices, matches
from portal.web import current_user_id, current_workspace_id, workspace_required
from portal.web.billing_words import (
    difference_words,
    explained,
    invoice_reason,
    invoice_status,
    payment_method,
    sums,
    tax_rates,
)

blueprint = Blueprint("invoices", __name__, url_prefix="/billing/invoices")


def _before() -> datetime | None:
    """From where the list goes on; what is not a time starts at the newest."""
    try:
        found = datetime.fromisoformat(request.args.get("before", ""))
    except ValueError:
        return None
    return found if found.tzinfo else None


def _older(last: Invoice) -> str:
    """The address of the page after ``last``; many may be of its second."""
    before = last.issued_at.isoformat() if last.issued_at else None
    return url_for("invoices.listing", before=before, before_id=last.stripe_id)


@blueprint.get("")
@workspace_required()
def listing() -> str:
    """The invoices, newest first, a page at a time."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return render_template("invoices/listing.html", **_page(session))


def _page(session: Session) -> dict[str, object]:
    rows = invoices.listing(
        session,
        limit=invoices.PER_PAGE + 1,
        before=_before(),
        before_id=request.args.get("before_id", ""),
    )
    shown = rows[: invoices.PER_PAGE]
    last = shown[-1] if len(rows) > len(shown) and shown[-1].issued_at else None
    return {
        "invoices": shown,
        "proofs": matches.of_invoices(session, [row.stripe_id for row in rows]),
        "sums": sums(shown),
        "older": _older(last) if last else None,
        "reason": invoice_reason,
        "status": invoice_status,
    }


@blueprint.get("/<invoice:stripe_id>")
@workspace_required()
def page(stripe_id: str) -> str:
    """One invoice."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        invoice = invoices.get(session, stripe_id)
        proof = invoices.proof(session, stripe_id)
    return render_template(
        "invoices/page.html",
        invoice=invoice,
        proof=proof[-1] if proof else None,
        reason=invoice_reason(invoice),
        status=invoice_status(invoice),
        tax_rates=tax_rates(invoice),
        paid_with=payment_method(invoice.payment) if invoice.payment else None,
        explained=explained,
        difference=difference_words,
    )
