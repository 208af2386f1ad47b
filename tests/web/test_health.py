"""Health, logs and error pages."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from flask import Flask, abort
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from portal.app import create_app
from portal.config import Settings
from portal.db import SessionLocal
from portal.errors import ConflictError
from portal.gateways import Gateways
from portal.logs import configure_logs
from portal.web import public
from tests import factories
from tests.browsing import Browser


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged, as text."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logs(stream=stream)
    # a logger that is kept would go on with this configuration in later tests
    structlog.configure(cache_logger_on_first_use=False)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def without_database(app: Flask) -> Iterator[None]:
    """As if the database's server were away."""
    bound = SessionLocal.kw["bind"]
    engine = create_engine("postgresql+psycopg://portal_app@localhost:1/none", poolclass=NullPool)
    SessionLocal.configure(bind=engine)
    yield
    SessionLocal.configure(bind=bound)
    engine.dispose()


def test_the_process_says_that_it_lives_without_asking_the_database(
    client: Browser, without_database: None
) -> None:
    answer = client.get("/healthz")

    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_it_is_ready_with_a_database_and_tells_of_worker_and_stripe(client: Browser) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json["database"] == "ok"
    assert answer.json["worker"] == {
        "running": 0,
        "lag_seconds": 0.0,
        "events_waiting": 0,
        "mails_waiting": 0,
    }
    assert answer.json["stripe"] in {"ok", "away", "unknown"}


def test_it_is_not_ready_without_the_database(client: Browser, without_database: None) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json["database"] == "away"


def test_without_the_database_a_page_says_so_and_when_to_come_back(
    signed_in: Browser, without_database: None
) -> None:
    answer = signed_in.get("/account")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert "Nothing new was charged" in answer.text
    assert answer.headers["X-Request-Id"] in answer.text


@pytest.fixture
def failing(settings: Settings, gateways: Gateways, connection: object) -> Browser:
    """A portal with pages that fail."""
    app = create_app(settings, gateways)
    app.testing = False

    @app.get("/fails/<int:status>")
    @public
    def fails(status: int) -> str:
        if status == 500:
            raise ZeroDivisionError("a detail that nobody should see")
        if status == 409:
            raise ConflictError("Somebody changed the seats meanwhile.", log="version 3, wanted 2")
        abort(status)

    app.test_client_class = Browser
    made = app.test_client()
    assert isinstance(made, Browser)
    return made


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (400, "Nothing was changed and nothing was charged."),
        (403, "You may not do that here"),
        (404, "There is no such page"),
        (409, "Somebody changed the seats meanwhile."),
        (413, "nothing of it was kept"),
        (429, "Too many attempts"),
        (500, "Something went wrong on our side"),
        (503, "We cannot answer right now"),
    ],
)
def test_every_failure_says_what_happened_and_names_its_reference(
    failing: Browser, status: int, sentence: str
) -> None:
    answer = failing.get(f"/fails/{status}")

    assert answer.status_code == status
    assert sentence in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    assert "a detail" not in answer.text


def test_a_failure_is_logged_with_its_cause_and_the_reference(failing: Browser, log: io.StringIO) -> None:
    answer = failing.get("/fails/500", headers={"X-Request-Id": "abcdefgh-1234"})
    lines = [json.loads(line) for line in log.getvalue().splitlines()]

    assert answer.headers["X-Request-Id"] == "abcdefgh-1234"
    assert any("a detail that nobody should see" in line.get("exception", "") for line in lines)
    assert {line["request_id"] for line in lines} == {"abcdefgh-1234"}


def test_each_request_is_one_line_with_route_status_and_who(
    signed_in: Browser, workspace: factories.Account, log: io.StringIO
) -> None:
    answer = signed_in.get("/account?secret=1")
    line = json.loads(log.getvalue().splitlines()[-1])

    assert (line["event"], line["method"], line["route"], line["status"]) == (
        "request",
        "GET",
        "/account",
        200,
    )
    assert (line["user_id"], line["workspace_id"]) == (workspace.user_id, workspace.workspace_id)
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert "secret=1" not in log.getvalue()


def test_an_id_that_could_forge_a_line_is_replaced(client: Browser) -> None:
    answer = client.get("/healthz", headers={"X-Request-Id": "a b\tc{}"})

    assert answer.headers["X-Request-Id"] != "a b\tc{}"


PLANTED = {
    "password": "correct horse",
    "text": "key sk_live_abcDEF123 and whsec_abcdef, pi_123_secret_abc, card 4242 4242 4242 4242",
    "headers": {"Cookie": "session=abc", "note": "rk_test_123abc"},
    "body": "Bearer bk_0123456789_planted-key_of-a-program",
}


def test_secrets_do_not_reach_the_log(log: io.StringIO) -> None:
    structlog.get_logger("test").info("planted", **PLANTED)
    logging.getLogger("stdlib").warning("STRIPE said %s", "sk_test_abcdef")

    for secret in (
        "correct horse",
        "sk_live_abc",
        "whsec_abc",
        "secret_abc",
        "4242 4242",
        "session=abc",
        "rk_test",
        "planted-key",
        "sk_test_abcdef",
    ):
        assert secret not in log.getvalue(), secret


def test_passwords_and_links_of_a_whole_sign_up_do_not_reach_the_log(
    client: Browser, log: io.StringIO
) -> None:
    data = {"company_name": "Acme", "email": "ada@acme.example", "password": "a planted password"}
    client.submit("/signup", data)
    client.submit("/login", {"email": "ada@acme.example", "password": "a planted password"})
    client.get("/confirm/a-planted-token")

    assert "planted" not in log.getvalue()
