"""Why an invoice's line is what it is: the steps of pricing that lead to exactly its amount, or none.

Nothing is told that does not come out to the cent: a price that is not known, or a period that cannot be told
from the invoice, leaves a line without that step.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import pricing
from portal.models import Invoice
from portal.pricing.money import round_half_down
from portal.pricing.usage import reasons_for

Line = Mapping[str, Any]
Step = dict[str, Any]
LAST_DAYS = (28, 29, 30, 31)


@dataclass(frozen=True)
class Earlier:
    """A line of an earlier invoice, which a credit gives back."""

    invoice: Invoice
    line: Line


def earlier_lines(session: Session, invoice: Invoice) -> dict[str, Earlier]:
    """Line id → line, of every line that this invoice's credits name and that is known here."""
    wanted = {
        str(credited["invoice"])
        for line in invoice.lines
        if isinstance(credited := line.get("credited"), dict)
    }
    if not wanted:
        return {}
    rows = session.scalars(select(Invoice).where(Invoice.stripe_id.in_(wanted)))
    return {str(line.get("id")): Earlier(row, line) for row in rows for line in row.lines}


def credited_by(line: Line, earlier: Mapping[str, Earlier]) -> list[Earlier]:
    """The earlier lines that a credit gives back."""
    ids = (line.get("credited") or {}).get("lines") or ()
    return [earlier[line_id] for line_id in ids if line_id in earlier]


def trace(line: Line, earlier: Mapping[str, Earlier]) -> list[Step]:
    """The steps to the line's amount before discount; empty when they cannot be told."""
    if line.get("proration"):
        return _credit(line, credited_by(line, earlier)) if line["amount"] < 0 else _debit(line)
    usage = _usage_rate(line)
    if usage is not None and line.get("quantity") is not None and (steps := _usage(line, usage)):
        return steps
    # Stripe lays a line for each band; of one above the first, its own rate is all there is to tell
    quantity, unit = line.get("quantity"), line.get("unit_amount")
    if (
        quantity is None
        or unit is None
        or pricing.line_amount(Decimal(str(unit)), quantity) != line["amount"]
    ):
        return []
    return [_price(quantity, str(unit), line["amount"])]


def usual_price(line: Line) -> Decimal | None:
    """What the line's catalogue asks for one, where it is one of its prices."""
    sold = _catalog(line)
    if sold is None:
        return None
    wanted = (line.get("key"), line.get("tier"), line.get("interval"))
    prices = sold.lookup_keys()
    return next((p.unit_amount for p in prices if (p.key, p.tier, p.interval) == wanted), None)


def _price(quantity: int, unit_amount: str, amount: int) -> Step:
    return {"rule": "price", "inputs": {"quantity": quantity, "unit_amount": unit_amount}, "result": amount}


def _usage(line: Line, usage: pricing.UsageRate) -> list[Step]:
    rating = pricing.rate(line["quantity"], usage.bands, included=usage.included)
    if rating.amount != line["amount"]:
        return []
    steps = reasons_for(rating.steps, mode=rating.mode, included=usage.included)
    return [step.as_dict() for step in steps]


def _usage_rate(line: Line) -> pricing.UsageRate | None:
    sold = _catalog(line)
    return sold.usage.get(str(line.get("key"))) if sold else None


def _catalog(line: Line) -> pricing.Catalog | None:
    try:
        return pricing.catalog(str(line.get("catalog")))
    except pricing.PricingError:
        return None


def _credit(line: Line, credited: Sequence[Earlier]) -> list[Step]:
    """A share of what an earlier line billed after its discounts."""
    for each in credited:
        billed = each.line
        whole = billed["period_end"] - billed["period_start"]
        left = line["period_end"] - line["period_start"]
        if whole > 0 and line["period_end"] == billed["period_end"]:
            step = _share("proration_credit", -billed["total"], left, whole)
            if step["result"] == line["amount"]:
                return [step | {"inputs": step["inputs"] | {"amount": billed["total"]}}]
    return []


def _debit(line: Line) -> list[Step]:
    """The usual price for the share of the period that is left, if some whole period comes out exactly."""
    unit, quantity = usual_price(line), line.get("quantity")
    if unit is None or not quantity:
        return []
    full = pricing.line_amount(unit, quantity)
    left = line["period_end"] - line["period_start"]
    for start in _starts(line["period_end"], str(line.get("interval"))):
        step = _share("proration_debit", full, left, line["period_end"] - start)
        if left <= line["period_end"] - start and step["result"] == line["amount"]:
            return [_price(quantity, pricing.decimal_text(unit), full), step]
    return []


def _share(rule: str, amount: int, left: int, whole: int) -> Step:
    result = round_half_down(amount * left, whole)
    inputs = {"amount": amount, "seconds_left": left, "seconds_in_period": whole}
    return {"rule": rule, "inputs": inputs, "result": result}


def _starts(end: int, interval: str) -> Iterator[int]:
    """When a period that ends then may have begun: on the same day, or the anchor's day of a longer month."""
    last = datetime.fromtimestamp(end, UTC)
    first = last.replace(day=1) - timedelta(days=1) if interval == "month" else last
    year = first.year if interval == "month" else last.year - 1
    for day in dict.fromkeys((last.day, *LAST_DAYS)):
        try:
            start = last.replace(year=year, month=first.month, day=day)
        except ValueError:
            continue
        yield int(start.timestamp())
