"""Documents by kind and id, in memory, written through to one SQLite file at each commit."""

from __future__ import annotations

import json
import marshal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from portal.sandbox.agenda import Agenda, Timetable
from portal.sandbox.buckets import Buckets
from portal.sandbox.errors import StripeError

Document = dict[str, Any]
Where = Callable[[Document], bool]

LOCK_SECONDS = 1.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT, PRIMARY KEY (kind, id)
) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Entry:
    """A stored document and its place in creation order; `body` is None once it was deleted."""

    seq: int
    body: Document | None


@dataclass(frozen=True)
class Frozen:
    """Everything that a store held at one moment; equal to another while nothing was written between them."""

    kinds: dict[str, dict[str, Entry]]
    seq: int


class Store:
    """All state of one sandbox. Not thread-safe by itself: `Sandbox.work` holds the lock."""

    def __init__(self, path: Path | None = None) -> None:
        self._kinds: dict[str, dict[str, Entry]] = {}
        self._undo: list[tuple[str, str, Entry | None]] = []
        self._depth = 0
        self._seq = 0
        self._buckets = Buckets()
        self._agendas: dict[Timetable, Agenda] = {}
        self._database = _open(path) if path else None
        if self._database:
            self._load()

    def put(self, kind: str, document: Document) -> None:
        """Insert or replace a document; it must be plain JSON values (a Decimal is refused) and have an `id`.

        A replaced document keeps its place in the order of creation.
        """
        id = document["id"]
        known = self._kinds.setdefault(kind, {}).get(id)
        if known is None:
            self._seq += 1
        self._set(kind, id, Entry(known.seq if known else self._seq, _copy(document)))

    def get(self, kind: str, id: str) -> Document | None:
        """A copy of the document; change it and `put` it back."""
        entry = self._kinds.get(kind, {}).get(id)
        return _copy(entry.body) if entry and entry.body is not None else None

    def find(self, kind: str, where: Where | None = None, **equals: Any) -> list[Document]:
        """Copies of the documents whose fields equal the given ones, newest first; no deleted stubs.

        `where` sees the stored document itself and must not change it.
        """
        return [_copy(body) for body in self.walk(kind, where, **equals)]

    def walk(self, kind: str, where: Where | None = None, **equals: Any) -> Iterator[Document]:
        """As `find`, without copies: for reading only."""
        wanted = tuple(equals.items())
        for entry in self._candidates(kind, equals):
            body = entry.body
            if body is None or body.get("deleted") is True:
                continue
            if all(body.get(key) == value for key, value in wanted) and (where is None or where(body)):
                yield body

    def _candidates(self, kind: str, wanted: dict[str, Any]) -> list[Entry]:
        """The entries to look at, newest first."""
        documents = self._kinds.get(kind, {})
        ids = self._buckets.ids(kind, wanted, lambda: ((id, entry.body) for id, entry in documents.items()))
        if ids is None or len(ids) * 2 > len(documents):
            # A dictionary keeps the order of insertion, and replacing a value keeps its place.
            return list(reversed(documents.values()))
        return sorted((documents[id] for id in ids), key=lambda entry: entry.seq, reverse=True)

    def peek(self, kind: str, id: str) -> Document | None:
        """The stored document itself, for reading only; None also for a deleted stub."""
        entry = self._kinds.get(kind, {}).get(id)
        body = entry.body if entry else None
        return None if body is None or body.get("deleted") is True else body

    def agenda(self, table: Timetable) -> Agenda:
        """The moments of that timetable over this store."""
        if table not in self._agendas:
            self._agendas[table] = Agenda(table, self)
        return self._agendas[table]

    def position(self, kind: str, id: str) -> int | None:
        """The place in creation order, also of a deleted document (a list cursor may still name it)."""
        entry = self._kinds.get(kind, {}).get(id)
        return entry.seq if entry else None

    def delete(self, kind: str, id: str) -> None:
        """Forget a document; that it was there is remembered, but for the sandbox's own kinds (`_…`)."""
        entry = self._kinds.get(kind, {}).get(id)
        if entry:
            self._set(kind, id, None if kind.startswith("_") else Entry(entry.seq, None))

    def keep(self, kind: str, most: int) -> None:
        """Forget the oldest documents of one of the sandbox's own kinds (`_…`) beyond `most`."""
        documents = self._kinds.get(kind, {})
        for id in list(islice(documents, max(len(documents) - most, 0))):
            self.delete(kind, id)

    def kinds(self) -> dict[str, int]:
        """How many live documents each kind has."""
        return {kind: sum(1 for _ in self.walk(kind)) for kind in sorted(self._kinds)}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block or none. Blocks nest; an inner failure undoes the inner writes only.

        A `StripeError` with `keep` passes through with the writes kept.
        """
        mark = len(self._undo)
        self._depth += 1
        try:
            yield
        except BaseException as error:
            if not (isinstance(error, StripeError) and error.keep):
                self._rollback(mark)
            raise
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._commit()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._depth > 0

    def reset(self) -> None:
        """Empty everything, the file included."""
        self._kinds.clear()
        self._undo.clear()
        self._buckets.clear()
        self._agendas.clear()
        if self._database:
            self._database.execute("DELETE FROM documents")

    def freeze(self) -> Frozen:
        """What is held now, to `thaw` later. Entries are never changed, only replaced, so it copies none."""
        return Frozen({kind: dict(entries) for kind, entries in self._kinds.items()}, self._seq)

    def thaw(self, frozen: Frozen) -> None:
        """Hold exactly what was held then, in memory."""
        if self._database or self._depth:
            raise RuntimeError("Only a store in memory can go back, and only between transactions.")
        self.reset()
        self._kinds = {kind: dict(entries) for kind, entries in frozen.kinds.items()}
        self._seq = frozen.seq

    def close(self) -> None:
        """Close the file."""
        if self._database:
            self._database.close()

    def _set(self, kind: str, id: str, entry: Entry | None) -> None:
        if not self._depth:
            raise RuntimeError("Writes need a transaction: use `with sandbox.work():`.")
        documents = self._kinds.setdefault(kind, {})
        self._undo.append((kind, id, documents.get(id)))
        self._note(kind, id, documents.get(id), entry)
        if entry is None:
            del documents[id]
        else:
            documents[id] = entry

    def _note(self, kind: str, id: str, before: Entry | None, after: Entry | None) -> None:
        was, is_now = before.body if before else None, after.body if after else None
        self._buckets.move(kind, id, was, is_now)
        for agenda in self._agendas.values():
            agenda.touch(kind, id, was, is_now)

    def _rollback(self, mark: int) -> None:
        while len(self._undo) > mark:
            kind, id, entry = self._undo.pop()
            documents = self._kinds[kind]
            self._note(kind, id, documents.get(id), entry)
            if entry is None:
                documents.pop(id, None)
            elif id in documents:
                documents[id] = entry
            else:  # back to its place, which an insertion alone would not give it
                documents[id] = entry
                self._kinds[kind] = dict(sorted(documents.items(), key=lambda item: item[1].seq))

    def _commit(self) -> None:
        if self._database and self._undo:
            try:
                self._write(self._database, {(kind, id) for kind, id, _ in self._undo})
            except sqlite3.Error:  # a full disk: what could not be kept did not happen
                self._rollback(0)
                raise
        self._undo.clear()

    def _write(self, database: sqlite3.Connection, changed: set[tuple[str, str]]) -> None:
        rows, gone = [], []
        for kind, id in changed:
            entry = self._kinds[kind].get(id)
            if entry is None:
                gone.append((kind, id))
            else:
                body = None if entry.body is None else json.dumps(entry.body, separators=(",", ":"))
                rows.append((kind, id, entry.seq, body))
        database.execute("BEGIN IMMEDIATE")
        try:
            database.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", rows)
            database.executemany("DELETE FROM documents WHERE kind = ? AND id = ?", gone)
            database.execute("COMMIT")
        except sqlite3.Error:
            database.execute("ROLLBACK")
            raise

    def _load(self) -> None:
        assert self._database
        for kind, id, seq, body in self._database.execute(
            "SELECT kind, id, seq, body FROM documents ORDER BY seq"
        ):
            self._kinds.setdefault(kind, {})[id] = Entry(seq, json.loads(body) if body is not None else None)
            self._seq = max(self._seq, seq)


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=LOCK_SECONDS)
    # The documents live in memory: a second process on the same file would overwrite what this one knows.
    database.execute("PRAGMA locking_mode=EXCLUSIVE")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute(SCHEMA)
    return database


def _copy(document: Document) -> Document:
    # marshal refuses what JSON could not hold, and copies plain values several times faster than deepcopy.
    return marshal.loads(marshal.dumps(document))  # noqa: S302  # nosec B302 (our own bytes)
