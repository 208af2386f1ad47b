"""Promotion codes: applied, refused with the reason, taken off; nothing to pay with one that covers all."""

import secrets
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.journeys.customer import Customer
from tests.stack import Stack

NewCode = Callable[..., str]


@pytest.fixture
def new_code(stack: Stack) -> NewCode:
    """Make promotion codes for seats and add-ons, as the vendor's people do at Stripe."""

    def make(percent_off: float, duration: str = "once", **restrictions: object) -> str:
        licensed = [one for one in stack.stripe.v1.prices.list({"limit": 100}).data if one.recurring]
        products = {str(one.product) for one in licensed if one.recurring.usage_type == "licensed"}
        coupon = stack.stripe.v1.coupons.create(
            {"percent_off": percent_off, "duration": duration, "applies_to": {"products": sorted(products)}}  # type: ignore[typeddict-item]
        )
        code = f"TEST{secrets.token_hex(4).upper()}"
        stack.stripe.v1.promotion_codes.create(
            {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": code, **restrictions}  # type: ignore[typeddict-item]
        )
        return code

    return make


def enter(customer: Customer, code: str) -> None:
    customer.page.get_by_label("Promotion code").fill(code)
    customer.page.get_by_role("button", name="Apply").click()


def test_a_code_lowers_the_price_and_the_invoice_is_what_the_quote_promised(
    customer: Customer, new_code: NewCode
) -> None:
    page, code = customer.page, new_code(25)
    customer.ready_to_pay()
    enter(customer, code)

    expect(page.get_by_text(f"Promotion {code}").first).to_be_visible()
    expect(page.get_by_text("−$3,495.00").first).to_be_visible()
    expect(page.get_by_text("for $13,980.00 before tax, without the promotion")).to_be_visible()
    page.get_by_role("button", name="Pay $10,485.00 now").wait_for()
    customer.pay_by_card()
    customer.expect_live()
    expect(page.get_by_text(f"is what quote {quote_of(page.url)} promised, to the cent")).to_be_visible()
    assert [one["amount"] for one in customer.charges()] == [1_048_500]


def quote_of(address: str) -> str:
    return address.partition("welcome=")[2]


def test_an_unknown_code_is_refused_beside_its_field_and_the_price_stays(customer: Customer) -> None:
    page = customer.page
    quote = customer.ready_to_pay()
    enter(customer, "NOSUCHCODE")

    expect(page.locator("#promotion_code-error")).to_have_text(
        "This code is not valid. Check the spelling, or go on without it."
    )
    expect(page.get_by_label("Promotion code")).to_have_value("NOSUCHCODE")
    expect(page.get_by_role("button", name="Pay $13,980.00 now")).to_be_visible()
    customer.pay_by_card()
    customer.expect_live()
    assert quote_of(page.url) == quote


def test_a_code_can_be_taken_off_again(customer: Customer, new_code: NewCode) -> None:
    page = customer.page
    customer.ready_to_pay()
    enter(customer, new_code(25))
    page.get_by_role("button", name="Take it off").click()

    expect(page.get_by_role("button", name="Pay $13,980.00 now")).to_be_visible()
    expect(page.get_by_label("Promotion code")).to_have_value("")


def test_a_code_for_all_of_it_collects_a_card_and_charges_nothing(
    customer: Customer, new_code: NewCode
) -> None:
    page = customer.page
    customer.ready_to_pay()
    enter(customer, new_code(100))

    expect(page.get_by_text("Nothing is charged today.").first).to_be_visible()
    page.get_by_role("button", name="Start – pay nothing today").wait_for()
    customer.pay_by_card()
    customer.expect_live()
    customer.await_words("Visa ending in 4242")
    assert [one["status"] for one in customer.subscriptions()] == ["active"]
    assert customer.charges() == []


def test_a_code_that_ended_while_the_page_was_open_is_said_and_nothing_is_charged(
    customer: Customer, new_code: NewCode
) -> None:
    page, code = customer.page, new_code(25)
    customer.ready_to_pay()
    enter(customer, code)
    page.get_by_role("button", name="Pay $10,485.00 now").wait_for()
    stripe = customer.stack.stripe.v1.promotion_codes
    stripe.update(stripe.list({"code": code}).data[0].id, {"active": False})
    customer.pay_by_card()

    expect(page.get_by_role("heading", name="This price no longer holds")).to_be_visible()
    expect(page.get_by_text("You were not charged")).to_be_visible()
    assert customer.charges() == []
    page.get_by_role("button", name="Show the price of now").click()
    expect(page.get_by_role("button", name="Pay $13,980.00 now")).to_be_visible()
    expect(page.get_by_text(f"Promotion {code} was taken off")).to_be_visible()
