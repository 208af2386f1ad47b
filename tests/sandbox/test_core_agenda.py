"""What is to come: moments in order, kept up to date by every write, and read again only after one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.sandbox.agenda import Moment, Timetable
from portal.sandbox.errors import StripeError, invalid
from portal.sandbox.store import Document, Store


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def read() -> list[str]:
    """The ids of the documents whose moments were asked for."""
    return []


@pytest.fixture
def bells(read: list[str]) -> Timetable:
    """A bell rings at `at`, or when the tower that it hangs in says so."""

    def moments(store: Store, bell: Document) -> Iterator[Moment]:
        read.append(bell["id"])
        if bell.get("at"):
            yield bell["at"], bell.get("rank", 0), "ring"
        tower = store.peek("tower", bell.get("tower") or "")
        if tower:
            yield tower["at"], 0, "toll"

    return Timetable("bell", moments, {"tower": "bell"})


def put(store: Store, *documents: Document, kind: str = "bell") -> None:
    with store.transaction():
        for document in documents:
            store.put(kind, document)


def due(store: Store, table: Timetable, until: int = 100) -> list[tuple[int, str, str]]:
    return [(entry.at, entry.label, entry.document["id"]) for entry in store.agenda(table).until(until)]


def test_the_earliest_comes_first_then_the_lower_rank_then_the_newest(store: Store, bells: Timetable) -> None:
    put(store, {"id": "late", "at": 30}, {"id": "old", "at": 10}, {"id": "new", "at": 10})
    put(store, {"id": "ranked", "at": 10, "rank": 1}, {"id": "beyond", "at": 101}, {"id": "never"})

    assert [id for _, _, id in due(store, bells)] == ["new", "old", "ranked", "late"]


def test_what_is_written_moves_and_what_is_deleted_goes(store: Store, bells: Timetable) -> None:
    put(store, {"id": "a", "at": 10}, {"id": "b", "at": 20}, {"id": "c", "at": 30})
    before = due(store, bells)
    put(store, {"id": "a", "at": 40}, {"id": "c", "deleted": True})
    with store.transaction():
        store.delete("bell", "b")

    assert before == [(10, "ring", "a"), (20, "ring", "b"), (30, "ring", "c")]
    assert due(store, bells) == [(40, "ring", "a")]


def test_what_was_undone_is_due_as_before(store: Store, bells: Timetable) -> None:
    put(store, {"id": "a", "at": 10})
    with pytest.raises(StripeError), store.transaction():
        store.put("bell", {"id": "a", "at": 50})
        store.put("bell", {"id": "b", "at": 5})
        moved = due(store, bells)
        raise invalid("no")

    assert moved == [(5, "ring", "b"), (50, "ring", "a")]
    assert due(store, bells) == [(10, "ring", "a")]


def test_a_followed_document_moves_what_it_belongs_to(store: Store, bells: Timetable) -> None:
    put(store, {"id": "a", "at": 10, "tower": "t"})
    before = due(store, bells)
    put(store, {"id": "t", "at": 7, "bell": "a"}, kind="tower")

    assert before == [(10, "ring", "a")]
    assert due(store, bells) == [(7, "toll", "a"), (10, "ring", "a")]


def test_only_what_was_written_is_read_again(store: Store, bells: Timetable, read: list[str]) -> None:
    put(store, *({"id": f"b{number}", "at": number} for number in range(1, 50)))
    due(store, bells)
    read.clear()
    put(store, {"id": "b7", "at": 90})
    due(store, bells)
    due(store, bells)

    assert read == ["b7"]


def test_an_emptied_store_has_nothing_to_come(store: Store, bells: Timetable) -> None:
    put(store, {"id": "a", "at": 10})
    before = due(store, bells)
    store.reset()

    assert before == [(10, "ring", "a")]
    assert due(store, bells) == []
