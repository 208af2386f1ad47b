"""Whom a connection serves: what it was told of one unit of work is gone with it, as pages and worker run."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from portal.db import SYSTEM_ROLE, connect, unit_of_work
from tests.database import TestDatabase

SCOPE = text(
    "SELECT current_setting('role'), coalesce(current_setting('app.workspace_id', true), ''),"
    " coalesce(current_setting('app.user_id', true), '')"
)
NOBODY = ("none", "", "")


def scope(asked: Session | Connection) -> tuple[str, str, str]:
    role, workspace, user = asked.execute(SCOPE).one()
    return role, workspace, user


@pytest.fixture
def alone(committing: TestDatabase) -> Iterator[Engine]:
    """An engine of one connection, so that each unit of work has that of the one before."""
    engine = connect(committing.app_url, pool_size=1, max_overflow=0)
    yield engine
    engine.dispose()


def at_rest(engine: Engine) -> tuple[str, str, str]:
    with engine.connect() as connection:
        return scope(connection)


def test_a_unit_of_work_sees_its_own_scope_and_leaves_nothing_of_it(alone: Engine) -> None:
    seen = []
    with unit_of_work(7, user_id=3) as session:
        seen.append(scope(session))
    left = [at_rest(alone)]
    with unit_of_work() as session:
        seen.append(scope(session))
    with unit_of_work(system=True) as session:
        seen.append(scope(session))
    left.append(at_rest(alone))
    with unit_of_work(8) as session:
        seen.append(scope(session))

    assert seen == [("none", "7", "3"), NOBODY, (SYSTEM_ROLE, "", ""), ("none", "8", "")]
    assert left == [NOBODY, NOBODY]


def test_one_that_fails_leaves_nothing_of_its_scope_either(alone: Engine) -> None:
    with pytest.raises(RuntimeError), unit_of_work(7, user_id=3) as session:
        session.execute(SCOPE)
        raise RuntimeError

    assert at_rest(alone) == NOBODY


def test_one_that_begins_with_a_savepoint_is_in_its_scope_within_and_after(alone: Engine) -> None:
    with unit_of_work(7, user_id=3) as session:
        with session.begin_nested() as savepoint:
            within = scope(session)
            savepoint.rollback()
        after = scope(session)

    assert within == after == ("none", "7", "3")
    assert at_rest(alone) == NOBODY
