"""A bank debit: days on its way, then settled, or sent back."""

import pytest
from playwright.sync_api import expect

from tests.journeys.customer import Customer

DAY = 86_400
SETTLES = "000123456789"
COMES_BACK = "000222222227"


def send_debit(customer: Customer, account: str) -> None:
    customer.ready_to_pay()
    customer.fill_account(account)
    customer.press_pay()
    expect(customer.page.get_by_text("Your payment is on its way").first).to_be_visible()
    customer.visit("/billing")
    customer.await_words("A bank debit takes a few working days.")


@pytest.mark.lets_time_pass
def test_a_debit_is_shown_on_its_way_and_settles_after_some_days(customer: Customer) -> None:
    page, stack = customer.page, customer.stack
    send_debit(customer, SETTLES)
    expect(page.get_by_text("Payment on its way").first).to_be_visible()

    stack.advance(6 * DAY)
    stack.mail(customer.email, "eceipt")
    page.reload()

    expect(page.get_by_text("Active", exact=True)).to_be_visible()
    expect(page.get_by_text("A bank debit takes a few working days.")).to_have_count(0)
    assert [one["status"] for one in customer.subscriptions()] == ["active"]
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


def test_while_a_debit_is_on_its_way_nothing_can_be_bought_twice(customer: Customer) -> None:
    page = customer.page
    send_debit(customer, SETTLES)
    customer.visit("/checkout?tier=expert&seats=3&interval=month")

    expect(page.get_by_text("This workspace has a subscription already.")).to_be_visible()
    assert len(customer.subscriptions()) == 1


@pytest.mark.lets_time_pass
def test_a_debit_that_comes_back_limits_the_workspace_and_is_told_by_mail(customer: Customer) -> None:
    page, stack = customer.page, customer.stack
    send_debit(customer, COMES_BACK)

    stack.advance(6 * DAY)
    mail = stack.mail(customer.email, "Your bank did not send the payment").get_body(("plain",))
    assert mail
    page.reload()

    assert "Nothing was charged." in mail.get_content()
    expect(page.get_by_text("Your workspace is limited: the last payment failed")).to_be_visible()
    assert customer.charges() == []

    page.get_by_role("link", name="Choose again").click()
    expect(page.get_by_role("heading", name="Choose what you need")).to_be_visible()
    customer.look_at_quote()
    customer.pay_by_card()
    customer.expect_live()
    assert [one["status"] for one in customer.subscriptions()] == ["active"]
