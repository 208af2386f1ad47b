"""/billing/activity: who, when, from what to what, with the quote and the invoice."""

import csv
import io

import pytest
from flask import Flask
from sqlalchemy import insert

from portal.db import unit_of_work
from portal.models import AuditEntry
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.web.reading import words

ACTIVITY = "/billing/activity"


@pytest.fixture
def many(workspace: factories.Account) -> None:
    """More than two pages of entries by three people."""
    with unit_of_work(workspace.workspace_id) as session:
        rows = [
            {"actor": f"person{number % 3}@acme.example", "action": "quote.made", "after": {"total": number}}
            for number in range(120)
        ]
        session.execute(insert(AuditEntry), rows)


def test_before_anything_happened_it_says_what_will_be_here(signed_in: Browser) -> None:
    assert "Nothing has happened yet" in words(signed_in.get(ACTIVITY))


def test_a_purchase_reads_as_sentences_with_its_quote_and_its_invoice(
    buyer: Browser, customer: Customer
) -> None:
    quote_id = customer.buy()
    answer = buyer.get(ACTIVITY)
    text = words(answer)

    assert "Asked for a quote" in text
    assert "Total: $13,980.00" in text
    assert customer.account.email in text
    assert "The invoice was paid" in text
    assert "Seats: 12" in text
    assert "UTC" in text
    assert f"/billing/activity/quotes/{quote_id}" in answer.text
    assert "/billing/invoices/in_" in answer.text
    assert "{" not in text


def test_a_quote_is_shown_as_it_was(buyer: Browser, customer: Customer) -> None:
    quote_id = customer.buy()
    text = words(buyer.get(f"{ACTIVITY}/quotes/{quote_id}"))

    assert f"Quote {quote_id}" in text
    assert "Advanced seat × 12 $12,240.00" in text
    assert "$13,980.00" in text
    assert "Confirmed on" in text


def test_pages_hold_fifty_and_follow_one_another_without_a_gap(signed_in: Browser, many: None) -> None:
    totals: list[str] = []
    path: str | None = ACTIVITY
    pages = 0
    while path:
        answer = signed_in.get(path)
        pages += 1
        totals += [line for line in words(answer).split("\n") if line.startswith("Total: ")]
        links = [
            part.split('"')[0] for part in answer.text.split('href="') if "before=" in part.split('"')[0]
        ]
        path = links[0].replace("&amp;", "&") if links else None

    assert pages == 3
    assert len(totals) == len(set(totals)) == 120
    assert (totals[0], totals[-1]) == ("Total: $1.19", "Total: $0.00")


def test_it_is_filtered_by_person_kind_and_days(signed_in: Browser, many: None) -> None:
    assert rows(signed_in, "person=person1%40acme.example") == 40
    assert rows(signed_in, "kind=purchase") == 120
    assert rows(signed_in, "kind=leaving") == 0
    assert rows(signed_in, "since=2001-01-01&until=2001-01-02") == 0
    assert rows(signed_in, "since=2001-01-01") == 120
    assert "Nothing fits" in words(signed_in.get(f"{ACTIVITY}?kind=leaving"))


def rows(browser: Browser, query: str) -> int:
    return len(list(csv.DictReader(io.StringIO(browser.get(f"{ACTIVITY}/activity.csv?{query}").text))))


def test_what_cannot_be_read_in_the_address_breaks_nothing(signed_in: Browser, many: None) -> None:
    for query in ("since=31.12.2026", "before=x", "before=" + "9" * 30, "until=9999-12-31", "kind=x"):
        assert signed_in.get(f"{ACTIVITY}?{query}").status_code == 200, query
        assert signed_in.get(f"{ACTIVITY}/activity.csv?{query}").status_code == 200, query


def test_a_day_that_does_not_exist_is_said_beside_the_field(signed_in: Browser) -> None:
    assert "Enter a day that exists." in words(signed_in.get(f"{ACTIVITY}?since=2026-02-30"))


def test_the_table_is_plain_text_for_every_spreadsheet(
    signed_in: Browser, workspace: factories.Account
) -> None:
    with unit_of_work(workspace.workspace_id) as session:
        row = {"actor": "=cmd()", "action": "billing_details.saved", "after": {"company_name": "+1"}}
        session.execute(insert(AuditEntry), [row])
    answer = signed_in.get(f"{ACTIVITY}/activity.csv")
    [found] = csv.DictReader(io.StringIO(answer.text))

    assert answer.mimetype == "text/csv"
    assert found["Who"] == "'=cmd()"
    assert found["What"] == "Changed the billing details"
    assert found["From what to what"] == "Company name: +1"


def test_who_may_not_see_it_is_not_shown_it(app: Flask, workspace: factories.Account) -> None:
    for role, status in (("admin", 200), ("billing", 403), ("member", 403)):
        account = factories.member(app, workspace.workspace_id, role=role)
        browser = app.test_client()
        assert isinstance(browser, Browser)
        browser.sign_in(account.email, account.password)

        assert browser.get(ACTIVITY).status_code == status
