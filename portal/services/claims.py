"""Who works on a row: a claim on it runs out by the database's time, so that a crash frees it.

The rows have ``claimed_until`` and ``updated_at``.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Interval, cast, func, or_, update

from portal.db import unit_of_work

Model = Any  # a table's class with those two columns


def is_free(model: Model) -> ColumnElement[bool]:
    """Whether nobody works on the row, or whoever did is gone."""
    return or_(model.claimed_until.is_(None), model.claimed_until <= func.clock_timestamp())


def take(workspace_id: int, model: Model, *which: ColumnElement[bool], lasting: timedelta) -> bool:
    """Claim the row that is meant by ``which``, to work on it; False while somebody else does."""
    return hold(workspace_id, model, *which, lasting=lasting) is not None


def hold(workspace_id: int, model: Model, *which: ColumnElement[bool], lasting: timedelta) -> datetime | None:
    """The same, and until when the row is claimed; None while somebody else works on it."""
    now = func.clock_timestamp()
    until = now + cast(lasting, Interval)
    claim = update(model).where(*which, is_free(model)).values(claimed_until=until, updated_at=now)
    with unit_of_work(workspace_id) as session:
        return session.scalars(claim.returning(model.claimed_until)).first()


def let_go(workspace_id: int, model: Model, *which: ColumnElement[bool]) -> None:
    """Let others work on the row."""
    with unit_of_work(workspace_id) as session:
        session.execute(update(model).where(*which).values(claimed_until=None))
