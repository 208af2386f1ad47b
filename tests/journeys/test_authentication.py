"""3-D Secure: the bank wants to know that it is you."""

from playwright.sync_api import FrameLocator, expect

from tests.journeys.customer import Customer

ASKS_ALWAYS = "4000 0027 6000 3184"
DECLINED_AFTERWARDS = "4000 0084 0000 1629"


def bank(customer: Customer) -> FrameLocator:
    """The dialog in which the bank asks; one that has closed stays in the page for a moment."""
    return customer.page.frame_locator("dialog[open] iframe[src*='/elements/challenge']")


def test_a_card_that_asks_for_3d_secure_pays_once_the_bank_has_been_answered(customer: Customer) -> None:
    customer.ready_to_pay()
    customer.pay_by_card(ASKS_ALWAYS)
    bank(customer).get_by_role("button", name="Complete authentication").click()

    customer.expect_live()
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


def test_failing_3d_secure_charges_nothing_and_the_second_try_pays(customer: Customer) -> None:
    page = customer.page
    customer.ready_to_pay()
    customer.pay_by_card(ASKS_ALWAYS)
    bank(customer).get_by_role("button", name="Fail authentication").click()

    problem = page.locator("#pay-problem")
    expect(problem).to_contain_text("Your bank could not confirm that it is you.")
    expect(problem).to_contain_text("You were not charged.")
    assert customer.charges() == []

    customer.press_pay()
    bank(customer).get_by_role("button", name="Complete authentication").click()

    customer.expect_live()
    assert [one["status"] for one in customer.subscriptions()] == ["active"]


def test_a_decline_after_3d_secure_can_be_paid_with_another_card(customer: Customer) -> None:
    page = customer.page
    customer.ready_to_pay()
    customer.pay_by_card(DECLINED_AFTERWARDS)
    bank(customer).get_by_role("button", name="Complete authentication").click()

    expect(page.locator("#pay-problem")).to_contain_text("You were not charged.")
    customer.pay_by_card()
    customer.expect_live()


def test_coming_back_while_the_bank_waits_says_that_it_has_not_confirmed(customer: Customer) -> None:
    page = customer.page
    customer.ready_to_pay()
    customer.pay_by_card(ASKS_ALWAYS)
    expect(bank(customer).get_by_role("button", name="Complete authentication")).to_be_visible()
    page.reload()

    customer.await_words("Your bank has not confirmed yet")
    expect(page.get_by_text("You were not charged.").first).to_be_visible()
    customer.pay_by_card()
    customer.expect_live()
    assert [one["status"] for one in customer.subscriptions()] == ["active"]
