"""/v1/allowance and /v1/reservations: asked before the AI answers, and never more than the cap."""

import pytest
from flask import Flask

from portal.gateways import Gateways
from portal.services.api_keys import READ, WRITE
from tests import factories
from tests.programs import Program, program
from tests.services.limiting import Company, november
from tests.services.using import HandClock


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    return november()


@pytest.fixture
def company(gateways: Gateways, workspace: factories.Account, clock: HandClock) -> Company:
    made = Company(gateways, workspace.workspace_id, workspace.user_id, clock)
    made.subscribe()
    return made


@pytest.fixture
def tool(app: Flask, workspace: factories.Account) -> Program:
    return program(app, workspace)


def hold(tool: Program, conversation_id: str) -> int:
    return tool.post("/reservations", {"conversation_id": conversation_id}).status_code


def test_without_a_subscription_the_ai_may_not_answer(tool: Program) -> None:
    answer = tool.get("/allowance")

    assert answer.json == {
        "may_answer": False,
        "reason": "not_subscribed",
        "at_cap": "stop",
        "cap": None,
        "left": None,
        "used": 0,
        "pending": 0,
        "held": 0,
        "trial": False,
        "period_start": None,
        "until": None,
    }


def test_the_allowance_says_how_much_is_left_and_until_when(company: Company, tool: Program) -> None:
    company.use(3)
    company.limit(cap_units=10, at_cap="hand_over")
    company.hold("c-1")
    answer = tool.get("/allowance").json

    assert answer == {
        "may_answer": True,
        "reason": None,
        "at_cap": "hand_over",
        "cap": 10,
        "left": 6,
        "used": 3,
        "pending": 0,
        "held": 1,
        "trial": False,
        "period_start": "2026-11-01T00:00:00Z",
        "until": "2026-12-01T00:00:00Z",
    }


def test_an_unchanged_allowance_is_not_sent_again(company: Company, tool: Program) -> None:
    tag = tool.get("/allowance").headers["ETag"]
    same = tool.get("/allowance", headers={"If-None-Match": tag}).status_code
    hold(tool, "c-1")

    assert (same, tool.get("/allowance", headers={"If-None-Match": tag}).status_code) == (304, 200)


def test_a_unit_is_held_for_a_conversation_and_only_one(company: Company, tool: Program) -> None:
    company.limit(cap_units=10)
    first = tool.post("/reservations", {"conversation_id": "conv_4711"})
    again = tool.post("/reservations", {"conversation_id": "conv_4711"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json == {
        "id": first.json["id"],
        "conversation_id": "conv_4711",
        "state": "held",
        "expires_at": "2026-11-10T12:15:00Z",
        "left": 9,
        "until": "2026-12-01T00:00:00Z",
    }
    assert again.json["id"] == first.json["id"]
    assert company.row() == (0, 1, 10)


def test_at_the_cap_the_answer_says_what_to_do_instead(company: Company, tool: Program) -> None:
    company.limit(cap_units=1, at_cap="hand_over")
    first = hold(tool, "c-1")
    refused = tool.post("/reservations", {"conversation_id": "c-2"})

    assert (first, refused.status_code) == (201, 409)
    assert refused.content_type == "application/problem+json"
    assert (refused.json["code"], refused.json["reason"]) == ("conflict", "cap_reached")
    assert refused.json["at_cap"] == "hand_over"
    assert refused.json["detail"] == "The cap of this period is reached."


@pytest.mark.parametrize(("access", "reason"), [("limited", "limited"), ("ended", "not_subscribed")])
def test_who_may_not_use_the_product_holds_nothing(
    gateways: Gateways,
    workspace: factories.Account,
    clock: HandClock,
    tool: Program,
    access: str,
    reason: str,
) -> None:
    Company(gateways, workspace.workspace_id, workspace.user_id, clock).subscribe(access=access)
    answer = tool.post("/reservations", {"conversation_id": "c-1"})

    assert (answer.status_code, answer.json["reason"]) == (409, reason)


def test_a_unit_that_nobody_answered_with_lapses_after_a_quarter_of_an_hour(
    company: Company, clock: HandClock, tool: Program
) -> None:
    company.limit(cap_units=1)
    first = tool.post("/reservations", {"conversation_id": "c-1"}).json
    clock.advance(minutes=14, seconds=59)
    before = hold(tool, "c-2")
    clock.advance(seconds=1)
    after = hold(tool, "c-2")

    assert (before, after) == (409, 201)
    assert tool.get(f"/reservations/{first['id']}").json["state"] == "lapsed"


def test_a_unit_that_is_given_back_can_be_held_again(company: Company, tool: Program) -> None:
    company.limit(cap_units=1)
    first = tool.post("/reservations", {"conversation_id": "c-1"}).json
    given = tool.delete(f"/reservations/{first['id']}")
    again = tool.delete(f"/reservations/{first['id']}")

    assert (given.json["state"], again.json["state"]) == ("released", "released")
    assert hold(tool, "c-2") == 201


def test_after_the_answer_the_unit_stays_held(company: Company, tool: Program) -> None:
    first = tool.post("/reservations", {"conversation_id": "c-1"}).json
    company.answer("c-1")

    assert tool.delete(f"/reservations/{first['id']}").json["state"] == "answered"
    assert tool.get("/allowance").json["pending"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"conversation_id": ""},
        {"conversation_id": 7},
        {"conversation_id": "a b"},
        {"conversation_id": "c#1"},
        {"conversation_id": "c\u0000"},
        {"conversation_id": "x" * 201},
        {"conversation_id": "c-1", "units": 5},
        [],
        "c-1",
    ],
)
def test_a_body_that_is_not_right_holds_nothing(company: Company, tool: Program, body: object) -> None:
    answer = tool.post("/reservations", body)

    assert answer.status_code == 422
    assert answer.json["errors"] != []


@pytest.mark.parametrize("raw", [b"{", b"\xff", b"{'conversation_id': 'c'}", b""])
def test_what_is_no_json_is_refused(company: Company, tool: Program, raw: bytes) -> None:
    answer = tool.post("/reservations", data=raw, content_type="application/json")

    assert (answer.status_code, answer.json["code"]) == (400, "malformed")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_is_not_called_json_is_refused(company: Company, tool: Program, kind: str) -> None:
    answer = tool.post("/reservations", data=b'{"conversation_id": "c-1"}', content_type=kind)

    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")


def test_a_reservation_of_another_workspace_is_not_there(app: Flask, company: Company, tool: Program) -> None:
    made = tool.post("/reservations", {"conversation_id": "c-1"}).json
    stranger = program(app, factories.account(app, company_name="Oak Inc"))
    answers = [stranger.get(f"/reservations/{made['id']}"), stranger.delete(f"/reservations/{made['id']}")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert tool.get(f"/reservations/{made['id']}").json["state"] == "held"


def test_a_reader_looks_and_holds_nothing(app: Flask, workspace: factories.Account, company: Company) -> None:
    reader, writer = program(app, workspace, READ), program(app, workspace, WRITE)

    assert [reader.get("/allowance").status_code, writer.get("/allowance").status_code] == [200, 200]
    assert (hold(reader, "c-1"), hold(writer, "c-1")) == (403, 201)
