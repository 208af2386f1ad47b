"""What the pages say of changes that wait: beside an unpaid invoice, before an end, when one was missed."""

import pytest
from flask import Flask

from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.test_renewals import card_that_stops_working
from tests.shop import TWELVE_BY_THE_MONTH, Shop
from tests.web.reading import words
from tests.web.test_subscription import FIRST_OF_MARCH, PAGE, ask, confirm


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """Time stands at the first of March until a test turns the clock."""
    shop.sandbox.clock.source = lambda: FIRST_OF_MARCH
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
