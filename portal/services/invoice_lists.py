"""The invoices that a filter leaves: a page of them, what they come to, and all of them for a file."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, Select, and_, extract, func, literal, or_, select, tuple_
from sqlalchemy.orm import Session

from portal.models import Adjustment, Invoice

PER_PAGE = 25
STATUSES = ("open", "paid", "uncollectible", "void")
# what an invoice is for, by Stripe's reason
KINDS = {
    "first": "subscription_create",
    "renewal": "subscription_cycle",
    "change": "subscription_update",
}
OTHER = "other"


@dataclass(frozen=True)
class Filter:
    """Which invoices are wanted. ``since`` and ``until`` are days (UTC), both included; None is no limit."""

    status: str | None = None
    kind: str | None = None
    since: date | None = None
    until: date | None = None

    @property
    def empty(self) -> bool:
        """Whether it leaves every invoice."""
        return self == Filter()


@dataclass(frozen=True)
class Sum:
    """What invoices of one currency come to, void ones left out; minor units.

    ``credited`` is what their credit notes take off, ``open`` what is still to be paid.
    """

    currency: str
    count: int
    invoiced: int
    credited: int
    open: int

    @property
    def together(self) -> int:
        """What was billed after all."""
        return self.invoiced - self.credited


def page(
    session: Session,
    wanted: Filter,
    *,
    limit: int = PER_PAGE,
    before: datetime | None = None,
    before_id: str | None = None,
) -> list[Invoice]:
    """Newest first, after the one whose ``issued_at`` and ``stripe_id`` are given."""
    statement = _newest_first(wanted).limit(limit)
    if before is not None:
        last = tuple_(literal(before), literal(before_id or ""))
        statement = statement.where(tuple_(Invoice.issued_at, Invoice.stripe_id) < last)
    return list(session.scalars(statement))


def every(session: Session, wanted: Filter) -> list[Invoice]:
    """All of them, newest first."""
    return list(session.scalars(_newest_first(wanted)))


def sums(session: Session, wanted: Filter) -> list[Sum]:
    """What all of them come to, by currency."""
    credited = (
        select(Adjustment.stripe_invoice_id.label("id"), func.sum(Adjustment.amount).label("amount"))
        .where(Adjustment.kind == "credit_note", Adjustment.status != "void")
        .group_by(Adjustment.stripe_invoice_id)
        .subquery()
    )
    due = Invoice.amount_due - Invoice.amount_paid
    statement = (
        select(
            Invoice.currency,
            func.count(),
            func.sum(Invoice.total),
            func.coalesce(func.sum(credited.c.amount), 0),
            func.coalesce(func.sum(due).filter(Invoice.status == "open"), 0),
        )
        .outerjoin(credited, credited.c.id == Invoice.stripe_id)
        .where(*_conditions(wanted), Invoice.status != "void")
        .group_by(Invoice.currency)
        .order_by(Invoice.currency)
    )
    return [Sum(row[0], *(int(value) for value in row[1:])) for row in session.execute(statement)]


def years(session: Session) -> list[int]:
    """The years in which the workspace has invoices, newest first."""
    year = extract("year", func.timezone("UTC", Invoice.issued_at))
    found = session.scalars(select(year).where(Invoice.issued_at.is_not(None)).distinct())
    return sorted((int(each) for each in found), reverse=True)


def _newest_first(wanted: Filter) -> Select[Invoice]:
    statement = select(Invoice).order_by(Invoice.issued_at.desc(), Invoice.stripe_id.desc())
    return statement.where(*_conditions(wanted))


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.status is not None:
        found.append(Invoice.status == wanted.status)
    if wanted.kind == OTHER:
        reasons = Invoice.billing_reason.not_in(KINDS.values())
        found.append(or_(Invoice.billing_reason.is_(None), reasons))
    elif wanted.kind is not None:
        found.append(Invoice.billing_reason == KINDS[wanted.kind])
    if wanted.since is not None:
        found.append(Invoice.issued_at >= _midnight(wanted.since))
    if wanted.until is not None:
        found.append(Invoice.issued_at < _midnight(wanted.until) + timedelta(days=1))
    return [and_(*found)] if found else []


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
