"""The page of annual credits: what is left, of which pack, and its history."""

import re

import pytest

from portal.db import unit_of_work
from portal.models import CreditLot
from portal.services import credit_lots, leaving
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.lots import buy
from tests.services.using import Workspace
from tests.shop import TWELVE_BY_THE_MONTH
from tests.web.reading import words

PAGE = "/credits"


@pytest.fixture
def acme(customer: Customer) -> Workspace:
    """A company that bought twelve seats by the month an hour ago."""
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(hours=1)
    return Workspace(customer.gateways, customer.workspace_id)


def test_without_a_subscription_the_page_says_what_comes_first(buyer: Browser) -> None:
    page = buyer.get(PAGE)

    assert "Choose a tier first, then buy credits." in words(page)
    assert 'href="/pricing"' in page.text
    assert "Nothing can be bought now" in words(buyer.get("/credits/automatic"))
    assert buyer.get("/credits/price").status_code == 200


def test_without_packs_only_the_advisor_is_there(buyer: Browser, acme: Workspace) -> None:
    page = words(buyer.get(PAGE))

    assert "What a pack costs" in page
    assert "Your packs" not in page
    assert "History" not in page


def test_the_balance_stands_on_top_with_each_pack(buyer: Browser, acme: Workspace) -> None:
    lot = buy(acme, 100)
    acme.resolve()
    page = words(buyer.get(PAGE))

    # 99 × $0.99
    assert "99 resolutions left, worth $98.01" in page
    assert re.search(rf"Pack of 100 In use bought on \d+ \w+ \d{{4}} for \$99.00 before tax · {lot}", page)
    assert "100 0 1 0 0 99 worth $98.01" in page
    assert page.index("Your packs") < page.index("What a pack costs")
    assert page.index("What a pack costs") < page.rindex("History")


def test_a_pack_that_is_used_up_says_what_follows(buyer: Browser, acme: Workspace) -> None:
    buy(acme, 1)
    acme.resolve()
    page = words(buyer.get(PAGE))

    assert "Nothing left of your credits" in page
    assert "What is used now is paid as you go, with the next invoice." in page
    assert "Used up" in page


def test_who_leaves_is_not_told_of_use_after_the_end_of_the_subscription(
    buyer: Browser, acme: Workspace, customer: Customer
) -> None:
    buy(acme, 100)
    for _number in range(10):
        acme.resolve()
    customer.shop.advance(days=10)
    customer.settle()
    assert "Used up about" in words(buyer.get(PAGE))
    leaving.ask(customer.gateways, customer.workspace_id, None, leaving.AT_PERIOD_END)
    customer.settle()
    ending = words(buyer.get(PAGE))
    customer.shop.advance(days=32)
    customer.settle()
    ended = words(buyer.get(PAGE))

    assert "Used up about" not in ending
    assert "What is left then pays for nothing while you have none." in ending
    assert "When they run out can be said" not in ended
    assert "They pay for nothing while you have no subscription." in ended


def test_a_pack_that_has_ended_says_how(buyer: Browser, acme: Workspace) -> None:
    lot = buy(acme, 100)
    with unit_of_work(acme.workspace_id) as session:
        found = session.get_one(CreditLot, (acme.workspace_id, lot))
        credit_lots.take_back(session, found, 100, source="R-1", why="refunded", at=acme.gateways.clock.now())
    page = words(buyer.get(PAGE))

    assert "Pack of 100 Returned" in page
    assert "100 0 0 0 100 0" in page


def test_the_chart_says_its_numbers_as_a_table_too(buyer: Browser, acme: Workspace) -> None:
    buy(acme, 1000)
    for _number in range(10):
        acme.resolve()
    page = words(buyer.get(PAGE))

    assert "Left at the end of each month" in page
    assert "990 resolutions left" in page
    assert "Used up about" in page
    assert "990 now" in page


def test_the_history_goes_on_a_page_at_a_time(buyer: Browser, acme: Workspace) -> None:
    buy(acme, 100)
    for _number in range(25):
        acme.resolve()
    first = buyer.get(PAGE)
    address = first.text.split('href="/credits/history?before=')[1].split('"')[0]
    rest = words(buyer.get(f"/credits/history?before={address}"))

    assert "Bought" in rest
    assert "Older entries" not in rest
    assert buyer.get("/credits/history?before=nonsense").status_code == 200
    assert "No entries" in words(buyer.get("/credits/history?before=0"))


def test_the_file_has_every_entry_and_sums_to_what_is_left(buyer: Browser, acme: Workspace) -> None:
    lot = buy(acme, 100)
    acme.resolve()
    header, *rows = buyer.get("/credits/entries.csv").text.removeprefix("\ufeff").split()

    assert header == "id,lot,what,units,month_from,at,booked_at,source"
    assert [row.split(",")[1:4] for row in rows] == [[lot, "bought", "100"], [lot, "drawn", "-1"]]
