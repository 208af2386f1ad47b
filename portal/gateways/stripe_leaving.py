"""Ending a subscription at Stripe: at the end of what is paid, at once, or not after all."""

from typing import Any

import stripe

from portal.gateways import stripe_reading as reading
from portal.gateways.stripe_errors import StripeRefusedError, ask
from portal.gateways.stripe_words import Invoice, Subscription

EXPANDED = ["default_payment_method", "discounts.source.coupon"]
NOTHING_UPCOMING = "invoice_upcoming_none"


class StripeLeaving:
    """How a subscription ends, and what it still owes for usage."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    def end_at_period_end(
        self, subscription_id: str, *, feedback: str | None, comment: str | None, key: str
    ) -> Subscription:
        """Let it run to the end of what is paid: the latest of its items' periods, that of the seats.

        Not ``cancel_at_period_end``, which takes the *earliest*: with seats by the year that is the month of
        the usage. Source: docs.stripe.com/changelog/basil/2025-07-30/cancel-at-enums.
        """
        params: Any = {
            "cancel_at": "max_period_end",
            "proration_behavior": "none",
            "cancellation_details": _details(feedback, comment),
            "expand": EXPANDED,
        }
        return self._updated(subscription_id, params, key)

    def keep(self, subscription_id: str, *, key: str) -> Subscription:
        """Take a planned end back, whichever of its two fields holds it."""
        found = reading.plain(ask(lambda: self._client.v1.subscriptions.retrieve(subscription_id)))
        params: Any = {"expand": EXPANDED, "proration_behavior": "none"}
        if found.get("cancel_at_period_end"):
            params["cancel_at_period_end"] = False
        else:
            params["cancel_at"] = ""
        return self._updated(subscription_id, params, key)

    def end_now(
        self, subscription_id: str, *, feedback: str | None, comment: str | None, key: str
    ) -> Subscription:
        """End it at once; what was used so far is billed, what was paid in advance is not given back.

        One that has ended already is returned as it is.
        """
        params: Any = {
            "invoice_now": True,
            "prorate": False,
            "cancellation_details": _details(feedback, comment),
            "expand": EXPANDED,
        }
        options: Any = {"idempotency_key": key}
        try:
            gone = ask(lambda: self._client.v1.subscriptions.cancel(subscription_id, params, options))
        except StripeRefusedError as refusal:
            if not refusal.missing:
                raise
            again: Any = {"expand": EXPANDED}
            gone = ask(lambda: self._client.v1.subscriptions.retrieve(subscription_id, again))
        return reading.subscription(reading.plain(gone))

    def open_usage(self, subscription_id: str) -> Invoice | None:
        """The invoice that ending it now would make; nothing when nothing is open."""
        params: Any = {
            "subscription": subscription_id,
            "subscription_details": {"cancel_now": True, "proration_behavior": "none"},
        }
        try:
            found = ask(lambda: self._client.v1.invoices.create_preview(params))
        except StripeRefusedError as refusal:
            if refusal.stripe_code == NOTHING_UPCOMING:
                return None
            raise
        return reading.invoice(reading.plain(found))

    def _updated(self, subscription_id: str, params: Any, key: str) -> Subscription:
        options: Any = {"idempotency_key": key}
        changed = ask(lambda: self._client.v1.subscriptions.update(subscription_id, params, options))
        return reading.subscription(reading.plain(changed))


def _details(feedback: str | None, comment: str | None) -> dict[str, str]:
    given = {"feedback": feedback, "comment": comment}
    return {name: value for name, value in given.items() if value}
