"""/billing/invoices: the list, and an invoice that explains itself and proves its quote."""

import re
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.models import Invoice, QuoteMatch
from portal.services import checkout
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.shop import BERLIN, TWELVE_BY_THE_YEAR, Shop
from tests.web.reading import words


def only(customer: Customer) -> Invoice:
    with unit_of_work(customer.workspace_id) as session:
        return session.scalars(select(Invoice)).one()


def test_without_invoices_the_page_says_what_will_be_here(signed_in: Browser) -> None:
    assert "No invoices yet" in words(signed_in.get("/billing/invoices"))


def test_the_list_names_date_state_proof_and_total(buyer: Browser, customer: Customer) -> None:
    customer.buy()
    text = words(buyer.get("/billing/invoices"))

    assert re.search(
        r"\d+ \w+ \d{4} First invoice Paid Matched to the cent \$13,980\.00", text.replace("\n", " ")
    )


def test_an_invoice_explains_every_line_and_shows_that_the_quote_was_kept(
    buyer: Browser, customer: Customer
) -> None:
    quote_id = customer.buy()
    invoice = only(customer)
    text = words(buyer.get(f"/billing/invoices/{invoice.stripe_id}"))

    assert f"Quote {quote_id} matched to the cent" in text
    assert "12 seats × $1,020.00 a year ($85.00 a month) = $12,240.00" in text
    assert re.search(r"For \d+ \w+ \d{4} to \d+ \w+ \d{4}\.", text)
    assert "Total $13,980.00" in text
    assert "Acme Inc" in text
    assert "Visa ending in 4242" in text


def test_the_pdf_and_stripes_page_are_a_click_away(buyer: Browser, customer: Customer) -> None:
    customer.buy()
    invoice = only(customer)
    page = buyer.get(f"/billing/invoices/{invoice.stripe_id}").text

    assert f'href="{invoice.invoice_pdf}"' in page
    assert f'href="{invoice.hosted_invoice_url}"' in page


def test_tax_and_discount_stand_on_the_lines_that_they_are_for(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    shop.promotion("LAUNCH10", percent_off=10)
    checkout.save_details(customer.gateways, customer.workspace_id, customer.account.user_id, BERLIN)
    customer.buy(TWELVE_BY_THE_YEAR, promotion_code="LAUNCH10")
    text = words(buyer.get(f"/billing/invoices/{only(customer).stripe_id}"))

    assert "Discount “LAUNCH10”, 10% off: −$1,224.00." in text
    assert "VAT 19%, Germany, on $11,016.00: $2,093.04." in text
    assert "Discount −$1,398.00" in text
    assert "Tax $2,390.58" in text
    assert "Total $14,972.58" in text


def test_where_an_invoice_differs_from_its_quote_the_page_says_where_and_why(
    buyer: Browser, customer: Customer
) -> None:
    quote_id = customer.buy()
    invoice = only(customer)
    with unit_of_work(customer.workspace_id) as session:
        session.add(
            QuoteMatch(
                stripe_invoice_id=invoice.stripe_id,
                stage="zz-later",
                quote_id=quote_id,
                matched=False,
                differences=[
                    {
                        "what": "seat.amount",
                        "quoted": 1224000,
                        "invoiced": 1236000,
                        "reason": "The price at Stripe is another.",
                    },
                    {"what": "seat.quantity", "quoted": 12, "invoiced": 13, "reason": "Another number."},
                    {"what": "copilot.amount", "quoted": 174000, "invoiced": None, "reason": "Missing."},
                ],
            )
        )
    text = words(buyer.get(f"/billing/invoices/{invoice.stripe_id}"))

    assert f"This invoice differs from quote {quote_id}" in text
    assert "amount: $12,240.00 quoted, $12,360.00 invoiced. The price at Stripe is another." in text
    assert "quantity: 12 quoted, 13 invoiced. Another number." in text
    assert "amount: $1,740.00 quoted, nothing invoiced. Missing." in text


def test_a_long_list_goes_on_by_key(buyer: Browser, customer: Customer) -> None:
    customer.buy()
    first = only(customer)
    assert first.issued_at

    assert "No invoice fits this filter" in words(
        buyer.get("/billing/invoices", query_string={"before": first.issued_at.isoformat()})
    )
    assert first.number in words(buyer.get("/billing/invoices?before=yesterday"))


def test_an_invoice_of_another_workspace_does_not_exist(
    app: Flask, buyer: Browser, customer: Customer
) -> None:
    customer.buy()
    stranger = app.test_client()
    other = factories.account(app, email="eve@other.example", company_name="Other Ltd")
    assert isinstance(stranger, Browser)
    stranger.sign_in(other.email, other.password)

    assert stranger.get(f"/billing/invoices/{only(customer).stripe_id}").status_code == 404
    assert "No invoices yet" in words(stranger.get("/billing/invoices"))


def test_a_void_invoice_claims_no_match_and_asks_for_nothing(buyer: Browser, customer: Customer) -> None:
    customer.buy()
    invoice = only(customer)
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Invoice).values(status="void"))
    listed, page, overview = (
        words(buyer.get(path))
        for path in ("/billing/invoices", f"/billing/invoices/{invoice.stripe_id}", "/billing")
    )

    assert "This invoice is void" in page
    for text in (listed, page, overview):
        assert "matched" not in text.lower()
    assert "together" not in listed


def test_the_list_ends_with_what_the_invoices_come_to(buyer: Browser, customer: Customer) -> None:
    customer.buy()
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Invoice).values(status="open"))
        for position, status in enumerate(("paid", "void")):
            session.add(
                Invoice(
                    stripe_id=f"in_{position}",
                    status=status,
                    currency="usd",
                    subtotal=1001,
                    discount=0,
                    tax=0,
                    total=1001,
                    amount_due=1001,
                    amount_paid=0,
                    starting_balance=0,
                    lines=[],
                    billing={},
                    issued_at=datetime(2026, 1, 1, tzinfo=UTC),
                    synced_at=datetime(2026, 1, 1, tzinfo=UTC),
                )
            )
    text = words(buyer.get("/billing/invoices"))

    assert "2 invoices together, without void ones $13,990.01" in text


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ([("19", "VAT", "DE", 239058)], ["VAT 19%, Germany"]),
        (
            [("7.25", "Sales Tax", "US", 200000), ("1.125", "District Tax", "US", 39058)],
            ["Sales Tax 7.25%, United States: $2,000.00", "District Tax 1.125%, United States: $390.58"],
        ),
        ([("0", "VAT", "DE", 0)], []),
    ],
)
def test_the_tax_names_its_rates(
    buyer: Browser, customer: Customer, rates: list[tuple[str, str, str, int]], said: list[str]
) -> None:
    customer.buy()
    invoice = only(customer)
    names = ("percentage", "name", "country", "amount")
    stored = [dict(zip(names, rate, strict=True)) for rate in rates]
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Invoice).values(tax=239058, billing=invoice.billing | {"tax_rates": stored}))
    page = buyer.get(f"/billing/invoices/{invoice.stripe_id}").text

    assert re.findall(r'<span class="detail">([^<]+)</span>', page) == said
    assert "Tax $2,390.58" in words(page)
