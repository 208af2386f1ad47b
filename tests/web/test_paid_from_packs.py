"""What annual credits pay for is said so wherever usage has an amount: pages, the file, the API, alerts."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event, select

from portal.db import unit_of_work
from portal.models import Mail
from portal.services import alerts, limits
from portal.services.limits import Wanted
from tests.browsing import Browser
from tests.programs import program
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.services.lots import buy
from tests.services.metering import Metered
from tests.services.using import Workspace
from tests.shop import TWELVE_BY_THE_MONTH
from tests.web.reading import words


@pytest.fixture
def acme(customer: Customer) -> Workspace:
    """A company that bought twelve seats by the month an hour ago."""
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(hours=1)
    return Workspace(customer.gateways, customer.workspace_id)


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What is asked of the database, as it is asked."""
    found: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        found.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    yield found
    event.remove(Engine, "before_cursor_execute", hear)


def use(acme: Workspace, count: int) -> list[str]:
    return acme.resolve_many(count)


def bought_on(acme: Workspace) -> str:
    """Today, as pages write it: it is the sandbox's."""
    now = acme.gateways.clock.now()
    return f"{now.day} {now:%B %Y}"


def test_the_usage_page_says_what_packs_pay_and_what_is_to_pay(buyer: Browser, acme: Workspace) -> None:
    buy(acme, 3)
    use(acme, 5)
    text = words(buyer.get("/usage"))

    assert "5 resolutions so far, $1.98 to pay" in text
    assert f"3 are paid from your pack of 3, bought on {bought_on(acme)}" in text
    assert "2 are paid by use" in text
    assert "Paid by annual credits -$2.97" in text.replace("−", "-")
    assert "To pay so far, before tax $1.98" in text
    assert "Annual credits pay for 3 resolutions of it, which is $2.97." in text


def test_a_forecast_within_the_packs_charges_nothing(buyer: Browser, acme: Workspace) -> None:
    buy(acme, 1000)
    use(acme, 5)
    text = words(buyer.get("/usage"))

    assert "all paid from your packs" in text
    assert "Your packs pay for up to 1,000 resolutions of this month." in text
    assert "At your price that is" not in text


def test_a_list_says_of_each_resolution_what_pays_for_it(buyer: Browser, acme: Workspace) -> None:
    buy(acme, 1)
    use(acme, 2)
    text = words(buyer.get("/usage/resolutions"))

    assert "2 resolutions. 1 is paid from packs, $0.99 is to pay before tax." in text
    assert text.count("Paid from your pack of 1, bought on") == 1
    assert text.count("Paid by use") == 1


def test_the_list_asks_as_often_whatever_its_length(
    buyer: Browser, acme: Workspace, statements: list[str]
) -> None:
    buy(acme, 2)
    use(acme, 3)
    buyer.get("/usage/resolutions")
    statements.clear()
    buyer.get("/usage/resolutions")
    few = len(statements)
    use(acme, 20)
    statements.clear()
    buyer.get("/usage/resolutions")

    assert len(statements) == few


def test_the_evidence_of_a_paid_unit_names_its_pack_and_charges_nothing(
    buyer: Browser, acme: Workspace
) -> None:
    buy(acme, 1)
    first, second = acme.resolve("a"), acme.resolve("b")
    pages = [words(buyer.get(f"/usage/resolutions/{each}/1")) for each in (first, second)]
    paid, charged = (" ".join(page.split()) for page in pages)

    assert f"$0.00 Paid from your pack of 1, bought on {bought_on(acme)}." in paid
    assert "Paid by use it would cost $0.99 before tax." in paid
    assert "Why it counts" in paid
    assert "$0.99 Paid by use: no pack had anything left for it." in charged
    assert "Why it is charged" in charged


def test_without_packs_nobody_speaks_of_them(buyer: Browser, acme: Workspace) -> None:
    [unit] = use(acme, 1)
    paths = ("/usage", "/usage/resolutions", f"/usage/resolutions/{unit}/1")
    pages = [words(buyer.get(path)) for path in paths]

    assert not any("pack" in page or "by use" in page for page in pages)


def test_the_file_names_the_lot_and_sums_to_what_is_to_pay(buyer: Browser, acme: Workspace) -> None:
    lot = buy(acme, 3)
    use(acme, 5)
    text = buyer.get("/usage/resolutions.csv").text.removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text)))

    assert [row["pack"] for row in rows] == [lot] * 3 + [""] * 2
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal("4.95")
    assert sum(Decimal(row["to_pay"]) for row in rows) == Decimal("1.98")


def test_the_api_names_the_lot_of_each_resolution(app: Flask, customer: Customer, acme: Workspace) -> None:
    lot = buy(acme, 1)
    use(acme, 2)
    tool = program(app, customer.account)
    listed: Any = tool.get("/resolutions").json
    told: Any = tool.get("/usage").json

    assert sorted(str(each["lot"]) for each in listed["data"]) == sorted([lot, "None"])
    assert (told["amount"], told["by_credits"], told["to_pay"]) == (198, 99, 99)
    assert told["kinds"][0]["lots"] == [{"lot": lot, "units": 1}]


def test_the_overview_and_the_next_invoice_charge_only_the_rest(buyer: Browser, customer: Customer) -> None:
    acme = Metered.buy(customer)
    CreditBuyer(customer).buy(100)
    acme.use(103)
    acme.report()
    overview, coming = words(buyer.get("/billing")), words(buyer.get("/billing/invoices/next"))

    assert "103 resolutions, of which your packs pay for 100; $2.97 to pay before tax." in overview
    assert "Paid by annual credits -$99.00" in coming.replace("−", "-")


def test_a_month_that_was_billed_says_what_credits_paid(buyer: Browser, customer: Customer) -> None:
    acme = Metered.buy(customer)
    CreditBuyer(customer).buy(100)
    start = acme.periods()[0].starts_at
    acme.use(103)
    acme.report()
    acme.advance(days=31)
    text = words(buyer.get(f"/usage?period={start:%Y-%m-%dT%H:%M:%S}Z"))

    assert "103 resolutions, $2.97 to pay" in text
    assert "100 are paid from your pack of 100" in text
    assert "To pay, before tax $2.97" in text


def test_a_billed_unit_that_came_back_says_that_its_pack_has_it_again(
    buyer: Browser, customer: Customer
) -> None:
    acme = Metered.buy(customer)
    CreditBuyer(customer).buy(100)
    start = acme.periods()[0].starts_at
    [unit, _other] = acme.use(2)
    acme.report()
    acme.advance(days=33)
    acme.returns(unit)
    acme.credit()
    evidence = words(buyer.get(f"/usage/resolutions/{unit}/1"))
    month = words(buyer.get(f"/usage?period={start:%Y-%m-%dT%H:%M:%S}Z"))

    assert "Annual credits had paid for it: it went back to its pack, to be used again" in evidence
    # what its invoice took stays taken
    assert "2 are paid from your pack of 100" in month
    assert "paid by use" not in month


def test_a_cap_in_money_says_what_comes_on_top_of_credits(buyer: Browser, acme: Workspace) -> None:
    buy(acme, 100)
    limits.save(acme.gateways, acme.workspace_id, None, Wanted(cap_amount=990, budget=5000))
    text = words(buyer.get("/usage/limits"))

    assert (
        "$9.90 a month pay for 10 resolutions at your own price, on top of 100 that your annual credits pay"
        " for in this month." in text
    )
    assert "What your annual credits pay for is not in it." in text


def test_a_budget_alerts_of_what_credits_do_not_pay(acme: Workspace) -> None:
    buy(acme, 3)
    limits.save(acme.gateways, acme.workspace_id, None, Wanted(budget=198))
    use(acme, 3)
    quiet = alerts.look(acme.gateways, acme.workspace_id)
    use(acme, 1)
    told = alerts.look(acme.gateways, acme.workspace_id)

    with unit_of_work(acme.workspace_id) as session:
        [mail] = session.scalars(select(Mail).where(Mail.kind == "usage_alert"))

    assert (quiet, told) == ([], ["budget_50"])
    assert "has used $0.99 of $1.98" in mail.text_body
    assert "What your annual credits pay for is not in it." in mail.text_body
    assert "what your annual credits do not pay for is billed" in mail.text_body
    assert "What your annual credits pay for is not in it." in (mail.html_body or "")
