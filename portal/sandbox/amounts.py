"""What a quantity costs at a price, and how Stripe writes money in its texts."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from portal.sandbox.store import Document

HALF = Fraction(1, 2)
# docs.stripe.com/currencies#zero-decimal
ZERO_DECIMAL_CURRENCIES = frozenset({
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd",
    "vuv", "xaf", "xof", "xpf",
})  # fmt: skip
SYMBOLS = {
    "usd": "$",
    "eur": "€",
    "gbp": "£",
    "cad": "CA$",
    "aud": "A$",
    "nzd": "NZ$",
    "jpy": "¥",
    "chf": "CHF ",
}
# The smallest amount that Stripe charges, in minor units; less is carried on the customer's balance.
MINIMUM_CHARGES = {"usd": 50, "eur": 50, "gbp": 30, "cad": 50, "aud": 50, "nzd": 50, "jpy": 50, "chf": 50}
DEFAULT_MINIMUM_CHARGE = 50


def minimum_charge(currency: str) -> int:
    """The least that is charged, in minor units; a smaller amount due rolls to the customer's balance."""
    return MINIMUM_CHARGES.get(currency, DEFAULT_MINIMUM_CHARGE)


def whole(exact: Fraction) -> int:
    """Whole minor units, half up: the rounding of an ordinary line."""
    return int((exact + HALF) // 1)


def unit_amount(price: Document) -> Fraction:
    """Minor units for one, which may be a fraction; 0 for a tiered price."""
    return Fraction(price.get("unit_amount_decimal") or price.get("unit_amount") or 0)


def for_quantity(price: Document, quantity: int) -> Fraction:
    """Minor units, not rounded, for so many at this price: flat, graduated, by volume, or in packages."""
    package = price.get("transform_quantity")
    if package:
        units, over = divmod(quantity, package["divide_by"])
        quantity = units + (1 if over and package["round"] == "up" else 0)
    if price.get("billing_scheme") == "tiered":
        return _tiered(price["_tiers"], price["tiers_mode"], quantity)
    return unit_amount(price) * quantity


def _tiered(tiers: list[Document], mode: str, quantity: int) -> Fraction:
    if mode == "volume":
        tier = next(tier for tier in tiers if tier["up_to"] is None or quantity <= tier["up_to"])
        return _per_unit(tier) * quantity + (_flat(tier) if quantity else 0)
    total, below = Fraction(0), 0
    for tier in tiers:
        upper = quantity if tier["up_to"] is None else min(tier["up_to"], quantity)
        if upper > below:
            total += _per_unit(tier) * (upper - below) + _flat(tier)
            below = upper
    return total


def _per_unit(tier: Document) -> Fraction:
    return Fraction(tier.get("unit_amount_decimal") or tier.get("unit_amount") or 0)


def _flat(tier: Document) -> Fraction:
    return Fraction(tier.get("flat_amount_decimal") or tier.get("flat_amount") or 0)


def text(minor: int | str | Decimal, currency: str) -> str:
    """Money as Stripe writes it: `$1,020.00`; fractions of a cent keep their places (`$0.0035`)."""
    value = Decimal(minor)
    places = 0 if currency in ZERO_DECIMAL_CURRENCIES else 2
    value = value.scaleb(-places)
    shown = max(places, -int(value.normalize().as_tuple().exponent))
    sign = "-" if value < 0 else ""
    return f"{sign}{SYMBOLS.get(currency, currency.upper() + ' ')}{abs(value):,.{shown}f}"


def recurrence(recurring: Document) -> str:
    """`month`, or `3 months`."""
    count = recurring["interval_count"]
    return recurring["interval"] if count == 1 else f"{count} {recurring['interval']}s"


def line_description(price: Document, product: Document, quantity: int | str) -> str:
    """`1 × Seat (at $10.00 / month)`; a product with a unit label has `1 user × …` (both recorded)."""
    label = product.get("unit_label")
    many = f"{quantity} {label}" if label else str(quantity)
    per = f" / {recurrence(price['recurring'])}" if price.get("recurring") else ""
    if price.get("billing_scheme") == "tiered":
        return f"{many} × {product['name']} (Tiered{per})" if per else f"{many} × {product['name']}"
    cost = price.get("unit_amount_decimal") or price.get("unit_amount") or 0
    return f"{many} × {product['name']} (at {text(cost, price['currency'])}{per})"
