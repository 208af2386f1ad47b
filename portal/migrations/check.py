"""Whether a database is fit for this version: its schema, and the role that the application uses."""

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from portal.config import Settings
from portal.migrations import runner
from portal.models import Base, Isolated

ROLE = text(
    "SELECT rolname, rolsuper, rolbypassrls,"
    " (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    "   WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relowner = r.oid) AS owned"
    " FROM pg_roles r WHERE rolname = current_user"
)
UNPROTECTED = text(
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname = ANY(:tables)"
    " AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
)


def owned_tables() -> set[str]:
    """The tables under row-level security."""
    return {
        str(mapper.local_table.name)
        for mapper in Base.registry.mappers
        if issubclass(mapper.class_, Isolated)
    }


def problems(settings: Settings) -> list[str]:
    """One sentence per problem; none when all is well."""
    engine = create_engine(settings.database_url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return [*_role(connection), *_schema(connection)]
    except SQLAlchemyError as error:
        return [
            f"The database cannot be reached: {type(error).__name__}."
            " Check PORTAL_DATABASE_URL and the server."
        ]
    finally:
        engine.dispose()


def _role(connection: Connection) -> list[str]:
    role = connection.execute(ROLE).one()
    found = []
    if role.rolsuper or role.rolbypassrls:
        found.append(
            f"The role {role.rolname} bypasses row-level security. Use portal_app in PORTAL_DATABASE_URL."
        )
    if role.owned:
        found.append(f"The role {role.rolname} owns tables. PORTAL_DATABASE_URL must not be the owner's.")
    return found


def _schema(connection: Connection) -> list[str]:
    found = []
    revision = runner.current(connection)
    if revision != runner.head():
        found.append(
            f"The database is at revision {revision}, this version needs {runner.head()}: flask db upgrade."
        )
        return found
    unprotected = connection.execute(UNPROTECTED, {"tables": sorted(owned_tables())}).scalars().all()
    found += [f"The table {name} is not under row-level security." for name in unprotected]
    found += [
        f"The schema differs from the models: {difference[0]}."
        for difference in runner.differences(connection)
    ]
    return found
