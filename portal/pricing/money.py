"""Whole minor units, exact rates, and the only two places where an amount is rounded.

Rates are ``Decimal`` minor units per unit and may be fractions of a cent. They are multiplied as
integer ratios, never with ``Decimal`` arithmetic, whose result would depend on the thread's context.
"""

from dataclasses import dataclass
from decimal import Decimal

from portal.pricing.checks import currency_code, whole
from portal.pricing.errors import PricingError

# Stripe takes amounts of up to twelve digits in some currencies; nothing that is sold here comes near it.
MAX_AMOUNT = 10**15


def round_half_up(numerator: int, denominator: int) -> int:
    """Return the quotient as the nearest integer, a tie upward: the rule for lines and discounts.

    Exact for integers of any size; ``denominator`` is positive. 1/2 → 1, 3/2 → 2.
    Source: Stripe's invoices show line and discount amounts rounded to the nearest minor unit. No recording
    of a discount holds a tie, so the direction of a tie is to be confirmed against Stripe's test mode.
    """
    return (2 * numerator + denominator) // (2 * denominator)


def round_half_down(numerator: int, denominator: int) -> int:
    """Return the quotient as the nearest integer, a tie toward minus infinity: the rule for proration.

    ``ceil(x - 1/2)``, exact for integers of any size; ``denominator`` is positive. 9/2 → 4, -5/2 → -3.
    Source: recorded Stripe invoices: -2.5 → -3, 4.5 → 4, 7.5 → 7, 24999.9976 → 25000.
    """
    return -((denominator - 2 * numerator) // (2 * denominator))


def line_amount(unit_amount: Decimal, quantity: int) -> int:
    """Return ``quantity × unit_amount`` in whole minor units, rounded once and a tie upward."""
    numerator, denominator = unit_amount.as_integer_ratio()
    return round_half_up(numerator * quantity, denominator)


def decimal_text(value: Decimal) -> str:
    """Return the one plain spelling of a finite decimal: no exponent, no zeros at the end, ``4`` for 4.0."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


@dataclass(frozen=True, slots=True)
class Money:
    """An amount that knows its currency: ``minor`` integer minor units (cents, yen), may be negative.

    Adding, subtracting or comparing two currencies raises PricingError with the param ``currency``.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        whole(self.minor, "minor", minimum=-MAX_AMOUNT, maximum=MAX_AMOUNT)
        currency_code(self.currency, "currency")

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._same(other)

    def _same(self, other: "Money") -> int:
        if other.currency != self.currency:
            message = f"{self.currency} and {other.currency} cannot be added or compared."
            raise PricingError(message, "currency")
        return other.minor
