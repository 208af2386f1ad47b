"""Contesting a resolution on its page."""

import pytest
from sqlalchemy import update

from portal.db import unit_of_work
from portal.models import Member
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.using import Workspace, happened
from tests.shop import TWELVE_BY_THE_MONTH
from tests.web.reading import words


@pytest.fixture
def acme(customer: Customer) -> Workspace:
    """A company that bought an hour ago and had two resolutions, one of them with a person's reply later."""
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(hours=1)
    acme = Workspace(customer.gateways, customer.workspace_id)
    acme.resolve("plain")
    acme.resolve("replied")
    customer.shop.advance(minutes=5)
    acme.feed(happened("replied", "human_replied", customer.gateways.clock.now()))
    return acme


def page(conversation: str) -> str:
    return f"/usage/resolutions/{conversation}/1"


def test_what_its_events_prove_is_taken_back_with_one_click(buyer: Browser, acme: Workspace) -> None:
    answer = buyer.submit(page("replied"), {"reason": "human_replied"}, follow_redirects=True)
    text = words(answer)

    assert "It is taken back: it costs you nothing." in text
    assert "Contested, and taken back" in text
    assert "A person had to reply" in text
    assert "1 resolution so far, $0.99" in words(buyer.get("/usage"))


def test_the_rest_is_looked_at_and_stays_until_then(buyer: Browser, acme: Workspace) -> None:
    said = {"reason": "other", "comment": "The answer was wrong."}
    text = words(buyer.submit(page("plain"), said, follow_redirects=True))

    assert "It is contested. We look at it and write to you." in text
    assert "The answer was wrong." in text
    assert "Contest this resolution" not in text
    assert "2 resolutions so far" in words(buyer.get("/usage"))
    assert "plain" in buyer.get("/usage/resolutions?state=contested").text


def test_what_comes_back_by_itself_meanwhile_is_not_said_to_stay(
    buyer: Browser, acme: Workspace, customer: Customer
) -> None:
    buyer.submit(page("plain"), {"reason": "other"})
    customer.shop.advance(minutes=5)
    acme.feed(happened("plain", "reopened", customer.gateways.clock.now()))
    text = words(buyer.get(page("plain")))

    assert "It was taken back meanwhile by what happened in the conversation: it costs you nothing." in text
    assert "Until then it stays in your usage" not in text


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({}, "Choose why it should not be charged."),
        ({"reason": "because"}, "Not a valid choice."),
        ({"reason": "other", "comment": "x" * 1001}, "Use at most 1,000 characters."),
        ({"reason": "other", "comment": "a\u202eb"}, "Remove the invisible characters"),
    ],
)
def test_what_cannot_be_meant_is_said_and_nothing_is_lost(
    buyer: Browser, acme: Workspace, said: dict[str, str], problem: str
) -> None:
    answer = buyer.submit(page("plain"), said)

    assert answer.status_code == 422
    assert problem in words(answer)
    assert said.get("comment", "")[:20] in answer.text
    assert acme.units("plain")[0].contest is None


def test_what_is_not_charged_offers_no_contest_and_says_so(buyer: Browser, acme: Workspace) -> None:
    acme.feed(happened("waits", "ai_answered", acme.gateways.clock.now()))
    token = buyer.token(page("plain"))
    answer = buyer.post(page("waits"), data={"csrf_token": token, "reason": "other"})

    assert "Contest this resolution" not in buyer.get(page("waits")).text
    assert answer.status_code == 400
    assert "Nothing is charged for this resolution" in words(answer)


def test_what_is_too_old_offers_no_contest_and_says_whom_to_write_to(
    buyer: Browser, acme: Workspace, customer: Customer
) -> None:
    customer.shop.advance(days=59)
    early = buyer.get(page("plain")).text
    customer.shop.advance(days=2)
    customer.settle()
    late = buyer.get(page("plain")).text

    assert "Contest this resolution" in early
    assert "Contest this resolution" not in late
    assert "A resolution can be contested for 60 days. Write to us about older ones." in late


def test_a_member_reads_who_may(buyer: Browser, acme: Workspace) -> None:
    with unit_of_work(acme.workspace_id) as session:
        session.execute(update(Member).values(role="member"))
    text = words(buyer.get(page("plain")))

    assert "Owners, admins and those with the billing role can contest it." in text
    assert "Contest this resolution" not in text
