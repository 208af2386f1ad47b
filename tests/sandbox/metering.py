"""What tests of usage need: a meter of a name, prices that bill it, and usage."""

from __future__ import annotations

import json
from typing import Any

import stripe

from portal.sandbox.app import create_sandbox
from portal.sandbox.webhooks import Webhooks
from tests.sandbox import response_schema
from tests.sandbox.billing import START, BillingWorld
from tests.transport import stripe_client

MINUTE, HOUR, DAY = 60, 3600, 86_400
MONTH = 30 * DAY  # from 21 September to 21 October
MONTH_END = START + MONTH
SMS: list[dict[str, Any]] = [
    {"up_to": 1000, "unit_amount": 4},
    {"up_to": 10_000, "unit_amount_decimal": "3.2"},
    {"up_to": "inf", "unit_amount_decimal": "2.5"},
]


class MeteredWorld(BillingWorld):
    """A billing world with a meter named `sms`, and thin events that arrive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.meter = self.new_meter("sms")
        self.sent: list[tuple[str, bytes, dict[str, str]]] = []
        sender: Webhooks = self.app.extensions["webhooks"]
        sender.send = self._take

    def _take(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        self.sent.append((url, body, headers))
        return 200, ""

    def new_meter(self, name: str, formula: str = "sum", **params: Any) -> stripe.billing.Meter:
        wanted: Any = {
            "display_name": name.upper(),
            "event_name": name,
            "default_aggregation": {"formula": formula},
            **params,
        }
        return self.v1.billing.meters.create(wanted)

    def usage_price(self, label: str | None = "segment", meter: str | None = None, **params: Any) -> str:
        """The id of a monthly price that bills the meter; 6 cents a unit unless told otherwise."""
        product = self.v1.products.create({"name": "SMS", **({"unit_label": label} if label else {})})
        recurring = {"interval": "month", "usage_type": "metered", "meter": meter or self.meter.id}
        wanted: Any = {"product": product.id, "currency": "usd", "recurring": recurring}
        return self.v1.prices.create({**wanted, **(params or {"unit_amount": 6})}).id

    def tiered_price(self, mode: str = "graduated", tiers: Any = None, **params: Any) -> str:
        return self.usage_price(billing_scheme="tiered", tiers_mode=mode, tiers=tiers or SMS, **params)

    def use(
        self, customer: stripe.Customer, value: int | str = 1, at: int | None = None, **params: Any
    ) -> stripe.billing.MeterEvent:
        """Send one event."""
        when = {} if at is None else {"timestamp": at}
        payload = {"stripe_customer_id": customer.id, "value": str(value)}
        wanted: Any = {"event_name": "sms", "payload": payload, **when, **params}
        return self.v1.billing.meter_events.create(wanted)

    def used(self, customer: stripe.Customer) -> float:
        """What the meter has counted for the customer, from ever to now."""
        end = (self.sandbox.now() // DAY + 2) * DAY
        asked: Any = {"customer": customer.id, "start_time": 0, "end_time": end}
        return self.v1.billing.meters.event_summaries.list(self.meter.id, asked).data[0].aggregated_value

    def streaming(self) -> stripe.StripeClient:
        """A client that calls with the token of a new session."""
        session = self.client.v2.billing.meter_event_session.create()
        return stripe_client(
            self.app, watch=response_schema.EveryAnswer(self.sandbox), api_key=session.authentication_token
        )

    def thin(self) -> list[dict[str, Any]]:
        """The messages of thin events that were sent so far."""
        self.app.extensions["webhooks"].deliver_pending()
        bodies = [json.loads(body) for _, body, _ in self.sent]
        return [body for body in bodies if body["object"] == "v2.core.event"]


def lines_of(invoice: stripe.Invoice) -> list[tuple[str | None, int]]:
    """Descriptions and amounts, in the order of the invoice."""
    return [(line.description, line.amount) for line in invoice.lines.data]


def restarted(path: Any) -> stripe.StripeClient:
    """A client of a sandbox that was started anew on this file."""
    return stripe_client(create_sandbox(path))
