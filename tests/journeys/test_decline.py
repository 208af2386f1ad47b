"""A card is refused: the page says what to do, and the same page takes the next card."""

import pytest
from playwright.sync_api import expect

from tests.journeys.customer import Customer

REFUSALS = {
    "4000 0000 0000 0002": "Use another card or way to pay, or ask your bank.",
    "4000 0000 0000 9995": "Use another card, or ask your bank about the limit of this one.",
    "4000 0000 0000 0069": "Check the expiry date, or use another card.",
    "4000 0000 0000 0127": "Check the security code",
}


def test_each_refusal_says_what_to_do_and_the_next_card_pays_on_the_same_page(customer: Customer) -> None:
    page = customer.page
    quote = customer.ready_to_pay()
    for card, advice in REFUSALS.items():
        customer.pay_by_card(card)
        problem = page.locator("#pay-problem")
        expect(problem).to_contain_text(advice)
        expect(problem).to_contain_text("You were not charged.")
        expect(page.get_by_role("button", name="Pay $13,980.00 now")).to_have_attribute(
            "aria-disabled", "false"
        )
    assert customer.quote_id == quote
    assert customer.charges() == []

    customer.pay_by_card()

    customer.expect_live()
    assert [one["status"] for one in customer.subscriptions()] == ["active"]
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


def test_a_reload_after_a_refusal_still_says_that_nothing_was_charged(customer: Customer) -> None:
    page = customer.page
    customer.ready_to_pay()
    customer.pay_by_card("4000 0000 0000 9995")
    expect(page.locator("#pay-problem")).to_contain_text("You were not charged.")
    customer.await_words("Your card has insufficient funds.")

    expect(page.locator(".notice-negative").first).to_contain_text("You were not charged.")
    customer.pay_by_card()
    customer.expect_live()


@pytest.mark.parametrize(
    ("number", "says"),
    [("4242 4242 4242 4241", "Your card number is invalid."), ("4242", "Your card number is incomplete.")],
)
def test_a_mistyped_card_is_noticed_before_anything_is_sent(
    customer: Customer, number: str, says: str
) -> None:
    customer.ready_to_pay()
    customer.fill_card(number)
    customer.press_pay()

    expect(customer.payment_form().get_by_text(says)).to_be_visible()
    assert customer.subscriptions() == []
