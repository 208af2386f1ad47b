"""Stripe's form encoding: `a[b]=1&items[0][price]=x&expand[]=y` to nested dictionaries of strings."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from portal.sandbox.errors import StripeError, invalid

MAX_FIELDS = 2000
MAX_DEPTH = 20
_PART = re.compile(r"\[([^\[\]]*)\]")


def split_name(name: str) -> list[str]:
    """The steps of a parameter name: `items[0][price]` is `items`, `0`, `price`."""
    head, bracket, rest = name.partition("[")
    return [head, *_PART.findall(bracket + rest)]


def join_name(parts: list[str]) -> str:
    """The name as Stripe writes it in `param`."""
    return parts[0] + "".join(f"[{part}]" for part in parts[1:])


def decode(encoded: str) -> dict[str, Any]:
    """The nested parameters of a body or query string; leaves are strings, lists are dictionaries of indexes.

    Whether digits mean a list is known only to the parameter's type, so `contract` decides that.
    """
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise refused(f"Too many parameters: at most {MAX_FIELDS} are read.") from error
    root: dict[str, Any] = {}
    for name, value in pairs:
        _insert(root, name, value)
    return root


def _insert(root: dict[str, Any], name: str, value: str) -> None:
    if name.count("[") > MAX_DEPTH:
        outer = name.partition("[")[0]
        raise refused(f"Invalid parameter: {outer} is nested deeper than {MAX_DEPTH} levels.", outer)
    parts = split_name(name)
    node = root
    for part in parts[:-1]:
        child = node.setdefault(part or str(len(node)), {})
        if not isinstance(child, dict):
            raise refused(f"Invalid parameter: {name} is both a value and a hash.", name)
        node = child
    node[parts[-1] or str(len(node))] = value


def refused(message: str, param: str | None = None) -> StripeError:
    """A refusal before the endpoint started: nothing is kept under the idempotency key."""
    error = invalid(message, param)
    error.stored = False
    return error
