"""/v1/usage: channel units sent in, and what a period has come to."""

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask

from portal.gateways import Gateways
from portal.services.api_keys import READ
from tests import factories
from tests.programs import Program, program
from tests.services.using import HandClock, Workspace, subscribe

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SOLD = ("resolution", "sms", "whatsapp", "phone_minute", "bulk_email")


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture
def company(gateways: Gateways, workspace: factories.Account) -> Workspace:
    """A company with a subscription, without proactive messages."""
    start, end = (int(datetime(2026, month, 10, 12, tzinfo=UTC).timestamp()) for month in (11, 12))
    items = [{"key": key, "metered": True, "period_start": start, "period_end": end} for key in SOLD]
    subscribe(gateways, workspace.workspace_id, items=items)
    return Workspace(gateways, workspace.workspace_id)


@pytest.fixture
def tool(app: Flask, workspace: factories.Account) -> Program:
    return program(app, workspace)


def sending(id: str = "sms_1", **given: Any) -> dict[str, Any]:
    return {"id": id, "key": "sms", "quantity": 2, "occurred_at": "2026-11-20T11:00:00Z", **given}


def test_one_sending_is_counted(company: Workspace, tool: Program) -> None:
    answer = tool.post("/usage", sending())

    assert (answer.status_code, answer.json["accepted"]) == (200, 1)
    assert company.used("sms") == 2


def test_each_of_a_list_is_answered_and_counted_once(company: Workspace, tool: Program) -> None:
    sent = [
        sending("a"),
        sending("b", key="phone_seconds", quantity=61),
        sending("c", key="proactive_message"),
        sending("a"),
        sending("d", quantity=0),
        sending("b", key="phone_seconds", quantity=62),
    ]
    answer = tool.post("/usage", sent)
    again = tool.post("/usage", sent[:2])
    told = [(each["id"], each["status"], each["reason"]) for each in answer.json["results"]]

    assert told == [
        ("a", "accepted", None),
        ("b", "accepted", None),
        ("c", "rejected", "The subscription does not include this; add it before it is used."),
        ("a", "duplicate", None),
        ("d", "rejected", "quantity: Input should be greater than or equal to 1"),
        ("b", "rejected", "This id was used with other content before."),
    ]
    assert again.json["duplicate"] == 2
    assert (company.used("sms"), company.used("phone_minute"), company.used("proactive_message")) == (2, 2, 0)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"key": "fax"}, "key"),
        ({"key": "resolution"}, "key"),
        ({"quantity": 1.5}, "quantity"),
        ({"quantity": "2"}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 1_000_001}, "quantity"),
        ({"quantity": 10**30}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"occurred_at": "2026-11-20"}, "occurred_at"),
        ({"id": "a#1"}, "id"),
        ({"unit": "sms"}, "unit"),
    ],
)
def test_a_sending_that_is_not_right_is_refused_with_the_field(
    company: Workspace, tool: Program, given: dict[str, Any], field: str
) -> None:
    answer = tool.post("/usage", sending(**given))

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert company.entries() == []


def test_a_call_is_no_longer_than_a_day(company: Workspace, tool: Program) -> None:
    answer = tool.post("/usage", sending(key="phone_seconds", quantity=86_401))

    assert answer.status_code == 422
    assert answer.json["results"][0]["reason"].startswith("The quantity must be 1 to")


def test_a_reader_sends_nothing(app: Flask, workspace: factories.Account, company: Workspace) -> None:
    answer = program(app, workspace, READ).post("/usage", sending())

    assert answer.status_code == 403
    assert company.entries() == []
