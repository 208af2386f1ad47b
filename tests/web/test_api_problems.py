"""Every error of /v1 is a problem that a program can decide by, and every answer says whose it is."""

import re
from dataclasses import replace

import pytest
import structlog
from flask import Flask

from portal.app import create_app
from portal.config import Settings
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.services import api_keys
from portal.services.api_keys import READ, WRITE
from tests import factories
from tests.programs import Program, program
from tests.web.test_health import without_database  # noqa: F401


@pytest.fixture
def tool(app: Flask, workspace: factories.Account) -> Program:
    return program(app, workspace)


def test_a_problem_says_what_happened_and_how_support_finds_it(tool: Program) -> None:
    answer = tool.get("/nowhere", headers={"X-Request-Id": "req_of_the_customer"})

    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"
    assert answer.json == {
        "type": "http://localhost/developers/api#not_found",
        "title": "There is no such thing",
        "status": 404,
        "code": "not_found",
        "detail": "There is no such address.",
        "instance": "req_of_the_customer",
    }


@pytest.mark.parametrize("path", ["", "/", "/quotes/", "/quotes/more", "/../billing"])
def test_an_address_that_there_is_not_is_a_problem_too(tool: Program, path: str) -> None:
    answer = tool.get(path)

    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        (None, 'Bearer realm="api"'),
        ("", 'Bearer realm="api"'),
        ("Bearer", 'Bearer realm="api"'),
        ("Bearer  ", 'Bearer realm="api"'),
        ("Basic YTpi", 'Bearer realm="api"'),
        ("Bearer bk_0000000000_unknown", 'Bearer realm="api", error="invalid_token"'),
        ("Bearer \xfc\x00", 'Bearer realm="api", error="invalid_token"'),
    ],
)
def test_without_a_good_key_nothing_is_told(app: Flask, header: str | None, challenge: str) -> None:
    answer = app.test_client().get("/v1/quotes", headers={"Authorization": header} if header else {})

    assert answer.status_code == 401
    assert answer.json["code"] == "unauthorized"
    assert answer.headers["WWW-Authenticate"] == challenge


def test_the_scheme_may_be_written_in_any_case(app: Flask, tool: Program) -> None:
    answer = app.test_client().get("/v1/quotes", headers={"Authorization": f"bearer {tool.secret}"})

    assert answer.status_code == 200


def test_a_revoked_key_is_turned_away_at_once(
    gateways: Gateways, tool: Program, workspace: factories.Account
) -> None:
    before = tool.get("/quotes").status_code
    with unit_of_work(workspace.workspace_id) as session:
        api_keys.revoke(session, gateways, tool.key_id, by=workspace.user_id)

    assert (before, tool.get("/quotes").status_code) == (200, 401)


def test_a_browser_that_is_signed_in_is_nobody_here(signed_in: object) -> None:
    answer = signed_in.get("/v1/quotes")  # type: ignore[attr-defined]

    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers


def test_a_key_does_what_its_scopes_say(app: Flask, workspace: factories.Account) -> None:
    writer, reader = program(app, workspace, WRITE), program(app, workspace, READ)
    refused = writer.get("/quotes")

    assert reader.get("/quotes").status_code == 200
    assert refused.status_code == 403
    assert refused.json["detail"] == "This key does not have the scope read."


def test_another_method_is_refused_with_those_that_there_are(tool: Program) -> None:
    answers = [
        tool.client.open("/v1/quotes", method=method) for method in ("PUT", "PATCH", "OPTIONS", "TRACE")
    ]

    assert [answer.status_code for answer in answers] == [405] * 4
    assert {frozenset(answer.headers["Allow"].split(", ")) for answer in answers} == {
        frozenset({"GET", "HEAD"})
    }
    assert answers[0].json["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("page=2", "page"),
        ("cursor=made-up", "cursor"),
        ("cursor=" + "x" * 513, "cursor"),
    ],
)
def test_a_query_that_is_not_right_names_what_is_wrong(tool: Program, query: str, field: str) -> None:
    answer = tool.get(f"/quotes?{query}")

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]


@pytest.fixture
def counting(settings: Settings, gateways: Gateways) -> Flask:
    """A portal that counts a key's requests."""
    return create_app(replace(settings, limits_enabled=True, limit_api="3 per hour; 100 per day"), gateways)


def test_a_key_is_counted_and_told_how_often_it_may_still_ask(
    counting: Flask, workspace: factories.Account
) -> None:
    busy, other = program(counting, workspace), program(counting, workspace)
    answers = [busy.get("/quotes") for _ in range(5)]
    told = [answer.headers["RateLimit-Remaining"] for answer in answers]
    refused = answers[3]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert told == ["2", "1", "0", "0", "0"]
    assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"3"}
    assert refused.json["code"] == "too_many_requests"
    assert refused.json["detail"] == "A key asks at most 3 times in 3600 seconds."
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert refused.headers["RateLimit-Reset"] == refused.headers["Retry-After"]
    assert other.get("/quotes").status_code == 200


def test_who_is_over_two_limits_is_told_to_wait_for_the_longer_one(
    settings: Settings, gateways: Gateways, workspace: factories.Account
) -> None:
    tight = replace(settings, limits_enabled=True, limit_api="2 per minute; 2 per hour")
    tool = program(create_app(tight, gateways), workspace)
    refused = [tool.get("/quotes") for _ in range(3)][-1]

    assert refused.json["detail"] == "A key asks at most 2 times in 3600 seconds."
    assert int(refused.headers["Retry-After"]) > 60
    assert refused.headers["RateLimit-Reset"] == refused.headers["Retry-After"]


def test_a_wrong_scope_counts_too(counting: Flask, workspace: factories.Account) -> None:
    tool = program(counting, workspace, WRITE)

    assert [tool.get("/quotes").status_code for _ in range(4)] == [403, 403, 403, 429]


def test_limits_can_be_turned_off(tool: Program) -> None:
    assert "RateLimit-Limit" not in tool.get("/quotes").headers


def test_what_breaks_tells_nothing_of_the_inside(app: Flask, tool: Program) -> None:
    app.extensions["portal.api"].extensions["portal"] = None
    with structlog.testing.capture_logs() as lines:
        answer = tool.get("/quotes")

    assert answer.status_code == 500
    assert answer.json["code"] == "internal"
    assert "NoneType" not in answer.text
    assert [line["event"] for line in lines] == ["api_failed", "request"]


def test_without_the_database_it_says_when_to_come_back(tool: Program, without_database: None) -> None:  # noqa: F811
    answer = tool.get("/quotes")

    assert answer.status_code == 503
    assert answer.json["code"] == "unavailable"
    assert answer.headers["Retry-After"] == "60"


def test_a_foreign_host_is_refused(tool: Program) -> None:
    answer = tool.get("/quotes", headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert answer.json["code"] == "malformed"


def test_every_answer_carries_the_security_headers_and_an_id(tool: Program) -> None:
    for answer in (tool.get("/quotes"), tool.get("/nowhere"), tool.get("/openapi.json")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert re.fullmatch(r"[\w-]{8,64}", answer.headers["X-Request-Id"])


def test_a_request_leaves_one_line_that_says_whose_it_was(
    tool: Program, workspace: factories.Account
) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        tool.get("/quotes?limit=1")
    [line] = lines

    assert (line["event"], line["route"], line["status"]) == ("request", "/v1/quotes", 200)
    assert (line["workspace_id"], line["key"]) == (workspace.workspace_id, tool.key_id)
