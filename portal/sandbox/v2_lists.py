"""API v2's list pages: newest first, walked through by the addresses of the next and previous page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from portal.sandbox.errors import invalid
from portal.sandbox.store import Document

if TYPE_CHECKING:
    from portal.sandbox.state import Sandbox

DEFAULT_LIMIT = 10
MAX_LIMIT = 100


def page(
    sandbox: Sandbox,
    kind: str,
    params: dict[str, Any],
    url: str,
    where: Callable[[Document], bool] | None = None,
) -> Document:
    """The page that `page` in the address names, the first without; it holds up to `limit` documents."""
    limit = params.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid(f"`limit` must be from 1 to {MAX_LIMIT}.", "limit", code="invalid_fields")
    start = params.get("page", "0")
    if not start.isdecimal():
        raise invalid(f"Invalid page: {start}", "page", code="invalid_fields")
    first = int(start)
    rows = sandbox.store.find(kind, where)
    more, before = len(rows) > first + limit, first > 0
    return {
        "data": rows[first : first + limit],
        "next_page_url": _address(url, params, first + limit) if more else None,
        "previous_page_url": _address(url, params, max(first - limit, 0)) if before else None,
    }


def _address(url: str, params: dict[str, Any], start: int) -> str:
    fields: list[tuple[str, Any]] = []
    for name, value in params.items():
        if isinstance(value, list):
            fields += [(f"{name}[{index}]", item) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            fields += [(f"{name}[{key}]", item) for key, item in value.items()]
        elif name != "page":
            fields.append((name, value))
    return f"{url}?{urlencode([*fields, ('page', start)])}"
