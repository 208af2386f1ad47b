"""The list of invoices by filter, page and sum, and as files that no spreadsheet runs."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.db import unit_of_work
from portal.models import Adjustment, Invoice
from portal.web import invoice_csv, invoice_filter
from tests.browsing import Browser
from tests.factories import Account
from tests.web.reading import words


def line(amount: int, discount: int = 0, tax: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": "il_1",
        "key": "seat",
        "description": "12 × Advanced seat",
        "quantity": 12,
        "unit_amount": "9900",
        "amount": amount,
        "discount": discount,
        "tax": tax,
        "total": amount - discount,
        "period_start": 1_767_225_600,
        "period_end": 1_769_904_000,
        "proration": False,
        **more,
    }


def invoice(number: int, *lines: dict[str, Any], **changes: Any) -> Invoice:
    lines = lines or (line(1000),)
    subtotal, discount, tax = (sum(each[name] for each in lines) for name in ("amount", "discount", "tax"))
    facts: dict[str, Any] = {
        "stripe_id": f"in_{number:04d}",
        "number": f"ACME-{number:04d}",
        "status": "paid",
        "billing_reason": "subscription_cycle",
        "currency": "usd",
        "subtotal": subtotal,
        "discount": discount,
        "tax": tax,
        "total": subtotal - discount + tax,
        "amount_due": subtotal - discount + tax,
        "amount_paid": 0,
        "starting_balance": 0,
        "lines": list(lines),
        "billing": {"name": "Acme Inc"},
        "issued_at": datetime(2026, 1, 1, tzinfo=UTC),
        "synced_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Invoice(**facts | changes)


def keep(workspace: Account, *rows: Any) -> None:
    with unit_of_work(workspace.workspace_id) as session:
        session.add_all(rows)


@pytest.fixture
def kept(signed_in: Browser, workspace: Account) -> Browser:
    """A workspace with invoices of two years, in every state."""
    keep(
        workspace,
        invoice(1, billing_reason="subscription_create", issued_at=datetime(2025, 12, 31, 23, tzinfo=UTC)),
        invoice(2, line(2000)),
        invoice(3, line(3000), status="open", issued_at=datetime(2026, 2, 1, tzinfo=UTC)),
        invoice(4, line(4000), status="void", issued_at=datetime(2026, 3, 1, tzinfo=UTC)),
        invoice(5, line(5000), billing_reason="manual", issued_at=datetime(2026, 4, 1, 12, tzinfo=UTC)),
    )
    return signed_in


def numbers(browser: Browser, **query: str) -> list[str]:
    text = browser.get("/billing/invoices/invoices.csv", query_string=query).text
    return [row["invoice"][-1] for row in csv.DictReader(StringIO(text.removeprefix("\ufeff")))]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ({}, "54321"),
        ({"status": "open"}, "3"),
        ({"status": "paid", "year": "2026"}, "52"),
        ({"year": "2025"}, "1"),
        ({"kind": "first"}, "1"),
        ({"kind": "other"}, "5"),
        ({"from": "2026-02-01", "to": "2026-04-01"}, "543"),
        ({"from": "2026-04-01", "to": "2026-02-01"}, "543"),
        ({"from": "2026-04-02"}, ""),
        ({"status": "nonsense", "kind": "' OR 1=1", "year": "²", "from": "yesterday"}, "54321"),
    ],
)
def test_a_filter_leaves_what_it_names(kept: Browser, query: dict[str, str], left: str) -> None:
    assert "".join(numbers(kept, **query)) == left


def test_the_sums_are_of_the_whole_filter_and_say_what_is_open(kept: Browser) -> None:
    text = words(kept.get("/billing/invoices?year=2026"))

    assert "3 invoices together, without void ones $100.00" in text
    assert "Of it still to be paid $30.00" in text


def test_credit_notes_come_off_the_sum(kept: Browser, workspace: Account) -> None:
    keep(
        workspace,
        Adjustment(
            stripe_id="cn_1",
            kind="credit_note",
            stripe_invoice_id="in_0002",
            status="issued",
            currency="usd",
            amount=1500,
            details={},
            occurred_at=datetime(2026, 1, 2, tzinfo=UTC),
            synced_at=datetime(2026, 1, 2, tzinfo=UTC),
        ),
    )
    text = words(kept.get("/billing/invoices?year=2026&kind=renewal"))

    assert "credited −$15.00" in text
    assert "Credit notes −$15.00" in text
    assert "2 invoices together, without void ones $35.00" in text


def test_pages_go_on_by_key_and_keep_the_filter(signed_in: Browser, workspace: Account) -> None:
    keep(workspace, *(invoice(number) for number in range(1, 61)))
    seen, address = [], "/billing/invoices?status=paid"
    while address:
        page = signed_in.get(address).text
        seen += [part[:4] for part in page.split("/billing/invoices/in_")[1:]]
        older = page.split('<p class="actions"><a class="button" href="')[1:]
        address = older[0].split('"')[0].replace("&amp;", "&") if older else ""
        assert not address or "status=paid" in address

    assert seen == [f"{number:04d}" for number in range(60, 0, -1)]


def test_a_filter_that_leaves_nothing_says_so(kept: Browser) -> None:
    assert "No invoice fits this filter" in words(kept.get("/billing/invoices?from=2030-01-01"))


def test_the_files_are_named_and_not_kept_by_anybody(kept: Browser) -> None:
    answer = kept.get("/billing/invoices/lines.csv")

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="invoice-lines-')
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t=", "|", " ="])
def test_no_cell_is_a_formula(sign: str) -> None:
    text = f'{sign}HYPERLINK("https://evil.example";"pay")'
    made = invoice(1, line(1000, description=text), billing={"name": text})
    cells = [
        cell
        for file in (invoice_csv.invoices([made], {}), invoice_csv.lines([made]))
        for row in csv.reader(StringIO(file.removeprefix("\ufeff")))
        for cell in row
        if "HYPERLINK" in cell
    ]

    assert cells == [f"'{text}"] * 2


def test_a_negative_amount_stays_a_number() -> None:
    [row] = csv.DictReader(StringIO(invoice_csv.lines([invoice(1, line(-1234))]).removeprefix("\ufeff")))

    assert row["amount"] == "-12.34"


LINES = st.builds(line, st.integers(-(10**7), 10**7), st.integers(0, 10**5), st.integers(-(10**5), 10**6))


@given(st.lists(st.lists(LINES, min_size=1, max_size=5), max_size=4), st.sampled_from(["usd", "jpy", "kwd"]))
def test_both_files_come_to_the_same(every: list[list[dict[str, Any]]], currency: str) -> None:
    made = [invoice(number, *lines, currency=currency) for number, lines in enumerate(every)]
    by_invoice, by_line = (
        list(csv.DictReader(StringIO(text.removeprefix("\ufeff"))))
        for text in (invoice_csv.invoices(made, {}), invoice_csv.lines(made))
    )
    columns = {"subtotal": "amount", "discount": "discount", "tax": "tax", "total": "total"}
    for ours, theirs in columns.items():
        assert sum(Decimal(row[ours]) for row in by_invoice) == sum(Decimal(row[theirs]) for row in by_line)


@given(st.dictionaries(st.sampled_from(invoice_filter.FIELDS), st.text(max_size=12)))
def test_no_address_breaks_the_filter(args: dict[str, str]) -> None:
    wanted = invoice_filter.read(args)

    assert wanted.since is None or wanted.until is None or wanted.since <= wanted.until
