"""GET /v1/quotes: a workspace's own, a page at a time, sent again only when something changed."""

import pytest
from flask import Flask

from portal import pricing
from tests import factories
from tests.programs import Program, program
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_YEAR, Shop


@pytest.fixture
def tool(app: Flask, workspace: factories.Account) -> Program:
    return program(app, workspace)


def ids(answer: object) -> list[str]:
    return [each["id"] for each in answer.json["data"]]  # type: ignore[attr-defined]


def test_a_quote_is_told_with_its_lines_and_what_became_of_it(
    shop: Shop, customer: Customer, tool: Program
) -> None:
    older = customer.prepare(TWELVE_BY_THE_YEAR)
    shop.advance(seconds=1)
    newer = customer.buy(pricing.Selection("advanced", 12, "month"))
    answer = tool.get("/quotes")
    [bought, replaced] = answer.json["data"]

    assert answer.status_code == 200
    assert ids(answer) == [newer, older]
    assert (bought["state"], replaced["state"]) == ("confirmed", "replaced")
    assert (bought["kind"], bought["catalog"], bought["currency"]) == ("first_purchase", "2026-11", "usd")
    assert bought["total"] == 118_800
    [line] = bought["lines"]
    assert line == {
        "key": "seat",
        "description": "Advanced seat",
        "quantity": 12,
        "unit_amount": "9900",
        "amount": 118_800,
        "discount": 0,
        "tax": 0,
        "total": 118_800,
    }


def test_a_quote_whose_time_is_over_says_so(shop: Shop, customer: Customer, tool: Program) -> None:
    customer.prepare()
    states = [tool.get("/quotes").json["data"][0]["state"]]
    shop.advance(hours=24)
    states.append(tool.get("/quotes").json["data"][0]["state"])

    assert states == ["open", "expired"]


def test_every_quote_is_on_one_page_whatever_is_added_meanwhile(
    shop: Shop, customer: Customer, tool: Program
) -> None:
    made = []
    for seats in range(1, 6):
        made.append(customer.prepare(pricing.Selection("essential", seats, "month")))
        shop.advance(seconds=1)
    first = tool.get("/quotes?limit=2")
    customer.prepare()
    second = tool.get("/quotes", query_string={"limit": 2, "cursor": first.json["next_cursor"]})
    last = tool.get(second.headers["Link"].split(">")[0].removeprefix("<http://localhost/v1"))

    assert ids(first) + ids(second) + ids(last) == made[::-1]
    assert last.json["next_cursor"] is None
    assert "Link" not in last.headers


def test_quotes_of_the_same_moment_are_told_apart(customer: Customer, tool: Program) -> None:
    made = {customer.prepare(pricing.Selection("essential", seats, "month")) for seats in (1, 2, 3)}
    seen, cursor = [], None
    for _ in range(3):
        page = tool.get("/quotes", query_string={"limit": 1} | ({"cursor": cursor} if cursor else {}))
        seen += ids(page)
        cursor = page.json["next_cursor"]

    assert set(seen) == made
    assert cursor is None


def test_what_is_unchanged_is_not_sent_again(shop: Shop, customer: Customer, tool: Program) -> None:
    customer.prepare()
    first = tool.get("/quotes")
    same = tool.get("/quotes", headers={"If-None-Match": first.headers["ETag"]})
    shop.advance(seconds=1)
    customer.prepare()
    changed = tool.get("/quotes", headers={"If-None-Match": first.headers["ETag"]})

    assert (same.status_code, same.data) == (304, b"")
    assert same.headers["ETag"] == first.headers["ETag"]
    assert changed.status_code == 200
    assert first.headers["Cache-Control"] == "private, no-cache"


def test_another_workspace_sees_none_of_it(app: Flask, customer: Customer, tool: Program) -> None:
    for seats in (1, 2):
        customer.prepare(pricing.Selection("essential", seats, "month"))
    cursor = tool.get("/quotes?limit=1").json["next_cursor"]
    stranger = program(app, factories.account(app, company_name="Oak Inc"))
    foreign = stranger.get("/quotes", query_string={"cursor": cursor})

    assert stranger.get("/quotes").json["data"] == []
    assert foreign.status_code == 422


def test_head_tells_what_get_would(customer: Customer, tool: Program) -> None:
    customer.prepare()
    answer = tool.client.head("/v1/quotes", headers={"Authorization": f"Bearer {tool.secret}"})

    assert answer.status_code == 200
    assert answer.headers["ETag"] == tool.get("/quotes").headers["ETag"]
    assert answer.data == b""
