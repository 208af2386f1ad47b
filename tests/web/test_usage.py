"""/usage: what was counted, what it costs, what it comes to; the file that sums to the invoice's line."""

import csv
import html
import io
import re
from decimal import Decimal

import pytest
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.models import Invoice, Member, UsageCredit, UsagePeriod
from portal.services import outcomes, resolutions
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.using import Workspace, happened
from tests.shop import TWELVE_BY_THE_MONTH
from tests.web.reading import block, words
from tests.web.usage_books import FURTHER


@pytest.fixture
def acme(customer: Customer) -> Workspace:
    """A company that bought twelve seats by the month an hour ago, on the same day."""
    if customer.gateways.clock.now().hour == 23:
        customer.shop.advance(hours=1)
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(hours=1)
    return Workspace(customer.gateways, customer.workspace_id)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_before_anything_was_bought_the_page_says_what_will_be_here(signed_in: Browser) -> None:
    page = signed_in.get("/usage")

    assert "Nothing is counted yet" in words(page)
    assert 'href="/pricing"' in page.text


def test_a_fresh_period_says_how_to_send_conversations(buyer: Browser, acme: Workspace) -> None:
    page = buyer.get("/usage")
    text = words(page)

    assert "0 resolutions so far, $0.00" in text
    assert "No conversation in this period yet" in text
    assert 'href="/developers"' in page.text
    assert "http://localhost/v1/events" in text


def test_a_member_is_sent_to_those_who_can_make_a_key(buyer: Browser, acme: Workspace) -> None:
    with unit_of_work(acme.workspace_id) as session:
        session.execute(update(Member).values(role="member"))
    page = buyer.get("/usage")

    assert "Ask an owner or admin" in words(page)
    assert 'href="/developers"' not in page.text


def test_the_headline_has_units_cost_and_what_comes(buyer: Browser, acme: Workspace) -> None:
    for name in ("a", "b", "c"):
        acme.resolve(name)
    page = buyer.get("/usage")
    text = words(page)

    assert "3 resolutions so far, $2.97" in text
    assert re.search(r"By \d+ \w+ \d{4} about \$[\d,.]+ \(\$2\.97–\$[\d,.]+\)", text)
    assert "3 resolutions × $0.99 per resolution = $2.97" in text or "3 resolutions × $0.99 = $2.97" in text
    assert re.search(r"Confirmed\s+3", text)


def test_it_is_now_and_not_hours_ago(buyer: Browser, acme: Workspace) -> None:
    assert "0 resolutions so far" in words(buyer.get("/usage"))

    acme.resolve()

    assert "1 resolution so far, $0.99" in words(buyer.get("/usage"))


def test_what_waits_and_what_came_back_is_told(buyer: Browser, customer: Customer, acme: Workspace) -> None:
    acme.resolve("back")
    customer.shop.advance(minutes=1)
    now = customer.gateways.clock.now()
    acme.feed(happened("back", "customer_asked", now), happened("waits", "ai_answered", now))
    text = words(buyer.get("/usage"))

    assert re.search(r"Reversed\s+−1", text)
    assert re.search(r"Pending\s+1", text)
    assert "0 resolutions so far, $0.00" in text


def test_other_kinds_of_usage_have_the_same_page(buyer: Browser, acme: Workspace) -> None:
    acme.resolve()
    text = words(buyer.get("/usage?unit=sms"))

    assert "0 SMS segments so far, $0.00" in text
    assert "Confirmed" not in block(buyer.get("/usage?unit=sms"), "headline")
    assert words(buyer.get("/usage?unit=nothing")).count("1 resolution so far")


def test_messages_are_shown_against_what_is_included(buyer: Browser, acme: Workspace) -> None:
    acme.resolve()
    text = words(buyer.get("/usage?unit=proactive_message"))

    assert "0 of 500 messages included are used." in text


def test_a_chart_says_its_days_and_the_table_has_the_same(buyer: Browser, acme: Workspace) -> None:
    acme.resolve()
    page = buyer.get("/usage")

    assert re.findall(r'<path class="bar-confirmed" d="([^"]*)"', page.text) == ["M1.5 75h7v25h-7z"]
    assert "1 confirmed" in words(page)
    assert "The same as a table" in words(page)
    assert re.search(r"Together\s+1\s+0\s+0\s+1", block(page, "days-table"))


def test_a_period_that_is_not_there_is_not_found(buyer: Browser, acme: Workspace) -> None:
    assert buyer.get("/usage?period=2001-01-01T00:00:00Z").status_code == 404
    assert buyer.get("/usage/resolutions?period=2001-01-01T00:00:00Z").status_code == 404
    assert buyer.get("/usage?period=never").status_code == 200


def test_the_file_sums_to_the_headline(buyer: Browser, customer: Customer, acme: Workspace) -> None:
    for name in ("a", "b", "=cmd|'calc'!A0"):
        acme.resolve(name)
    customer.shop.advance(minutes=1)
    acme.feed(happened("b", "customer_asked", customer.gateways.clock.now()))
    answer = buyer.get("/usage/resolutions.csv")
    found = rows(answer.text)

    assert answer.headers["Content-Disposition"].startswith('attachment; filename="resolutions-')
    assert sum(Decimal(row["amount"]) for row in found) == Decimal("1.98")
    assert [(row["what"], row["units"], row["amount"]) for row in found] == [
        ("billable", "1", "0.99"),
        ("billable", "1", "0.99"),
        ("billable", "1", "0.99"),
        ("reversal", "-1", "-0.99"),
    ]
    assert {row["conversation"] for row in found} == {"a", "b", "'=cmd|'calc'!A0"}


def test_a_list_that_was_begun_goes_on_in_its_month_when_the_next_one_begins(
    buyer: Browser, customer: Customer, acme: Workspace
) -> None:
    for number in range(resolutions.PER_PAGE + 1):
        acme.resolve(f"conv_{number:02}")
    begun = buyer.get("/usage/resolutions").text
    customer.shop.advance(days=32)
    customer.settle()
    further = html.unescape(FURTHER.search(begun)[1])  # type: ignore[index]

    assert "conv_00" not in begun
    assert "conv_00" in buyer.get(further).text


def test_each_row_of_the_file_leads_to_its_evidence(buyer: Browser, acme: Workspace) -> None:
    acme.resolve("..[us]~&")
    [row] = rows(buyer.get("/usage/resolutions.csv").text)

    assert "..[us]~&" in words(buyer.get(row["evidence"]))


@pytest.mark.parametrize(
    ("grant_id", "says"),
    [("G-1", "it went back to its pack, to be used again"), (None, "it ended with its pack")],
)
def test_a_unit_that_credits_paid_says_where_it_went(
    buyer: Browser, acme: Workspace, grant_id: str | None, says: str
) -> None:
    unit = acme.resolve()
    with unit_of_work(acme.workspace_id) as session:
        known = {"key": "resolution", "source": f"{unit}#1", "quantity": 1, "state": "done"}
        session.add(UsageCredit(identifier="back", lot_id="T-1", grant_id=grant_id, **known))
    [row] = rows(buyer.get("/usage/resolutions.csv").text)

    assert says in words(buyer.get(row["evidence"]))


def test_files_of_other_units_are_there_too(buyer: Browser, acme: Workspace) -> None:
    assert buyer.get("/usage/units/sms.csv").text.startswith("\ufeffid,what,channel")
    assert buyer.get("/usage/units/nothing.csv").status_code == 404


@pytest.fixture
def billed(customer: Customer, acme: Workspace) -> Invoice:
    """The month's invoice, after 5 resolutions of which one came back; Stripe has counted the same."""
    for number in range(5):
        acme.resolve(f"c{number}")
    customer.shop.advance(minutes=1)
    acme.feed(happened("c3", "customer_asked", customer.gateways.clock.now()))
    with unit_of_work(acme.workspace_id) as session:
        period = session.scalars(select(UsagePeriod)).one()
    [subscription] = customer.shop.subscriptions()
    customer.gateways.stripe.demo.count(
        "resolution", str(subscription.customer), 4, at=customer.gateways.clock.now(), key="four"
    )
    customer.shop.advance(
        seconds=int((period.ends_at - customer.gateways.clock.now()).total_seconds()) + 7500
    )
    customer.settle()
    outcomes.mature(customer.gateways)
    with unit_of_work(acme.workspace_id) as session:
        return session.scalars(select(Invoice).order_by(Invoice.issued_at.desc())).first()  # type: ignore[return-value]


def test_a_period_that_was_billed_leads_to_its_invoice_and_back(
    buyer: Browser, acme: Workspace, billed: Invoice
) -> None:
    [first, _second] = acme.periods()
    page = buyer.get(f"/usage?period={first.starts_at.replace(tzinfo=None).isoformat()}Z")
    text = words(page)

    assert "4 resolutions, $3.96" in text
    assert f"/billing/invoices/{billed.stripe_id}" in page.text
    assert billed.number in words(buyer.get("/usage"))
    invoice = buyer.get(f"/billing/invoices/{billed.stripe_id}")
    assert "/usage/resolutions?period=" in invoice.text


def test_a_period_whose_invoice_is_void_says_that_nothing_of_it_is_to_be_paid(
    buyer: Browser, customer: Customer, acme: Workspace, billed: Invoice
) -> None:
    with unit_of_work(acme.workspace_id) as session:
        session.execute(update(Invoice).where(Invoice.stripe_id == billed.stripe_id).values(status="void"))
    [first, _second] = acme.periods()
    page = buyer.get(f"/usage?period={first.starts_at.replace(tzinfo=None).isoformat()}Z")
    text = words(page)

    assert "4 resolutions, $0.00 to pay" in text
    assert "Its invoice is void: nothing of it is to be paid" in text
    assert "Not charged, since the invoice is void −$3.96" in text
    assert "To pay, before tax $0.00" in text
    assert f"{billed.number} void $0.00" in words(buyer.get("/usage"))


def test_the_file_of_a_billed_period_sums_to_the_invoices_line(
    buyer: Browser, acme: Workspace, billed: Invoice
) -> None:
    [first, _second] = acme.periods()
    [line] = [each for each in billed.lines if each["key"] == "resolution"]
    found = rows(
        buyer.get(f"/usage/resolutions.csv?period={first.starts_at.replace(tzinfo=None).isoformat()}Z").text
    )

    assert (line["quantity"], line["amount"]) == (4, 396)
    assert sum(Decimal(row["amount"]) for row in found) == Decimal("3.96")
    assert sum(int(row["units"]) for row in found) == 4


def test_a_trial_says_that_it_is_free_and_how_much_is_left(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    customer.shop.advance(hours=1)
    acme = Workspace(customer.gateways, customer.workspace_id)
    acme.resolve()
    text = words(buyer.get("/usage"))

    assert "You are in your trial" in text
    assert "1 resolution so far, $0.00" in text
    assert "Trial: 1 of 50 free resolutions are used or held." in text
