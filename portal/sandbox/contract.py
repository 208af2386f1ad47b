"""Requests checked against the SDK's own parameter types, and turned from form strings into values.

Each TypedDict of `stripe.params` is compiled once, when first used, into a tree of readers. Unknown
parameters, wrong types, unknown enum values and missing parameters answer as Stripe does, in its words and
with its `param`. Amounts become int, decimal strings stay strings (checked), percentages become float as
Stripe answers them. An empty string passes for every optional string: the SDK does not say which ones may be
unset.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

import typing_extensions as te
from stripe._request_options import RequestOptions
from stripe._stripe_context import StripeContext
from stripe._stripe_object import UntypedStripeObject

from portal.sandbox.currencies import checked_currency
from portal.sandbox.enums import described
from portal.sandbox.errors import StripeError, invalid, missing_param
from portal.sandbox.forms import join_name

Reader = Callable[[Any, list[str]], Any]

OPTION_KEYS = frozenset(RequestOptions.__annotations__)
# Names that RequestOptions uses and the parameter modules do not import.
EXTRA_NAMES = {"StripeContext": StripeContext, "Mapping": Mapping, "Any": Any}
MAX_METADATA_KEYS = 50
MAX_METADATA_KEY = 40
MAX_METADATA_VALUE = 500
MAX_DECIMAL_PLACES = 12
# docs.stripe.com/currencies#minimum-and-maximum-charge-amounts: eight digits in minor units
MAX_AMOUNT = 99_999_999
AMOUNTS = frozenset(
    f"{name}{suffix}" for name in ("amount", "unit_amount", "flat_amount") for suffix in ("", "_decimal")
) | {"amount_off"}
MAX_INDEX_DIGITS = 4
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(rf"[+-]?[0-9]{{1,18}}(\.[0-9]{{1,{MAX_DECIMAL_PLACES}}})?")


class NoParams(te.TypedDict):
    """The parameters of an endpoint that takes none."""


def validate(params_type: type, raw: dict[str, Any]) -> dict[str, Any]:
    """The parameters as values, or a `StripeError` in Stripe's words that leaves the idempotency key free.

    `raw` is what `forms.decode` gives. A parameter that may be unset by an empty string arrives as "".
    """
    try:
        return reader_of(params_type)(raw, [])
    except StripeError as error:
        error.stored = False
        raise


@cache
def reader_of(params_type: type) -> Reader:
    """The compiled reader of a TypedDict."""
    fields: dict[str, Reader] = {}
    hints = _hints(params_type)
    for name in hints:
        if name in known_names(params_type):
            fields[name] = _lazily(name, hints[name])
    required = [name for name in fields if name in params_type.__required_keys__]  # type: ignore[attr-defined]

    def read(raw: Any, path: list[str]) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise invalid("Invalid object", join_name(path))
        for name in raw:
            if name not in fields:
                full = join_name([*path, name])
                raise invalid(f"Received unknown parameter: {full}", full, code="parameter_unknown")
        values = {name: fields[name](value, [*path, name]) for name, value in raw.items()}
        for name in required:
            if name not in values:
                raise missing_param(join_name([*path, name]))
            if values[name] == "":
                raise _cannot_unset([*path, name])
        return values

    return read


@cache
def known_names(params_type: type) -> frozenset[str]:
    """The parameters that the SDK sends for this type, options such as `api_key` left out."""
    options = OPTION_KEYS if _takes_options(params_type) else frozenset()
    return frozenset(_hints(params_type)) - options


def _hints(params_type: type) -> dict[str, Any]:
    names = {**EXTRA_NAMES, **vars(sys.modules[params_type.__module__])}
    return te.get_type_hints(params_type, globalns=names, include_extras=True)


def _takes_options(params_type: type) -> bool:
    return any(base is RequestOptions for base in getattr(params_type, "__orig_bases__", ()))


def _lazily(name: str, hint: Any) -> Reader:
    """A reader that is compiled at its first use: most requests touch a small part of a large type."""
    compiled: list[Reader] = []

    def read(raw: Any, path: list[str]) -> Any:
        if not compiled:
            compiled.append(_WITH_LIMITS.get(name, _as_it_is)(_compile(hint)))
        return compiled[0](raw, path)

    return read


def _members(hint: Any) -> list[Any]:
    origin = get_origin(hint)
    if origin in (te.NotRequired, te.Required):
        return _members(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return [member for argument in get_args(hint) for member in _members(argument)]
    return [hint]


def _compile(hint: Any) -> Reader:
    members = _members(hint)
    values = [value for member in members if get_origin(member) is Literal for value in get_args(member)]
    others = [member for member in members if get_origin(member) is not Literal]
    choices = [value for value in values if value != ""]
    if choices and str in others:  # the SDK writes every enum as an open one
        others.remove(str)
    scalars = [_SCALARS[member] for member in others if member in _SCALARS]
    nested = [member for member in others if member not in _SCALARS]
    hash_reader = _nested_reader(nested)

    def read(raw: Any, path: list[str]) -> Any:
        if isinstance(raw, dict):
            return hash_reader(raw, path)
        if raw in values and isinstance(raw, str):
            return raw
        if scalars:
            return scalars[0](raw, path)
        if choices:
            raise invalid(f"Invalid {join_name(path)}: must be one of {described(choices)}", join_name(path))
        if raw == "":
            raise _cannot_unset(path)
        return hash_reader(raw, path)

    return read


def _nested_reader(members: list[Any]) -> Reader:
    lists = [member for member in members if get_origin(member) is list]
    hashes = [member for member in members if get_origin(member) not in (list, UntypedStripeObject)]
    read_list = _list_reader(get_args(lists[0])[0]) if lists else None
    read_hash = _hash_reader(hashes[0]) if hashes else None

    def read(raw: Any, path: list[str]) -> Any:
        if isinstance(raw, dict) and read_list and (not read_hash or all(map(_is_index, raw))):
            return read_list(raw, path)
        if isinstance(raw, dict) and read_hash:
            return read_hash(raw, path)
        if isinstance(raw, dict):
            raise invalid("Invalid string: expected a value, not a hash or an array", join_name(path))
        raise invalid("Invalid array" if read_list else "Invalid object", join_name(path))

    return read


def _list_reader(hint: Any) -> Reader:
    read_item = _lazily("", hint)

    def read(raw: dict[str, Any], path: list[str]) -> list[Any]:
        if not all(map(_is_index, raw)):
            raise invalid("Invalid array", join_name(path))
        return [read_item(raw[key], [*path, key]) for key in sorted(raw, key=int)]

    return read


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) <= MAX_INDEX_DIGITS


def _hash_reader(hint: Any) -> Reader:
    if te.is_typeddict(hint):
        return lambda raw, path: reader_of(hint)(raw, path)
    read_value = _lazily("", get_args(hint)[1]) if get_origin(hint) is dict else _read_string

    def read(raw: dict[str, Any], path: list[str]) -> dict[str, Any]:
        return {key: read_value(value, [*path, key]) for key, value in raw.items()}

    return read


def _metadata(read: Reader) -> Reader:
    """Metadata keeps its empty values (they unset a key) and has limits of its own."""

    def limited(raw: Any, path: list[str]) -> Any:
        if not isinstance(raw, dict):
            return read(raw, path)
        if len(raw) > MAX_METADATA_KEYS:
            raise invalid(f"You can have up to {MAX_METADATA_KEYS} metadata keys.", join_name(path))
        for key, value in raw.items():
            full = join_name([*path, key])
            if not isinstance(value, str):
                raise invalid("Metadata values must be strings.", full)
            if len(key) > MAX_METADATA_KEY or len(value) > MAX_METADATA_VALUE:
                limits = f"keys up to {MAX_METADATA_KEY} and values up to {MAX_METADATA_VALUE} characters"
                raise invalid(f"Metadata can have {limits}.", full)
        return dict(raw)

    return limited


def _currency(read: Reader) -> Reader:
    """A code that Stripe knows, in whichever case it was sent."""

    def known(raw: Any, path: list[str]) -> Any:
        value = read(raw, path)
        if isinstance(value, str) and value:
            checked_currency(value, join_name(path))
        return value

    return known


def _currencies(read: Reader) -> Reader:
    """A hash whose keys are currencies."""

    def known(raw: Any, path: list[str]) -> Any:
        for code in raw if isinstance(raw, dict) else ():
            checked_currency(code, join_name(path))
        return read(raw, path)

    return known


def _amount(read: Reader) -> Reader:
    """An amount of money in minor units, of at most eight digits."""

    def limited(raw: Any, path: list[str]) -> Any:
        value = read(raw, path)
        if isinstance(value, int | str) and value != "" and abs(Decimal(value)) > MAX_AMOUNT:
            message = "Amount must be no more than $999,999.99"
            raise invalid(message, join_name(path), code="amount_too_large")
        return value

    return limited


def _as_it_is(read: Reader) -> Reader:
    return read


def _cannot_unset(path: list[str]) -> StripeError:
    name = join_name(path)
    return invalid(
        f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a "
        f"parameter; however '{name}' cannot be unset. You should remove '{name}' from your request or "
        "supply a non-empty value.",
        name,
        code="parameter_invalid_empty",
    )


def _read_string(raw: Any, path: list[str]) -> str:
    if not isinstance(raw, str):
        raise invalid("Invalid string: expected a value, not a hash or an array", join_name(path))
    return raw


def _read_integer(raw: Any, path: list[str]) -> int:
    if not _INTEGER.fullmatch(str(raw)):
        raise invalid(f"Invalid integer: {raw}", join_name(path), code="parameter_invalid_integer")
    return int(raw)


def _read_boolean(raw: Any, path: list[str]) -> bool:
    if raw not in ("true", "false"):
        raise invalid(f"Invalid boolean: {raw}", join_name(path))
    return raw == "true"


def _read_decimal(raw: Any, path: list[str]) -> str:
    if not _DECIMAL.fullmatch(str(raw)):
        raise invalid(f"Invalid decimal: {raw}", join_name(path))
    return format(Decimal(raw), "f")


def _read_float(raw: Any, path: list[str]) -> float:
    if not _DECIMAL.fullmatch(str(raw)):
        raise invalid(f"Invalid decimal: {raw}", join_name(path))
    return float(raw)


_WITH_LIMITS: dict[str, Callable[[Reader], Reader]] = {
    "metadata": _metadata,
    "currency": _currency,
    "currency_options": _currencies,
    **dict.fromkeys(AMOUNTS, _amount),
}
_SCALARS: dict[Any, Reader] = {
    int: _read_integer,
    bool: _read_boolean,
    Decimal: _read_decimal,
    float: _read_float,
    str: _read_string,
}
