"""A database that keeps us waiting: the answer is "try again" before long, and afterwards all goes on."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import create_engine, event, func, select, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool
from werkzeug.test import TestResponse

from portal.db import PATIENCE, Patience, SessionLocal, connect, transaction_is_open, unit_of_work
from portal.gateways.jobs import BELL
from portal.models import InboxEvent
from portal.web import public
from tests.database import TestDatabase
from tests.services.buying import Customer

IMPATIENT = Patience(connect=5, pool=0.2, lock=0.2, statement=1.0, idle_in_transaction=1.5)


@pytest.fixture
def impatient(
    open_shop: tuple[Flask, Customer], committing: TestDatabase
) -> Iterator[tuple[Flask, Customer]]:
    """A portal with one connection, that waits for a moment only."""
    app, customer = open_shop
    app.testing = False

    @app.get("/works")
    @public
    def works() -> str:
        with unit_of_work() as session:
            return str(session.scalar(select(func.count()).select_from(InboxEvent)))

    @app.get("/dawdles")
    @public
    def dawdles() -> str:
        with unit_of_work() as session:
            session.execute(text("SELECT 1"))
            time.sleep(2)
            return str(session.scalar(text("SELECT 1")))

    @app.get("/takes-long")
    @public
    def takes_long() -> str:
        with unit_of_work() as session:
            return str(session.scalar(text("SELECT pg_sleep(2)")))

    engine = connect(committing.app_url, pool_size=1, max_overflow=0, patience=IMPATIENT)
    yield app, customer
    BELL.rest()
    engine.dispose()


def get(app: Flask, path: str) -> TestResponse:
    return app.test_client().get(path)


def test_a_webhook_that_meets_a_lock_is_refused_so_that_stripe_sends_it_again(
    impatient: tuple[Flask, Customer], committing: TestDatabase
) -> None:
    app, customer = impatient
    kept: list[tuple[bytes, dict[str, str]]] = []
    customer.shop.post = lambda body, headers: kept.append((body, headers)) or 200  # type: ignore[func-returns-value]
    customer.confirm(customer.prepare())
    customer.shop.deliver()
    body, headers = kept[0]

    def deliver() -> TestResponse:
        return app.test_client().post("/webhooks/stripe", data=body, headers=headers)

    owner = create_engine(committing.owner_url, poolclass=NullPool)
    with owner.begin() as connection:
        connection.execute(text("LOCK TABLE inbox_event IN ACCESS EXCLUSIVE MODE"))
        began = time.monotonic()
        refused = deliver()
        waited = time.monotonic() - began
    accepted = deliver()

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
    assert waited < 3
    assert accepted.status_code == 200
    assert get(app, "/works").text == "1"


def test_a_page_that_meets_a_lock_says_when_to_come_back(
    impatient: tuple[Flask, Customer], committing: TestDatabase
) -> None:
    app, _customer = impatient
    owner = create_engine(committing.owner_url, poolclass=NullPool)
    with owner.begin() as connection:
        connection.execute(text("LOCK TABLE inbox_event IN ACCESS EXCLUSIVE MODE"))
        refused = get(app, "/works")

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
    assert get(app, "/works").status_code == 200


@pytest.mark.parametrize("path", ["/takes-long", "/dawdles"])
def test_what_takes_too_long_is_given_up_and_the_next_request_works(
    impatient: tuple[Flask, Customer], path: str
) -> None:
    app, _customer = impatient
    refused = get(app, path)

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
    assert get(app, "/works").status_code == 200


def test_without_a_free_connection_the_answer_is_to_come_back(impatient: tuple[Flask, Customer]) -> None:
    app, _customer = impatient
    with unit_of_work() as session:
        session.execute(text("SELECT 1"))
        refused = get(app, "/works")

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
    assert get(app, "/works").status_code == 200


def end_connections(committing: TestDatabase) -> int:
    """Have the server end the portal's connections, as its restart does; how many."""
    owner = create_engine(committing.owner_url.replace("portal_owner", "postgres"), poolclass=NullPool)
    with owner.begin() as connection:
        return connection.execute(
            text(
                # waits until each of them has ended
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                " WHERE usename = 'portal_app' AND datname = current_database()"
            )
        ).scalar_one()


def test_an_ended_connection_is_replaced(impatient: tuple[Flask, Customer], committing: TestDatabase) -> None:
    app, _customer = impatient
    get(app, "/works")

    assert end_connections(committing)
    assert get(app, "/works").status_code == 200


def test_one_that_ends_as_the_transaction_begins_is_told_and_replaced(
    impatient: tuple[Flask, Customer], committing: TestDatabase
) -> None:
    app, _customer = impatient
    get(app, "/works")
    ended: list[int] = []
    event.listen(
        SessionLocal.kw["bind"], "begin", lambda _: ended.append(end_connections(committing)), once=True
    )
    refused = get(app, "/works")

    assert ended
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
    assert get(app, "/works").status_code == 200


def test_a_scope_that_is_refused_is_told_as_that(committing: TestDatabase) -> None:
    engine = connect(committing.owner_url, pool_size=1, max_overflow=0)
    with (
        pytest.raises(ProgrammingError, match="permission denied to set role"),
        unit_of_work(system=True) as session,
    ):
        session.execute(text("SELECT 1"))
    with unit_of_work() as session:
        works = session.scalar(text("SELECT 1"))
        is_open = transaction_is_open()
    engine.dispose()

    assert (works, is_open) == (1, True)
    assert not transaction_is_open()


def test_the_server_itself_keeps_to_the_limits(committing: TestDatabase) -> None:
    engine = connect(committing.app_url)
    with unit_of_work() as session:
        kept = [
            session.scalar(text(f"SHOW {name}"))
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        ]
    engine.dispose()

    assert kept == ["5s", "15s", "30s"]


def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://portal_app@127.0.0.1:{silent.getsockname()[1]}/none"
        engine = create_engine(url, connect_args=replace(PATIENCE, connect=2).arguments())
        began = time.monotonic()
        with pytest.raises(OperationalError):
            engine.connect()

        assert time.monotonic() - began < 4
