"""Making a paying customer of the sandbox's or of test mode, without a browser: for demonstrations only.

Reached as ``gateways.stripe.demo``. Stripe has its test cards in test mode alone.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import stripe

from portal.gateways import stripe_reading as reading
from portal.gateways.stripe_errors import ask
from portal.gateways.stripe_words import Purchase, Subscription

TEST_CARD = "pm_card_visa"


class StripeDemo:
    """Customers who have bought already."""

    def __init__(self, client: stripe.StripeClient, *, tax: Mapping[str, Any], expanded: list[str]) -> None:
        self._client = client
        self._tax = dict(tax)
        self._expanded = expanded

    def subscribe(self, purchase: Purchase, *, key: str) -> Subscription:
        """The subscription of ``purchase``, paid at once with Stripe's test card."""
        v1 = self._client.v1
        attached = ask(
            lambda: v1.payment_methods.attach(
                TEST_CARD, {"customer": purchase.customer_id}, {"idempotency_key": f"{key}:card"}
            )
        )
        params: Any = {
            "customer": purchase.customer_id,
            "items": [
                {"price": item.price_id} | ({} if item.quantity is None else {"quantity": item.quantity})
                for item in purchase.items
            ],
            "currency": purchase.currency,
            "default_payment_method": attached.id,
            "payment_settings": {"save_default_payment_method": "on_subscription"},
            "billing_mode": {"type": "flexible"},
            "metadata": dict(purchase.metadata),
            "expand": self._expanded,
            **self._tax,
        }
        made = ask(lambda: v1.subscriptions.create(params, {"idempotency_key": f"{key}:subscription"}))
        return reading.subscription(reading.plain(made))

    def count(self, event_name: str, customer_id: str, quantity: int, *, at: datetime, key: str) -> None:
        """Have a meter count so many units at once; ``key`` keeps them from being counted twice."""
        params: Any = {
            "event_name": event_name,
            "payload": {"stripe_customer_id": customer_id, "value": str(quantity)},
            "timestamp": int(at.timestamp()),
            "identifier": key,
        }
        ask(lambda: self._client.v1.billing.meter_events.create(params))
