"""The frames of the stand-in for Stripe.js: fields, looks, and what stays inside."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Error, FrameLocator, expect

from tests.sandbox.shop import CARD, Buyer, Shop, given


@pytest.fixture(scope="module")
def form(shop: Shop, profile: BrowserContext) -> FrameLocator:
    """A Payment Element for what is only typed."""
    somebody = Buyer(shop, profile.new_page())
    somebody.open()
    return somebody.payment


def test_missing_fields_are_named_beside_them_and_the_first_is_focused(buyer: Buyer) -> None:
    buyer.open()
    said = buyer.pay()

    assert said == "invalid: Your card number is incomplete."
    expect(buyer.payment.get_by_label("Card number")).to_be_focused()
    expect(buyer.payment.get_by_label("Card number")).to_have_accessible_description(
        "Your card number is incomplete."
    )
    expect(buyer.payment.get_by_text("Your card's expiration date is incomplete.")).to_be_visible()
    expect(buyer.payment.get_by_text("Your card's security code is incomplete.")).to_be_visible()
    expect(buyer.payment.get_by_text("Your ZIP is incomplete.")).to_be_visible()


@pytest.mark.parametrize(
    ("field", "typed", "shown", "error"),
    [
        ("Card number", "4242424242424242", "4242 4242 4242 4242", ""),
        ("Card number", "378282246310005", "3782 822463 10005", ""),
        ("Card number", "4242424242424241", "4242 4242 4242 4241", "Your card number is invalid."),
        ("Expiration date", "1234", "12 / 34", ""),
        ("Expiration date", "5/34", "05 / 34", ""),
        ("Expiration date", "12/2034", "12 / 34", ""),
        ("Expiration date", "1320", "13 / 20", "Your card's expiration date is invalid."),
        ("Expiration date", "0120", "01 / 20", "Your card's expiration year is in the past."),
    ],
)
def test_fields_format_and_check_what_is_typed(
    form: FrameLocator, field: str, typed: str, shown: str, error: str
) -> None:
    box = form.get_by_label(field)
    box.clear()
    box.press_sequentially(typed) if "/" not in typed else box.fill(typed)

    expect(box).to_have_value(shown)
    expect(box).to_have_accessible_description(error)


def test_another_currency_offers_its_own_methods(buyer: Buyer) -> None:
    buyer.open()
    buyer.page.evaluate("group.update({currency: 'sek', amount: 900})")
    offered = buyer.payment.get_by_role("radio").evaluate_all("radios => radios.map(radio => radio.value)")

    assert offered == ["card", "link"]


def test_card_data_never_reaches_the_page(buyer: Buyer) -> None:
    buyer.page.add_init_script(
        "window.received = [];"
        "const deliver = Object.getOwnPropertyDescriptor(MessagePort.prototype, 'onmessage');"
        "Object.defineProperty(MessagePort.prototype, 'onmessage', {set(handler) {"
        " deliver.set.call(this, (message) => {"
        " window.received.push(JSON.stringify(message.data)); handler(message); }); }});"
    )
    buyer.open()
    buyer.type_card()
    paid = buyer.pay()
    received = "".join(buyer.page.evaluate("received"))

    assert paid == "status: succeeded"
    assert '"status":"succeeded"' in received
    assert CARD not in received
    assert "4242 4242" not in received
    assert "987" not in re.sub(r"(pi|pm|secret)_\w+|\d{10}", "", received)


def test_the_page_cannot_look_into_the_frame(buyer: Buyer) -> None:
    buyer.open()
    with pytest.raises(Error, match="cross-origin") as refusal:
        buyer.page.evaluate("document.querySelector('#payment iframe').contentWindow.document")

    assert "SecurityError" in str(refusal.value)


def test_the_address_element_gives_what_was_typed(buyer: Buyer) -> None:
    buyer.open(elements="payment,address")
    address = buyer.page.frame_locator("#address iframe")
    address.get_by_label("Full name").fill("Ada Example")
    address.get_by_label("Country or region").select_option("DE")
    address.get_by_label("Address line 1").fill("Torstraße 1")
    address.get_by_label("City").fill("Berlin")
    address.get_by_label("Postal code").fill("10119")
    value = buyer.page.evaluate("group.getElement('address').getValue()")

    assert value["complete"] is True
    assert value["value"]["address"]["country"] == "DE"
    assert value["value"]["address"]["postal_code"] == "10119"
    expect(buyer.payment.get_by_label("Country")).to_have_value("DE")


def test_the_appearance_is_followed(buyer: Buyer) -> None:
    variables = {"colorText": "#123456", "borderRadius": "13px", "fontFamily": "Georgia, serif"}
    rules = {".Label": {"textTransform": "uppercase", "backgroundImage": "url(https://evil.test/x)"}}
    appearance = {"theme": "flat", "variables": variables, "rules": rules}
    buyer.open(**given(options={"appearance": appearance}))
    label = buyer.payment.get_by_text("Card number")
    field = buyer.payment.get_by_label("Card number")

    expect(label).to_have_css("color", "rgb(18, 52, 86)")
    expect(label).to_have_css("text-transform", "uppercase")
    expect(label).to_have_css("background-image", "none")
    expect(field).to_have_css("border-radius", "13px")
    expect(field).to_have_css("font-family", "Georgia, serif")


def test_the_form_fits_a_phone(buyer: Buyer) -> None:
    buyer.page.set_viewport_size({"width": 390, "height": 844})
    buyer.open(elements="payment,expressCheckout,address")
    wide = [
        frame.url
        for frame in buyer.page.frames
        if frame.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    ]

    assert wide == []


def test_browsers_can_fill_the_card_in(buyer: Buyer) -> None:
    buyer.open()
    names = buyer.payment.locator("input[autocomplete], select[autocomplete]")
    offered = names.evaluate_all("fields => fields.map(field => field.autocomplete)")

    assert {"cc-number", "cc-exp", "cc-csc", "country", "postal-code"} <= set(offered)


def test_an_address_asks_for_what_its_country_needs(buyer: Buyer) -> None:
    buyer.open(elements="payment,address")
    address = buyer.page.frame_locator("#address iframe")
    address.get_by_label("Country or region").select_option("US")
    american = buyer.page.evaluate("group.getElement('address').getValue()")
    expect(address.get_by_text("Please provide your state or province.")).to_be_visible()
    expect(address.get_by_label("ZIP code")).to_be_visible()
    address.get_by_label("Country or region").select_option("DE")

    assert american["complete"] is False
    expect(address.get_by_label("State or region (optional)")).to_be_visible()
    expect(address.get_by_label("Postal code")).to_be_visible()
