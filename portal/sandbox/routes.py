"""The table of endpoints: which function answers what, and which parameters it carries out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from portal.sandbox.errors import StripeError, invalid, unsupported
from portal.sandbox.store import Document

Handler = Callable[..., Document]


@dataclass(frozen=True)
class Route:
    """One endpoint. `params` is the SDK's TypedDict (None: takes no parameters).

    `supports`: the parameters that the handler carries out, as dotted paths without list indexes
    (`items.price`; a name alone covers everything below it); None: all. Others answer 400 by name.
    `publishable`: a browser may call it with the publishable key; `browser_params` are then allowed besides.
    `session`: it is called with the token of a meter event session, and with nothing else.
    """

    method: str
    segments: tuple[str, ...]
    handler: Handler
    params: type | None
    supports: tuple[str, ...] | None
    publishable: bool
    browser_params: frozenset[str]
    session: bool = False

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The ids in the path, or None when the path is another one."""
        if len(segments) != len(self.segments):
            return None
        found = {}
        for pattern, segment in zip(self.segments, segments, strict=True):
            if pattern.startswith("{"):
                found[pattern[1:-1]] = segment
            elif pattern != segment:
                return None
        return found


_routes: dict[tuple[str, int], list[Route]] = {}


def route(
    method: str,
    path: str,
    params: type | None = None,
    *,
    supports: tuple[str, ...] | None = None,
    publishable: bool = False,
    browser_params: tuple[str, ...] = (),
    session: bool = False,
) -> Callable[[Handler], Handler]:
    """Register `handler(sandbox, params, **ids)`; it returns the stored document, unexpanded.

    `ids` are the names in braces in `path`, as `/v1/customers/{customer}`. The handler runs inside the lock
    and a transaction. A fixed path wins over one with an id in the same place.
    """
    segments = tuple(path.strip("/").split("/"))

    def register(handler: Handler) -> Handler:
        entry = Route(
            method, segments, handler, params, supports, publishable, frozenset(browser_params), session
        )
        routes = _routes.setdefault((method, len(segments)), [])
        routes.append(entry)
        routes.sort(key=lambda known: sum(part.startswith("{") for part in known.segments))
        return handler

    return register


def find(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The endpoint and the ids in the path; Stripe's 404 for an unknown one."""
    segments = path.strip("/").split("/")
    if method == "GET" and segments[-1] == "search":
        raise invalid(f"Search ({path}) is not supported by this sandbox. List with filters instead.")
    for candidate in _routes.get((method, len(segments)), ()):
        ids = candidate.match(segments)
        if ids is not None:
            return candidate, ids
    raise unknown_url(method, path)


def unknown_url(method: str, path: str) -> StripeError:
    """Stripe's 404 for an endpoint that there is not."""
    message = (
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/."
    )
    return StripeError(404, "invalid_request_error", message, logged=False, stored=False)


def refuse_unsupported(params: dict[str, Any], supports: tuple[str, ...] | None) -> None:
    """Name the first parameter that is valid at Stripe but not carried out here."""
    if supports is None:
        return
    for path, name in _paths(params, "", ""):
        covered = any(path == known or path.startswith(f"{known}.") for known in supports)
        if not covered and not any(known.startswith(f"{path}.") for known in supports):
            raise unsupported(name)


def _paths(value: Any, path: str, name: str) -> Iterator[tuple[str, str]]:
    """Each parameter as a dotted path without indexes and as Stripe writes it, the outer ones first."""
    if path:
        yield path, name
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, f"{path}.{key}" if path else key, f"{name}[{key}]" if name else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                for key, inner in item.items():
                    yield from _paths(inner, f"{path}.{key}", f"{name}[{index}][{key}]")


def registered() -> list[str]:
    """Every endpoint as `METHOD /path`, for the control page."""
    return sorted(
        f"{entry.method} /" + "/".join(entry.segments) for entries in _routes.values() for entry in entries
    )
