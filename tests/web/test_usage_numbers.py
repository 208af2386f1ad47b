"""A number of /usage that leads to a list is how many that list has, on pages and in the API."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from portal.services import contests
from tests.browsing import Browser
from tests.programs import Program, program
from tests.services.buying import Customer
from tests.services.using import HOUR, Workspace, happened
from tests.shop import TWELVE_BY_THE_MONTH
from tests.web.reading import words

MINUTE = timedelta(minutes=1)
LINK = re.compile(r'<a href="(/usage/resolutions\?[^"]*)">(−?[\d,]+)</a>')
ROW = re.compile(r'<th scope="row" class="identifier"')
FURTHER = re.compile(r'<a class="button" href="(/usage/resolutions\?[^"]*)">')


@pytest.fixture
def acme(customer: Customer) -> Workspace:
    """A company that bought twelve seats by the month two days ago."""
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=2)
    return Workspace(customer.gateways, customer.workspace_id)


@pytest.fixture
def tool(app: Flask, customer: Customer) -> Program:
    return program(app, customer.account)


def numbers(buyer: Browser, address: str) -> Iterator[tuple[str, int]]:
    """Where the numbers of a page lead, and each of them."""
    for href, number in LINK.findall(buyer.get(address).text):
        yield html.unescape(href), int(number.replace("−", "").replace(",", ""))


def rows(buyer: Browser, address: str | None) -> int:
    """How many units a list has, all its pages."""
    total = 0
    while address is not None:
        text = buyer.get(address).text
        total += len(ROW.findall(text))
        further = FURTHER.search(text)
        address = html.unescape(further[1]) if further else None
    return total


def mixed(acme: Workspace, user_id: int) -> None:
    """One of each: confirmed, assumed, returned, pending, corrected, contested in both ways."""
    now = acme.gateways.clock.now()
    for name in ("stays", "returned", "contested", "disputed"):
        acme.resolve(name)
    acme.feed(
        happened("silent", "ai_answered", now - 30 * HOUR, channel="email"),
        happened("corrected", "ai_answered", now - 30 * HOUR),
        happened("waits", "ai_answered", now),
        happened("returned", "customer_asked", now + MINUTE),
        happened("contested", "human_replied", now + MINUTE),
    )
    acme.feed(happened("corrected", "human_replied", now - 29 * HOUR))
    for name, reason in (("contested", contests.HUMAN_REPLIED), ("disputed", contests.OTHER)):
        contests.contest(acme.gateways, acme.workspace_id, user_id, name, 1, reason=reason)


def test_each_number_of_the_page_is_how_many_its_list_has(
    buyer: Browser, customer: Customer, acme: Workspace
) -> None:
    mixed(acme, customer.account.user_id)
    found = list(numbers(buyer, "/usage"))

    assert [number for _, number in found[:5]] == [3, 1, 1, 1, 1]
    # of days and channels, too
    assert len(found) > 10
    assert [(href, rows(buyer, href)) for href, _ in found] == found


def test_the_list_says_how_its_length_comes_to_what_is_billed(
    buyer: Browser, customer: Customer, acme: Workspace
) -> None:
    mixed(acme, customer.account.user_id)
    listing = buyer.get("/usage/resolutions")

    assert len(ROW.findall(listing.text)) == 4
    assert "4 counted and 1 reversed, so 3 resolutions. $2.97 before tax." in words(listing)


def test_the_api_counts_as_many_as_it_lists(customer: Customer, acme: Workspace, tool: Program) -> None:
    mixed(acme, customer.account.user_id)
    usage = tool.get("/usage").json
    kind = usage["kinds"][0]

    assert (usage["pending"], usage["disputed"]) == (1, 1)
    assert (kind["confirmed"], kind["assumed"], kind["reversed"], kind["carried"]) == (3, 1, 1, 0)
    for name in ("pending", "disputed"):
        assert len(tool.get(f"/resolutions?state={name}").json["data"]) == usage[name]
    places = [(f"channel={each['channel']}", each) for each in kind["channels"]]
    places += [(f"day={each['day']}", each) for each in kind["days"]]
    for query, count in [("", kind), *places]:
        for name, which in (("confirmed", "kind"), ("assumed", "kind"), ("reversed", "state")):
            listed = tool.get(f"/resolutions?{which}={name}&{query}").json["data"]
            assert (query, name, len(listed)) == (query, name, count[name])


def test_what_was_taken_back_for_good_says_so(buyer: Browser, customer: Customer, acme: Workspace) -> None:
    """A person had replied in time, which was heard of after the month; then that it was confirmed before."""
    now = customer.gateways.clock.now()
    acme.feed(happened("c1", "ai_answered", now - 30 * HOUR))
    customer.shop.advance(days=33)
    customer.settle()
    acme.feed(happened("c1", "human_replied", now - 28 * HOUR))
    acme.feed(happened("c1", "customer_confirmed", now - 29 * HOUR))
    listing = words(buyer.get("/usage/resolutions?state=reversed"))

    assert "It was taken back after its month had been billed, and stays so." in listing
    assert "Taken back" in listing
