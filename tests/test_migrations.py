"""The schema on both servers of the wheel, and what is said about a database that does not fit."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from portal.migrations import runner
from portal.migrations.check import problems
from portal.migrations.runner import MigrationError
from tests import factories
from tests.database import TestDatabase, TestServer

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def empty(server: TestServer) -> Iterator[TestDatabase]:
    """A database without tables."""
    with server.database(template=False) as made:
        yield made


@pytest.fixture
def owner(empty: TestDatabase) -> Iterator[Engine]:
    """A connection pool of the database's owner."""
    engine = create_engine(empty.owner_url, poolclass=NullPool)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("version", [16, 18])
def test_the_schema_and_a_first_workspace_on_both_servers_of_the_wheel(version: int) -> None:
    with TestServer(ROOT / ".data" / "tests", version=version) as server, server.database() as database:
        engine = create_engine(database.app_url, poolclass=NullPool)
        with engine.begin() as connection:
            number = connection.execute(text("SHOW server_version_num")).scalar_one()
            new = connection.execute(
                text("SELECT nextval(pg_get_serial_sequence('workspace', 'id'))")
            ).scalar_one()
            connection.execute(text("SELECT set_config('app.workspace_id', :id, true)"), {"id": str(new)})
            connection.execute(text("INSERT INTO workspace (id, name) VALUES (:id, 'Acme')"), {"id": new})
            insert = text(
                "INSERT INTO billing_details (company_name, email) VALUES ('A', 'a@b.c')"
                " RETURNING workspace_id"
            )
            owned = connection.execute(insert).scalar_one()
        found = problems(factories.settings(database_url=database.app_url))
        engine.dispose()

    assert int(number) // 10_000 == version
    assert owned == new
    assert found == []


def test_migrating_twice_changes_nothing(empty: TestDatabase, owner: Engine) -> None:
    first = runner.upgrade(empty.owner_url)
    second = runner.upgrade(empty.owner_url)

    assert first == second == runner.head()
    with owner.connect() as connection:
        assert runner.differences(connection) == []


def test_a_newer_schema_is_named_with_the_way_out(empty: TestDatabase, owner: Engine) -> None:
    runner.upgrade(empty.owner_url)
    with owner.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(MigrationError, match="made by a newer one"):
        runner.upgrade(empty.owner_url)


def test_a_half_migrated_database_is_named_with_the_way_out(empty: TestDatabase, owner: Engine) -> None:
    with owner.begin() as connection:
        connection.execute(text("CREATE TABLE workspace (id bigint)"))

    with pytest.raises(MigrationError, match=r"half migrated.*make reset"):
        runner.upgrade(empty.owner_url)


def test_a_revision_without_its_tables_is_half_migrated_too(empty: TestDatabase, owner: Engine) -> None:
    with owner.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": runner.head()})

    with pytest.raises(MigrationError, match="half migrated"):
        runner.upgrade(empty.owner_url)


def test_the_check_names_a_role_that_bypasses_the_policies(committing: TestDatabase) -> None:
    as_superuser = committing.app_url.replace("portal_app@", "postgres@")
    found = problems(factories.settings(database_url=as_superuser))

    assert found == ["The role postgres bypasses row-level security. Use portal_app in PORTAL_DATABASE_URL."]


def test_the_check_names_the_owner_as_the_wrong_role(committing: TestDatabase) -> None:
    found = problems(factories.settings(database_url=committing.owner_url))

    assert found == ["The role portal_owner owns tables. PORTAL_DATABASE_URL must not be the owner's."]


def test_the_check_names_a_schema_that_is_behind(empty: TestDatabase) -> None:
    found = problems(factories.settings(database_url=empty.app_url))

    assert found == [
        f"The database is at revision None, this version needs {runner.head()}: flask db upgrade."
    ]


def test_the_check_names_a_database_that_is_away() -> None:
    found = problems(factories.settings(database_url="postgresql+psycopg://portal_app@localhost:1/none"))

    assert found == [
        "The database cannot be reached: OperationalError. Check PORTAL_DATABASE_URL and the server."
    ]


def test_the_workspace_leads_every_primary_key_that_it_is_part_of(empty: TestDatabase, owner: Engine) -> None:
    runner.upgrade(empty.owner_url)

    found = inspect(owner)
    keys = {name: found.get_pk_constraint(name)["constrained_columns"] for name in found.get_table_names()}

    owned = {name: key for name, key in keys.items() if "workspace_id" in key}
    assert "quote" in owned
    assert {name for name, key in owned.items() if key[0] != "workspace_id"} == set()


def upgraded(empty: TestDatabase, owner: Engine, revision: str, *rows: str) -> None:
    """Put rows of workspace 1 into the tables of ``revision``, and upgrade from there."""
    with owner.begin() as connection:
        runner.upgrade_on(connection, revision)
        connection.execute(text("SELECT set_config('app.workspace_id', '1', true)"))
        for statement in rows:
            connection.execute(text(statement))
    runner.upgrade(empty.owner_url)


def test_what_was_taken_back_before_revision_20_is_known_by_its_entry(
    empty: TestDatabase, owner: Engine
) -> None:
    """A unit counted twice and taken back twice goes by its last reversal; one that counts by none."""
    upgraded(
        empty,
        owner,
        "0019",
        "INSERT INTO resolution (workspace_id, conversation_id, episode, state, because, channel, counts)"
        " VALUES (1, 'a#b', 2, 'reversed', 'reopened', 'chat', false),"
        " (1, 'again', 1, 'billable', 'confirmed', 'chat', true)",
        "INSERT INTO usage_entry (workspace_id, period_start, key, source, kind, quantity, at, channel,"
        " charge) SELECT 1, '2026-11-01Z', 'resolution', source, kind, quantity, at::timestamptz, 'chat',"
        " 'meter' FROM (VALUES ('a#b#2', 'reversal', -1, '2026-11-03Z'),"
        " ('a#b#2~2', 'billable', 1, '2026-11-04Z'), ('a#b#2~2', 'reversal', -1, '2026-11-05Z'),"
        " ('again#1', 'reversal', -1, '2026-11-03Z'), ('again#1~2', 'billable', 1, '2026-11-04Z'))"
        " AS e (source, kind, quantity, at)",
    )
    with owner.connect() as connection:
        found = connection.execute(
            text("SELECT conversation_id, taken_back_at FROM resolution ORDER BY conversation_id")
        ).all()

    assert [(name, at and at.day) for name, at in found] == [("a#b", 5), ("again", None)]


def test_what_was_counted_before_revision_22_is_known_by_its_last_entry_in_its_month(
    empty: TestDatabase, owner: Engine
) -> None:
    """Counted twice in November; moved into it from October; late; taken back by a credit note instead."""
    upgraded(
        empty,
        owner,
        "0021",
        "INSERT INTO resolution (workspace_id, conversation_id, episode, state, because, channel, counts,"
        " period_start) SELECT 1, name, 1, 'billable', 'confirmed', 'chat', true, '2026-11-01Z'"
        " FROM unnest(ARRAY['twice', 'moved', 'late', 'credited']) AS name",
        "INSERT INTO usage_entry (workspace_id, period_start, key, source, kind, basis, quantity, at,"
        " channel, charge) SELECT 1, month::timestamptz, 'resolution', source, kind, basis, quantity,"
        " at::timestamptz, 'email', 'meter' FROM (VALUES"
        " ('2026-11-01Z', 'twice#1', 'billable', 'assumed', 1, '2026-11-04Z'),"
        " ('2026-11-01Z', 'twice#1', 'correction', 'assumed', -1, '2026-11-04Z'),"
        " ('2026-11-01Z', 'twice#1~2', 'billable', 'confirmed', 1, '2026-11-03Z'),"
        " ('2026-10-01Z', 'moved#1', 'billable', 'assumed', 1, '2026-10-05Z'),"
        " ('2026-10-01Z', 'moved#1~~4-out', 'correction', 'assumed', -1, '2026-10-05Z'),"
        " ('2026-11-01Z', 'moved#1~~4-in', 'correction', 'assumed', 1, '2026-11-06Z'),"
        " ('2026-11-01Z', 'late#1', 'billable', 'confirmed', 1, '2026-11-07Z'),"
        " ('2026-11-01Z', 'credited#1', 'billable', 'assumed', 1, '2026-11-08Z'),"
        " ('2026-11-01Z', 'credited#1', 'reversal', 'assumed', -1, '2026-11-09Z'),"
        " ('2026-11-01Z', 'credited#1~~9-uncharged', 'correction', 'assumed', 1, '2026-11-09Z'),"
        " ('2026-11-01Z', 'credited#1~~9-credit', 'correction', 'assumed', -1, '2026-11-09Z'))"
        " AS e (month, source, kind, basis, quantity, at)",
    )
    with owner.connect() as connection:
        found = connection.execute(
            text("SELECT conversation_id, counted_at, counted_as, counted_on FROM resolution ORDER BY 1")
        ).all()

    assert [(name, at.day, kind, channel) for name, at, kind, channel in found] == [
        ("credited", 8, "assumed", "email"),
        ("late", 7, "confirmed", "email"),
        ("moved", 6, "assumed", "email"),
        ("twice", 3, "confirmed", "email"),
    ]
