"""A sweeper's work: one row that fails, in whatever way, keeps no other from its turn."""

from portal.errors import N_, ConflictError
from portal.services import turns


def test_every_row_has_its_turn_whatever_became_of_the_ones_before() -> None:
    done: list[str] = []

    def work(workspace_id: int, row_id: str) -> None:
        if row_id == "refused":
            raise ConflictError(N_("Not now."))
        if row_id == "broken":
            raise ZeroDivisionError
        done.append(f"{workspace_id} {row_id}")

    due = [(1, "refused"), (2, "first"), (2, "broken"), (3, "second")]
    assert turns.give(due, work, waits="row_waits") == 4
    assert done == ["2 first", "3 second"]
