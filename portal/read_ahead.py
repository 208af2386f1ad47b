"""The rows that a page is going to ask for, read in one round trip.

A page of many small questions spends most of its time on asking. It names those that hang on nothing else,
they are asked together, and whoever asks one of them in that unit of work has the answer already.
"""

from typing import Any, TypeVar

from sqlalchemy import Select, literal, select, true
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session, aliased

Row = TypeVar("Row")

# of a session's info: statement → its first row
_READ = "read_ahead"


class ReadAhead:
    """Statements of one entity each, put together once; only for units of work that change nothing."""

    def __init__(self, *statements: Select[Any]) -> None:
        self._statements = statements
        nothing = select(literal(1)).subquery()
        rows = [statement.limit(1).lateral() for statement in statements]
        kinds = [statement.column_descriptions[0]["entity"] for statement in statements]
        asked = select(*(aliased(kind, row) for kind, row in zip(kinds, rows, strict=True)))
        asked = asked.select_from(nothing)
        for row in rows:
            asked = asked.outerjoin(row, true())
        # SQLAlchemy makes the columns of a subquery when they are first asked for, and two threads at once
        # would each make their own; so they are asked for here
        asked.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
        self._asked = asked

    def read(self, session: Session) -> None:
        """Ask for the first row of each."""
        found = session.execute(self._asked).one()
        session.info[_READ] = dict(zip(map(id, self._statements), found, strict=True))


def first(session: Session, statement: Select[Row]) -> Row | None:
    """The first row of ``statement``; nothing is asked where it was read ahead."""
    known: dict[int, Row | None] = session.info.get(_READ, {})
    if id(statement) in known:
        return known[id(statement)]
    return session.scalars(statement).first()
