"""The checks that every input passes, whoever built it: a page, a program or a catalogue file.

Each returns the value if it is good and raises PricingError, with ``param`` as its param, if not.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from portal.pricing.errors import PricingError

# Stripe takes at most twelve decimal places in unit_amount_decimal.
MAX_DECIMAL_PLACES = 12
# A rate of more than a billion dollars a unit is a mistake in the units.
MAX_RATE: int = 10**11
# Values are quoted in messages up to this many characters.
MAX_SHOWN = 40


def shown(value: object) -> str:
    """Return ``value`` as a message may quote it: JSON's spelling, in one short line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and abs(value) >= 10**MAX_SHOWN:
        return f"a number of more than {MAX_SHOWN} digits"
    spelt = ascii(value[:MAX_SHOWN]) if isinstance(value, str) else str(value)
    return spelt if len(spelt) <= MAX_SHOWN else spelt[: MAX_SHOWN - 1] + "…"


def whole_number(value: object, param: str) -> int:
    """Accept an integer; a bool, a string or 12.0 is none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise PricingError(f"{param} must be a whole number, not {shown(value)}.", param)
    return value


def whole(value: object, param: str, *, minimum: int, maximum: int) -> int:
    """Accept an integer from ``minimum`` to ``maximum``."""
    number = whole_number(value, param)
    if not minimum <= number <= maximum:
        raise PricingError(f"{param} must be from {minimum} to {maximum}, not {shown(number)}.", param)
    return number


def rate(value: object, param: str) -> Decimal:
    """Accept a Decimal from 0 to MAX_RATE, in minor units, with at most MAX_DECIMAL_PLACES."""
    number = _finite(value, param)
    if not 0 <= number <= MAX_RATE:
        raise PricingError(f"{param} must be from 0 to {MAX_RATE}, not {shown(number)}.", param)
    return _few_places(number, param)


def percentage(value: object, param: str) -> Decimal:
    """Accept a Decimal above 0 and up to 100, with at most MAX_DECIMAL_PLACES."""
    number = _finite(value, param)
    if not 0 < number <= 100:
        raise PricingError(f"{param} must be above 0 and at most 100, not {shown(number)}.", param)
    return _few_places(number, param)


def _finite(value: object, param: str) -> Decimal:
    if not isinstance(value, Decimal) or not value.is_finite():
        raise PricingError(f"{param} must be a finite decimal, not {shown(value)}.", param)
    return value


def _few_places(value: Decimal, param: str) -> Decimal:
    if int(value.as_tuple().exponent) < -MAX_DECIMAL_PLACES:
        message = f"{param} may have at most {MAX_DECIMAL_PLACES} decimal places, not {shown(value)}."
        raise PricingError(message, param)
    return value


def text(value: object, param: str) -> str:
    """Accept a string that is not empty."""
    if not isinstance(value, str):
        raise PricingError(f"{param} must be a string, not {shown(value)}.", param)
    if not value:
        raise PricingError(f"{param} must not be empty.", param)
    return value


def currency_code(value: object, param: str) -> str:
    """Accept a currency as Stripe spells it: three small letters, such as usd."""
    code = text(value, param)
    if len(code) != 3 or not (code.isascii() and code.isalpha() and code.islower()):
        message = f"{param} must be a currency in three small letters, such as usd, not {shown(code)}."
        raise PricingError(message, param)
    return code


def one_of(value: object, param: str, options: Iterable[str]) -> str:
    """Accept one of ``options``; the message names them all."""
    choice = text(value, param)
    if choice not in options:
        raise PricingError(f"{param} must be one of {', '.join(options)}, not {shown(choice)}.", param)
    return choice
