"""One object of a JSON document or a TOML file, read strictly: every key known, every value of its type."""

from collections.abc import Mapping
from decimal import Decimal

from portal.pricing.checks import MAX_SHOWN, shown, whole_number
from portal.pricing.checks import text as checked_text
from portal.pricing.errors import PricingError, path

MAX_ITEMS = 1000
# Longer than any rate that is accepted: twelve digits, the point, twelve places, and room for zeros.
MAX_DECIMAL_LENGTH = 64


class UnreadNumber:
    """A number that is no integer of a sensible size, kept as it was written: no float is ever made of it."""

    __slots__ = ("_literal",)

    def __init__(self, literal: str) -> None:
        self._literal = literal

    def __str__(self) -> str:
        return self._literal


class Fields:
    """The fields of one object; ``param`` is where it stands in the input, empty for the outermost.

    The readers raise PricingError with the field's full path if it is missing or of another type.
    """

    __slots__ = ("param", "values")

    def __init__(self, values: Mapping[str, object], param: str) -> None:
        self.values = values
        self.param = param

    def at(self, key: str) -> str:
        """Return the param path of a field."""
        return path(self.param, key)

    def has(self, key: str) -> bool:
        """Return whether the field is there and not null."""
        return self.values.get(key) is not None

    def required(self, key: str) -> object:
        """Return the value of ``key`` as it is, null included."""
        if key not in self.values:
            raise PricingError(f"Missing required param: {self.at(key)}.", self.at(key))
        return self.values[key]

    def text(self, key: str) -> str:
        """Return a string that is not empty."""
        return checked_text(self.required(key), self.at(key))

    def whole(self, key: str) -> int:
        """Return an integer: no bool, nothing with a point."""
        return whole_number(self.required(key), self.at(key))

    def decimal(self, key: str) -> Decimal:
        """Return a decimal that was written as a string, such as "4.0"."""
        return decimal_number(self.required(key), self.at(key))

    def flag(self, key: str) -> bool:
        """Return true or false, false if the field is missing."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise PricingError(f"{self.at(key)} must be true or false, not {shown(value)}.", self.at(key))
        return value

    def fields(self, key: str, *known: str) -> "Fields":
        """Return the object at ``key``, with ``known`` keys only."""
        return fields(self.required(key), self.at(key), *known)

    def objects(self, key: str) -> "Fields":
        """Return the object at ``key`` with whatever keys it has, an empty one if the field is missing."""
        return fields(self.values.get(key, {}), self.at(key))

    def counts(self, key: str) -> dict[str, int]:
        """Return an object of integers, an empty one if the field is missing."""
        own = self.objects(key)
        return {name: own.whole(name) for name in own.values}

    def items(self, key: str, *, optional: bool = False) -> list[tuple[str, object]]:
        """Return the items of a list with their param paths, ``discounts[0]`` and so on."""
        value = self.values.get(key, []) if optional else self.required(key)
        if not isinstance(value, list):
            raise PricingError(f"{self.at(key)} must be a list, not {shown(value)}.", self.at(key))
        if len(value) > MAX_ITEMS:
            raise PricingError(f"{self.at(key)} may have at most {MAX_ITEMS} items.", self.at(key))
        return [(f"{self.at(key)}[{position}]", item) for position, item in enumerate(value)]


def fields(value: object, param: str, *known: str) -> Fields:
    """Return the object at ``param``; raise PricingError if it is none or has a key that is not ``known``.

    Without ``known`` any string is taken as a key, up to MAX_ITEMS of them.
    """
    where = param or "The input"
    if not isinstance(value, Mapping):
        raise PricingError(f"{where} must be an object, not {shown(value)}.", param or None)
    if len(value) > MAX_ITEMS:
        raise PricingError(f"{where} may have at most {MAX_ITEMS} keys.", param or None)
    for key in value:
        if not isinstance(key, str):
            raise PricingError(f"{where} must have strings as keys, not {shown(key)}.", param or None)
        if known and key not in known:
            unknown = path(param, key[:MAX_SHOWN])
            message = f"Received unknown parameter: {unknown}. Known here: {', '.join(known)}."
            raise PricingError(message, unknown)
    return Fields(value, param)


def decimal_number(value: object, param: str) -> Decimal:
    """Return the Decimal that a plain decimal string spells: digits, and perhaps a point and digits after it.

    A sign other than a leading minus, exponents, spaces, underscores, NaN and Infinity are refused.
    """
    if not isinstance(value, str):
        raise PricingError(f'{param} must be a decimal string such as "12.5", not {shown(value)}.', param)
    if len(value) > MAX_DECIMAL_LENGTH:
        raise PricingError(f"{param} may have at most {MAX_DECIMAL_LENGTH} characters.", param)
    digits, point, places = value.removeprefix("-").partition(".")
    if not value.isascii() or not digits.isdigit() or bool(point) is not places.isdigit():
        raise PricingError(f'{param} must be a decimal string such as "12.5", not {shown(value)}.', param)
    # zeros at the end say nothing, and must not count as decimal places
    return Decimal(value.rstrip("0") if point else value)
