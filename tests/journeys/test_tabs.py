"""Two tabs, two clicks, two devices: exactly one subscription, and each page says which."""

from playwright.sync_api import expect

from tests.journeys.customer import ESSENTIAL_MONTH, Customer


def test_two_tabs_with_the_same_quote_make_one_subscription_and_both_show_it(customer: Customer) -> None:
    first = customer.page
    customer.ready_to_pay()
    second = customer.context.new_page()
    customer.visit(first.url, second)
    customer.fill_card(page=first)
    customer.fill_card(page=second)
    customer.answers.add(400)  # Stripe's, to whom was second: it is paid already
    customer.press_pay(first)
    customer.press_pay(second)

    customer.expect_live(first)
    customer.expect_live(second)
    assert [one["status"] for one in customer.subscriptions()] == ["active"]
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


def test_paying_in_one_tab_turns_the_other_tabs_quote_into_the_subscription_that_is_there(
    customer: Customer,
) -> None:
    first = customer.page
    customer.ready_to_pay()
    second = customer.context.new_page()
    customer.visit(f"/checkout?{ESSENTIAL_MONTH}", second)
    customer.pay_by_card()
    customer.expect_live(first)
    second.get_by_label("Country").select_option("US")
    second.get_by_role("button", name="Show the exact price").click()

    expect(second.get_by_text("This workspace has a subscription already.")).to_be_visible()
    assert len(customer.subscriptions()) == 1


def test_a_newer_quote_in_another_tab_replaces_the_older_which_sells_nothing(customer: Customer) -> None:
    first = customer.page
    customer.ready_to_pay()
    older = first.url
    customer.look_at_quote(ESSENTIAL_MONTH)
    second = customer.context.new_page()
    customer.visit(older, second)

    expect(second.get_by_text("A newer price replaced this one, perhaps in another tab.")).to_be_visible()
    customer.pay_by_card()
    customer.expect_live()
    assert [one["amount"] for one in customer.charges()] == [7_800]


def test_pressing_pay_twice_at_once_charges_once(customer: Customer) -> None:
    customer.ready_to_pay()
    customer.fill_card()
    customer.page.locator("#pay-button").dblclick()

    customer.expect_live()
    assert [one["status"] for one in customer.subscriptions()] == ["active"]
    assert [one["amount"] for one in customer.charges()] == [1_398_000]
