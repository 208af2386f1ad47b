"""How much is read of the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event


@dataclass
class Reads:
    """How often the database was asked, and how many rows it gave."""

    statements: int = 0
    rows: int = 0


@contextmanager
def reading() -> Iterator[Reads]:
    """What is read meanwhile."""
    found = Reads()

    def hear(_connection: object, cursor: Any, *_more: object) -> None:
        found.statements += 1
        found.rows += max(cursor.rowcount, 0)

    event.listen(Engine, "after_cursor_execute", hear)
    try:
        yield found
    finally:
        event.remove(Engine, "after_cursor_execute", hear)
