"""GET /v1/credits: the balance of annual credits as programs read it."""

from datetime import UTC, datetime

import pytest
from flask import Flask

from portal.gateways import Gateways
from tests import factories
from tests.programs import Program, program
from tests.services.lots import buy
from tests.services.using import HandClock, Workspace, subscribe

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture
def company(gateways: Gateways, workspace: factories.Account) -> Workspace:
    """A company whose resolutions are billed by the month."""
    start, end = (int(datetime(2026, month, 10, 12, tzinfo=UTC).timestamp()) for month in (11, 12))
    items = [{"key": "resolution", "metered": True, "period_start": start, "period_end": end}]
    subscribe(gateways, workspace.workspace_id, items=items)
    return Workspace(gateways, workspace.workspace_id)


@pytest.fixture
def tool(app: Flask, workspace: factories.Account) -> Program:
    return program(app, workspace)


def test_without_credits_there_is_nothing_left(company: Workspace, tool: Program) -> None:
    assert tool.get("/credits").json == {"left": 0, "worth": 0, "currency": None, "lots": []}


def test_each_lot_is_told_with_what_became_of_it(company: Workspace, tool: Program) -> None:
    lot = buy(company, 100)
    company.resolve()
    answer = tool.get("/credits").json

    assert (answer["left"], answer["worth"], answer["currency"]) == (99, 9801, "usd")
    assert answer["lots"] == [
        {
            "id": lot,
            "units": 100,
            "unit_amount": "99",
            "paid": 9900,
            "starts_at": "2026-11-10T12:00:00Z",
            "expires_at": "2027-12-10T12:00:00Z",
            "state": "usable",
            "used_billed": 0,
            "used_open": 1,
            "lapsed": 0,
            "returned": 0,
            "left": 99,
        }
    ]


def test_entries_are_told_a_page_at_a_time(company: Workspace, tool: Program) -> None:
    buy(company, 100)
    company.resolve()
    first = tool.get("/credits/entries?limit=1").json
    second = tool.get(f"/credits/entries?limit=1&cursor={first['next_cursor']}").json

    assert [(each["kind"], each["quantity"]) for each in first["data"]] == [("drawn", -1)]
    assert [(each["kind"], each["quantity"]) for each in second["data"]] == [("bought", 100)]
    assert first["data"][0]["period_starts_at"] == "2026-11-10T12:00:00Z"
    assert second["next_cursor"] is None
