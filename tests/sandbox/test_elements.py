"""Paying through the stand-in for Stripe.js, in a real browser, on a page of another origin."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.sandbox.shop import CARD, Buyer, given


def test_a_typed_card_pays(buyer: Buyer) -> None:
    buyer.open()
    buyer.type_card()

    assert buyer.pay() == "status: succeeded"


def test_the_page_is_left_for_the_return_url_unless_told_otherwise(buyer: Buyer) -> None:
    buyer.open(redirect="always")
    buyer.type_card()
    buyer.press_pay()
    buyer.page.wait_for_url("**/done**")
    query = parse_qs(urlsplit(buyer.page.url).query)

    assert query["order"] == ["7"]
    assert query["redirect_status"] == ["succeeded"]
    assert query["payment_intent_client_secret"][0].startswith(query["payment_intent"][0])


def test_a_declined_card_says_so_and_another_one_pays(buyer: Buyer) -> None:
    buyer.open()
    buyer.type_card("4000000000009995")
    first = buyer.pay()
    buyer.type_card()

    assert first == "refused: Your card has insufficient funds."
    assert buyer.pay() == "status: succeeded"


def test_three_d_secure_completed_pays(buyer: Buyer) -> None:
    buyer.open()
    buyer.type_card("4000002760003184")
    buyer.press_pay()
    buyer.button("Complete authentication").click()

    assert buyer.answer() == "status: succeeded"


@pytest.mark.parametrize("how", ["button", "escape"])
def test_three_d_secure_failed_or_dismissed_charges_nothing(buyer: Buyer, how: str) -> None:
    buyer.open()
    buyer.type_card("4000002760003184")
    buyer.press_pay()
    fail = buyer.button("Fail authentication")
    fail.wait_for()
    fail.click() if how == "button" else buyer.page.keyboard.press("Escape")

    assert buyer.answer() == (
        "refused: We are unable to authenticate your payment method. "
        "Please choose a different payment method and try again."
    )


def test_link_remembers_a_card_for_the_next_purchase(buyer: Buyer) -> None:
    buyer.open()
    buyer.type_card()
    buyer.payment.get_by_label("Save my information").check()
    buyer.payment.get_by_label("Email").fill("first@example.com")
    buyer.payment.get_by_label("Mobile number").fill("2015550123")
    first = buyer.pay()
    details = {"defaultValues": {"billingDetails": {"email": "first@example.com"}}}
    buyer.open(**given(own={"payment": details}))
    buyer.payment.get_by_label("one-time code").fill("000002")
    expired = buyer.payment.get_by_text("This code has expired.")
    expect(expired).to_be_visible()
    buyer.payment.get_by_label("one-time code").fill("123456")
    expect(buyer.payment.get_by_text("Visa •••• 4242")).to_be_visible()

    assert first == "status: succeeded"
    assert buyer.pay() == "status: succeeded"
    assert buyer.page.evaluate("result.paymentIntent.payment_method").startswith("pm_")


def test_an_address_typed_above_opens_link_below(buyer: Buyer) -> None:
    buyer.has_link_account("above@example.com")
    buyer.open(elements="payment,linkAuthentication")
    above = buyer.page.frame_locator("#linkAuthentication iframe")
    above.get_by_label("Email").fill("above@example.com")
    above.get_by_label("Email").press("Tab")
    above.get_by_label("one-time code").fill("123456")
    expect(buyer.payment.get_by_text("Visa •••• 4242")).to_be_visible()

    assert buyer.pay() == "status: succeeded"


def test_the_express_button_opens_an_account_and_pays(buyer: Buyer) -> None:
    buyer.open(elements="payment,expressCheckout")
    buyer.page.frame_locator("#expressCheckout iframe").get_by_role("button", name="Link").click()
    buyer.dialog.get_by_label("Email").fill("express@example.com")
    buyer.button("Continue").click()
    buyer.dialog.get_by_label("Mobile number").fill("2015550123")
    buyer.dialog.get_by_label("Full name").fill("Ada Example")
    buyer.type_card(frame=buyer.dialog)
    buyer.button("Save card and continue").click()
    buyer.button("Pay $10.00").click()

    assert buyer.answer() == "status: succeeded"
    assert buyer.page.evaluate("confirmed.expressPaymentType") == "link"
    assert buyer.page.evaluate("confirmed.billingDetails.name") == "Ada Example"


def test_closing_the_express_dialog_cancels(buyer: Buyer) -> None:
    buyer.open(elements="payment,expressCheckout")
    buyer.page.frame_locator("#expressCheckout iframe").get_by_role("button", name="Link").click()
    buyer.button("Close").click()

    assert buyer.answer() == "cancelled"


def test_a_failed_express_payment_says_why_beside_the_button(buyer: Buyer) -> None:
    buyer.open(elements="payment,expressCheckout", **given(intent={"amount": "2000"}))
    express = buyer.page.frame_locator("#expressCheckout iframe")
    express.get_by_role("button", name="Link").click()
    buyer.dialog.get_by_label("Email").fill("failing@example.com")
    buyer.button("Continue").click()
    buyer.dialog.get_by_label("Mobile number").fill("2015550123")
    buyer.dialog.get_by_label("Full name").fill("Ada Example")
    buyer.type_card(frame=buyer.dialog)
    buyer.button("Save card and continue").click()
    buyer.button("Pay $10.00").click()

    expect(express.get_by_role("alert")).to_contain_text("does not match the expected amount (1000)")


def test_a_bank_debit_is_under_way(buyer: Buyer) -> None:
    buyer.open()
    buyer.choose("US bank account")
    buyer.payment.get_by_label("Email").fill("pay@example.com")
    buyer.payment.get_by_label("Full name or company").fill("Example Company")
    buyer.payment.get_by_label("Routing number").fill("110000000")
    buyer.payment.get_by_label("Account number").fill("000123456789")

    assert buyer.pay() == "status: processing"


@pytest.mark.parametrize(("button", "status"), [("Authorise", "succeeded"), ("Refuse", "failed")])
def test_the_redirect_method_leaves_and_returns(buyer: Buyer, button: str, status: str) -> None:
    buyer.open()
    buyer.choose("Amazon Pay")
    buyer.press_pay()
    buyer.page.get_by_role("button", name=button).click()
    buyer.page.wait_for_url("**/done**")

    assert parse_qs(urlsplit(buyer.page.url).query)["redirect_status"] == [status]


def test_the_keyboard_alone_pays(buyer: Buyer) -> None:
    buyer.open()
    keyboard, form = buyer.page.keyboard, buyer.payment
    steps = (
        (form.get_by_role("radio", name="Card"), ""),
        (form.get_by_label("Card number"), f"{CARD}1234"),  # a complete number goes on to the expiry date
        (form.get_by_label("Security code"), "987"),
        (form.get_by_label("Country"), ""),
        (form.get_by_label("ZIP"), "94107"),
        (form.get_by_label("Save my information"), ""),
        (buyer.page.get_by_role("button", name="Pay", exact=True), ""),
    )
    for field, typed in steps:
        keyboard.press("Tab")
        expect(field).to_be_focused()
        keyboard.type(typed)
    keyboard.press("Enter")

    assert buyer.answer() == "status: succeeded"


def test_a_setup_saves_a_card_without_a_payment(buyer: Buyer) -> None:
    buyer.open(kind="setup", **given(options={"mode": "setup", "amount": None}))
    buyer.type_card()

    assert buyer.pay() == "status: succeeded"


def test_elements_with_a_client_secret_need_no_amount(buyer: Buyer) -> None:
    intent = buyer.shop.client.v1.payment_intents.create({"amount": 2500, "currency": "eur"})
    buyer.open(secret=str(intent.client_secret))
    offered = buyer.payment.get_by_role("radio").evaluate_all("radios => radios.map(radio => radio.value)")
    buyer.type_card()

    assert offered == ["card", "link", "amazon_pay"]
    assert buyer.pay() == "status: succeeded"
