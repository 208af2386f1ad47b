"""A webhook is lost, late, twice or in the wrong order: the purchase ends the same."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Route, expect

from tests.journeys.customer import Customer
from tests.stack import Stack

CALM = {"delay": 0, "drop": 0, "duplicate": 0, "reorder": False}


@pytest.fixture
def calm_afterwards(stack: Stack) -> Iterator[None]:
    yield
    stack.sandbox("webhooks", **CALM)
    stack.sandbox("faults", count=0)


@pytest.mark.usefixtures("calm_afterwards")
def test_a_purchase_whose_webhooks_are_all_lost_is_live_because_stripe_is_asked(customer: Customer) -> None:
    customer.ready_to_pay()
    customer.stack.sandbox("webhooks", drop=1000)
    customer.pay_by_card()

    customer.expect_live()
    customer.stack.sandbox("webhooks", drop=0)
    customer.stack.mail(customer.email, "eceipt")
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


@pytest.mark.usefixtures("calm_afterwards")
def test_webhooks_twice_and_in_the_wrong_order_make_one_receipt(customer: Customer) -> None:
    customer.ready_to_pay()
    customer.stack.sandbox("webhooks", duplicate=1000, reorder=True)
    customer.pay_by_card()
    customer.expect_live()
    customer.stack.sandbox("webhooks", **CALM)
    customer.stack.mail(customer.email, "eceipt")

    receipts = [mail for mail in customer.stack.mails(customer.email) if "eceipt" in str(mail["Subject"])]
    assert len(receipts) == 1
    customer.visit("/billing/invoices")
    expect(customer.page.get_by_text("Matched to the cent")).to_have_count(1)


def test_a_stripe_that_fails_for_a_moment_is_asked_again_and_charges_once(customer: Customer) -> None:
    customer.ready_to_pay()
    customer.fill_card()
    customer.stack.sandbox("faults", status=500, count=1, moment="after")
    customer.press_pay()

    customer.expect_live()
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


@pytest.mark.waits
@pytest.mark.usefixtures("calm_afterwards")
def test_while_stripe_is_away_the_page_waits_and_does_not_say_that_nothing_was_charged(
    customer: Customer,
) -> None:
    page, stack = customer.page, customer.stack

    def let_stripe_fail(route: Route) -> None:
        stack.sandbox("faults", status=500, count=1000)
        route.continue_()

    customer.ready_to_pay()
    stack.sandbox("webhooks", drop=1000)
    page.route("**/done?*", let_stripe_fail, times=1)
    customer.pay_by_card()

    expect(page.get_by_text("This takes longer than usual")).to_be_visible()
    expect(page.get_by_text("Nothing is lost, and you need not pay again.")).to_be_visible()
    expect(page.get_by_text("not charged")).to_have_count(0)
    stack.sandbox("faults", count=0)
    customer.expect_live()
    assert [one["amount"] for one in customer.charges()] == [1_398_000]
