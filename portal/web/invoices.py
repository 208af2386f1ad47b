"""/billing/invoices: the list and its files, and an invoice, explained and held against its quote."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import ConflictError
from portal.models import Invoice
from portal.pricing.difference import METERED
from portal.services import (
    adjustments,
    attempts,
    comparisons,
    dues,
    invoice_lists,
    invoices,
    line_traces,
    matches,
    usage,
)
from portal.web import (
    correction_pages,
    current_user_id,
    current_workspace_id,
    invoice_csv,
    invoice_filter,
    may,
    next_invoice,
    usage_match_words,
    workspace_required,
)
from portal.web.adjustment_words import told
from portal.web.billing_attention import page_of
from portal.web.billing_words import (
    difference_words,
    invoice_reason,
    invoice_status,
    payment_method,
    tax_rates,
)
from portal.web.difference_words import bars
from portal.web.line_words import agreed_discounts, explained
from portal.web.usage_address import units_address

blueprint = Blueprint("invoices", __name__, url_prefix="/billing/invoices")
blueprint.get("/next")(next_invoice.upcoming)
blueprint.get("/<invoice:stripe_id>/correction")(correction_pages.correction)
blueprint.post("/<invoice:stripe_id>/correction")(correction_pages.correct)


def links() -> list[dict[str, str]]:
    """The pages beside the list."""
    return [
        {"href": url_for("invoices.upcoming"), "label": gettext("Your next invoice")},
        {"href": url_for("details.page"), "label": gettext("Billing details")},
    ]


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
    kept = invoice_filter.kept(request.args)
    return url_for("invoices.listing", before=before, before_id=last.stripe_id, **kept)


@blueprint.get("")
@workspace_required()
def listing() -> str:
    """The invoices, newest first, a page at a time."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return render_template("invoices/listing.html", **_page(session))


def _page(session: Session) -> dict[str, object]:
    wanted = invoice_filter.read(request.args)
    rows = invoice_lists.page(
        session,
        wanted,
        limit=invoice_lists.PER_PAGE + 1,
        before=_before(),
        before_id=request.args.get("before_id", ""),
    )
    shown = rows[: invoice_lists.PER_PAGE]
    last = shown[-1] if len(rows) > len(shown) and shown[-1].issued_at else None
    ids = [row.stripe_id for row in shown]
    return {
        "invoices": shown,
        "proofs": matches.of_invoices(session, ids),
        "returned": adjustments.given_back(session, ids),
        "sums": invoice_lists.sums(session, wanted),
        "years": invoice_lists.years(session),
        "wanted": wanted,
        "kept": invoice_filter.kept(request.args),
        "older": _older(last) if last else None,
        "reason": invoice_reason,
        "status": invoice_status,
        "links": links(),
    }


@blueprint.get("/invoices.csv")
@workspace_required()
def invoice_file() -> Response:
    """The invoices of the filter, one row each."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        rows = invoice_lists.every(session, invoice_filter.read(request.args))
        returned = adjustments.given_back(session, [row.stripe_id for row in rows])
    return _download(invoice_csv.invoices(rows, returned), "invoices")


@blueprint.get("/lines.csv")
@workspace_required()
def line_file() -> Response:
    """The lines of the invoices of the filter, one row each."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        rows = invoice_lists.every(session, invoice_filter.read(request.args))
    return _download(invoice_csv.lines(rows), "invoice-lines")


def _download(text: str, name: str) -> Response:
    response = Response(text, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = (
        f'attachment; filename="{name}-{datetime.now(UTC):%Y-%m-%d}.csv"'
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/<invoice:stripe_id>")
@workspace_required()
def page(stripe_id: str) -> str:
    """One invoice."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return render_template("invoices/page.html", **_one(session, invoices.get(session, stripe_id)))


def _one(session: Session, invoice: Invoice) -> dict[str, Any]:
    proof = invoices.proof(session, invoice.stripe_id)
    correction = correction_pages.facts(session, invoice)
    originals = _originals(invoice, correction["other"])
    earlier = line_traces.earlier_lines(session, invoice)
    comparison = comparisons.with_previous(session, invoice)
    agreed = [each for line in invoice.lines for each in agreed_discounts(line, invoice.currency)]
    return {
        "invoice": invoice,
        "proof": proof[-1] if proof else None,
        "usage_proof": usage_match_words.proof(session, invoice.stripe_id),
        "reason": invoice_reason(invoice),
        "status": invoice_status(invoice),
        "tax_rates": tax_rates(invoice),
        "paid_with": payment_method(invoice.payment) if invoice.payment else None,
        "explained": lambda line: explained(originals.get(line.get("id"), line), invoice.currency, earlier),
        "agreed": lambda line: agreed_discounts(line, invoice.currency),
        "other_discount": invoice.discount + sum(each.amount for each in agreed),
        "difference": difference_words,
        "told": told(adjustments.of_invoice(session, invoice.stripe_id)),
        "comparison": comparison,
        "bars": bars(comparison, invoice.lines) if comparison else [],
        "purchase_order": invoice_csv.purchase_order(invoice),
        "pay": pay_address(session, invoice),
        "units": _units(session, invoice),
        **correction,
    }


def _units(session: Session, invoice: Invoice) -> dict[object, str]:
    """Line id → where what a usage line bills is listed unit by unit."""
    billed = usage.billed_periods(session, invoice.stripe_id)
    periods = {int(each.ends_at.timestamp()): each for each in billed}
    found = {}
    for line in invoice.lines:
        period = periods.get(int(str(line["period_end"])))
        if period is not None and comparisons.line_kind(line) == METERED:
            found[line.get("id")] = units_address(period, str(line["key"]))
    return found


def _originals(invoice: Invoice, other: Invoice | None) -> dict[object, Mapping[str, Any]]:
    """Line id → the same line of the invoice that this one replaces, which knows how it came about."""
    if other is None or invoice.billing.get("corrects") != other.stripe_id:
        return {}
    before = [line for line in other.lines if line["amount"]]
    same = len(before) == len(invoice.lines)
    return {new.get("id"): old for new, old in zip(invoice.lines, before, strict=True)} if same else {}


def pay_address(session: Session, invoice: Invoice) -> str | None:
    """Where an open invoice is paid: on our own page by those who may, else on Stripe's.

    That of a purchase or a change is paid on the page of its quote.
    """
    try:
        dues.payable(session, invoice.stripe_id)
    except ConflictError:  # paid, on its way, part of a purchase, or given up
        waiting = attempts.quote_to_pay(session, invoice.stripe_id) if may("billing") else None
        return page_of(waiting) if waiting else None
    if may("billing"):
        return url_for("paying.page", stripe_id=invoice.stripe_id)
    return invoice.hosted_invoice_url
