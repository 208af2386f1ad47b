"""Upgrade, check, and say in one sentence what is wrong with a database."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from portal.errors import PortalError
from portal.migrations.rows import APP
from portal.models import Base

FOLDER = Path(__file__).parent
ADVISORY_LOCK = 7_034_112
LOCK_TIMEOUT = "5s"
OLDEST_SERVER = 160_000
# the partial indexes and policies that autogenerate cannot compare are covered by tests
FOREIGN_PREFIXES = ("procrastinate_", "alembic_")


class MigrationError(PortalError):
    """The database cannot be brought to this version; the message says why and the way out."""

    code = "migration"


def is_ours(item: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
    """Whether autogenerate looks at ``item``: not at the job queue's own tables."""
    table = name if kind == "table" else getattr(getattr(item, "table", None), "name", None)
    return not (table or "").startswith(FOREIGN_PREFIXES)


def upgrade(url: str) -> str:
    """Bring the database at ``url`` (its owner's login) to the newest revision; returns that revision.

    One at a time (advisory lock), all or nothing (one transaction). Raises MigrationError.
    """
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            return upgrade_on(connection)
    except OperationalError as error:
        raise MigrationError(
            "The database did not let itself be migrated: another process holds a lock or the server is away."
            " Stop what uses it and start again; nothing was changed.",
            log=str(error.orig),
        ) from error
    finally:
        engine.dispose()


def upgrade_on(connection: Connection, revision: str | None = None) -> str:
    """As ``upgrade``, in the caller's transaction; no further than to ``revision``, if one is named."""
    script = _script()
    wanted = revision or script.get_current_head() or ""
    _refuse(connection, script)
    command.upgrade(_config(connection), wanted)
    return wanted


def current(connection: Connection) -> str | None:
    """The revision that the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision that this code needs."""
    return _script().get_current_head() or ""


def differences(connection: Connection) -> list[Any]:
    """What autogenerate would change: empty when the models and the database agree."""
    context = MigrationContext.configure(
        connection, opts={"include_object": is_ours, "compare_type": True, "target_metadata": Base.metadata}
    )
    return list(compare_metadata(context, Base.metadata))


def _refuse(connection: Connection, script: ScriptDirectory) -> None:
    version = connection.execute(text("SELECT current_setting('server_version_num')::int")).scalar_one()
    if version < OLDEST_SERVER:
        raise MigrationError(f"PostgreSQL 16 or later is needed; this server is {version // 10_000}.")
    if not connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :app"), {"app": APP}).first():
        raise MigrationError(
            f"The role {APP} does not exist yet. Run the output of 'flask db roles' once as a superuser."
        )
    revision = current(connection)
    known = {item.revision for item in script.walk_revisions()}
    if revision is not None and revision not in known:
        raise MigrationError(
            f"The database is at revision {revision}, which this version of the portal does not know:"
            " it was made by a newer one. Run that version, or 'make reset' to start with an empty database."
        )
    ours = set(Base.metadata.tables)
    tables = set(
        connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars()
    )
    if (revision is None and tables & ours) or (revision is not None and not tables & ours):
        raise MigrationError(
            "The database is half migrated: its tables and its recorded revision do not belong together."
            " Restore it from a backup, or 'make reset' to start with an empty one."
        )


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
