"""The store: copies, order, transactions, and what a restart finds."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from portal.sandbox.app import create_sandbox
from portal.sandbox.errors import StripeError, invalid
from portal.sandbox.store import Store
from tests.sandbox.recorded import refusal
from tests.transport import stripe_client


@pytest.fixture
def store() -> Store:
    return Store()


def names(store: Store) -> list[str]:
    return [row["id"] for row in store.find("thing")]


def put(store: Store, *ids: str) -> None:
    with store.transaction():
        for id in ids:
            store.put("thing", {"id": id})


def write_and_fail(store: Store, error: Exception, *ids: str) -> None:
    with store.transaction():
        for id in ids:
            store.put("thing", {"id": id, "changed": True})
        store.delete("thing", "gone")
        raise error


def test_finds_the_newest_first_and_a_replaced_one_in_its_old_place(store: Store) -> None:
    put(store, "a", "b", "c")
    put(store, "a")

    assert names(store) == ["c", "b", "a"]


def test_hands_out_copies(store: Store) -> None:
    put(store, "a")
    store.get("thing", "a")["id"] = "changed"

    assert store.get("thing", "a") == {"id": "a"}


def test_takes_a_copy_of_what_it_is_given(store: Store) -> None:
    document = {"id": "a", "list": [1]}
    with store.transaction():
        store.put("thing", document)
    document["list"].append(2)

    assert store.get("thing", "a") == {"id": "a", "list": [1]}


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    put(store, "a", "gone")
    with pytest.raises(ZeroDivisionError):
        write_and_fail(store, ZeroDivisionError(), "a", "b")

    assert store.find("thing") == [{"id": "gone"}, {"id": "a"}]


def test_an_inner_failure_undoes_the_inner_writes_only(store: Store) -> None:
    with store.transaction():
        store.put("thing", {"id": "outer"})
        with pytest.raises(StripeError):
            write_and_fail(store, invalid("no"), "inner")

    assert names(store) == ["outer"]


def test_an_error_that_keeps_commits_what_was_written(store: Store) -> None:
    declined = StripeError(402, "card_error", "Your card was declined.", keep=True)
    with pytest.raises(StripeError):
        write_and_fail(store, declined, "charge")

    assert names(store) == ["charge"]


def test_writing_needs_a_transaction(store: Store) -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        store.put("thing", {"id": "a"})


def test_remembers_the_place_of_a_deleted_document(store: Store) -> None:
    put(store, "a", "b")
    with store.transaction():
        store.delete("thing", "a")

    assert store.get("thing", "a") is None
    assert names(store) == ["b"]
    assert store.position("thing", "a") < store.position("thing", "b")


def test_a_file_gives_everything_back_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    first = Store(path)
    put(first, "a", "b", "c")
    put(first, "a")
    with first.transaction():
        first.delete("thing", "b")
    first.close()
    second = Store(path)
    put(second, "d")

    assert names(second) == ["d", "c", "a"]
    assert second.position("thing", "b") == 2
    second.close()


def test_what_was_rolled_back_is_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    first = Store(path)
    put(first, "a")
    with pytest.raises(StripeError):
        write_and_fail(first, invalid("no"), "b")
    first.close()
    second = Store(path)

    assert names(second) == ["a"]
    second.close()


def test_what_cannot_be_written_did_not_happen(tmp_path: Path) -> None:
    app = create_sandbox(tmp_path / "sandbox.sqlite")
    client = stripe_client(app)
    kept = client.v1.customers.create({"name": "Ada"})
    app.extensions["sandbox"].store._database.execute("PRAGMA query_only=ON")
    error = refusal(lambda: client.v1.customers.create({"name": "Lost"}))
    app.extensions["sandbox"].store._database.execute("PRAGMA query_only=OFF")
    after = client.v1.customers.create({"name": "Grace"})
    app.extensions["sandbox"].store.close()

    assert error.http_status == 500
    assert "could not write its data file" in error.user_message
    assert [row.id for row in client.v1.customers.list().data] == [after.id, kept.id]


def test_an_amount_that_is_no_plain_value_cannot_be_stored(store: Store) -> None:
    with pytest.raises(ValueError, match="unmarshallable"), store.transaction():
        store.put("thing", {"id": "a", "amount": Decimal("1.5")})


def test_a_rollback_gives_a_removed_document_its_old_place(store: Store) -> None:
    with store.transaction():
        for id in ("a", "b", "c"):
            store.put("_delivery", {"id": id})

    def remove_and_fail() -> None:
        with store.transaction():
            store.delete("_delivery", "b")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        remove_and_fail()

    assert [row["id"] for row in store.find("_delivery")] == ["c", "b", "a"]


def test_the_sandboxs_own_kinds_leave_no_trace(store: Store) -> None:
    with store.transaction():
        store.put("_delivery", {"id": "a"})
    with store.transaction():
        store.delete("_delivery", "a")

    assert store.position("_delivery", "a") is None


def test_a_search_by_a_value_finds_what_was_written_undone_and_deleted_since(store: Store) -> None:
    def found(colour: str) -> list[str]:
        return [row["id"] for row in store.find("thing", colour=colour)]

    with store.transaction():
        for number in range(9):
            store.put("thing", {"id": f"t{number}", "colour": "red" if number in (2, 5) else "blue"})
    first = found("red")
    with store.transaction():
        store.put("thing", {"id": "t2", "colour": "green"})
        store.put("thing", {"id": "t0", "colour": "red"})
    second = found("red"), found("green")
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.put("thing", {"id": "t5", "colour": ["red"]})
        store.delete("thing", "t0")
        undone = found("red")
        raise ZeroDivisionError

    assert first == ["t5", "t2"]
    assert second == (["t5", "t0"], ["t2"])
    assert undone == []
    assert found("red") == ["t5", "t0"]


def test_a_first_search_by_two_values_finds_what_has_both(store: Store) -> None:
    with store.transaction():
        for number in range(9):
            colour, size = "red" if number < 4 else "blue", "small" if number % 4 else "large"
            store.put("thing", {"id": f"t{number}", "colour": colour, "size": size})

    assert [row["id"] for row in store.find("thing", colour="red", size="large")] == ["t0"]
    assert [row["id"] for row in store.find("thing", size="large")] == ["t8", "t4", "t0"]


def test_of_what_only_the_sandbox_keeps_the_oldest_go_when_there_are_too_many(store: Store) -> None:
    with store.transaction():
        for number in range(5):
            store.put("_attempt", {"id": f"wa_{number}"})
        store.put("_attempt", {"id": "wa_0", "status": 200})
        store.keep("_attempt", 3)

    assert [attempt["id"] for attempt in store.find("_attempt")] == ["wa_4", "wa_3", "wa_2"]
