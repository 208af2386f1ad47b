"""/billing: what was bought, what comes next, and what needs attention first."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.models import BillingDetails, QuoteMatch
from portal.web.billing_words import payment_method
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH, Shop
from tests.web.reading import block, words
from tests.web.test_invoice_pages import as_member


def test_who_has_bought_nothing_is_told_what_will_be_here_and_how_to_start(signed_in: Browser) -> None:
    page = signed_in.get("/billing")

    assert "Nothing bought yet" in words(page)
    assert 'href="/pricing"' in page.text


@pytest.mark.parametrize("path", ["/billing", "/billing/details", "/billing/invoices/next"])
def test_who_may_not_buy_is_told_whom_to_ask(
    app: Flask, signed_in: Browser, workspace: factories.Account, path: str
) -> None:
    reader = factories.member(app, workspace.workspace_id)
    other = app.test_client()
    assert isinstance(other, Browser)
    other.sign_in(reader.email, reader.password)
    asked, owner = words(other.get(path)), words(signed_in.get(path))

    assert f"Ask one of these people: {workspace.email}." in asked
    assert "Choose a tier" not in asked
    assert "Choose a tier" in owner


def test_after_buying_the_overview_shows_tier_prices_proof_and_receipt(
    buyer: Browser, customer: Customer
) -> None:
    quote_id = customer.buy()
    text = words(buyer.get(f"/billing?welcome={quote_id}"))

    assert "You are live" in text
    assert (
        f"is what quote {quote_id} promised, to the cent. The receipt goes to billing@acme.example." in text
    )
    assert "Advanced seat × 12 $12,240.00" in text
    assert "12 seats × $1,020.00 a year ($85.00 a month) = $12,240.00" in text
    assert "Copilot × 5 $1,740.00" in text
    assert "Each year, before tax $13,980.00" in text
    assert f"Quote {quote_id} matched to the cent" in text
    assert "Visa ending in 4242" in text
    assert "SMS: the first 1,000 at $0.04" in text
    # they come with Proactive Support, which was not bought
    assert "messages a month are included" not in text


def test_the_welcome_belongs_to_the_purchase_that_was_made(buyer: Browser, customer: Customer) -> None:
    customer.buy()

    assert "You are live" not in words(buyer.get("/billing?welcome=Q-0000000000"))


def test_by_the_year_usage_is_charged_first_and_seats_in_a_year(buyer: Browser, customer: Customer) -> None:
    customer.buy()
    charges = block(buyer.get("/billing"), "charges-title")
    page = words(buyer.get("/billing"))

    assert "Next charges" in charges
    assert page.index("Usage of the month, so far $0.00") < page.index(
        "Seats and add-ons for the year, before tax"
    )


def test_by_the_month_seats_and_usage_are_charged_together(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    text = words(buyer.get("/billing"))

    assert "Seats and add-ons for the month, before tax, with the usage before $1,462.00" in text
    assert "Proactive Support $99.00" in text
    assert "As used" not in text
    assert "Proactive messages: 500 messages a month are included" in text


def test_a_trial_says_when_the_first_payment_is_taken_and_from_what(
    buyer: Browser, customer: Customer
) -> None:
    quote_id = customer.buy(trial=True)
    text = words(buyer.get(f"/billing?welcome={quote_id}"))

    assert "Your trial has begun" in text
    assert f"Nothing was charged. Quote {quote_id} holds for the first payment." in text
    assert "Trial until" in text
    assert "the first payment is taken from: Visa ending in 4242" in text


def test_a_purchase_that_was_not_paid_is_offered_again(buyer: Browser, customer: Customer) -> None:
    quote_id = customer.prepare()
    customer.confirm(quote_id)
    page = buyer.get("/billing")

    assert f"Quote {quote_id} is not paid. You were not charged." in words(page)
    assert f'href="/checkout/{quote_id}"' in page.text

    as_member(customer)
    page = buyer.get("/billing")

    assert f"Quote {quote_id} is not paid. You were not charged." in words(page)
    assert f'href="/checkout/{quote_id}"' not in page.text


def test_a_bank_debit_on_its_way_lets_the_company_work(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    quote_id = customer.prepare()
    shop.pay(customer.confirm(quote_id).client_secret or "", "pm_usBankAccount_success")
    customer.settle()
    text = words(buyer.get("/billing"))

    assert "Your payment is on its way" in text
    assert "Advanced seat × 12" in text


def test_a_first_debit_that_came_back_promises_no_charge_and_leads_back_with_the_old_choice(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    quote_id = customer.prepare()
    shop.pay_by_debit(customer.confirm(quote_id).client_secret or "", account="000222222227")
    customer.settle()
    leaving = [words(buyer.get(path)) for path in ("/billing/leaving", "/billing/leaving/end")]
    shop.advance(days=7)
    customer.settle()
    page = buyer.get("/billing")

    assert "Its first payment is on its way." in leaving[0]
    assert "The first payment is on its way, and is not given back." in leaving[1]
    assert "paid until" not in leaving[0] + leaving[1]
    assert "Your workspace is limited: the last payment failed" in words(page)
    assert "Nothing is charged: the subscription has ended." in words(page)
    assert "Seats and add-ons for the year, before tax" not in words(page)
    assert 'href="/pricing?tier=advanced&amp;interval=year&amp;seats=12&amp;copilot=5"' in page.text


def test_a_failed_renewal_comes_first_with_the_way_to_pay(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    subscription = shop.subscriptions()[0]
    failing = shop.client.v1.payment_methods.attach(
        "pm_card_chargeCustomerFail", {"customer": str(subscription.customer)}
    )
    shop.client.v1.subscriptions.update(subscription.id, {"default_payment_method": failing.id})
    shop.advance(days=32)
    customer.settle()
    page = words(buyer.get("/billing"))

    assert "A payment of $1,462.00 failed" in page
    assert "The bank said no and gave no reason. Everything works until" in page
    assert "Pay now" in page


def test_a_tax_number_that_the_register_refuses_is_told(buyer: Browser, customer: Customer) -> None:
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(BillingDetails).values(tax_id_value="DE136695976", tax_id_status="unverified"))

    assert "The register does not know DE136695976." in words(buyer.get("/billing"))


def test_an_invoice_that_differs_from_its_quote_is_told_first(buyer: Browser, customer: Customer) -> None:
    customer.buy()
    with unit_of_work(customer.workspace_id) as session:
        match = session.scalars(select(QuoteMatch)).first()
        assert match
        later = QuoteMatch(
            stripe_invoice_id=match.stripe_invoice_id,
            stage="again",
            quote_id=match.quote_id,
            matched=False,
            differences=[
                {
                    "what": "seat.amount",
                    "quoted": 1,
                    "invoiced": 2,
                    "reason": "The price at Stripe is another.",
                }
            ],
            compared_at=datetime(2100, 1, 1, tzinfo=UTC),
        )
        session.add(later)
    text = words(buyer.get("/billing"))

    assert "Your newest invoice differs from its quote" in text
    assert f"Differs from quote {match.quote_id}" in text


def test_a_guest_is_asked_to_sign_in(client: Browser) -> None:
    assert client.get("/billing").location == "/login?next=/billing"


@pytest.mark.parametrize(
    ("method", "text"),
    [
        (None, "None yet"),
        (
            {"type": "card", "brand": "mastercard", "last4": "4444", "exp_month": 3, "exp_year": 2031},
            "Mastercard ending in 4444, valid until 03/2031",
        ),
        ({"type": "card", "brand": "new", "last4": "1111"}, "Card ending in 1111"),
        ({"type": "link", "email": "ada@acme.example"}, "Link (ada@acme.example)"),
        ({"type": "sepa_debit", "last4": "3000"}, "Bank account ending in 3000"),
        ({"type": "amazon_pay"}, "Amazon pay"),
    ],
)
def test_payment_methods_are_named_as_people_know_them(
    app: Flask, method: dict[str, object] | None, text: str
) -> None:
    with app.test_request_context():
        assert payment_method(method) == text
