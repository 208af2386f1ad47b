"""An invoice beside the one before it: which that is, and why the two ask for different amounts."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import pricing
from portal.models import Invoice
from portal.pricing.difference import LICENSED, METERED, ONCE, Bill, BillLine, Difference, difference

REGULAR = ("subscription_create", "subscription_cycle")
FINAL = ("open", "paid", "uncollectible")
# how far back the one before is looked for: a year of months, and some
LOOK_BACK = 20


@dataclass(frozen=True)
class Comparison:
    """The invoice before, and the parts of the difference to it."""

    previous: Invoice
    difference: Difference


def with_previous(session: Session, invoice: Invoice) -> Comparison | None:
    """The invoice held against the last comparable one; None where there is none, or nothing to compare.

    Comparable are the invoices of the same subscription that bill the same kind of period: months of seats
    with usage, years of seats, or months of usage alone. A change's own invoice is explained by its lines.
    """
    previous = _previous(session, invoice)
    if previous is None:
        return None
    return Comparison(previous, difference(bill(previous), bill(invoice)))


def _previous(session: Session, invoice: Invoice) -> Invoice | None:
    if invoice.billing_reason not in REGULAR or invoice.issued_at is None or invoice.status not in FINAL:
        return None
    statement = (
        select(Invoice)
        .where(
            Invoice.stripe_subscription_id == invoice.stripe_subscription_id,
            Invoice.currency == invoice.currency,
            Invoice.billing_reason.in_(REGULAR),
            Invoice.status.in_(FINAL),
            Invoice.issued_at < invoice.issued_at,
        )
        .order_by(Invoice.issued_at.desc())
        .limit(LOOK_BACK)
    )
    shape = _shape(invoice)
    return next(
        (each for each in session.scalars(statement) if _shape(each) == shape and not _trial(each)), None
    )


def _shape(invoice: Invoice) -> str:
    """The interval of the seats that are billed, or ``usage``."""
    for line in invoice.lines:
        if line.get("key") == pricing.SEAT and not line.get("proration"):
            return str(line.get("interval") or "seat")
    return "usage"


def _trial(invoice: Invoice) -> bool:
    return invoice.billing_reason == "subscription_create" and invoice.subtotal == 0


def bill(invoice: Invoice) -> Bill:
    """The invoice as pricing compares it."""
    return Bill(
        lines=tuple(_line(line) for line in invoice.lines),
        discount=invoice.discount,
        tax=invoice.tax,
        total=invoice.total,
        due=invoice.amount_due,
        credits=invoice.credits,
    )


def _line(line: Mapping[str, object]) -> BillLine:
    unit, quantity = line.get("unit_amount"), line.get("quantity")
    return BillLine(
        key=str(line.get("key") or line.get("description")),
        kind=line_kind(line),
        amount=int(str(line["amount"])),
        quantity=quantity if isinstance(quantity, int) else None,
        unit_amount=None if unit is None else Decimal(str(unit)),
    )


def line_kind(line: Mapping[str, object]) -> str:
    """Whether a stored line is billed ahead, metered, or there once."""
    if line.get("proration") or line.get("key") is None:
        return ONCE
    return METERED if line["key"] in _usage(line.get("catalog")) else LICENSED


def _usage(version: object) -> Mapping[str, object]:
    try:
        return pricing.catalog(str(version)).usage
    except pricing.PricingError:
        return {}
