"""From the price to an active subscription with a card."""

import re

from playwright.sync_api import expect

from tests.journeys.customer import ADVANCED_YEAR, Customer

TWELVE_BY_THE_MONTH = "tier=advanced&seats=12&interval=month&copilot=5&proactive_support=1"


def test_a_year_of_twelve_seats_and_copilot_for_five_costs_what_the_price_page_said(
    customer: Customer,
) -> None:
    page = customer.page
    customer.visit(f"/pricing?{ADVANCED_YEAR}")
    expect(page.get_by_text("$13,980.00").first).to_be_visible()

    customer.sign_up(start=f"/pricing?{ADVANCED_YEAR}")
    quote = customer.get_quote()

    expect(page.get_by_role("button", name="Pay $13,980.00 now")).to_be_visible()
    customer.pay_by_card()
    customer.expect_live()
    expect(page.get_by_text(f"is what quote {quote} promised, to the cent")).to_be_visible()
    expect(page.get_by_text("Visa ending in 4242")).to_be_visible()


def test_the_invoice_shows_its_lines_its_match_and_a_pdf(customer: Customer) -> None:
    page = customer.page
    quote = customer.buy()
    customer.visit("/billing/invoices")
    page.get_by_role("main").get_by_role("link", name=re.compile("-0001")).click()

    expect(page.get_by_text(f"Quote {quote} matched to the cent")).to_be_visible()
    expect(page.get_by_text("$12,240.00").first).to_be_visible()
    expect(page.get_by_text("$1,740.00").first).to_be_visible()
    pdf = page.get_by_role("link", name="PDF").first.get_attribute("href")
    assert pdf
    answer = page.request.get(pdf)
    assert answer.ok
    assert answer.body().startswith(b"%PDF")


def test_the_receipt_is_mailed_with_number_and_amount(customer: Customer) -> None:
    customer.buy()

    receipt = customer.stack.mail(customer.email, "eceipt")

    body = receipt.get_body(("plain",))
    assert body
    assert "$13,980.00" in body.get_content()
    assert "-0001" in str(receipt["Subject"]) + body.get_content()


def test_a_month_with_both_add_ons_starts_one_subscription(customer: Customer) -> None:
    customer.ready_to_pay(TWELVE_BY_THE_MONTH)

    expect(customer.page.get_by_role("button", name="Pay $1,462.00 now")).to_be_visible()
    customer.pay_by_card()
    customer.expect_live()
    assert [one["status"] for one in customer.subscriptions()] == ["active"]
