"""One PostgreSQL for the whole run, a database per process, a transaction per test, closed doors outside."""

import gc

# see pytest_collection_finish
gc.disable()

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.orm import Session
from werkzeug.test import Cookie

from portal.config import Settings
from portal.db import SessionLocal, connect
from portal.gateways import Gateways
from portal.gateways.clock import Clock, SystemClock
from portal.gateways.jobs import BELL, SOON, Jobs
from portal.gateways.mail import FolderMail, mail_gateway
from portal.gateways.stripe import StripeGateway, connect_stripe
from tests import factories
from tests.apps import Apps
from tests.browsing import Browser, CompiledRule
from tests.database import TestDatabase, TestServer, keep_scopes_apart
from tests.queue import run_jobs as run_queue
from tests.worlds import World

ROOT = Path(__file__).resolve().parent.parent
APPS = Apps()
# making an app would mostly be compiling its routes
Flask.url_rule_class = CompiledRule


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what stays anyway; looking through it took a tenth of the time."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    gc.enable()


@pytest.fixture(scope="session")
def server() -> Iterator[TestServer]:
    """The PostgreSQL of this run, shared by its processes; the last one out stops it."""
    with TestServer(ROOT / ".data" / "tests") as running:
        yield running


@pytest.fixture(scope="session")
def database(server: TestServer) -> Iterator[TestDatabase]:
    """This process's own database, migrated."""
    with server.database() as made:
        yield made


@pytest.fixture(scope="session")
def engine(database: TestDatabase) -> Iterator[Engine]:
    """An engine of the application's role: row-level security applies to tests too."""
    engine = create_engine(database.app_url)
    event.listen(engine, "connect", _prepare_all)
    event.listen(engine, "connect", _share_a_core)
    yield engine
    engine.dispose()


def _prepare_all(session: psycopg.Connection, _record: object) -> None:
    """Have each statement planned once: among the few rows of a test, planning takes longer than running."""
    session.prepare_threshold, session.prepared_max = 0, 5_000


def _share_a_core(session: psycopg.Connection, _record: object) -> None:
    """Keep this process and its session of the database on one core, each process on another.

    Waking a second core takes as long as most statements. Other sessions stay free: those of what commits,
    in threads or processes at the same time.
    """
    number = re.search(r"\d+$", os.environ.get("PYTEST_XDIST_WORKER", ""))
    if number is None:
        return
    cores = sorted(os.sched_getaffinity(0))
    core = {cores[int(number.group()) % len(cores)]}
    # root's PostgreSQL belongs to somebody else, whom root in a container may not tell where to run
    with suppress(PermissionError):
        os.sched_setaffinity(session.info.backend_pid, core)
        os.sched_setaffinity(0, core)


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """The test's one connection. Whatever the code under test commits is undone at the end."""
    with engine.connect() as connection:
        transaction = connection.begin()
        keep_scopes_apart(connection)
        SessionLocal.configure(bind=connection, join_transaction_mode="create_savepoint")
        yield connection
        SessionLocal.configure(bind=None, join_transaction_mode="conditional_savepoint")
        transaction.rollback()


@pytest.fixture
def committing(server: TestServer) -> Iterator[TestDatabase]:
    """A fresh database with real commits, for what threads or processes do at the same time."""
    with server.database() as made:
        engine = connect(made.app_url, pool_size=20, max_overflow=20)
        yield made
        SOON.rest()
        BELL.rest()
        SessionLocal.configure(bind=None)
        engine.dispose()


@pytest.fixture
def session(connection: Connection) -> Iterator[Session]:
    """A session outside every workspace; commit it before calling what talks to Stripe."""
    with SessionLocal() as session:
        yield session


@pytest.fixture
def settings(request: pytest.FixtureRequest, database: TestDatabase, tmp_path: Path) -> Settings:
    """Settings as a test needs them; ``dataclasses.replace`` makes variants."""
    return factories.settings(database_url=database.app_url, data_dir=tmp_path)


@pytest.fixture
def clock() -> Clock:
    """What time the app under test takes it to be."""
    return SystemClock()


@pytest.fixture
def stripe(settings: Settings) -> StripeGateway:
    """The door to a Stripe that is away; tests that buy override this fixture with the sandbox's engine."""
    return connect_stripe(settings)


@pytest.fixture
def apps() -> Apps:
    """The apps that this test may use; a test that changes its app overrides it with an empty one."""
    return APPS


@pytest.fixture
def app(connection: Connection, settings: Settings, stripe: StripeGateway, clock: Clock, apps: Apps) -> Flask:
    """The portal on the test's connection."""
    # the letters are the app's own templates; it puts them in itself
    neighbours = Gateways(settings, stripe, clock, mail_gateway(settings), Jobs(), letters=None)  # type: ignore[arg-type]
    return apps.app(settings, neighbours)


@pytest.fixture
def gateways(app: Flask) -> Gateways:
    """The neighbours of ``app``."""
    made: Gateways = app.extensions["portal"]
    return made


@pytest.fixture
def mailbox(gateways: Gateways) -> FolderMail:
    """Where delivered mail ends up."""
    assert isinstance(gateways.mail, FolderMail)
    return gateways.mail


@pytest.fixture
def run_jobs(connection: Connection, gateways: Gateways) -> Callable[[], list[str]]:
    """Run what is queued, as the worker would; returns the names of the tasks that ran."""
    return lambda: run_queue(connection, gateways)


@pytest.fixture
def world(
    request: pytest.FixtureRequest, connection: Connection, settings: Settings, clock: Clock, apps: Apps
) -> World:
    """What the test starts from: its steps are taken from tests that took the same."""
    shop = request.getfixturevalue("shop") if "shop" in request.fixturenames else None
    world = World(connection, settings, clock, apps, shop)
    if shop:
        shop.step = world.step
    return world


@pytest.fixture
def client(app: Flask) -> Browser:
    """A guest's browser."""
    made = app.test_client()
    assert isinstance(made, Browser)
    return made


@pytest.fixture
def workspace(app: Flask, world: World) -> factories.Account:
    """A company that has signed up and bought nothing."""
    return world.step("sign up", lambda: factories.account(app))


@pytest.fixture
def signed_in(client: Browser, workspace: factories.Account, world: World) -> Browser:
    """The browser of that company's owner."""

    def sign_in() -> dict[tuple[str, str, str], Cookie]:
        client.sign_in(workspace.email, workspace.password)
        return dict(client.cookies)

    client.cookies.update(world.step("sign in", sign_in))
    return client
