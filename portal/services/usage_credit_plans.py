"""What of an invoice comes back with a unit that it billed: its share of the money, or the unit to its pack.

The units of a month are alike. Money comes back first, as long as any was paid for the line's units: what
exceeds the packs is what goes when less is used. After that a unit returns to the pack that was drawn last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from portal.models import Invoice, UsageCredit, UsageEntry, UsagePeriod
from portal.pricing.money import round_half_up
from portal.services import usage_ledger, usage_moves
from portal.services.usage_periods import CLOSED

Line = Mapping[str, Any]


class StuckError(Exception):
    """Why a person has to look."""


@dataclass(frozen=True)
class Plan:
    """What is credited of which line; ``amount`` before tax, in minor units.

    ``covered``: annual credits paid for it, so the unit returns to its pack and no money comes back.
    """

    invoice: Invoice
    line: Line
    amount: int
    month: datetime
    covered: bool = False

    @property
    def estimate(self) -> int:
        """With the line's tax, as far as we can tell."""
        tax, whole = int(self.line["tax"]), _paid(self.line)
        return self.amount + (round_half_up(tax * self.amount, whole) if whole else 0)

    @property
    def namings(self) -> list[int]:
        """How much of the line may have to be named for the amount: credits pay a share of each part."""
        whole, paid = int(self.line["amount"]), _paid(self.line)
        if not int(self.line.get("credits") or 0) or not paid:
            return [self.amount]
        return [round_half_up(whole * self.amount, paid), self.amount]


def make(session: Session, row: UsageCredit) -> Plan | None:
    """Which line billed the unit and what of it comes back; None while its invoice is not final.

    Raises StuckError.
    """
    entry = _billed_as(session, row)
    if entry is None:
        raise StuckError("the ledger does not say where the unit was billed")
    period = session.scalars(select(UsagePeriod).where(UsagePeriod.starts_at == entry.period_start)).one()
    if period.stripe_invoice_id is None:
        if period.state == CLOSED:
            raise StuckError("no invoice billed the unit's month")
        return None
    invoice = session.scalars(select(Invoice).where(Invoice.stripe_id == period.stripe_invoice_id)).one()
    if row.line_id is not None and row.amount is not None:
        line = next(line for line in invoice.lines if line.get("id") == row.line_id)
        return Plan(invoice, line, row.amount, period.starts_at)
    ends = int(period.ends_at.timestamp())
    lines = [
        line
        for line in invoice.lines
        if line["key"] == row.key and line["period_end"] == ends and not line["proration"]
    ]
    return _of_lines(session, row, period.starts_at, invoice, lines)


def _billed_as(session: Session, row: UsageCredit) -> UsageEntry | None:
    """The entry that stands for the unit in the month that billed it: the last, if it was moved."""
    return session.scalars(
        select(UsageEntry)
        .where(
            UsageEntry.key == row.key,
            or_(
                UsageEntry.source == row.source,
                UsageEntry.source.startswith(f"{row.source}{usage_moves.MOVED}", autoescape=True),
            ),
            UsageEntry.quantity > 0,
            UsageEntry.charge == usage_ledger.METER,
            or_(
                UsageEntry.kind.in_((usage_ledger.BILLABLE, usage_ledger.USAGE)),
                UsageEntry.source.endswith("-in"),
            ),
        )
        .order_by(UsageEntry.id.desc())
        .limit(1)
    ).first()


def _of_lines(
    session: Session, row: UsageCredit, month: datetime, invoice: Invoice, lines: Sequence[Line]
) -> Plan:
    """The last units that the lines bill and that were not credited: of a graduated price the cheapest."""
    if not lines:
        raise StuckError("the month's invoice has no line for it")
    for line in reversed(lines):
        before = _credited(session, str(line["id"]))
        charged = int(line["quantity"] or 0) - _covered(line)
        left = charged - before
        if left >= row.quantity:
            amount = _share(line, charged, left) - _share(line, charged, left - row.quantity)
            return Plan(invoice, line, amount, month)
        if left + _covered(line) >= row.quantity:
            return Plan(invoice, line, 0, month, covered=True)
    raise StuckError("more units would be credited than the invoice bills")


def _credited(session: Session, line_id: str) -> int:
    total = select(func.coalesce(func.sum(UsageCredit.quantity), 0)).where(UsageCredit.line_id == line_id)
    return int(session.scalar(total) or 0)


def _covered(line: Line) -> int:
    """How many of the line's units annual credits paid, all of each."""
    credits, whole = int(line.get("credits") or 0), int(line["amount"])
    if not credits:
        return 0
    quantity = int(line["quantity"])
    # a fraction of a unit is what rounding leaves, but for half of one and more
    return min(round_half_up(credits * quantity, whole), quantity)


def _paid(line: Line) -> int:
    """What of the line was not paid by credits, before tax."""
    return int(line["total"]) - int(line.get("credits") or 0)


def _share(line: Line, charged: int, quantity: int) -> int:
    """What so many of the line's charged units cost; shares of all of them sum to what was paid."""
    whole = int(line["amount"]) - int(line.get("credits") or 0)
    return round_half_up(whole * quantity, charged)
