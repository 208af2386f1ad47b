"""A way to pay that leaves the page, and comes back with an answer."""

from playwright.sync_api import expect

from tests.journeys.customer import Customer


def leave_for_amazon(customer: Customer) -> None:
    customer.ready_to_pay()
    customer.choose_method("Amazon Pay")
    customer.press_pay()
    expect(customer.page.get_by_role("heading", name="Amazon Pay")).to_be_visible()


def test_authorising_elsewhere_comes_back_to_a_live_subscription(customer: Customer) -> None:
    leave_for_amazon(customer)
    customer.page.get_by_role("button", name="Authorise").click()

    customer.expect_live()
    expect(customer.page.get_by_text("Amazon pay").first).to_be_visible()
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


def test_refusing_elsewhere_comes_back_to_the_payment_which_a_card_completes(customer: Customer) -> None:
    page = customer.page
    leave_for_amazon(customer)
    page.get_by_role("button", name="Refuse").click()

    expect(page.get_by_role("button", name="Pay $13,980.00 now")).to_be_visible()
    expect(page.locator(".notice-negative").first).to_contain_text("You were not charged.")
    assert customer.charges() == []
    customer.pay_by_card()
    customer.expect_live()
    assert [one["status"] for one in customer.subscriptions()] == ["active"]


def test_coming_back_without_having_decided_says_that_the_payment_is_open(customer: Customer) -> None:
    page = customer.page
    leave_for_amazon(customer)
    page.go_back()

    expect(page.get_by_role("button", name="Pay $13,980.00 now")).to_be_visible()
    customer.pay_by_card()
    customer.expect_live()
    assert [one["status"] for one in customer.subscriptions()] == ["active"]
