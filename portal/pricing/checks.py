"""The checks that every input passes, whoever built it: a page, a program or a catalogue file."""

from __future__ import annotations

from decimal import Decimal

from portal.pricing.errors import PricingError

# Stripe takes at most twelve decimal places in unit_amount_decimal.
MAX_DECIMAL_PLACES = 12
# A rate of more than a billion dollars a unit is a mistake in the units.
MAX_RATE = 10**11
# Values are quoted in messages up to this length.
MAX_SHOWN = 40


def shown(value: object) -> str:
    """Return ``value`` as a message may quote it: JSON's spelling, shortened, one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return "a list" if not isinstance(value, dict) else "an object"
    if isinstance(value, int) and abs(value) >= 10**MAX_SHOWN:
        return f"a number of more than {MAX_SHOWN} digits"
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def whole(value: object, param: str, *, minimum: int, maximum: int) -> int:
    """Return ``value`` if it is an integer (a bool is none) from ``minimum`` to ``maximum``, else raise PricingError."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise PricingError(f"{param} must be a whole number, not {shown(value)}.", param)
    if not minimum <= value <= maximum:
        raise PricingError(f"{param} must be from {minimum} to {maximum}, not {shown(value)}.", param)
    return value


def rate(value: object, param: str) -> Decimal:
    """Return ``value`` if it is a Decimal of 0 to MAX_RATE minor units with at most 12 places, else raise PricingError."""
    if not isinstance(value, Decimal):
        raise PricingError(f"{param} must be a decimal, not {shown(value)}.", param)
    if not value.is_finite() or value.is_signed() and value != 0 or value > MAX_RATE:
        raise PricingError(f"{param} must be from 0 to {MAX_RATE}, not {shown(value)}.", param)
    return _few_places(value, param)


def percentage(value: object, param: str) -> Decimal:
    """Return ``value`` if it is a Decimal above 0 and up to 100 with at most 12 places, else raise PricingError."""
    if not isinstance(value, Decimal):
        raise PricingError(f"{param} must be a decimal, not {shown(value)}.", param)
    if not value.is_finite() or not 0 < value <= 100:
        raise PricingError(f"{param} must be above 0 and at most 100, not {shown(value)}.", param)
    return _few_places(value, param)


def _few_places(value: Decimal, param: str) -> Decimal:
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -MAX_DECIMAL_PLACES:
        raise PricingError(
            f"{param} may have at most {MAX_DECIMAL_PLACES} decimal places, not {shown(value)}.", param
        )
    return value


def text(value: object, param: str) -> str:
    """Return ``value`` if it is a string that is not empty, else raise PricingError."""
    if not isinstance(value, str):
        raise PricingError(f"{param} must be a string, not {shown(value)}.", param)
    if not value:
        raise PricingError(f"{param} must not be empty.", param)
    return value


def currency_code(value: object, param: str) -> str:
    """Return ``value`` if it is spelt like Stripe's currencies, three small letters (``usd``), else raise PricingError."""
    code = text(value, param)
    if len(code) != 3 or not (code.isascii() and code.isalpha() and code.islower()):
        raise PricingError(
            f"{param} must be a currency in three small letters such as usd, not {shown(code)}.", param
        )
    return code


def one_of(value: object, param: str, options: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``options``, else raise PricingError naming them."""
    choice = text(value, param)
    if choice not in options:
        raise PricingError(f"{param} must be one of {', '.join(options)}, not {shown(choice)}.", param)
    return choice
