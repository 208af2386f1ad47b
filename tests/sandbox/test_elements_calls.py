"""The calls of the stand-in for Stripe.js: what they answer, and what they refuse."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Error, Page, expect

from tests.sandbox.shop import Buyer, Shop, given


@pytest.fixture(scope="module")
def page(shop: Shop, profile: BrowserContext) -> Page:
    """A page for calls that change nothing."""
    somebody = Buyer(shop, profile.new_page())
    somebody.open()
    return somebody.page


def test_what_the_server_confirmed_can_be_finished_in_the_browser(buyer: Buyer) -> None:
    waiting = buyer.shop.client.v1.payment_intents.create(
        {
            "amount": 1000,
            "currency": "usd",
            "confirm": True,
            "payment_method": "pm_card_authenticationRequired",
            "use_stripe_sdk": True,
            "return_url": "https://shop.test/",
        }
    )
    buyer.open()
    buyer.page.evaluate(
        "secret => { stripe.handleNextAction({clientSecret: secret}).then(({paymentIntent}) =>"
        " { document.getElementById('result').textContent = paymentIntent.status; }); }",
        waiting.client_secret,
    )
    buyer.button("Complete authentication").click()

    assert buyer.answer() == "succeeded"


def test_an_intent_can_be_read_with_its_secret(buyer: Buyer) -> None:
    payment = buyer.shop.client.v1.payment_intents.create({"amount": 1234, "currency": "usd"})
    setup = buyer.shop.client.v1.setup_intents.create({})
    buyer.open()
    read = buyer.page.evaluate(
        "async ([one, two]) => [(await stripe.retrievePaymentIntent(one)).paymentIntent.amount,"
        " (await stripe.retrieveSetupIntent(two)).setupIntent.status]",
        [payment.client_secret, setup.client_secret],
    )

    assert read == [1234, "requires_payment_method"]


def test_a_saved_method_is_charged_without_an_element(buyer: Buyer) -> None:
    customer = buyer.shop.client.v1.customers.create({})
    card = buyer.shop.client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    intent = buyer.shop.client.v1.payment_intents.create(
        {"amount": 1000, "currency": "usd", "customer": customer.id}
    )
    buyer.open()
    status = buyer.page.evaluate(
        "async ([clientSecret, payment_method]) => (await stripe.confirmPayment({clientSecret,"
        " redirect: 'if_required', confirmParams: {payment_method, return_url: location.href}}))"
        ".paymentIntent.status",
        [intent.client_secret, card.id],
    )

    assert status == "succeeded"


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ("Stripe('sk_test_x')", "You should not use your secret key with Stripe.js"),
        ("Stripe('')", "Missing value for Stripe(): apiKey should be a string."),
        ("stripe.elements({mode: 'payment', currency: 'usd'})", "amount should be a whole number"),
        (
            "stripe.elements({mode: 'payment', amount: 9.5, currency: 'usd'})",
            "amount should be a whole number",
        ),
        ("stripe.elements({mode: 'payment', amount: 9, currency: 'USD'})", "three-letter ISO currency code"),
        ("stripe.elements({mode: 'buy', amount: 9, currency: 'usd'})", "mode should be one of"),
        (
            "stripe.elements({mode: 'payment', amount: 9, currency: 'usd', paymentMethodTypes: ['card']})",
            "paymentMethodTypes can't be used",
        ),
        ("stripe.elements({clientSecret: 'pi_1'})", "clientSecret should be a client secret"),
        ("stripe.elements({nonsense: 1})", "nonsense is not an accepted parameter"),
        ("stripe.elements().create('payment')", "you must pass a clientSecret or mode"),
        ("group.create('card')", "A valid Element name must be provided"),
        ("group.create('payment')", "Can only create one Element of type payment"),
        ("group.create('address', {})", "mode should be either 'billing' or 'shipping'"),
        ("group.getElement('payment').mount('#nowhere')", "applies to no DOM elements"),
        ("group.getElement('payment').on('nonsense', () => 1)", "Invalid event name"),
        (
            "stripe.confirmPayment({elements: group, redirect: 'if_required'})",
            "You must pass in a clientSecret",
        ),
        (
            "stripe.confirmPayment({elements: {}, clientSecret: 'x', redirect: 'if_required'})",
            "elements should be an Elements object",
        ),
        (
            "stripe.confirmPayment({elements: group, clientSecret: 'pi_1_secret_2'})",
            "confirmParams.return_url should be a URL string",
        ),
        (
            "stripe.confirmSetup({elements: group, clientSecret: 'pi_1_secret_2', redirect: 'if_required'})",
            "clientSecret should be that of a SetupIntent",
        ),
        (
            "stripe.confirmPayment({elements: group, clientSecret: 'pi_1_secret_2',"
            " redirect: 'if_required'})",
            "elements.submit() must be called before stripe.confirmPayment()",
        ),
    ],
)
def test_a_wrong_call_throws_as_real_stripe_js_does(page: Page, call: str, complaint: str) -> None:
    with pytest.raises(Error, match=re.escape(complaint)) as refusal:
        page.evaluate(f"async () => {{ await {call}; }}")

    assert "IntegrationError" in str(refusal.value)


def test_elements_made_for_another_amount_cannot_confirm(buyer: Buyer) -> None:
    buyer.open(**given(intent={"amount": "2000"}))
    buyer.type_card()

    assert buyer.pay().startswith(
        "refused: The provided amount (2000) does not match the expected amount (1000)."
    )


def test_a_change_after_submit_asks_for_submit_again(buyer: Buyer) -> None:
    buyer.open()
    buyer.type_card()
    buyer.page.evaluate("group.submit()")
    buyer.payment.get_by_label("ZIP").fill("94110")
    with pytest.raises(Error, match="must be called before") as refusal:
        buyer.page.evaluate(
            "stripe.confirmPayment({elements: group, clientSecret: 'pi_1_secret_2', redirect: 'if_required'})"
        )

    assert "IntegrationError" in str(refusal.value)


def test_events_say_what_the_page_may_know(buyer: Buyer) -> None:
    buyer.open()
    buyer.type_card()
    buyer.page.wait_for_timeout(100)
    heard = buyer.page.evaluate("heard")
    changes = [event for event in heard if event["name"] == "change"]

    assert heard[0] == {"name": "ready", "elementType": "payment"}
    assert changes[-1] == {
        "name": "change",
        "elementType": "payment",
        "empty": False,
        "complete": True,
        "collapsed": False,
        "value": {"type": "card"},
    }


def test_an_element_can_be_unmounted_cleared_and_destroyed(buyer: Buyer) -> None:
    buyer.open()
    buyer.type_card()
    buyer.page.evaluate("group.getElement('payment').clear()")
    expect(buyer.payment.get_by_label("Card number")).to_have_value("")
    buyer.page.evaluate("group.getElement('payment').unmount()")
    expect(buyer.page.locator("#payment iframe")).to_have_count(0)
    buyer.page.evaluate("group.getElement('payment').mount('#payment')")
    expect(buyer.payment.get_by_label("Card number")).to_be_visible()
    gone = buyer.page.evaluate(
        "() => { group.getElement('payment').destroy(); return group.getElement('payment'); }"
    )

    assert gone is None
