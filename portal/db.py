"""Engine, sessions, and the unit of work that enters a workspace.

Row-level security reads two settings, ``app.workspace_id`` and ``app.user_id``, and the role. All three are
set at the start of *every* transaction, also to nothing: a setting made with SET LOCAL outlives a released
savepoint, so what is not set anew may be somebody else's.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from select import POLLIN, poll
from typing import Any

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.exc import IntegrityError, InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction, sessionmaker

SYSTEM_ROLE = "portal_system"

SCOPE = text(
    "SELECT set_config('role', :role, true), set_config('app.workspace_id', :workspace, true),"
    " set_config('app.user_id', :user, true)"
)

# the same as plain SQL; the parts are our own words and numbers
BEGIN = (
    "BEGIN; SELECT set_config('role', '{role}', true), set_config('app.workspace_id', '{workspace}', true),"
    " set_config('app.user_id', '{user}', true)"
)

# the same for the entered workspace alone, as the driver takes it
ENTER = (
    "SELECT set_config('role', 'none', true), set_config('app.workspace_id', %(workspace)s, true),"
    " set_config('app.user_id', '', true)"
)

SessionLocal: sessionmaker[Session] = sessionmaker(expire_on_commit=False)

# a network that swallows packets is noticed after half a minute, not after two hours
KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}

_open = threading.local()


@dataclass(frozen=True)
class Patience:
    """For how many seconds each thing of the database is waited for, before the answer is "try again"."""

    connect: int = 5
    pool: float = 5.0
    lock: float = 5.0
    statement: float = 15.0
    # no unit of work waits for a neighbour, so a transaction that does nothing was forgotten
    idle_in_transaction: float = 30.0

    def arguments(self) -> dict[str, Any]:
        """As libpq takes them when connecting; the server keeps to them, whatever becomes of the client."""
        limits = {
            "lock_timeout": self.lock,
            "statement_timeout": self.statement,
            "idle_in_transaction_session_timeout": self.idle_in_transaction,
        }
        options = " ".join(f"-c {name}={int(seconds * 1000)}" for name, seconds in limits.items())
        return {"connect_timeout": self.connect, "options": options, **KEEPALIVES}


PATIENCE = Patience()


def connect(url: str, *, pool_size: int = 5, max_overflow: int = 5, patience: Patience = PATIENCE) -> Engine:
    """Make the engine of ``url`` (``postgresql+psycopg://…``) and bind all sessions to it."""
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=patience.pool,
        connect_args=patience.arguments(),
    )
    event.listen(engine, "checkout", _refuse_ended)
    SessionLocal.configure(bind=engine)
    return engine


def _refuse_ended(connection: Any, _record: Any, _proxy: Any) -> None:
    """Have a connection that the server ended replaced, and with it all that are as old.

    The server's goodbye waits in the socket, where looking for it costs nothing; to ask the server instead,
    as pre-ping does, is a round trip more for each unit of work.
    """
    waiting = poll()
    waiting.register(connection.fileno(), POLLIN)
    if waiting.poll(0):
        raise InvalidatePoolError


def _scope(session: Session) -> dict[str, str]:
    info = session.info
    return {
        "role": SYSTEM_ROLE if info.get("system") else "none",
        "workspace": _number(info.get("workspace_id")),
        "user": _number(info.get("user_id")),
    }


def _number(id: int | None) -> str:
    return str(int(id)) if id else ""


@event.listens_for(Session, "after_begin")
def _enter(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    if not transaction.nested:
        # first: one that cannot begin is ended, and counted off, all the same
        _open.count = getattr(_open, "count", 0) + 1
        _begin(connection, _scope(session))


def _begin(connection: Connection, scope: Mapping[str, str]) -> None:
    """Enter the scope, in one round trip with the transaction's beginning; the driver alone takes two."""
    server = connection.connection.driver_connection.pgconn  # type: ignore[union-attr]
    # whoever bound the sessions to one connection has begun already
    if server.transaction_status == TransactionStatus.IDLE:
        if server.exec_(BEGIN.format(**scope).encode()).status == ExecStatus.TUPLES_OK:
            return
        # it is said again below, for the error that comes of it
        if server.transaction_status == TransactionStatus.INERROR:
            server.exec_(b"ROLLBACK")
    connection.execute(SCOPE, scope)


@event.listens_for(Session, "after_transaction_end")
def _leave(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None and transaction._connections:
        _open.count = getattr(_open, "count", 1) - 1


def transaction_is_open() -> bool:
    """Whether this thread holds a database transaction; no call to Stripe may be made while it does."""
    return getattr(_open, "count", 0) > 0


def enter_workspace(session: Session, workspace_id: int, user_id: int | None = None) -> None:
    """Let ``session`` see one workspace from here on. A session serves one workspace in its life."""
    if session.info.get("workspace_id") not in (None, workspace_id):
        raise RuntimeError("a session serves one workspace")
    session.info.update(workspace_id=workspace_id, user_id=user_id)
    if session.in_transaction():
        session.execute(SCOPE, _scope(session))


def enter_user(session: Session, user_id: int) -> None:
    """Let ``session`` read the memberships of one login; no workspace is entered by it."""
    session.info["user_id"] = user_id
    if session.in_transaction():
        session.execute(SCOPE, _scope(session))


def new_key(session: Session, model: type[DeclarativeBase]) -> int:
    """The next key of ``model``'s table, for a row whose writer may not read it back."""
    sequence = func.pg_get_serial_sequence(model.__tablename__, "id")
    return int(session.execute(select(func.nextval(sequence))).scalar_one())


@contextmanager
def unit_of_work(
    workspace_id: int | None = None, *, user_id: int | None = None, system: bool = False
) -> Iterator[Session]:
    """One transaction: committed at the end, rolled back on an exception.

    With ``workspace_id`` it sees that workspace only; with ``system`` all of them (sweepers list
    (workspace, id) pairs with it, then work workspace by workspace); with neither, only the tables
    that belong to no workspace.
    """
    with SessionLocal() as session:
        session.info.update(workspace_id=workspace_id, user_id=user_id, system=system)
        with session.begin():
            yield session


def run_alone(
    sql: str, parameters: Mapping[str, Any], *, workspace_id: int | None = None
) -> Sequence[Any] | None:
    """Run one statement as a transaction of its own; returns its first row.

    For the few statements that are a whole unit of work by themselves and are run very often: the driver
    alone takes half the time, and entering the workspace, if there is one, goes along in the same round trip.
    Raises the driver's errors.
    """
    bind = SessionLocal.kw["bind"]
    if isinstance(bind, Connection):
        return _run_nested(bind, sql, parameters, workspace_id)
    borrowed = bind.raw_connection()
    driver: psycopg.Connection = borrowed.driver_connection
    try:
        driver.autocommit = True
        row = _run_at_once(driver, sql, parameters, workspace_id)
        driver.autocommit = False
    except psycopg.IntegrityError:
        # the statement was undone, and the connection is as good as before
        driver.autocommit = False
        raise
    except psycopg.Error as error:
        borrowed.invalidate(error)
        raise
    finally:
        borrowed.close()
    return row


def _run_at_once(
    driver: psycopg.Connection, sql: str, parameters: Mapping[str, Any], workspace_id: int | None
) -> Sequence[Any] | None:
    if workspace_id is None:
        return driver.execute(sql.encode(), parameters).fetchone()
    # what is sent before a pipeline's end is one transaction, also for the settings made in it
    with driver.pipeline():
        driver.execute(ENTER, {"workspace": str(workspace_id)})
        answer = driver.execute(sql.encode(), parameters)
    return answer.fetchone()


def _run_nested(
    bind: Connection, sql: str, parameters: Mapping[str, Any], workspace_id: int | None
) -> Sequence[Any] | None:
    """The same for whoever bound the sessions to one connection, and keeps its transaction."""
    if workspace_id is None:
        return bind.exec_driver_sql(sql, parameters).first()
    try:
        with bind.begin_nested():
            bind.execute(SCOPE, {"role": "none", "workspace": str(workspace_id), "user": ""})
            return bind.exec_driver_sql(sql, parameters).first()
    except IntegrityError as error:
        raise error.orig from error  # type: ignore[misc]
