"""What was billed for a usage period: the lines of its final invoice, by what they are for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import pricing
from portal.models import Invoice, UsagePeriod
from portal.pricing.difference import METERED
from portal.services import comparisons, subscriptions, usage_prices
from portal.services.usage_prices import UsagePrice

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Billed:
    """What a final invoice says of one kind of usage: units and minor units before discount and tax.

    Stripe writes a line for each band of a graduated price, so there may be several. Of a ``void`` invoice
    nothing is owed.
    """

    key: str
    lines: Sequence[Line]
    void: bool

    @property
    def quantity(self) -> int:
        """The units of all its lines."""
        return sum(int(line["quantity"] or 0) for line in self.lines)

    @property
    def amount(self) -> int:
        """What all its lines come to, minor units."""
        return sum(int(line["amount"]) for line in self.lines)

    @property
    def by_credits(self) -> int:
        """What annual credits paid of that."""
        return sum(int(line.get("credits") or 0) for line in self.lines)


def of_period(session: Session, invoice_id: str | None, ends_at: datetime) -> dict[str, Billed]:
    """Key → what the invoice bills of it for the period that ends then; nothing before it is final."""
    if invoice_id is None:
        return {}
    invoice = session.get(Invoice, (session.info["workspace_id"], invoice_id))
    return billed(invoice, ends_at) if invoice else {}


def billed(invoice: Invoice, ends_at: datetime) -> dict[str, Billed]:
    """The same of an invoice that was read already."""
    end = int(ends_at.timestamp())
    found: dict[str, list[Line]] = {}
    for line in invoice.lines:
        if _is_usage(line) and line["period_end"] == end:
            found.setdefault(str(line["key"]), []).append(line)
    return {key: Billed(key, lines, invoice.status == "void") for key, lines in found.items()}


def by_id(session: Session, invoice_ids: Iterable[str | None]) -> dict[str, Invoice]:
    """The invoices that are known, by Stripe's id."""
    wanted = {each for each in invoice_ids if each}
    if not wanted:
        return {}
    rows = session.scalars(select(Invoice).where(Invoice.stripe_id.in_(wanted)))
    return {row.stripe_id: row for row in rows}


def _is_usage(line: Line) -> bool:
    return comparisons.line_kind(line) == METERED


def price_of(billed: Billed | None, currency: str) -> UsagePrice | None:
    """The price at which an invoice billed a kind of usage; None where there is nothing to tell it from."""
    if billed is None:
        return None
    line = billed.lines[0]
    sold = _sold(line.get("catalog"), billed.key)
    if sold is None:
        return None
    if line.get("unit_amount") is not None and len(billed.lines) == 1 and not sold.included:
        bands = (pricing.Band(None, Decimal(str(line["unit_amount"]))),)
        return UsagePrice(billed.key, currency, bands)
    return UsagePrice(billed.key, currency, sold.bands, sold.included)


def is_repriced(session: Session, starts_at: datetime, key: str) -> bool:
    """Whether the invoice of the period that begins then billed ``key`` at another price than is paid now."""
    row = session.get(UsagePeriod, (session.info["workspace_id"], starts_at))
    subscription = subscriptions.current(session)
    if row is None or subscription is None:
        return False
    then = of_period(session, row.stripe_invoice_id, row.ends_at).get(key)
    price = price_of(then, subscription.currency)
    return price is not None and price != usage_prices.of_key(subscription, key)


def _sold(version: object, key: str) -> pricing.UsageRate | None:
    try:
        return pricing.catalog(str(version)).usage.get(key)
    except pricing.PricingError:
        return None
