"""What the pages say of changes that wait: beside an unpaid invoice, before an end, when one was missed."""

import re

import pytest
from flask import Flask

from portal.web.presentation import money
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.test_change_payments import debit_payer
from tests.services.test_change_waits import until_the_renewal
from tests.services.test_renewals import card_that_stops_working
from tests.services.test_unbilled_periods import comes_back, to_a_year
from tests.shop import TWELVE_BY_THE_MONTH, Shop
from tests.web.reading import words
from tests.web.test_subscription import FIRST_OF_MARCH, PAGE, ask, confirm


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """Time stands at the first of March until a test turns the clock."""
    shop.stand_at(FIRST_OF_MARCH)
    return shop


@pytest.fixture
def subscriber(shop: Shop, buyer: Browser, customer: Customer) -> Browser:
    """The browser of a company that bought on 1 March, at noon of the 16th."""
    customer.buy(TWELVE_BY_THE_MONTH)
    shop.advance(days=15, hours=12)
    customer.settle()
    return buyer


def test_seats_are_given_up_for_the_renewal_while_an_invoice_is_unpaid(
    shop: Shop, subscriber: Browser, customer: Customer
) -> None:
    card_that_stops_working(customer)
    shop.advance(days=16)
    customer.settle()
    more, fewer = ask(subscriber, seats="13"), ask(subscriber, seats="10")
    done = words(confirm(subscriber, fewer))

    assert more.status_code == 409
    assert "given up already now" in words(more)
    assert "which is paid for" not in words(more)
    assert "The change is planned" in done
    assert "Seats: 10 instead of 12" in words(subscriber.get(PAGE))


def test_before_its_end_it_is_said_that_the_seats_end_anyway_and_how_to_keep_them(
    app: Flask, shop: Shop, subscriber: Browser, customer: Customer, workspace: factories.Account
) -> None:
    [subscription] = shop.subscriptions()
    shop.client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    customer.settle()
    accountant = factories.member(app, workspace.workspace_id, role="billing")
    other = app.test_client()
    assert isinstance(other, Browser)
    other.sign_in(accountant.email, accountant.password)
    page, refused = subscriber.get(PAGE), ask(subscriber, seats="10")

    assert "on that day every seat ends with it" in words(page)
    assert 'action="/billing/leaving/keep"' in page.text
    assert refused.status_code == 409
    assert "all its seats with it" in words(refused)
    assert 'action="/billing/leaving/keep"' in refused.text
    assert 'action="/billing/leaving/keep"' not in other.get(PAGE).text
    assert "An owner of this workspace can keep it." in words(other.get("/billing"))


def test_a_change_that_a_debit_pays_is_shown_wherever_it_matters_until_it_has_arrived(
    buyer: Browser, customer: Customer
) -> None:
    changer = debit_payer(customer)
    owed = money(changer.quote(changer.change(seats=15)).amount_due, "usd")
    pages = [words(buyer.get(path)) for path in ("/billing", "/billing/seats", PAGE)]
    customer.shop.advance(days=6)
    customer.settle()
    after = [words(buyer.get(path)) for path in ("/billing", "/billing/seats", PAGE)]

    for page in pages:
        assert "A change waits for your bank" in page
        assert "Seats: 15 instead of 12. Your subscription shows it already" in page
        assert f"the debit of {owed} has arrived" in page
        # none can be added now, and the three that are not paid yet are no part of its price
        assert "One more:" not in page
    assert "Bought 12" in pages[1]
    assert "A change waits for your bank" not in "".join(after)
    assert "Bought 15" in after[1]
    assert "One more:" in after[2]


def test_a_planned_change_that_was_missed_is_said_wherever_it_was_shown(
    shop: Shop, subscriber: Browser, customer: Customer
) -> None:
    shop.faults.fail("refuse", "/v1/subscription_schedules", times=100)
    confirm(subscriber, ask(subscriber, seats="10"))
    customer.settle()
    shop.advance(days=15, hours=16)
    customer.settle()
    pages = [words(subscriber.get(path)) for path in (PAGE, "/billing", "/billing/seats")]
    history = words(subscriber.get("/billing/activity"))
    shop.advance(days=29)
    customer.settle()
    shop.advance(days=2)

    assert ["The change of 1 April 2027 did not take effect" in page for page in pages] == [True] * 3
    assert "The renewal went by without the planned change; support has been told" in history
    assert "did not take effect" not in words(subscriber.get("/billing"))


def test_a_month_that_a_failed_debit_kept_from_its_renewal_is_told_of_with_what_it_costs(
    buyer: Browser, customer: Customer
) -> None:
    a_month_without_renewal(debit_payer(customer))
    page = words(buyer.get("/billing"))

    assert re.search(r"The period that began on \d+ \w+ \d{4} is billed now", page)
    assert "so you pay by the month again: $1,462.00 with tax, as its renewal would have billed it." in page
    assert "as its renewal would have billed it: $1,462.00 with tax." in mail(customer)


def test_one_that_support_has_to_bill_is_told_of_too(buyer: Browser, customer: Customer) -> None:
    a_month_without_renewal(debit_payer(customer), seats=8)
    page = words(buyer.get("/billing"))

    assert re.search(r"The period that began on \d+ \w+ \d{4} is not billed yet", page)
    assert "Support has been told, and writes to you before anything is charged for this period." in page
    assert "is not billed yet. We write to you before anything is charged for it." in mail(customer)


def a_month_without_renewal(changer: Changer, **planned: int) -> None:
    """A debit for a year comes back after the month's renewal, for which something may have been planned."""
    until_the_renewal(changer, days=2)
    if planned:
        changer.change(**planned)
    to_a_year(changer)
    comes_back(changer)


def mail(customer: Customer) -> str:
    """The mail about the change that was not paid."""
    letters = customer.gateways.mail.read()  # type: ignore[attr-defined]
    [letter] = [mail for _, mail in letters if "for your change" in str(mail["Subject"])]
    return " ".join(letter.get_body(("plain",)).get_content().split())
