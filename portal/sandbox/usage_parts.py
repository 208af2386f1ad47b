"""What used units cost, in the pieces of which Stripe makes a line each: one per tier, and its flat fee.

Recorded (invoices of graduated metered prices from 2020 to 2025): the lines of a tier stand together, its
units first and then its flat fee, each rounded for itself; without any usage the first tier's are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from portal.sandbox import amounts
from portal.sandbox.store import Document


@dataclass(frozen=True)
class Part:
    """So many units at one rate, or a tier's flat fee; `rate` in minor units, as a decimal text."""

    quantity: Decimal
    rate: str
    tier: int | None = None
    flat: bool = False

    @property
    def amount(self) -> int:
        """In whole minor units."""
        units = Fraction(1) if self.flat else Fraction(self.quantity)
        return amounts.whole(units * Fraction(self.rate))

    def description(self, price: Document, product: Document) -> str:
        """`31 credit × Usage (Tier 2 at $0.036 / month)`, `Usage (Tier 1 at $9.00 / month)` (recorded)."""
        if self.tier is None:
            return amounts.line_description(price, product, text(self.quantity))
        per = amounts.recurrence(price["recurring"])
        cost = f"(Tier {self.tier} at {amounts.text(self.rate, price['currency'])} / {per})"
        if self.flat:
            return f"{product['name']} {cost}"
        label = product.get("unit_label")
        many = f"{text(self.quantity)} {label}" if label else text(self.quantity)
        return f"{many} × {product['name']} {cost}"


def text(quantity: Decimal) -> str:
    """`12`, `0.25`."""
    return format(quantity.normalize(), "f") if quantity else "0"


def of(price: Document, quantity: Decimal) -> list[Part]:
    """The parts of a quantity; a negative one costs nothing
    (docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api)."""
    quantity = max(quantity, Decimal(0))
    if price.get("billing_scheme") != "tiered":
        return [Part(quantity, str(price.get("unit_amount_decimal") or price.get("unit_amount") or 0))]
    if price["tiers_mode"] == "volume":
        return list(_volume(price["_tiers"], quantity))
    return list(_graduated(price["_tiers"], quantity))


def _volume(tiers: list[Document], quantity: Decimal) -> Iterator[Part]:
    """All units at the rate of the tier that the last one falls into."""
    for number, tier in enumerate(tiers, 1):
        if tier["up_to"] is None or quantity <= tier["up_to"]:
            yield from _of_tier(tier, number, quantity)
            return


def _graduated(tiers: list[Document], quantity: Decimal) -> Iterator[Part]:
    """Each unit at the rate of the tier that it falls into."""
    below = Decimal(0)
    for number, tier in enumerate(tiers, 1):
        upper = quantity if tier["up_to"] is None else min(Decimal(tier["up_to"]), quantity)
        if upper > below or number == 1:
            yield from _of_tier(tier, number, upper - below)
            below = upper


def _of_tier(tier: Document, number: int, quantity: Decimal) -> Iterator[Part]:
    yield Part(quantity, tier["unit_amount_decimal"] or "0", number)
    if tier["flat_amount_decimal"] is not None:
        yield Part(Decimal(0), tier["flat_amount_decimal"], number, flat=True)
