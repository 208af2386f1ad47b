"""One object of a JSON document or a TOML file, read strictly: every key known, every value of its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from portal.pricing.checks import shown
from portal.pricing.checks import text as checked_text
from portal.pricing.errors import PricingError, path

MAX_ITEMS = 1000
# Longer than any rate that is accepted: twelve digits, the point, twelve places, and room for zeros.
MAX_DECIMAL_LENGTH = 64


@dataclass(frozen=True, slots=True)
class NumberWithPoint:
    """A number that was written with a point or an exponent, kept as text: no float is ever made of it."""

    literal: str

    def __str__(self) -> str:
        return self.literal


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one object; ``param`` is where it stands in the input, empty for the outermost."""

    values: Mapping[str, object]
    param: str

    def at(self, key: str) -> str:
        """Return the param path of a field."""
        return path(self.param, key)

    def required(self, key: str) -> object:
        """Return the value of ``key`` as it is; raise PricingError if the field is missing."""
        if key not in self.values:
            raise PricingError(f"Missing required param: {key}.", self.at(key))
        return self.values[key]

    def text(self, key: str) -> str:
        """Return a string that is not empty."""
        return checked_text(self.required(key), self.at(key))

    def whole(self, key: str, default: int | None = None) -> int:
        """Return an integer (not a bool, nothing with a point), or ``default`` if the field is missing."""
        if default is not None and key not in self.values:
            return default
        return whole_number(self.required(key), self.at(key))

    def decimal(self, key: str) -> Decimal:
        """Return a decimal that was written as a string, such as "4.0"."""
        return decimal_number(self.required(key), self.at(key))

    def fields(self, key: str, *known: str) -> Fields:
        """Return the object at ``key``."""
        return fields(self.required(key), self.at(key), *known)

    def counts(self, key: str) -> dict[str, int]:
        """Return an object of integers, an empty one if the field is missing."""
        inner = fields(self.values.get(key, {}), self.at(key))
        return {name: inner.whole(name) for name in inner.values}

    def objects(self, key: str) -> dict[str, object]:
        """Return an object of anything, an empty one if the field is missing."""
        return dict(fields(self.values.get(key, {}), self.at(key)).values)

    def items(self, key: str, default: tuple[object, ...] | None = None) -> list[tuple[str, object]]:
        """Return the items of a list with their param paths, ``discounts[0]`` and so on."""
        if default is not None and key not in self.values:
            return []
        value = self.required(key)
        if not isinstance(value, list):
            raise PricingError(f"{self.at(key)} must be a list, not {shown(value)}.", self.at(key))
        if len(value) > MAX_ITEMS:
            raise PricingError(f"{self.at(key)} may have at most {MAX_ITEMS} items.", self.at(key))
        return [(f"{self.at(key)}[{position}]", item) for position, item in enumerate(value)]


def fields(value: object, param: str, *known: str) -> Fields:
    """Return the object at ``param``; raise PricingError if it is none or has a key that is not ``known``.

    Without ``known`` any key is taken, up to MAX_ITEMS of them.
    """
    if not isinstance(value, Mapping):
        raise PricingError(f"{param or 'The input'} must be an object, not {shown(value)}.", param or None)
    if len(value) > MAX_ITEMS:
        raise PricingError(f"{param or 'The input'} may have at most {MAX_ITEMS} keys.", param or None)
    for key in value:
        if not isinstance(key, str) or known and key not in known:
            message = f"Received unknown parameter: {shown(key)}. Known here: {', '.join(known)}."
            raise PricingError(message, path(param, str(key)))
    return Fields(value, param)


def whole_number(value: object, param: str) -> int:
    """Return ``value`` if it is an integer; a bool, a string or 12.0 is none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise PricingError(f"{param} must be a whole number, not {shown(value)}.", param)
    return value


def decimal_number(value: object, param: str) -> Decimal:
    """Return the Decimal that a plain decimal string spells: digits, and perhaps a point and digits after it.

    Signs but a leading minus, exponents, spaces, underscores, NaN and Infinity are refused.
    """
    if not isinstance(value, str):
        raise PricingError(f'{param} must be a decimal string such as "12.5", not {shown(value)}.', param)
    if len(value) > MAX_DECIMAL_LENGTH:
        raise PricingError(f"{param} may have at most {MAX_DECIMAL_LENGTH} characters.", param)
    digits, point, places = value.removeprefix("-").partition(".")
    if not value.isascii() or not digits.isdigit() or bool(point) is not places.isdigit():
        raise PricingError(f'{param} must be a decimal string such as "12.5", not {shown(value)}.', param)
    return Decimal(value)
