"""Apple Pay's and Google Pay's buttons and sheets in the Express Checkout Element, in Chromium."""

from __future__ import annotations

from playwright.sync_api import FrameLocator, expect

from tests.sandbox.shop import Buyer, given


def buttons(buyer: Buyer) -> FrameLocator:
    return buyer.page.frame_locator("#expressCheckout iframe")


def names(buyer: Buyer) -> list[str]:
    return [one.get_attribute("aria-label") or "" for one in buttons(buyer).get_by_role("button").all()]


def test_apple_pay_pays_and_tells_the_page_who_paid(buyer: Buyer) -> None:
    buyer.open(elements="payment,expressCheckout", **given(own={"expressCheckout": {"emailRequired": True}}))
    buttons(buyer).get_by_role("button", name="Apple Pay").click()
    expect(buyer.dialog.get_by_text("Sandbox – no real money")).to_be_visible()
    expect(buyer.dialog.get_by_text("$10.00")).to_be_visible()
    buyer.button("Pay with Apple Pay").click()

    assert buyer.answer() == "status: succeeded"
    confirmed = buyer.page.evaluate("({...confirmed, paymentFailed: null})")
    assert confirmed["expressPaymentType"] == "apple_pay"
    assert confirmed["billingDetails"]["email"] == "ada@example.com"
    assert confirmed["billingDetails"]["address"]["postal_code"] == "94103"
    assert confirmed["billingDetails"]["phone"] is None


def test_a_declined_card_of_google_pays_says_why_beside_the_button_and_another_pays(buyer: Buyer) -> None:
    buyer.open(elements="payment,expressCheckout")
    buttons(buyer).get_by_role("button", name="Buy with Google Pay").click()
    buyer.dialog.get_by_label("0002").check()
    buyer.button("Pay with Google Pay").click()

    assert buyer.answer() == "refused: Your card was declined."


def test_closing_the_sheet_cancels(buyer: Buyer) -> None:
    buyer.open(elements="payment,expressCheckout")
    buttons(buyer).get_by_role("button", name="Apple Pay").click()
    buyer.button("Close").click()

    assert buyer.answer() == "cancelled"


def test_the_page_says_which_buttons_show_in_which_order_with_which_words(buyer: Buyer) -> None:
    options = {
        "paymentMethods": {"link": "never", "applePay": "always"},
        "paymentMethodOrder": ["google_pay", "apple_pay"],
        "buttonType": {"applePay": "subscribe", "googlePay": "plain"},
    }
    buyer.open(elements="payment,expressCheckout", **given(own={"expressCheckout": options}))

    assert names(buyer) == ["Google Pay", "Subscribe with Apple Pay"]


def test_without_cards_there_are_no_wallets(buyer: Buyer) -> None:
    buyer.open(elements="payment,expressCheckout", **given(options={"excludedPaymentMethodTypes": ["card"]}))

    assert names(buyer) == ["Pay with Link"]
