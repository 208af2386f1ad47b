"""A trial: nothing today, a method for later, a word before the end, once per workspace."""

import pytest
from playwright.sync_api import expect

from tests.journeys.customer import ADVANCED_YEAR, ESSENTIAL_MONTH, Customer

DAY = 86_400
FAILS_WHEN_CHARGED = "4000 0000 0000 0341"


@pytest.mark.lets_time_pass
def test_a_trial_charges_nothing_today_and_the_first_payment_when_it_ends(customer: Customer) -> None:
    page, stack = customer.page, customer.stack
    customer.arrive()
    customer.visit(f"/checkout?{ADVANCED_YEAR}")
    page.get_by_label("Try it for 14 days, then pay").check()
    customer.get_quote()

    expect(page.get_by_text("Nothing is charged today.").first).to_be_visible()
    page.get_by_role("button", name="Start trial – pay nothing today").wait_for()
    customer.pay_by_card()
    page.wait_for_url("**/billing**")
    expect(page.get_by_text("Your trial has begun")).to_be_visible()
    expect(page.get_by_text("Visa ending in 4242").first).to_be_visible()
    assert [one["status"] for one in customer.subscriptions()] == ["trialing"]
    assert customer.charges() == []

    stack.advance(11 * DAY + 3600)
    reminder = stack.mail(customer.email, "Your trial ends on")
    body = reminder.get_body(("plain",))
    assert body
    assert "$13,980.00" in body.get_content()
    assert customer.charges() == []

    stack.advance(3 * DAY)
    receipt = stack.mail(customer.email, "eceipt").get_body(("plain",))
    assert receipt
    assert "$13,980.00" in receipt.get_content()
    assert [one["amount"] for one in customer.charges()] == [1_398_000]
    customer.visit("/billing")
    expect(page.get_by_text("Active", exact=True)).to_be_visible()


@pytest.mark.lets_time_pass
def test_a_card_that_fails_when_the_trial_ends_is_said_by_mail_and_on_the_overview(
    customer: Customer,
) -> None:
    page, stack = customer.page, customer.stack
    customer.ready_to_pay(ESSENTIAL_MONTH, start="trial")
    customer.pay_by_card(FAILS_WHEN_CHARGED)
    page.wait_for_url("**/billing**")
    stack.advance(15 * DAY)
    stack.mail(customer.email, "failed")

    customer.visit("/billing")
    expect(page.get_by_text("A payment of $78.00 failed")).to_be_visible()
    expect(page.get_by_role("link", name="Pay now")).to_be_visible()


def test_a_workspace_that_had_its_trial_is_not_offered_another(customer: Customer) -> None:
    page, stack = customer.page, customer.stack
    customer.ready_to_pay(ESSENTIAL_MONTH, start="trial")
    customer.pay_by_card()
    page.wait_for_url("**/billing**")
    subscription = customer.subscriptions()[0]
    stack.stripe.v1.subscriptions.cancel(str(subscription["id"]))
    customer.visit("/billing")
    customer.await_words("Your subscription has ended")

    customer.visit(f"/checkout?{ESSENTIAL_MONTH}")
    expect(page.get_by_role("button", name="Show the exact price")).to_be_visible()
    expect(page.get_by_label("Try it for 14 days, then pay")).to_have_count(0)
