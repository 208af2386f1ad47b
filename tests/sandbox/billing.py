"""A sandbox whose clock stands at a chosen second, with the customers and prices that billing tests need."""

from __future__ import annotations

import itertools
from typing import Any

import stripe
from flask import Flask

from portal.sandbox.app import create_sandbox
from portal.sandbox.clock import Clock
from portal.sandbox.state import Sandbox
from tests.sandbox import response_schema
from tests.shop import without_state
from tests.transport import stripe_client

START = 1790021300  # 21 September 2026, the day of the recordings
_events = itertools.count()


class BillingWorld:
    """One sandbox, the SDK's client for it, and time that moves only when told."""

    def __init__(self) -> None:
        self.second = START
        self.app: Flask = create_sandbox(clock=Clock(lambda: float(self.second)), app=without_state())
        self.app.testing = True
        self.sandbox: Sandbox = self.app.extensions["sandbox"]
        self.client = stripe_client(
            self.app, watch=response_schema.EveryAnswer(self.app.extensions["sandbox"])
        )
        self.v1 = self.client.v1

    def at(self, second: int) -> None:
        """Let real time be this second, without letting anything fall due."""
        self.second = second

    def customer(self, card: str | None = "pm_card_visa", **params: Any) -> stripe.Customer:
        """A customer whose default payment method is the test card, or who has none."""
        customer = self.v1.customers.create({"email": "buyer@example.com", **params})
        if card is None:
            return customer
        method = self.v1.payment_methods.attach(card, {"customer": customer.id})
        settings = {"default_payment_method": method.id}
        return self.v1.customers.update(customer.id, {"invoice_settings": settings})

    def price(
        self, amount: int, interval: str | None = "month", product: str | None = None, **params: Any
    ) -> str:
        """The id of a price in cents; no `interval`: a one-time price; `product` names its product."""
        made = self.v1.products.create({"name": product or "Seat"})
        recurring = {"recurring": {"interval": interval}} if interval else {}
        price = {"product": made.id, "currency": "usd", "unit_amount": amount, **recurring, **params}
        return self.v1.prices.create(price).id

    def metered_price(self, amount: int = 99, interval: str = "month") -> str:
        """The id of a price that bills what a new meter counted."""
        name = f"used_{next(_events)}"
        meter = self.v1.billing.meters.create(
            {"display_name": "Used", "event_name": name, "default_aggregation": {"formula": "sum"}}
        )
        recurring = {"interval": interval, "usage_type": "metered", "meter": meter.id}
        product = self.v1.products.create({"name": "Resolution"})
        price = {"product": product.id, "currency": "usd", "unit_amount": amount, "recurring": recurring}
        return self.v1.prices.create(price).id

    def subscribe(self, customer: stripe.Customer, *prices: str, **params: Any) -> stripe.Subscription:
        """A subscription to one of each price."""
        wanted = {"customer": customer.id, "items": [{"price": price} for price in prices], **params}
        return self.v1.subscriptions.create(wanted)

    def latest_invoice(self, subscription: stripe.Subscription) -> stripe.Invoice:
        """The subscription's latest invoice as it now is."""
        fresh = self.v1.subscriptions.retrieve(subscription.id)
        return self.v1.invoices.retrieve(str(fresh.latest_invoice))

    def pending_amounts(self, customer: stripe.Customer) -> list[int]:
        """The customer's pending invoice items, newest first."""
        found = self.v1.invoice_items.list({"customer": customer.id, "pending": True})
        return [item.amount for item in found.data]

    def event_types(self) -> list[str]:
        """Every event so far, oldest first."""
        return [event.type for event in reversed(self.v1.events.list({"limit": 100}).data)]
