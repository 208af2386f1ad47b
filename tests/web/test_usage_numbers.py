"""A number of /usage that leads to a list is how many that list has, on pages and in the API."""

from datetime import timedelta

import pytest
from flask import Flask

from portal.services import contests, limits
from portal.services.limits import Wanted
from tests.browsing import Browser
from tests.programs import program
from tests.services.buying import Customer
from tests.services.metering import Metered
from tests.services.test_month_ends import assumed_and_reported, carry_out, go_to_end
from tests.services.using import HOUR, Workspace, happened
from tests.shop import TWELVE_BY_THE_MONTH
from tests.web.reading import words
from tests.web.usage_books import KINDS, UsageBooks

MINUTE = timedelta(minutes=1)


@pytest.fixture
def acme(customer: Customer) -> Workspace:
    """A company that bought twelve seats by the month two days ago."""
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=2)
    return Workspace(customer.gateways, customer.workspace_id)


@pytest.fixture
def books(app: Flask, buyer: Browser, customer: Customer) -> UsageBooks:
    return UsageBooks(buyer, program(app, customer.account))


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
    books: UsageBooks, customer: Customer, acme: Workspace
) -> None:
    mixed(acme, customer.account.user_id)

    assert [number for _, number in books.numbers("/usage")][:5] == [3, 1, 1, 1, 1]
    # of days and channels, too
    assert books.check_links("/usage") > 10


def test_the_list_says_how_its_length_comes_to_what_is_billed(
    books: UsageBooks, buyer: Browser, customer: Customer, acme: Workspace
) -> None:
    mixed(acme, customer.account.user_id)

    assert books.rows("/usage/resolutions") == 4
    said = words(buyer.get("/usage/resolutions"))
    assert "4 counted and 1 reversed, so 3 resolutions. $2.97 before tax." in said


def test_the_api_counts_as_many_as_it_lists(books: UsageBooks, customer: Customer, acme: Workspace) -> None:
    mixed(acme, customer.account.user_id)
    usage = books.usage()
    kind = usage["kinds"][0]

    assert (usage["pending"], usage["disputed"]) == (1, 1)
    assert (kind["confirmed"], kind["assumed"], kind["reversed"], kind["carried"]) == (3, 1, 1, 0)
    assert [books.listed(state=name) for name in ("pending", "disputed")] == [1, 1]
    for place in (*kind["channels"], *kind["days"]):
        where = {name: place[name] for name in ("channel", "day") if name in place}
        lists = {name: books.listed(**where, kind=name) for name in KINDS}
        assert lists == {name: place[name] for name in KINDS}
        assert books.listed(**where, state="reversed") == place["reversed"]


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


def test_what_a_cap_made_free_is_told_from_what_is_billed(
    books: UsageBooks, buyer: Browser, customer: Customer, acme: Workspace
) -> None:
    limits.save(acme.gateways, acme.workspace_id, customer.account.user_id, Wanted(cap_units=2))
    for _ in range(3):
        acme.resolve()

    assert "3 resolutions. 1 of them is free. $1.98 before tax." in words(buyer.get("/usage/resolutions"))
    assert (books.rows("/usage/resolutions"), books.usage()["kinds"][0]["charged"]) == (3, 2)


def test_the_list_says_what_of_another_month_is_in_that_sum(buyer: Browser, customer: Customer) -> None:
    """Billed, though a person had replied within the day: Stripe heard of it after the month's end."""
    acme = Metered.buy(customer)
    answered = assumed_and_reported(acme, "c1", hours=-74)
    acme.feed(happened("c1", "human_replied", answered + HOUR))
    go_to_end(acme, hours=3)
    back, *_others = acme.use(3)
    acme.advance(minutes=1)
    acme.returns(back)
    carry_out(acme)

    said = words(buyer.get("/usage/resolutions"))
    assert "3 counted, 1 reversed and −1 carried over, so 1 resolution." in said
