"""Which documents hold a value in a field, so that a search by it does not look at all the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Document = dict[str, Any]
Field = tuple[str, str]


class Buckets:
    """Ids by (kind, field) and text value; a field is taken up when it is first searched by."""

    def __init__(self) -> None:
        self._fields: dict[str, dict[str, dict[str, set[str]]]] = {}

    def ids(
        self,
        kind: str,
        wanted: Mapping[str, Any],
        documents: Callable[[], Iterable[tuple[str, Document | None]]],
    ) -> set[str] | None:
        """The fewest ids among which everything with the `wanted` values is; None when none of them is text.

        `documents()` gives all of the kind, to take up a new field.
        """
        fields = self._fields.setdefault(kind, {})
        found = []
        for name, value in wanted.items():
            if isinstance(value, str):
                if name not in fields:
                    fields[name] = {}
                    for id, body in documents():
                        _place(fields[name], name, id, body)
                found.append(fields[name].get(value, set()))
        return min(found, key=len, default=None)

    def move(self, kind: str, id: str, before: Document | None, after: Document | None) -> None:
        """A document was written."""
        for name, buckets in self._fields.get(kind, {}).items():
            old, new = (before or {}).get(name), (after or {}).get(name)
            if old != new:
                if isinstance(old, str):
                    buckets[old].discard(id)
                _place(buckets, name, id, after)

    def clear(self) -> None:
        """Forget everything, fields included."""
        self._fields.clear()


def _place(buckets: dict[str, set[str]], name: str, id: str, body: Document | None) -> None:
    value = (body or {}).get(name)
    if isinstance(value, str):
        buckets.setdefault(value, set()).add(id)
