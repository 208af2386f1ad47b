"""What the payment tests share: intents, and a browser's requests with the publishable key."""

from __future__ import annotations

from typing import Any

import stripe
from flask import Flask

PUBLISHABLE_KEY = "pk_test_sandbox"
RETURN_URL = "https://shop.test/done?order=7"
STAY = {"enabled": True, "allow_redirects": "never"}


def pay(client: stripe.StripeClient, method: str, amount: int = 1000, **params: Any) -> stripe.PaymentIntent:
    """Create and confirm a payment on the server, in one call, with a test payment method."""
    return client.v1.payment_intents.create(
        {
            "amount": amount,
            "currency": "usd",
            "confirm": True,
            "payment_method": method,
            "automatic_payment_methods": STAY,
            **params,
        }
    )


class Browser:
    """The API as Stripe.js calls it: publishable key, client secret, form fields."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.http = app.test_client()

    def confirm(self, secret: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Confirm an intent; status and body."""
        answer = self.http.post(f"{path(secret)}/confirm", data=form(secret, fields))
        return answer.status_code, answer.json or {}

    def retrieve(self, secret: str) -> tuple[int, dict[str, Any]]:
        """Read an intent; status and body."""
        answer = self.http.get(path(secret), query_string={"key": PUBLISHABLE_KEY, "client_secret": secret})
        return answer.status_code, answer.json or {}

    def decide(self, page: str, secret: str, outcome: str) -> Any:
        """What the customer chooses on the 3-D Secure or redirect page."""
        id = secret.split("_secret_")[0]
        return self.http.post(
            f"/redirect/{page}/{id}/decide", data={"client_secret": secret, "outcome": outcome}
        )


def path(secret: str) -> str:
    """Where the intent of a client secret is."""
    id = secret.split("_secret_")[0]
    return f"/v1/{'setup' if id.startswith('seti_') else 'payment'}_intents/{id}"


def form(secret: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that Stripe.js sends with every confirmation, and the given ones; None leaves one out."""
    sent = {
        "key": PUBLISHABLE_KEY,
        "client_secret": secret,
        "return_url": RETURN_URL,
        "use_stripe_sdk": "true",
        **fields,
    }
    return {name: value for name, value in sent.items() if value is not None}


def card(number: str, year: str = "2034") -> dict[str, str]:
    """A card as it was typed."""
    data = "payment_method_data"
    return {
        f"{data}[type]": "card",
        f"{data}[card][number]": number,
        f"{data}[card][exp_month]": "12",
        f"{data}[card][exp_year]": year,
        f"{data}[card][cvc]": "123",
        f"{data}[billing_details][address][country]": "US",
        f"{data}[billing_details][address][postal_code]": "94107",
    }


def account(number: str, routing: str = "110000000") -> dict[str, str]:
    """A bank account as it was typed."""
    data = "payment_method_data"
    return {
        f"{data}[type]": "us_bank_account",
        f"{data}[us_bank_account][account_number]": number,
        f"{data}[us_bank_account][routing_number]": routing,
        f"{data}[billing_details][name]": "Example Company",
        f"{data}[billing_details][email]": "pay@example.com",
    }


def wallet() -> dict[str, str]:
    """Amazon Pay."""
    return {"payment_method_data[type]": "amazon_pay"}


def event_types(client: stripe.StripeClient) -> list[str]:
    """What happened, oldest first."""
    return [event.type for event in reversed(client.v1.events.list({"limit": 100}).data)]
