"""GET /v1/resolutions and /v1/usage: what was counted, by which rule, for the customer's own tools."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from portal.gateways import Gateways
from portal.services.api_keys import WRITE
from tests import factories
from tests.programs import Program, program
from tests.services.using import HandClock, Workspace, happened, subscribe

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture
def company(gateways: Gateways, workspace: factories.Account) -> Workspace:
    """A company whose period began on 10 November."""
    subscribe(gateways, workspace.workspace_id)
    return Workspace(gateways, workspace.workspace_id)


@pytest.fixture
def tool(app: Flask, workspace: factories.Account) -> Program:
    return program(app, workspace)


def conversations(answer: Any) -> list[str]:
    return [each["conversation_id"] for each in answer.json["data"]]


def test_a_resolution_is_told_with_its_rule(company: Workspace, tool: Program) -> None:
    company.resolve("conv_1")
    answer = tool.get("/resolutions")

    assert answer.status_code == 200
    assert answer.json == {
        "data": [
            {
                "conversation_id": "conv_1",
                "episode": 1,
                "state": "billable",
                "kind": "confirmed",
                "because": "confirmed",
                "reason": "The customer confirmed that the AI agent's answer helped.",
                "channel": "chat",
                "answered_at": "2026-11-20T11:59:00Z",
                "matures_at": None,
                "billable_at": "2026-11-20T12:00:00Z",
                "reversed_at": None,
                "taken_back_at": None,
                "period_start": "2026-11-10T12:00:00Z",
                "charge": "meter",
                "lot": None,
                "contest": None,
            }
        ],
        "next_cursor": None,
    }


def test_each_state_has_a_list_of_its_own(company: Workspace, clock: HandClock, tool: Program) -> None:
    company.resolve("billable")
    company.resolve("reversed")
    clock.advance(minutes=1)
    company.feed(
        happened("reversed", "customer_asked", clock.now()),
        happened("pending", "ai_answered", NOW),
        happened("person", "ai_answered", NOW - timedelta(minutes=2)),
        happened("person", "human_replied", NOW - timedelta(minutes=1)),
    )
    lists = {
        state: set(conversations(tool.get(f"/resolutions?state={state}")))
        for state in ("counted", "billable", "reversed", "pending", "not_billable", "contested", "disputed")
    }

    assert lists == {
        "counted": {"billable", "reversed"},
        "billable": {"billable"},
        "reversed": {"reversed"},
        "pending": {"pending"},
        "not_billable": {"person"},
        "contested": set(),
        "disputed": set(),
    }


def test_a_filter_narrows_the_list(company: Workspace, tool: Program) -> None:
    company.resolve("chat_1")
    company.resolve("mail_1", channel="email")

    assert conversations(tool.get("/resolutions?channel=email")) == ["mail_1"]
    assert conversations(tool.get("/resolutions?kind=assumed")) == []
    assert conversations(tool.get("/resolutions?day=2026-11-20&channel=chat")) == ["chat_1"]
    assert conversations(tool.get("/resolutions?day=2026-11-19")) == []
    assert conversations(tool.get("/resolutions?conversation_id=mail")) == ["mail_1"]


def test_every_resolution_is_on_one_page(company: Workspace, clock: HandClock, tool: Program) -> None:
    made = []
    for number in range(7):
        made.append(company.resolve(f"conv_{number}"))
        clock.advance(seconds=1)
    first = tool.get("/resolutions?limit=3")
    company.resolve("conv_new")
    second = tool.get("/resolutions", query_string={"limit": 3, "cursor": first.json["next_cursor"]})
    third = tool.get(second.headers["Link"].split(">")[0].removeprefix("<http://localhost/v1"))

    assert conversations(first) + conversations(second) + conversations(third) == made[::-1]
    assert third.json["next_cursor"] is None


def test_a_list_that_was_begun_goes_on_in_its_period_when_the_next_one_begins(
    company: Workspace, clock: HandClock, tool: Program
) -> None:
    clock.at = datetime(2026, 12, 10, 11, 59, 50, tzinfo=UTC)
    made = [company.resolve(f"conv_{number}") for number in range(5)]
    first = tool.get("/resolutions?limit=3")
    clock.advance(minutes=1)
    company.resolve("conv_new")
    second = tool.get("/resolutions", query_string={"limit": 3, "cursor": first.json["next_cursor"]})

    assert sorted(conversations(first) + conversations(second)) == made
    assert conversations(tool.get("/resolutions")) == ["conv_new"]


def test_a_period_that_there_is_not_is_not_found(company: Workspace, tool: Program) -> None:
    company.resolve("conv_1")
    answer = tool.get("/resolutions?period=2026-11-10T00:00:00Z")

    assert answer.status_code == 404
    assert answer.json["detail"] == "There is no such period of usage."
    assert conversations(tool.get("/resolutions?period=2026-11-10T12:00:00Z")) == ["conv_1"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=open", "state"),
        ("kind=guessed", "kind"),
        ("day=20.11.2026", "day"),
        ("day=9999-12-31", "day"),
        ("period=2026-11-10", "period"),
        ("conversation_id=a%20b", "conversation_id"),
        ("order=oldest", "order"),
    ],
)
def test_a_query_that_is_not_right_names_what_is_wrong(
    company: Workspace, tool: Program, query: str, field: str
) -> None:
    answer = tool.get(f"/resolutions?{query}")

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]


def test_without_a_subscription_there_are_none(tool: Program) -> None:
    assert tool.get("/resolutions").json == {"data": [], "next_cursor": None}
    assert tool.get("/usage").status_code == 404


@pytest.fixture
def used(company: Workspace, clock: HandClock) -> Workspace:
    """Three resolutions over chat, of which one came back, one by mail, and one that waits."""
    for name in ("conv_1", "conv_2", "conv_3"):
        company.resolve(name)
    company.resolve("mail_1", channel="email")
    clock.advance(minutes=1)
    company.feed(
        happened("conv_3", "customer_asked", clock.now()),
        happened("conv_4", "ai_answered", NOW - timedelta(minutes=1)),
    )
    return company


def test_usage_tells_what_a_period_has_come_to(used: Workspace, tool: Program) -> None:
    answer = tool.get("/usage")
    resolutions = answer.json["kinds"][0]
    forecast = resolutions.pop("forecast")

    assert answer.json["period"] == {
        "starts_at": "2026-11-10T12:00:00Z",
        "ends_at": "2026-12-10T12:00:00Z",
        "state": "open",
        "trial": False,
        "invoice": None,
        "resolutions": 3,
    }
    assert answer.json["periods"] == [answer.json["period"]]
    names = ("amount", "by_credits", "to_pay", "pending", "disputed")
    assert [answer.json[name] for name in names] == [297, 0, 297, 1, 0]
    assert {name: value for name, value in resolutions.items() if name != "days"} == {
        "key": "resolution",
        "quantity": 3,
        "charged": 3,
        "included": 0,
        "confirmed": 4,
        "assumed": 0,
        "reversed": 1,
        "carried": 0,
        "amount": 297,
        "by_credits": 0,
        "lots": [],
        "channels": [
            {"channel": "chat", "quantity": 2, "confirmed": 3, "assumed": 0, "reversed": 1},
            {"channel": "email", "quantity": 1, "confirmed": 1, "assumed": 0, "reversed": 0},
        ],
    }
    assert [each for each in resolutions["days"] if each["quantity"]] == [
        {"day": "2026-11-20", "quantity": 3, "confirmed": 4, "assumed": 0, "reversed": 1}
    ]
    assert forecast["low"] <= forecast["expected"] <= forecast["high"]


def test_usage_of_another_period_is_asked_for_by_its_beginning(company: Workspace, tool: Program) -> None:
    known = tool.get("/usage", query_string={"period": "2026-11-10T12:00:00Z"})
    unknown = tool.get("/usage", query_string={"period": "2026-11-11T12:00:00Z"})

    assert known.json["period"]["starts_at"] == "2026-11-10T12:00:00Z"
    assert (unknown.status_code, unknown.json["code"]) == (404, "not_found")


def test_what_is_unchanged_is_not_sent_again(company: Workspace, tool: Program) -> None:
    company.resolve("conv_1")
    tags = {path: tool.get(path).headers["ETag"] for path in ("/usage", "/resolutions")}
    same = [tool.get(path, headers={"If-None-Match": tag}).status_code for path, tag in tags.items()]
    company.resolve("conv_2")
    changed = [tool.get(path, headers={"If-None-Match": tag}).status_code for path, tag in tags.items()]

    assert (same, changed) == ([304, 304], [200, 200])


def test_another_workspace_sees_none_of_it(app: Flask, gateways: Gateways, company: Workspace) -> None:
    company.resolve("conv_1")
    other = factories.account(app, company_name="Oak Inc")
    subscribe(gateways, other.workspace_id)
    stranger = program(app, other)

    assert stranger.get("/resolutions").json["data"] == []
    assert stranger.get("/resolutions?conversation_id=conv_1").json["data"] == []
    assert stranger.get("/usage").json["amount"] == 0


def test_a_writer_reads_nothing(app: Flask, workspace: factories.Account, company: Workspace) -> None:
    tool = program(app, workspace, WRITE)

    assert [tool.get(path).status_code for path in ("/usage", "/resolutions", "/quotes")] == [403] * 3
