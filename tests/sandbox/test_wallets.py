"""Apple Pay and Google Pay: a sheet's card, good for one payment."""

from __future__ import annotations

from typing import Any

import pytest
import stripe
from flask import Flask

from tests.sandbox.paying import Browser

SESSION = "5f0c7d2e-session"


class Sheet:
    """The wallet's own routes, as its frame calls them."""

    def __init__(self, app: Flask) -> None:
        self.http = app.test_client()

    def authorize(self, last4: str, wallet: str = "apple_pay", **more: Any) -> int:
        data = {"session": SESSION, "wallet": wallet, "last4": last4, **more}
        return self.http.post("/elements/wallets/authorize", data=data).status_code


@pytest.fixture
def sheet(app: Flask) -> Sheet:
    return Sheet(app)


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def secret(client: stripe.StripeClient) -> str:
    return str(client.v1.payment_intents.create({"amount": 1000, "currency": "usd"}).client_secret)


def test_a_wallet_pays_with_a_card_that_says_which_wallet_it_was(
    client: stripe.StripeClient, sheet: Sheet, browser: Browser, secret: str
) -> None:
    sheet.authorize("4242", "google_pay", **{"billing_details[name]": "Ada Example"})
    _, intent = browser.confirm(secret, wallet=SESSION)
    method = client.v1.payment_methods.retrieve(str(intent["payment_method"]))

    assert intent["status"] == "succeeded"
    assert (method.type, method.billing_details.name) == ("card", "Ada Example")
    assert method.card
    assert method.card.wallet
    assert (method.card.last4, method.card.wallet.type) == ("4242", "google_pay")


@pytest.mark.parametrize(("last4", "code"), [("0002", "generic_decline"), ("9995", "insufficient_funds")])
def test_a_wallets_card_may_be_declined(
    sheet: Sheet, browser: Browser, secret: str, last4: str, code: str
) -> None:
    sheet.authorize(last4)
    status, body = browser.confirm(secret, wallet=SESSION)

    assert status == 402
    assert body["error"]["decline_code"] == code


def test_what_the_sheet_handed_over_pays_once(
    client: stripe.StripeClient, sheet: Sheet, browser: Browser, secret: str
) -> None:
    sheet.authorize("4242")
    browser.confirm(secret, wallet=SESSION)
    other = str(client.v1.payment_intents.create({"amount": 1000, "currency": "usd"}).client_secret)
    status, body = browser.confirm(other, wallet=SESSION)

    assert status == 400
    assert body["error"]["message"] == "Pay in the wallet's sheet before confirming."


@pytest.mark.parametrize(
    ("last4", "wallet"), [("1111", "apple_pay"), ("", "apple_pay"), ("4242", "other_pay")]
)
def test_only_the_wallets_own_cards_are_handed_over(sheet: Sheet, last4: str, wallet: str) -> None:
    assert sheet.authorize(last4, wallet) == 400


def test_pages_elsewhere_cannot_hand_over_anything(app: Flask) -> None:
    answer = app.test_client().post(
        "/elements/wallets/authorize",
        data={"session": SESSION, "wallet": "apple_pay", "last4": "4242"},
        headers={"Origin": "https://evil.example"},
    )

    assert answer.status_code == 403
