"""The invoice's page and PDF: complete, and only for who has the link."""

from __future__ import annotations

import re
import zlib
from typing import Any
from urllib.parse import urlsplit

import pytest
import stripe
from werkzeug.test import Client, TestResponse

from portal.sandbox.pdf import shown
from tests.sandbox.billing import BillingWorld

GERMAN: Any = {"country": "DE", "city": "Berlin", "line1": "Unter den Linden 1", "postal_code": "10117"}


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def open_page(world: BillingWorld, address: str | None) -> TestResponse:
    return Client(world.app).get(urlsplit(str(address)).path)


def text_of(pdf: bytes) -> str:
    """The words that a PDF draws."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S)
    drawn = b"\n".join(_inflated(stream) for stream in streams)
    parts = re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", drawn)
    return "\n".join(re.sub(r"\\(.)", r"\1", part.decode("cp1252")) for part in parts).replace("of \n", "of ")


def _inflated(stream: bytes) -> bytes:
    try:
        # a sum that ends like a line lacks its last byte here
        return zlib.decompressobj().decompress(stream)
    except zlib.error:
        return b""


def invoiced(world: BillingWorld, **details: Any) -> tuple[stripe.Customer, stripe.Invoice]:
    """Twelve seats less a tenth and a promotion code, German VAT, a credit on the balance; not yet paid."""
    customer = world.customer(name="Nordlicht GmbH", address=GERMAN, balance=-1500, **details)
    ten = world.v1.coupons.create({"percent_off": 10, "duration": "forever", "name": "Partner"})
    five = world.v1.coupons.create({"amount_off": 500, "currency": "usd", "duration": "once"})
    promotion: Any = {"type": "coupon", "coupon": five.id}
    code = world.v1.promotion_codes.create({"promotion": promotion, "code": "FIVE"})
    params: Any = {
        "customer": customer.id,
        "items": [{"price": world.price(9900), "quantity": 12, "discounts": [{"coupon": ten.id}]}],
        "discounts": [{"promotion_code": code.id}],
        "automatic_tax": {"enabled": True},
        "payment_behavior": "default_incomplete",
    }
    return customer, world.latest_invoice(world.v1.subscriptions.create(params))


def test_the_page_of_an_open_invoice_says_what_is_due_and_takes_the_payment(world: BillingWorld) -> None:
    _, invoice = invoiced(world)
    response = open_page(world, invoice.hosted_invoice_url)
    page = response.get_data(as_text=True)

    # 118800 less 11880 and 500, 19 % on 106420, less 1500 of credit
    for text in (
        str(invoice.number), "Nordlicht GmbH", "Germany", "12 × Seat (at $99.00 / month)", "$1,188.00",
        "Partner (10% off)", "−$118.80", "FIVE", "−$5.00", "$1,064.20", "VAT – DE (19% on $1,064.20)",
        "$202.20", "$1,266.40", "−$15.00", "$1,251.40 due", "21 September 2026",
    ):  # fmt: skip
        assert text in page, text
    assert 'data-client-secret="pi_' in page
    assert response.headers["Referrer-Policy"] == "no-referrer"


def test_the_page_of_a_paid_invoice_shows_the_payment_and_asks_for_none(world: BillingWorld) -> None:
    _, invoice = invoiced(world)
    world.v1.invoices.pay(invoice.id)
    page = open_page(world, invoice.hosted_invoice_url).get_data(as_text=True)

    assert "$1,251.40 paid on 21 September 2026" in page
    assert "Visa •••• 4242" in page
    assert "client-secret" not in page


def test_a_reverse_charge_is_said_in_words(world: BillingWorld) -> None:
    tax_ids = [{"type": "eu_vat", "value": "DE123456788"}]
    _, invoice = invoiced(world, tax_id_data=tax_ids)
    page = open_page(world, invoice.hosted_invoice_url).get_data(as_text=True)

    assert "DE123456788 (VAT)" in page
    assert "Tax to be paid on a reverse charge basis by the recipient." in page


def test_the_pdf_says_what_the_page_says(world: BillingWorld) -> None:
    _, invoice = invoiced(world)
    world.v1.invoices.pay(invoice.id)
    response = open_page(world, invoice.invoice_pdf)
    drawn = text_of(response.data)

    assert response.headers["Content-Type"] == "application/pdf"
    assert f"Invoice-{invoice.number}.pdf" in response.headers["Content-Disposition"]
    assert response.data.startswith(b"%PDF-")
    for text in (
        str(invoice.number),
        "Nordlicht GmbH",
        "$1,188.00",
        "$1,266.40",
        "Visa •••• 4242",
        "Page 1 of 1",
    ):
        assert text in drawn, text


def test_a_long_invoice_takes_more_pages(world: BillingWorld) -> None:
    customer = world.customer()
    for number in range(60):
        world.v1.invoice_items.create(
            {
                "customer": customer.id,
                "amount": 100 + number,
                "currency": "usd",
                "description": f"Item {number}",
            }
        )
    draft: Any = {"customer": customer.id, "pending_invoice_items_behavior": "include"}
    invoice = world.v1.invoices.finalize_invoice(world.v1.invoices.create(draft).id)
    drawn = text_of(open_page(world, invoice.invoice_pdf).data)

    assert invoice.lines.has_more
    assert "Item 0" in drawn
    assert "Item 59" in drawn
    assert "Page 2 of 3" in drawn


@pytest.mark.parametrize(
    ("written", "drawn"),
    [("Søren & Co €5", "Søren & Co €5"), ("Łódź", "Lódz"), ("東京 KK", "?? KK"), ("−$5", "–$5")],
)
def test_letters_that_the_pdf_font_lacks_are_replaced(written: str, drawn: str) -> None:
    assert shown(written) == drawn


def test_a_wrong_link_shows_nothing(world: BillingWorld) -> None:
    _, invoice = invoiced(world)

    assert open_page(world, "/invoice/guessed").status_code == 404
    assert open_page(world, f"/invoice/{invoice.id}").status_code == 404
    assert open_page(world, "/invoice/guessed/pdf").status_code == 404
    assert open_page(world, "/invoice/").status_code == 404
