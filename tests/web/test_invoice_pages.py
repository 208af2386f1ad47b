"""An invoice's page: what became of it, why it differs, its correction; and what comes next."""

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.models import Correction, Invoice, Member
from portal.services import invoices
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.test_change_payments import pays_with
from tests.shop import TWELVE_BY_THE_MONTH
from tests.web.reading import block, words

DETAILS = {
    "company_name": "Acme Holdings Inc",
    "email": "money@acme.example",
    "line1": "1 Market St",
    "city": "San Francisco",
    "state": "CA",
    "postal_code": "94105",
    "purchase_order": "PO-77",
}


def bought(customer: Customer) -> list[Invoice]:
    with unit_of_work(customer.workspace_id) as session:
        return invoices.listing(session)


def renewed(customer: Customer, **seats: int) -> list[Invoice]:
    """Buy, change the number of seats without proration, and let a month pass."""
    customer.buy(TWELVE_BY_THE_MONTH)
    [subscription] = customer.shop.subscriptions()
    items = {item.price.lookup_key: item.id for item in subscription["items"].data}
    for key, quantity in seats.items():
        item = next(stripe_id for lookup, stripe_id in items.items() if f":{key}:" in str(lookup))
        customer.shop.client.v1.subscription_items.update(
            item, {"quantity": quantity, "proration_behavior": "none"}
        )
    customer.shop.advance(days=31, hours=2)
    customer.settle()
    return bought(customer)


def as_member(customer: Customer) -> None:
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Member).values(role="member"))


def test_a_renewal_says_why_it_is_not_the_invoice_before(buyer: Browser, customer: Customer) -> None:
    newest, _first = renewed(customer, seat=15)
    text = block(buyer.get(f"/billing/invoices/{newest.stripe_id}"), "difference-title")
    page = words(buyer.get(f"/billing/invoices/{newest.stripe_id}"))

    assert text
    assert "$297.00 more is to be paid than with invoice" in page
    assert re.search(r"From 12 seats to 15 seats\s+\+\s*\$297\.00", page)
    assert re.search(r"This invoice\s+\$1,759\.00", page)


def test_a_renewal_that_is_the_same_says_so(buyer: Browser, customer: Customer) -> None:
    newest, _first = renewed(customer)

    assert "was $1,462.00 as well" in words(buyer.get(f"/billing/invoices/{newest.stripe_id}"))


def test_a_first_invoice_is_not_compared(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    [only] = bought(customer)

    assert "different from the one before" not in words(buyer.get(f"/billing/invoices/{only.stripe_id}"))


def test_refunds_and_credit_notes_are_told_with_what_they_mean(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    [only] = bought(customer)
    [charge] = customer.shop.charges()
    customer.shop.client.v1.refunds.create({"charge": charge.id, "amount": 10_000})
    customer.shop.client.v1.credit_notes.create(
        {"invoice": only.stripe_id, "amount": 5_000, "credit_amount": 3_000, "refund_amount": 2_000}
    )
    customer.settle()
    page = buyer.get(f"/billing/invoices/{only.stripe_id}")
    text = words(page)

    assert "Refund" in block(page, "happened-title") or "What happened since" in text
    assert "−$100.00" in text
    assert "banks take up to ten days" in text
    assert "−$50.00" in text
    assert "$30.00 went to the balance of your account." in text
    assert "$20.00 goes back to what it was paid with." in text


def test_a_change_in_the_middle_explains_its_credit_and_its_charge(
    buyer: Browser, customer: Customer
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    [subscription] = customer.shop.subscriptions()
    seat = next(i for i in subscription["items"].data if ":seat:" in str(i.price.lookup_key))
    customer.shop.advance(days=10)
    customer.shop.client.v1.subscriptions.update(
        subscription.id, {"items": [{"id": seat.id, "quantity": 15}], "proration_behavior": "always_invoice"}
    )
    customer.settle()
    newest = next(row for row in bought(customer) if row.billing_reason == "subscription_update")
    text = words(buyer.get(f"/billing/invoices/{newest.stripe_id}"))
    first = next(row for row in bought(customer) if row.billing_reason == "subscription_create")

    assert f"It gives back unused time of “{first.lines[0]['description']}” on invoice {first.number}" in text
    assert "15 seats × $99.00 a month = $1,485.00" in text
    assert re.search(r"days( \d+ hours?)? of 3\d days are left: \$1,485\.00 ×", text)
    assert (
        f'href="/billing/invoices/{first.stripe_id}"'
        in buyer.get(f"/billing/invoices/{newest.stripe_id}").text
    )


def test_a_credit_goes_to_the_balance_and_does_not_come_from_it(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    [subscription] = customer.shop.subscriptions()
    seat = next(i for i in subscription["items"].data if ":seat:" in str(i.price.lookup_key))
    customer.shop.client.v1.subscriptions.update(
        subscription.id, {"items": [{"id": seat.id, "quantity": 5}], "proration_behavior": "always_invoice"}
    )
    customer.settle()
    newest = next(row for row in bought(customer) if row.billing_reason == "subscription_update")
    text = words(buyer.get(f"/billing/invoices/{newest.stripe_id}"))

    assert newest.total < 0
    assert "To the balance of your account" in text
    assert "From the balance of your account" not in text


def test_the_next_invoice_is_shown_with_what_is_certain(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    text = words(buyer.get("/billing/invoices/next"))

    assert "Advanced seat × 12 Certain $1,188.00" in text.replace("\n", " ")
    assert "None is recorded so far." in text
    assert "Total, without further usage $1,462.00" in text
    assert "Stripe foresees the same" in text


def test_the_next_invoice_without_stripe_is_ours_and_says_so(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.faults.fail("refused", "/create_preview", times=9)
    text = words(buyer.get("/billing/invoices/next"))

    assert "Stripe did not answer" in text
    assert "Before discount, tax and usage $1,462.00" in text


def test_nothing_bought_has_no_next_invoice(signed_in: Browser) -> None:
    assert "Nothing bought yet" in words(signed_in.get("/billing/invoices/next"))


def test_details_are_changed_and_the_invoice_is_made_out_anew(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    [old] = bought(customer)
    saved = buyer.submit("/billing/details", DETAILS)
    path = f"/billing/invoices/{old.stripe_id}/correction"
    offered = words(buyer.get(path))
    done = buyer.submit(path, {"purchase_order": "PO-78"})
    customer.settle()
    with unit_of_work(customer.workspace_id) as session:
        [row] = session.scalars(select(Correction))
    before = words(buyer.get(f"/billing/invoices/{old.stripe_id}"))
    after = words(buyer.get(f"/billing/invoices/{row.replacement_id}"))

    assert (saved.status_code, done.status_code) == (303, 303)
    assert "Issue a new invoice over $1,462.00" in offered
    assert "Replaced by invoice" in before
    assert f"Replaces invoice {old.number}" in after
    assert "PO number PO-78" in after
    assert "Acme Holdings Inc" in after
    assert "Correction of an invoice" in after
    assert "12 seats × $99.00 a month = $1,188.00" in after


def test_an_invoice_that_cannot_be_corrected_says_why(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    [only] = bought(customer)
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Invoice).values(status="open"))
    path = f"/billing/invoices/{only.stripe_id}/correction"
    told = words(buyer.get(path))
    refused = buyer.post(path, data={"csrf_token": buyer.token("/account"), "purchase_order": "X"})

    assert "It can be corrected once it is paid." in told
    assert refused.status_code == 409


@pytest.mark.parametrize("number", ["9" * 141, "PO\x00"])
def test_a_number_that_cannot_stand_there_is_refused(buyer: Browser, customer: Customer, number: str) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    [only] = bought(customer)
    path = f"/billing/invoices/{only.stripe_id}/correction"

    assert buyer.submit(path, {"purchase_order": number}).status_code in (400, 422)


def test_a_member_sees_details_and_invoices_and_changes_nothing(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    [only] = bought(customer)
    token = buyer.token("/account")
    as_member(customer)
    shown = buyer.get("/billing/details").text

    assert "Billed to" in shown
    assert '<form method="post" class="stack' not in shown
    for path in ("/billing/details", "/billing/details/elsewhere", "/billing/details/elsewhere/withdraw"):
        assert buyer.post(path, data={"csrf_token": token}).status_code == 403
    assert buyer.get(f"/billing/invoices/{only.stripe_id}/correction").status_code == 403
    assert "Correct name" not in buyer.get(f"/billing/invoices/{only.stripe_id}").text


def test_another_country_goes_to_support_with_what_will_happen(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    form = {"country": "DE", "line1": "Torstraße 1", "city": "Berlin", "postal_code": "10119"}
    refused = buyer.submit("/billing/details/elsewhere", form | {"tax_id_value": "DE12"})
    sent = buyer.submit("/billing/details/elsewhere", form | {"tax_id_value": "DE136695976"})
    page = words(buyer.get("/billing/details"))
    buyer.submit("/billing/details/elsewhere/withdraw", page="/billing/details")

    assert (refused.status_code, sent.status_code) == (422, 303)
    assert re.search(r"Support has your request R-\w{10}", page)
    assert "Until then nothing changes" in page
    assert "Support has your request" not in words(buyer.get("/billing/details"))


def test_details_that_are_not_right_stay_in_the_form(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    answer: Any = buyer.submit("/billing/details", DETAILS | {"email": "nobody", "line1": ""})

    assert answer.status_code == 422
    assert 'value="nobody"' in answer.text
    assert "Street and number: fill this in." in words(answer)


def test_before_the_first_purchase_the_page_says_so(app: Flask, signed_in: Browser) -> None:
    assert "No billing details yet" in words(signed_in.get("/billing/details"))


def test_by_the_year_the_next_invoice_is_usage_and_says_when_seats_come(
    buyer: Browser, customer: Customer
) -> None:
    customer.buy()
    text = words(buyer.get("/billing/invoices/next"))

    assert "Nothing for seats this time" in text
    assert re.search(r"paid until \d+ \w+ \d{4}\. Then \$13,980\.00 before tax\.", text)


def test_by_the_year_the_next_invoice_foretells_what_is_planned_for_the_renewal(
    buyer: Browser, customer: Customer
) -> None:
    customer.buy()
    Changer(customer).change(seats=10, interval="month", add_ons={})
    text = words(buyer.get("/billing/invoices/next"))

    assert "Then $990.00 a month before tax, with what you have planned." in text
    assert "$13,980.00" not in text


def test_the_invoice_of_a_change_that_waits_for_the_bank_leads_to_where_it_is_paid(
    buyer: Browser, customer: Customer
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    changer = Changer(customer)
    pays_with(changer, "pm_card_authenticationRequired")
    quote = changer.prepare(seats=15)
    changer.confirm(quote)
    customer.settle()
    attempt = customer.attempt(quote)
    assert attempt
    page = buyer.get(f"/billing/invoices/{attempt.stripe_invoice_id}")
    pay = buyer.get(f"/billing/payment/pay/{attempt.stripe_invoice_id}")
    as_member(customer)

    there = f"/billing/subscription/{quote}"
    assert f'href="{there}"' in page.text
    assert "Pay $297.00" in words(page)
    assert pay.location == there
    assert there not in buyer.get(f"/billing/invoices/{attempt.stripe_invoice_id}").text
