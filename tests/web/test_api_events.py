"""POST /v1/events: each event answered by itself, in the order sent; the same again changes nothing."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from portal.gateways import Gateways
from portal.services.api_keys import READ
from portal.web.api import MOST_BYTES
from tests import factories
from tests.programs import Program, program
from tests.services.using import HandClock, Workspace, subscribe

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture
def company(gateways: Gateways, workspace: factories.Account) -> Workspace:
    """A company with a subscription."""
    subscribe(gateways, workspace.workspace_id)
    return Workspace(gateways, workspace.workspace_id)


@pytest.fixture
def tool(app: Flask, workspace: factories.Account) -> Program:
    return program(app, workspace)


def event(id: str = "evt_1", **given: Any) -> dict[str, Any]:
    made = {
        "id": id,
        "conversation_id": "conv_1",
        "type": "ai_answered",
        "occurred_at": "2026-11-20T11:00:00Z",
        "channel": "chat",
    }
    return {**made, **given}


def statuses(answer: Any) -> list[str]:
    return [each["status"] for each in answer.json["results"]]


def test_one_event_is_taken_in_and_makes_its_unit(company: Workspace, tool: Program) -> None:
    answer = tool.post("/events", event())

    assert answer.status_code == 200
    assert answer.json == {
        "accepted": 1,
        "duplicate": 0,
        "rejected": 0,
        "results": [{"id": "evt_1", "status": "accepted", "reason": None}],
    }
    assert company.states("conv_1") == ["pending"]


def test_a_list_in_any_order_comes_to_what_happened(company: Workspace, tool: Program) -> None:
    answer = tool.post(
        "/events",
        [
            event("evt_2", type="customer_confirmed", occurred_at="2026-11-20T12:05:00+01:00"),
            event("evt_1"),
            event("evt_3", conversation_id="conv_2", test=True),
        ],
    )

    assert [each["id"] for each in answer.json["results"]] == ["evt_2", "evt_1", "evt_3"]
    assert answer.json["accepted"] == 3
    assert company.states("conv_1") == ["billable"]
    assert company.states("conv_2") == ["not_billable"]
    assert company.used() == 1


def test_the_same_request_twice_changes_nothing(company: Workspace, tool: Program) -> None:
    sent = [event("evt_1"), event("evt_2", type="customer_confirmed", occurred_at="2026-11-20T11:05:00Z")]
    answers = [tool.post("/events", sent) for _ in range(3)]

    assert [statuses(answer) for answer in answers] == [
        ["accepted"] * 2,
        ["duplicate"] * 2,
        ["duplicate"] * 2,
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert company.used() == 1


def test_one_bad_event_keeps_none_of_the_others_out(company: Workspace, tool: Program) -> None:
    answer = tool.post(
        "/events",
        [
            event("evt_1"),
            event("evt_2", type="ai_sang"),
            "what is this",
            event("evt_1"),
            event("evt_1", channel="phone"),
            event("evt_3", occurred_at="2026-11-20T12:06:00Z"),
            event("evt_4", type="customer_confirmed", occurred_at="2026-11-20T11:05:00Z"),
        ],
    )
    reasons = [each["reason"] for each in answer.json["results"]]

    assert answer.status_code == 200
    assert statuses(answer) == [
        *("accepted", "rejected", "rejected", "duplicate", "rejected", "rejected", "accepted"),
    ]
    assert (answer.json["accepted"], answer.json["duplicate"], answer.json["rejected"]) == (2, 1, 4)
    assert answer.json["results"][1]["id"] == "evt_2"
    assert reasons[1].startswith("type: Input should be 'ai_answered', 'ai_greeted'")
    assert answer.json["results"][2]["id"] is None
    assert reasons[4] == "This id was used with other content before."
    assert reasons[5] == "occurred_at is more than 5 minutes ahead of our clock."
    assert company.states("conv_1") == ["billable"]


def test_when_everything_is_rejected_the_request_is(company: Workspace, tool: Program) -> None:
    answer = tool.post("/events", [event("evt_1", type="ai_sang"), event("evt_2", occurred_at="yesterday")])

    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert [error["field"] for error in answer.json["errors"]] == ["0.type", "1.occurred_at"]
    assert statuses(answer) == ["rejected", "rejected"]
    assert company.units() == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": "x" * 101}, "id"),
        ({"id": 7}, "id"),
        ({"id": "a b"}, "id"),
        ({"id": "a\u0000"}, "id"),
        ({"id": "\ud800"}, "id"),
        ({"conversation_id": "c#1"}, "conversation_id"),
        ({"conversation_id": "c/1"}, "conversation_id"),
        ({"type": "AI_ANSWERED"}, "type"),
        ({"occurred_at": "2026-11-20T11:00:00"}, "occurred_at"),
        ({"occurred_at": 1_790_000_000}, "occurred_at"),
        ({"occurred_at": None}, "occurred_at"),
        ({"occurred_at": "2026-11-20T25:00:00Z"}, "occurred_at"),
        ({"channel": ""}, "channel"),
        ({"channel": "<b>"}, "channel"),
        ({"test": "yes"}, "test"),
        ({"test": 1}, "test"),
        ({"workspace_id": 1}, "workspace_id"),
    ],
)
def test_an_event_that_is_not_right_is_refused_with_the_field(
    company: Workspace, tool: Program, given: dict[str, Any], field: str
) -> None:
    raw = json.dumps(event(**given)).encode()
    answer = tool.post("/events", data=raw, content_type="application/json")

    assert answer.status_code == 422 if given != {"id": "\ud800"} else answer.status_code in (400, 422)
    assert company.units() == []
    if answer.status_code == 422:
        assert [error["field"] for error in answer.json["errors"]] == [field]


@pytest.mark.parametrize("field", ["id", "conversation_id", "type", "occurred_at", "channel"])
def test_nothing_may_be_missing(company: Workspace, tool: Program, field: str) -> None:
    sent = event()
    del sent[field]
    answer = tool.post("/events", sent)

    assert answer.status_code == 422
    assert answer.json["errors"] == [{"field": field, "message": "Field required"}]


@pytest.mark.parametrize("body", [[], {}, "x", 5, True, [[]], [None], [{}]])
def test_what_is_no_event_is_refused(company: Workspace, tool: Program, body: object) -> None:
    answer = tool.post("/events", data=json.dumps(body).encode(), content_type="application/json")

    assert answer.status_code == 422
    assert answer.json["errors"] != []


@pytest.mark.parametrize("raw", [b"{", b"[{]", b"\xff\xfe", b"nothing", b"[" * 5000])
def test_what_is_no_json_is_refused(company: Workspace, tool: Program, raw: bytes) -> None:
    answer = tool.post("/events", data=raw, content_type="application/json; charset=utf-8")

    assert (answer.status_code, answer.json["code"]) == (400, "malformed")


def test_a_thousand_are_taken_and_one_more_is_not(company: Workspace, tool: Program) -> None:
    sent = [event(f"evt_{n}", conversation_id=f"conv_{n % 250}") for n in range(1000)]
    taken = tool.post("/events", sent)
    refused = tool.post("/events", [*sent, event("evt_1000")])

    assert (taken.status_code, taken.json["accepted"]) == (200, 1000)
    assert refused.status_code == 422
    assert "at most 1000 items" in refused.json["errors"][0]["message"]


def test_a_body_that_is_too_large_is_not_read(tool: Program) -> None:
    answer = tool.post("/events", data=b"[" + b" " * MOST_BYTES, content_type="application/json")

    assert (answer.status_code, answer.json["code"]) == (413, "too_large")


def test_without_a_subscription_nothing_is_counted(
    gateways: Gateways, workspace: factories.Account, tool: Program
) -> None:
    answer = tool.post("/events", event())

    assert answer.status_code == 422
    assert answer.json["results"][0]["reason"].startswith("The workspace has no live subscription")


def test_a_reader_sends_nothing(app: Flask, workspace: factories.Account, company: Workspace) -> None:
    answer = program(app, workspace, READ).post("/events", event())

    assert answer.status_code == 403
    assert company.units() == []


def test_the_same_ids_in_two_workspaces_are_two_conversations(
    app: Flask, gateways: Gateways, company: Workspace, tool: Program
) -> None:
    other = factories.account(app, company_name="Oak Inc")
    subscribe(gateways, other.workspace_id)
    theirs = program(app, other)
    sent = [event("evt_1"), event("evt_2", type="customer_confirmed", occurred_at="2026-11-20T11:05:00Z")]
    answers = [statuses(each.post("/events", sent)) for each in (tool, theirs)]

    assert answers == [["accepted"] * 2] * 2
    assert (company.used(), Workspace(gateways, other.workspace_id).used()) == (1, 1)


def test_a_reserved_answer_keeps_its_unit_until_it_is_settled(
    company: Workspace, clock: HandClock, tool: Program
) -> None:
    made = tool.post("/reservations", {"conversation_id": "conv_1"}).json
    states = []
    for step in ({}, {"minutes": 1}, {"hours": 24}):
        clock.advance(**step)
        if step == {}:
            tool.post("/events", event(occurred_at=(NOW - timedelta(seconds=1)).isoformat()))
        company.catch_up()
        states.append(tool.get(f"/reservations/{made['id']}").json["state"])

    assert states == ["answered", "answered", "settled"]
    assert company.used() == 1
