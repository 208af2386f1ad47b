"""Our projection of invoices: what was billed, how it was paid, and that it is what was quoted."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import exists, literal, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.errors import N_, NotFoundError
from portal.gateways import stripe_words as words
from portal.models import CatalogPrice, Invoice, QuoteMatch
from portal.read_ahead import first
from portal.services import matches
from portal.services.subscriptions import moment

PER_PAGE = 25


_NEWEST_FIRST = select(Invoice).order_by(Invoice.issued_at.desc(), Invoice.stripe_id.desc())
NEWEST = _NEWEST_FIRST.limit(1)


def newest(session: Session) -> Invoice | None:
    """The workspace's invoice that was issued last."""
    return first(session, NEWEST)


def listing(
    session: Session,
    *,
    limit: int = PER_PAGE,
    before: datetime | None = None,
    before_id: str | None = None,
) -> list[Invoice]:
    """The workspace's invoices, newest first.

    ``before`` and ``before_id`` are ``issued_at`` and ``stripe_id`` of the last one shown; without the id the
    other invoices of that second are left out.
    """
    statement = _NEWEST_FIRST.limit(limit)
    if before is not None:
        after = tuple_(Invoice.issued_at, Invoice.stripe_id) < tuple_(
            literal(before), literal(before_id or "")
        )
        statement = statement.where(after)
    return list(session.scalars(statement))


def get(session: Session, stripe_id: str) -> Invoice:
    """One invoice of the workspace. Raises NotFoundError."""
    found = session.scalars(select(Invoice).where(Invoice.stripe_id == stripe_id)).first()
    if found is None:
        raise NotFoundError(N_("There is no such invoice."))
    return found


def proof(session: Session, stripe_id: str) -> list[QuoteMatch]:
    """The stored comparisons of an invoice with its quote, oldest first; empty when none was quoted."""
    return matches.of_invoice(session, stripe_id)


def stored(session: Session, stripe_id: str) -> Invoice | None:
    """The projection as it stands, or nothing."""
    return session.scalars(select(Invoice).where(Invoice.stripe_id == stripe_id)).first()


def known(session: Session, stripe_id: str) -> tuple[Invoice | None, bool]:
    """The same, and whether it has been compared with its quote since it was final."""
    compared = exists().where(
        QuoteMatch.stripe_invoice_id == Invoice.stripe_id, QuoteMatch.stage == matches.FINAL
    )
    row = session.execute(select(Invoice, compared).where(Invoice.stripe_id == stripe_id)).first()
    return (row[0], row[1]) if row else (None, False)


def store(
    session: Session,
    invoice: words.Invoice,
    payment: words.Intent | None,
    prices: Mapping[str, CatalogPrice],
    *,
    synced_at: datetime,
) -> Invoice:
    """Write the projection of a final invoice and return it; the caller has seen to it that this is newer."""
    values: dict[str, object] = {
        "stripe_subscription_id": invoice.subscription_id,
        "number": invoice.number,
        "status": invoice.status,
        "billing_reason": invoice.billing_reason,
        "currency": invoice.currency,
        "subtotal": invoice.subtotal,
        "discount": invoice.discount,
        "tax": invoice.tax,
        "total": invoice.total,
        "amount_due": invoice.amount_due,
        "amount_paid": invoice.amount_paid,
        "starting_balance": invoice.starting_balance,
        "ending_balance": invoice.ending_balance,
        "lines": lines_of(invoice, prices),
        "billing": _head(invoice),
        "hosted_invoice_url": invoice.hosted_invoice_url,
        "invoice_pdf": invoice.invoice_pdf,
        "payment": _payment(invoice, payment),
        "issued_at": moment(invoice.finalized_at or invoice.created),
        "paid_at": moment(invoice.paid_at),
        "synced_at": synced_at,
    }
    statement = insert(Invoice).values(stripe_id=invoice.id, **values)
    key = [Invoice.workspace_id, Invoice.stripe_id]
    written = statement.on_conflict_do_update(index_elements=key, set_=values).returning(Invoice)
    return session.scalars(written, execution_options={"populate_existing": True}).one()


def lines_of(invoice: words.Invoice, prices: Mapping[str, CatalogPrice]) -> list[dict[str, object]]:
    """Its lines as they are kept: with our keys, and all that explains them."""
    rates = {part.rate_id: part for part in invoice.taxes}
    return [_line(line, prices, rates) for line in invoice.lines]


def _head(invoice: words.Invoice) -> dict[str, object]:
    return dict(invoice.billing) | {
        "tax_rates": [_tax_rate(part) for part in invoice.taxes],
        "tax_status": invoice.tax_status,
        "corrects": invoice.own_metadata.get("corrects"),
        "purchase": invoice.own_metadata.get("purchase"),
    }


def _tax_rate(part: words.TaxPart) -> dict[str, object]:
    return {
        "percentage": part.percentage,
        "name": part.name,
        "country": part.country,
        "jurisdiction": part.jurisdiction,
        "reason": part.reason,
        "amount": part.amount,
    }


def _line(
    line: words.InvoiceLine,
    prices: Mapping[str, CatalogPrice],
    rates: Mapping[str | None, words.TaxPart],
) -> dict[str, object]:
    row = prices.get(line.price_id or "")
    credited = {"invoice": line.credited_invoice_id, "lines": list(line.credited_line_ids)}
    return {
        "id": line.id,
        "key": row.key if row else None,
        "catalog": row.catalog if row else None,
        "tier": row.tier if row else None,
        "interval": row.interval if row else None,
        "product": line.product_id,
        "description": line.description,
        "quantity": line.quantity,
        "unit_amount": None if line.unit_amount is None else str(line.unit_amount),
        "amount": line.amount,
        "discount": line.discount,
        "credits": line.credits,
        "tax": line.tax,
        "total": line.total,
        "period_start": line.period_start,
        "period_end": line.period_end,
        "proration": line.proration,
        "discounts": [_discount(part) for part in line.discounts],
        "taxes": [_line_tax(part, rates.get(part.rate_id)) for part in line.taxes],
        "credited": credited if line.credited_invoice_id else None,
        "item": line.subscription_item_id,
        "price": line.price_id,
    }


def _discount(part: words.LineDiscount) -> dict[str, object]:
    return {
        "name": part.name,
        "percent_off": part.percent_off,
        "amount_off": part.amount_off,
        "amount": part.amount,
        "agreed": part.agreed,
    }


def _line_tax(part: words.TaxPart, rate: words.TaxPart | None) -> dict[str, object]:
    return {
        "name": rate.name if rate else None,
        "percentage": rate.percentage if rate else None,
        "country": rate.country if rate else None,
        "reason": part.reason,
        "amount": part.amount,
        "taxable": part.taxable_amount,
    }


def _payment(invoice: words.Invoice, payment: words.Intent | None) -> dict[str, object] | None:
    if payment is None:
        return None
    method = payment.method.as_dict() if payment.method else {}
    return method | {
        "state": payment.status,
        "receipt_url": payment.receipt_url,
        "error": payment.error.as_dict() if payment.error else None,
        "attempts": invoice.attempt_count,
        "next_attempt": invoice.next_payment_attempt,
    }
