"""An issued invoice made out anew: what it says, what it would say, and what comes of it."""

from typing import Any

from flask import redirect, render_template, request, url_for
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from werkzeug import Response
from wtforms import StringField
from wtforms.validators import Length

from portal.db import unit_of_work
from portal.errors import NotFoundError
from portal.models import Invoice
from portal.services import billing_details, corrections, invoices
from portal.services.billing_details import DetailsError
from portal.services.corrections import NotCorrectableError
from portal.services.details_changes import LONGEST_PURCHASE_ORDER
from portal.web import current_user_id, current_workspace_id, gateways, may, workspace_required
from portal.web.address_form import TOO_LONG, put_errors
from portal.web.freshness import MONEY, fresh_required
from portal.web.invoice_csv import purchase_order
from portal.web.language import translated
from portal.web.text_rules import PlainText


class CorrectionForm(FlaskForm):
    """The one thing that is chosen for a single invoice; the rest are the billing details."""

    purchase_order = StringField(
        _("PO number"),
        [PlainText(), Length(max=LONGEST_PURCHASE_ORDER, message=TOO_LONG)],
        render_kw={"autocomplete": "off", "maxlength": LONGEST_PURCHASE_ORDER},
    )


def facts(session: Session, invoice: Invoice) -> dict[str, Any]:
    """What an invoice's page says of its correction: the one there is, or whether there may be one."""
    found = corrections.of_invoice(session, invoice.stripe_id)
    known = found if found and found.state in corrections.LIVE else None
    other = known.replacement_id if known and known.stripe_invoice_id == invoice.stripe_id else None
    if known and known.replacement_id == invoice.stripe_id:
        other = known.stripe_invoice_id
    obstacle = None if known else corrections.obstacle(session, invoice, gateways().clock.now())
    return {
        "correction": known,
        "other": invoices.stored(session, other) if other else None,
        "replaced": bool(known and known.stripe_invoice_id == invoice.stripe_id),
        "obstacle": translated(obstacle) if obstacle else None,
        "may_correct": may("billing"),
    }


@workspace_required("billing")
def correction(stripe_id: str) -> str | Response:
    """What the invoice says and what the new one would say."""
    return _show(stripe_id, CorrectionForm(request.form))


@workspace_required("billing")
@fresh_required(MONEY)
def correct(stripe_id: str) -> str | Response | tuple[str, int]:
    """Make it out anew."""
    sent = CorrectionForm()
    if not sent.validate_on_submit():
        return _show(stripe_id, sent), 422  # type: ignore[return-value]
    number = sent["purchase_order"].data
    try:
        corrections.correct(gateways(), current_workspace_id(), current_user_id(), stripe_id, number)
    except DetailsError as error:
        put_errors(sent, error.fields)
        return _show(stripe_id, sent), 422  # type: ignore[return-value]
    except NotCorrectableError as error:
        return _show(stripe_id, sent, refused=translated(error.message)), 409  # type: ignore[return-value]
    return redirect(url_for("invoices.page", stripe_id=stripe_id), 303)


def _show(stripe_id: str, sent: CorrectionForm, refused: str | None = None) -> str | Response:
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        invoice = invoices.get(session, stripe_id)
        found = facts(session, invoice)
        details = billing_details.current(session)
    if details is None:
        raise NotFoundError("There are no billing details.")
    if found["correction"] is not None:
        return redirect(url_for("invoices.page", stripe_id=stripe_id), 303)
    if not sent.is_submitted():
        sent["purchase_order"].data = details.purchase_order or purchase_order(invoice) or ""
    wants = corrections.wanted(details, sent["purchase_order"].data or None)
    return render_template(
        "invoices/correction.html",
        invoice=invoice,
        details=details,
        form=sent,
        refused=refused,
        stands=purchase_order(invoice),
        same=corrections.same(invoice, wants),
        **found,
    )
