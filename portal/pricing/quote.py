"""The price of a selection: lines that are due at the start, and an estimate of the usage of a month."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from portal.pricing.catalog import SEAT, AddOn, Catalog
from portal.pricing.checks import one_of, shown, text
from portal.pricing.discount import Discount, deduct
from portal.pricing.errors import PricingError
from portal.pricing.money import Money, decimal_text, line_amount
from portal.pricing.selection import Selection
from portal.pricing.trace import RATE, UNITS, Input, Reason, explained
from portal.pricing.usage import Step, rate_checked, reasons_for

MAX_DISCOUNTS = 20  # Stripe takes at most twenty discounts on a subscription or item
USAGE_MODE = "graduated"


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a quote.

    ``quantity × unit_amount`` (Decimal minor units) is ``amount``; ``amount - discount`` is ``total``.
    Amounts are integer minor units ≥ 0, before tax. ``interval`` is what the unit amount pays for.
    """

    key: str
    description: str
    quantity: int
    unit_amount: Decimal
    amount: int
    discount: int
    total: int
    interval: str
    trace: tuple[Reason, ...]

    def as_dict(self, *, explain: bool = False) -> dict[str, object]:
        """Return the line for JSON; ``explain`` adds the trace."""
        shape: dict[str, object] = {
            "key": self.key,
            "description": self.description,
            "quantity": self.quantity,
            "unit_amount": decimal_text(self.unit_amount),
            "amount": self.amount,
            "discount": self.discount,
            "total": self.total,
            "interval": self.interval,
        }
        return shape | explained(self.trace, explain)


@dataclass(frozen=True, slots=True)
class UsageLine:
    """What ``quantity`` units of one kind cost a month, after the first ``included`` ones, in minor units."""

    key: str
    description: str
    quantity: int
    included: int
    amount: int
    steps: tuple[Step, ...]

    @property
    def trace(self) -> tuple[Reason, ...]:
        """Why the amount is what it is: a reason for each step."""
        return reasons_for(self.steps, mode=USAGE_MODE, included=self.included)

    def as_dict(self, *, explain: bool = False) -> dict[str, object]:
        """Return the line for JSON; ``explain`` adds the trace."""
        shape: dict[str, object] = {
            "key": self.key,
            "quantity": self.quantity,
            "included": self.included,
            "amount": self.amount,
        }
        return shape | explained(self.trace, explain)


@dataclass(frozen=True, slots=True)
class UsageEstimate:
    """The usage of a month as the customer expects it; never part of the quote's total."""

    lines: tuple[UsageLine, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Quote:
    """The price of a selection.

    ``subtotal - discount`` is ``total``: due at the start, before tax, in integer minor units.
    ``catalog`` is the version of the catalogue. Lines come in the catalogue's order: seats, then add-ons.
    """

    currency: str
    lines: tuple[Line, ...]
    subtotal: int
    discount: int
    total: int
    usage: UsageEstimate
    catalog: str

    @property
    def due(self) -> Money:
        """The total with its currency."""
        return Money(self.total, self.currency)

    def as_dict(self, *, explain: bool = False) -> dict[str, object]:
        """Return the quote for JSON; ``explain`` adds a trace to every line."""
        return {
            "currency": self.currency,
            "lines": [line.as_dict(explain=explain) for line in self.lines],
            "subtotal": self.subtotal,
            "discount": self.discount,
            "total": self.total,
            "usage": {
                "lines": [line.as_dict(explain=explain) for line in self.usage.lines],
                "total": self.usage.total,
            },
            "catalog": self.catalog,
        }


def quote(
    selection: Selection, *, catalog: Catalog, currency: str = "usd", discounts: Sequence[Discount] = ()
) -> Quote:
    """Return what the selection costs in that catalogue: seats and add-ons at the start, usage a month.

    A year's line is the year's price, charged at once; usage is always a month's, in arrears, without
    discounts. Each line is rounded once. The same arguments give the same quote, always.
    Raises PricingError with the param of the first fault: ``currency``, ``tier``, ``interval``,
    ``add_ons[…]``, ``usage[…]``, ``discounts[i][line]``: not sold in this catalogue, or more add-on seats
    than seats.
    """
    if text(currency, "currency") != catalog.currency:
        message = f"Catalogue {catalog.version} sells in {catalog.currency}, not {shown(currency)}."
        raise PricingError(message, "currency")
    if len(discounts) > MAX_DISCOUNTS:
        raise PricingError(f"discounts may have at most {MAX_DISCOUNTS} items.", "discounts")
    priced = _priced(selection, catalog)
    amounts = {key: line_amount(unit_amount, quantity) for key, _, quantity, unit_amount in priced}
    deductions = deduct(amounts, discounts)
    lines = tuple(_line(item, amounts[item[0]], deductions[item[0]], selection.interval) for item in priced)
    return Quote(
        currency=currency,
        lines=lines,
        subtotal=sum(line.amount for line in lines),
        discount=sum(line.discount for line in lines),
        total=sum(line.total for line in lines),
        usage=_estimate(selection, catalog),
        catalog=catalog.version,
    )


_Priced = tuple[str, str, int, Decimal]  # key, description, quantity, unit amount


def _priced(selection: Selection, catalog: Catalog) -> list[_Priced]:
    tier = catalog.tiers[one_of(selection.tier, "tier", tuple(catalog.tiers))]
    if selection.interval not in catalog.intervals:
        sold_by = ", ".join(catalog.intervals)
        message = f"Catalogue {catalog.version} sells by the {sold_by}, not by the {selection.interval}."
        raise PricingError(message, "interval")
    for key in selection.add_ons:
        if key not in catalog.add_ons:
            raise _not_sold("add-on", key, catalog.version, tuple(catalog.add_ons), f"add_ons[{key}]")
    priced = [(SEAT, f"{tier.name} seat", selection.seats, Decimal(tier.prices[selection.interval]))]
    for add_on in catalog.add_ons.values():
        quantity = selection.add_ons.get(add_on.key, 0)
        _check_quantity(add_on, quantity, selection.seats)
        if quantity:
            priced.append((add_on.key, add_on.name, quantity, Decimal(add_on.prices[selection.interval])))
    return priced


def _check_quantity(add_on: AddOn, quantity: int, seats: int) -> None:
    maximum = seats if add_on.per == "seat" else 1
    if quantity > maximum:
        limit = (
            f"at most the {seats} seats" if add_on.per == "seat" else "at most 1, it is sold per workspace"
        )
        raise PricingError(f"{add_on.key} must be {limit}, not {quantity}.", f"add_ons[{add_on.key}]")


def _line(item: _Priced, amount: int, deductions: tuple[Reason, ...], interval: str) -> Line:
    key, description, quantity, unit_amount = item
    inputs = (Input("quantity", quantity, UNITS), Input("unit_amount", unit_amount, RATE))
    discount = sum(reason.result for reason in deductions)
    return Line(
        key=key,
        description=description,
        quantity=quantity,
        unit_amount=unit_amount,
        amount=amount,
        discount=discount,
        total=amount - discount,
        interval=interval,
        trace=(Reason("price", "quantity × unit_amount", inputs, amount), *deductions),
    )


def _estimate(selection: Selection, catalog: Catalog) -> UsageEstimate:
    for key in selection.usage:
        if key not in catalog.usage:
            raise _not_sold("usage", key, catalog.version, tuple(catalog.usage), f"usage[{key}]")
    lines = []
    for key, rates in catalog.usage.items():
        if key not in selection.usage:
            continue
        if rates.requires is not None and not selection.add_ons.get(rates.requires):
            raise PricingError(f"{key} is sold with the add-on {rates.requires} only.", f"usage[{key}]")
        rating = rate_checked(selection.usage[key], rates.bands, mode=USAGE_MODE, included=rates.included)
        lines.append(
            UsageLine(key, rates.name, rating.quantity, rating.included, rating.amount, rating.steps)
        )
    return UsageEstimate(tuple(lines), sum(line.amount for line in lines))


def _not_sold(what: str, key: str, version: str, sold: tuple[str, ...], param: str) -> PricingError:
    offer = ", ".join(sold) or "none"
    return PricingError(f"Catalogue {version} sells no {what} {shown(key)}. It sells: {offer}.", param)
