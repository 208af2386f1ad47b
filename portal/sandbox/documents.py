"""What most handlers do with documents: look one up, take over parameters, merge metadata."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from portal.sandbox.errors import missing
from portal.sandbox.lists import LABELS
from portal.sandbox.store import Document

if TYPE_CHECKING:
    from portal.sandbox.state import Sandbox


def in_path(sandbox: Sandbox, kind: str, id: str, param: str = "id") -> Document:
    """The document that the path names; 404 when there is none. A deleted stub is returned as such."""
    document = sandbox.store.get(kind, id)
    if document is None:
        raise missing(LABELS.get(kind, kind), id, param)
    return document


def in_body(sandbox: Sandbox, kind: str, id: str, param: str, status: int = 400) -> Document:
    """The live document that a parameter names; 400 (or `status`) when there is none or it was deleted."""
    document = sandbox.store.get(kind, id)
    if document is None or document.get("deleted") is True:
        raise missing(LABELS.get(kind, kind), id, param, status)
    return document


def assign(document: Document, params: dict[str, Any], names: Iterable[str]) -> None:
    """Take over the parameters that were sent; an empty string unsets."""
    for name in names:
        if name in params:
            document[name] = params[name] if params[name] != "" else None


def merged_metadata(current: dict[str, str] | None, given: dict[str, str] | str | None) -> dict[str, str]:
    """Stripe's merge: given keys replace, an empty value removes its key, an empty string removes all."""
    if given is None:
        return dict(current or {})
    if not isinstance(given, dict):
        return {}
    merged = {**(current or {}), **given}
    return {key: value for key, value in merged.items() if value != ""}
