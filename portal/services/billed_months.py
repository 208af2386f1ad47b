"""The months that were billed: what was had in each and what it cost, read from the lines of final invoices.

A month is a usage period whose usage is on an invoice. What was billed ahead counts for the time that it
pays for: a month's line for its month, a twelfth of a year's for each month, a part of a period by its time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import pricing
from portal.models import Invoice
from portal.pricing import periods
from portal.pricing.money import round_half_up
from portal.services import holdings

Line = Mapping[str, Any]

# A year's line may pay for a month that lies as far back as the year before.
READ_BACK = timedelta(days=2 * 366 + 31)
LONGEST_MONTH = 31 * periods.DAY
MONTHS_A_YEAR = periods.MONTHS["year"]
COUNTED = ("open", "paid", "uncollectible")


@dataclass(frozen=True)
class Share:
    """What a line of an invoice billed for a month: ``amount`` in minor units after discount, before tax.

    ``quantity`` None: it has none.
    """

    key: str
    description: str
    quantity: int | None
    amount: int
    part: bool
    invoice_id: str
    invoice_number: str | None


@dataclass(frozen=True)
class BilledMonth:
    """A month, [starts_at, ends_at), in the shape in which pricing replays it, and what billed it."""

    starts_at: datetime
    ends_at: datetime
    month: pricing.Month
    shares: tuple[Share, ...]
    by_credits: bool = False  # annual credits paid some of its usage, which is left out


@dataclass
class _Found:
    """A month while it is put together; all times are unix seconds."""

    start: int
    end: int
    counts: dict[str, int] = field(default_factory=dict)
    usage: dict[str, int] = field(default_factory=dict)
    parts: list[pricing.Part] = field(default_factory=list)
    discounts: list[pricing.Discount] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    tier: str | None = None
    interval: str = "month"
    paid: int = 0
    usage_paid: int = 0
    trial: bool = False
    by_credits: bool = False


def billed_months(session: Session, *, now: datetime, most: int) -> list[BilledMonth]:
    """The last complete months of the entered workspace, at most so many, the oldest first.

    Left out: trials, months whose seats are of no catalogue of ours, void invoices, and the replacements of
    corrected ones, which bill the same once more.
    """
    rows = session.scalars(
        select(Invoice)
        .where(Invoice.status.in_(COUNTED), Invoice.issued_at >= now - READ_BACK)
        .order_by(Invoice.issued_at, Invoice.stripe_id)
    )
    lines = [
        (row, line)
        for row in rows
        if not row.billing.get("corrects")
        for line in row.lines
        if line.get("key") and line.get("catalog") and _length(line) > 0
    ]
    found = [_Found(*span) for span in _spans([line for _, line in lines], int(now.timestamp()))]
    for row, line in lines:
        for month in found:
            _count(month, row, line)
    complete = [month for month in found if month.tier is not None and not month.trial]
    return [_finished(month) for month in complete[-most:]]


def _spans(lines: Sequence[Line], now: int) -> list[tuple[int, int]]:
    """The months in which usage was billed up to the end, in their order.

    Usage that was billed before its month was over has a line of its own: pieces of a month are put together.
    """
    metered = {_span(line) for line in lines if _metered(line)}
    whole = {_span(line) for line in lines if not _metered(line) and _by_the_month(line)}
    joined: list[tuple[int, int]] = []
    for start, end in sorted(metered | whole):
        last = joined[-1] if joined else None
        if last and (start < last[1] or (start == last[1] and end - last[0] <= LONGEST_MONTH)):
            joined[-1] = (last[0], max(end, last[1]))
        else:
            joined.append((start, end))
    ends = {end for _, end in metered}
    return [(start, end) for start, end in joined if end in ends and end <= now]


def _span(line: Line) -> tuple[int, int]:
    return int(line["period_start"]), int(line["period_end"])


def _length(line: Line) -> int:
    start, end = _span(line)
    return end - start


def _metered(line: Line) -> bool:
    try:
        return line["key"] in pricing.catalog(str(line["catalog"])).usage
    except pricing.PricingError:
        return False


def _by_the_month(line: Line) -> bool:
    return line.get("interval") == "month" and not line.get("proration")


def _count(month: _Found, row: Invoice, line: Line) -> None:
    """Add what the line has of the month."""
    start, end = _span(line)
    overlap = min(end, month.end) - max(start, month.start)
    if overlap <= 0:
        return
    if _metered(line):
        by_credits = int(line.get("credits") or 0)
        units = int(line["quantity"] or 0) - _covered(line, by_credits)
        month.usage[line["key"]] = month.usage.get(line["key"], 0) + units
        month.usage_paid += int(line["total"]) - by_credits
        month.by_credits = month.by_credits or by_credits > 0
        _share(month, row, {**line, "quantity": units}, int(line["total"]) - by_credits, part=False)
    elif _of_trial(line):
        month.trial = True
    elif _pays_wholly(month, line):
        _count_whole(month, row, line)
    else:
        _count_part(month, row, line, overlap)


def _covered(line: Line, by_credits: int) -> int:
    """How many units of the line annual credits paid, which their pack was paid for."""
    if not by_credits or not line["amount"]:
        return 0
    return round_half_up(int(line["quantity"] or 0) * by_credits, int(line["amount"]))


def _of_trial(line: Line) -> bool:
    return not line["amount"] and not line["discount"] and not line.get("proration")


def _pays_wholly(month: _Found, line: Line) -> bool:
    start, end = _span(line)
    if line.get("proration"):
        return False
    if line.get("interval") == "year":
        return start <= month.start and month.end <= end
    return (start, end) == (month.start, month.end)


def _count_whole(month: _Found, row: Invoice, line: Line) -> None:
    key, quantity = str(line["key"]), int(line["quantity"] or 0)
    amount = _twelfth(month, line) if line.get("interval") == "year" else int(line["total"])
    month.counts[key] = month.counts.get(key, 0) + quantity
    if key == pricing.SEAT:
        month.tier, month.interval = str(line["tier"]), str(line["interval"])
    month.discounts += _discounts(line)
    month.paid += amount
    _share(month, row, line, amount, part=False)


def _twelfth(month: _Found, line: Line) -> int:
    """The month's twelfth of a year's line; the twelve together are the whole."""
    start, total = int(line["period_start"]), int(line["total"])
    place = next(
        place for place in range(MONTHS_A_YEAR + 1) if periods.after(start, "month", place + 1) > month.start
    )
    return total * (place + 1) // MONTHS_A_YEAR - total * place // MONTHS_A_YEAR


def _count_part(month: _Found, row: Invoice, line: Line, overlap: int) -> None:
    """What came or went within a period: by its seconds, negative where it gives back."""
    start, end = _span(line)
    total, key = int(line["total"]), str(line["key"])
    first = max(start, month.start) - start
    amount = total * (first + overlap) // (end - start) - total * first // (end - start)
    of = _month_of(month, line)
    seconds = min(overlap, of) * (-1 if line["amount"] < 0 else 1)
    tier = str(line["tier"]) if key == pricing.SEAT else None
    month.parts.append(pricing.Part(key, int(line["quantity"] or 0), seconds, of, tier))
    month.tier = month.tier or tier
    month.paid += amount
    _share(month, row, line, amount, part=True)


def _month_of(month: _Found, line: Line) -> int:
    """The length of the month that a part is a part of, in seconds."""
    start, end = _span(line)
    interval = str(line.get("interval") or "month")
    if line.get("proration"):
        start = month.start if interval == "month" and end == month.end else periods.after(end, interval, -1)
    return (end - start) // periods.MONTHS[interval]


def _discounts(line: Line) -> Iterator[pricing.Discount]:
    """The discounts on the line, as they would be on the same line at other prices."""
    for part in line.get("discounts") or ():
        if part.get("percent_off"):
            yield pricing.Discount(str(line["key"]), percent_off=Decimal(str(part["percent_off"])))
        elif part.get("amount"):
            months = periods.MONTHS[str(line["interval"])]
            yield pricing.Discount(str(line["key"]), amount_off=max(int(part["amount"]) // months, 1))


def _share(month: _Found, row: Invoice, line: Line, amount: int, *, part: bool) -> None:
    month.shares.append(
        Share(
            key=str(line["key"]),
            description=_name(line),
            quantity=line.get("quantity"),
            amount=amount,
            part=part,
            invoice_id=row.stripe_id,
            invoice_number=row.number,
        )
    )


def _name(line: Line) -> str:
    """What the line's own catalogue calls it: "Pro seat", "Resolutions"."""
    version, key = str(line["catalog"]), str(line["key"])
    if _metered(line):
        return pricing.catalog(version).usage[key].name
    try:
        return holdings.description(version, key, str(line.get("tier")))
    except pricing.PricingError:
        return key


def _finished(month: _Found) -> BilledMonth:
    add_ons = {key: count for key, count in month.counts.items() if key != pricing.SEAT}
    starts_at, ends_at = (datetime.fromtimestamp(each, UTC) for each in (month.start, month.end))
    return BilledMonth(
        starts_at=starts_at,
        ends_at=ends_at,
        month=pricing.Month(
            period=starts_at.date().isoformat(),
            seats=month.counts.get(pricing.SEAT, 0),
            tier=str(month.tier),
            interval=month.interval,
            add_ons=add_ons,
            usage=month.usage,
            paid=month.paid,
            usage_paid=month.usage_paid,
            changes=tuple(month.parts),
            discounts=tuple(month.discounts),
        ),
        shares=tuple(month.shares),
        by_credits=month.by_credits,
    )
