"""What is to come: the moments that documents name, sorted, so that time finds the next one at once.

Looking through every document for each thing that happens would make a month of many subscriptions cost their
number squared. A `Timetable` says which moments a document of one kind names; its `Agenda` over one store
reads a document again only after it was written.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portal.sandbox.store import Store

Document = dict[str, Any]
Moment = tuple[int, int, str]
Key = tuple[int, int, int, int, str, str]


@dataclass(frozen=True, eq=False)
class Timetable:
    """`moments(store, document)` gives (unix second, rank, label) for each moment a document of `kind` names.

    `followed`: kinds that `moments` also reads, with their field that holds the id of the `kind` document.
    """

    kind: str
    moments: Callable[[Store, Document], Iterable[Moment]]
    followed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """One moment to come; `document` is the stored one, for reading only."""

    at: int
    rank: int
    label: str
    document: Document


class Agenda:
    """The moments of one timetable over one store, kept up to date by `touch`."""

    def __init__(self, table: Timetable, store: Store) -> None:
        self._table = table
        self._store = store
        self._sorted: list[Key] = []
        self._keys: dict[str, list[Key]] = {}
        self._stale = {document["id"] for document in store.walk(table.kind)}

    def touch(self, kind: str, id: str, *bodies: Document | None) -> None:
        """A document was written: `bodies` are what it was and is."""
        if kind == self._table.kind:
            self._stale.add(id)
        elif kind in self._table.followed:
            name = self._table.followed[kind]
            self._stale |= {body[name] for body in bodies if body and body.get(name)}

    def until(self, second: int) -> Iterator[Entry]:
        """The moments up to that second: by second, by rank, then of the newest document first."""
        for id in self._stale:
            self._read_again(id)
        self._stale.clear()
        for at, rank, _, _, label, id in self._sorted:
            if at > second:
                return
            document = self._store.peek(self._table.kind, id)
            assert document
            yield Entry(at, rank, label, document)

    def _read_again(self, id: str) -> None:
        for key in self._keys.pop(id, ()):
            del self._sorted[bisect_left(self._sorted, key)]
        document = self._store.peek(self._table.kind, id)
        if document is None:
            return
        place = self._store.position(self._table.kind, id) or 0
        moments = enumerate(self._table.moments(self._store, document))
        keys = [(at, rank, -place, index, label, id) for index, (at, rank, label) in moments]
        for key in keys:
            insort(self._sorted, key)
        if keys:
            self._keys[id] = keys
