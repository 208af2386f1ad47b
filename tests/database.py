"""PostgreSQL for the tests: one server joined by all processes, one migrated template, and copies of it."""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.pool import NullPool

from portal.development.postgres import EmbeddedPostgres
from portal.migrations import rows, runner
from tests.snapshots import SCHEMA

FAST = {
    # nothing here has to survive a power cut
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # what is prepared is planned once, whatever it is asked with: see conftest._prepare_all
    "plan_cache_mode": "force_generic_plan",
}
MAX_CONNECTIONS = 200
MIGRATED_BY = ("portal/migrations", "portal/models")
SET_SCOPE = (
    "SELECT set_config('role', %(role)s, true), set_config('app.workspace_id', %(workspace)s, true),"
    " set_config('app.user_id', %(user)s, true)"
)
SETS_SCOPE = "SELECT set_config('role'"
OF_SAVEPOINTS = ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")


@dataclass(frozen=True)
class TestDatabase:
    """A database that one process or test has for itself."""

    __test__ = False

    name: str
    app_url: str
    owner_url: str


class TestServer:
    """The server of a test run. Runs at the same time share it; the last one to leave stops it."""

    __test__ = False

    def __init__(self, folder: Path, *, version: int = 18) -> None:
        self._folder = folder
        self._postgres = EmbeddedPostgres(
            folder / f"postgres{version}", version=version, max_connections=MAX_CONNECTIONS, options=FAST
        )

    def __enter__(self) -> "TestServer":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._users = (self._folder / f"{self._postgres.data.name}.users").open("a")
        with self._alone():
            first = self._is_alone()
            fcntl.flock(self._users, fcntl.LOCK_SH)
            self._postgres.start()
            self.admin = create_engine(
                self._postgres.url("postgres", "postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
            )
            self._prepare(clean=first)
        return self

    def __exit__(self, *_exception: object) -> None:
        self.admin.dispose()
        with self._alone():
            if self._is_alone():
                self._postgres.stop()
        self._users.close()

    @contextmanager
    def database(self, *, template: bool = True) -> Iterator[TestDatabase]:
        """A database of its own, migrated (or empty), dropped at the end."""
        name = f"test_{os.getpid()}_{secrets.token_hex(4)}"
        like = f"TEMPLATE {self.template} STRATEGY FILE_COPY" if template else ""
        with self.admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} OWNER portal_owner {like}")
        try:
            url = self._postgres.url
            yield TestDatabase(name, url("portal_app", name), url("portal_owner", name))
        finally:
            with self.admin.connect() as connection:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")

    def _is_alone(self) -> bool:
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _prepare(self, *, clean: bool) -> None:
        self.template = f"tpl_{_fingerprint()}"
        with self.admin.connect() as connection:
            connection.exec_driver_sql(rows.ROLES)
            names = connection.execute(text("SELECT datname FROM pg_database")).scalars().all()
            for name in names:
                # what killed runs left behind, and templates of older migrations
                if clean and name != self.template and name.startswith(("test_", "tpl_", "new_")):
                    connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
            if self.template not in names:
                self._make_template(connection)

    def _make_template(self, connection: Connection) -> None:
        unfinished = "new_" + self.template
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")
        connection.exec_driver_sql(f"CREATE DATABASE {unfinished} OWNER portal_owner")
        runner.upgrade(self._postgres.url("portal_owner", unfinished))
        with create_engine(self._postgres.url("postgres", unfinished), poolclass=NullPool).begin() as made:
            made.exec_driver_sql(SCHEMA)
        connection.exec_driver_sql(f"ALTER DATABASE {unfinished} RENAME TO {self.template}")
        # a session in the template would keep it from being copied
        connection.exec_driver_sql(f"ALTER DATABASE {self.template} ALLOW_CONNECTIONS false")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._folder / "server.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _fingerprint() -> str:
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(SCHEMA.encode())
    for folder in MIGRATED_BY:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def keep_scopes_apart(connection: Connection) -> None:
    """Give each savepoint of ``connection`` its own role, workspace and user.

    SET LOCAL outlives a released savepoint, so that on one connection a finished unit of work would leave its
    workspace to the one that it was nested in. Real units of work have a transaction each and do not meet.
    """
    event.listen(connection, "before_cursor_execute", (scopes := _Scopes()).before)
    event.listen(connection, "savepoint", scopes.enter)
    event.listen(connection, "release_savepoint", scopes.leave)
    event.listen(connection, "rollback_savepoint", scopes.undo)


class _Scopes:
    """What scope the server has, and what it should have: it is told once a statement needs it."""

    def __init__(self) -> None:
        self._there = self._wanted = {"role": "none", "workspace": "", "user": ""}
        self._outer: list[tuple[dict[str, str], dict[str, str]]] = []

    def before(self, conn: Connection, cursor: Any, statement: str, values: Any, *_context: object) -> None:
        if statement.startswith(SETS_SCOPE):
            self._there = self._wanted = dict(values)
        elif self._there != self._wanted and not statement.startswith(OF_SAVEPOINTS):
            cursor.execute(SET_SCOPE, self._wanted)
            self._there = self._wanted

    def enter(self, conn: Connection, name: str | None) -> None:
        self._outer.append((self._there, self._wanted))

    def leave(self, conn: Connection, name: str, context: object) -> None:
        _there, self._wanted = self._outer.pop()

    def undo(self, conn: Connection, name: str, context: object) -> None:
        self._there, self._wanted = self._outer.pop()
