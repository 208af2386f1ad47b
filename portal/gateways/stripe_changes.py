"""Changing what was bought: previews, updates that wait for their payment, schedules, negotiated discounts.

Reached as ``gateways.stripe.changes``. Amounts are integer minor units, times unix seconds.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import stripe

from portal.gateways import stripe_reading as reading
from portal.gateways.stripe_change_words import Phase, Schedule, SubscriptionChange
from portal.gateways.stripe_errors import StripeRefusedError, ask
from portal.gateways.stripe_words import Invoice, Subscription

RATES_READER = Callable[[Invoice], Invoice]


class StripeChanges:
    """Every call that changes a running subscription, but ending it."""

    def __init__(
        self,
        client: stripe.StripeClient,
        *,
        tax: Mapping[str, Any],
        expanded: list[str],
        with_rates: RATES_READER,
    ) -> None:
        self._client = client
        self._tax = dict(tax)
        self._expanded = expanded
        self._with_rates = with_rates

    # --- now -------------------------------------------------------------------------------------

    def preview(self, change: SubscriptionChange) -> Invoice:
        """The invoice that ``change`` would make now; without a proration the one of the next renewal.

        Source: docs.stripe.com/billing/subscriptions/prorations (the same ``proration_date`` gives the same
        amounts).
        """
        details: dict[str, Any] = {
            "items": [item.as_params() for item in change.items],
            "proration_behavior": change.proration,
        }
        if change.proration_date is not None:
            details["proration_date"] = change.proration_date
        params: Any = {
            "subscription": change.subscription_id,
            "subscription_details": details,
            **self._tax,
        }
        if change.added:
            params["invoice_items"] = [item.as_params() for item in change.added]
        document = reading.plain(ask(lambda: self._client.v1.invoices.create_preview(params)))
        return self._with_rates(reading.invoice(document))

    def update(self, change: SubscriptionChange, *, key: str) -> Subscription:
        """Carry the change out; what is due is charged at once with the subscription's payment method.

        Source: docs.stripe.com/billing/subscriptions/pending-updates
        """
        params: Any = {
            "items": [item.as_params() for item in change.items],
            "proration_behavior": change.proration,
            "payment_behavior": "pending_if_incomplete" if change.waits else "allow_incomplete",
            "metadata": dict(change.metadata),
            "expand": self._expanded,
        }
        if change.proration_date is not None:
            params["proration_date"] = change.proration_date
        if change.added:
            params["add_invoice_items"] = [item.as_params() for item in change.added]
        return self._updated(change.subscription_id, params, key)

    def price_once(
        self, description: str, currency: str, amount: int, *, tax_code: str, name: str, key: str
    ) -> str:
        """The price of something that is sold once, tax on top; made when no price has the name yet.

        The line that bills it says what its product is called.
        """
        known = self._named(name)
        if known is not None:
            return known
        params: Any = {
            "product_data": {"name": description, "tax_code": tax_code},
            "currency": currency,
            "unit_amount": amount,
            "lookup_key": name,
            "tax_behavior": "exclusive",
        }
        try:
            return str(ask(lambda: self._client.v1.prices.create(params, {"idempotency_key": key})).id)
        except StripeRefusedError:
            # two who want the first of its kind at once: the other one made it
            known = self._named(name)
            if known is None:
                raise
            return known

    def _named(self, name: str) -> str | None:
        wanted: Any = {"lookup_keys": [name], "limit": 1}
        known = ask(lambda: self._client.v1.prices.list(wanted)).data
        return str(known[0].id) if known else None

    def _updated(self, subscription_id: str, params: Any, key: str) -> Subscription:
        made = ask(
            lambda: self._client.v1.subscriptions.update(subscription_id, params, {"idempotency_key": key})
        )
        return reading.subscription(reading.plain(made))

    def give_up_invoice(self, invoice_id: str, *, key: str) -> None:
        """Stop collecting an open invoice, so that its subscription is not past due; it can be voided then.

        One that is given up already is no error.
        """
        try:
            ask(lambda: self._client.v1.invoices.mark_uncollectible(invoice_id, {}, {"idempotency_key": key}))
        except StripeRefusedError as refusal:
            if refusal.http_status != 400:
                raise

    # --- at the renewal ----------------------------------------------------------------------------

    def schedule(self, schedule_id: str) -> Schedule:
        """The schedule as it is now."""
        return _schedule(
            reading.plain(ask(lambda: self._client.v1.subscription_schedules.retrieve(schedule_id)))
        )

    def create_schedule(self, subscription_id: str, *, key: str) -> Schedule:
        """Attach a schedule that says what the subscription is now."""
        params: Any = {"from_subscription": subscription_id}
        return _schedule(
            reading.plain(
                ask(lambda: self._client.v1.subscription_schedules.create(params, {"idempotency_key": key}))
            )
        )

    def plan(
        self,
        schedule: Schedule,
        phases: Sequence[Phase],
        *,
        interval: str,
        ends_at: int | None,
        method_id: str | None,
        key: str,
        name: str,
    ) -> Schedule:
        """Let the subscription become what ``phases`` say, in their order, and stay as it is until then.

        The present phase is restated whole: what is left out would be dropped. It goes on by itself after the
        last phase, which lasts an ``interval``, or ends with it at ``ends_at``. ``method_id`` pays; a
        schedule would go on with the method of the day on which it was made.
        Source: docs.stripe.com/billing/subscriptions/subscription-schedules
        """
        current = _restated(schedule.current)
        kept = {name: current[name] for name in ("discounts", "metadata")}
        later = [kept | _begun(phase) for phase in phases]
        for before, after in pairwise(later):
            before["end_date"] = after["start_date"]
        duration = {"interval": interval, "interval_count": 1}
        later[-1] |= {"duration": duration} if ends_at is None else {"end_date": ends_at}
        params: Any = {
            "end_behavior": "release" if ends_at is None else "cancel",
            "proration_behavior": "none",
            "metadata": {"planned": name},
            "phases": [current | {"end_date": phases[0].at}, *later],
        }
        if method_id is not None:
            params["default_settings"] = {"default_payment_method": method_id}
        return _schedule(
            reading.plain(
                ask(
                    lambda: self._client.v1.subscription_schedules.update(
                        schedule.id, params, {"idempotency_key": key}
                    )
                )
            )
        )

    def release_schedule(self, schedule_id: str, *, key: str) -> None:
        """Let the subscription go on as it is, to its end if it has one; one that is over is no error."""
        params: Any = {"preserve_cancel_date": True}
        try:
            ask(
                lambda: self._client.v1.subscription_schedules.release(
                    schedule_id, params, {"idempotency_key": key}
                )
            )
        except StripeRefusedError as refusal:
            if refusal.http_status not in (400, 404):
                raise

    # --- negotiated discounts ------------------------------------------------------------------------

    def create_coupon(
        self,
        name: str,
        *,
        percent_off: Decimal | None,
        amount_off: int | None,
        currency: str,
        months: int | None,
        product_ids: Sequence[str],
        key: str,
    ) -> str:
        """A coupon for one customer's line: for good, or for so many months; its id."""
        params: Any = {
            "name": name,
            "applies_to": {"products": list(product_ids)},
            "duration": "forever" if months is None else "repeating",
        }
        if months is not None:
            params["duration_in_months"] = months
        if percent_off is not None:
            params["percent_off"] = float(percent_off)
        else:
            params |= {"amount_off": amount_off, "currency": currency}
        return ask(lambda: self._client.v1.coupons.create(params, {"idempotency_key": key})).id

    def set_discounts(
        self, subscription_id: str, *, keep: Sequence[str], coupon_id: str | None, key: str
    ) -> Subscription:
        """Let the subscription have the coupon, then the discounts ``keep``; nothing is prorated."""
        discounts: list[dict[str, str]] = [{"coupon": coupon_id}] if coupon_id else []
        discounts += [{"discount": each} for each in keep]
        params: Any = {
            "discounts": discounts or "",
            "proration_behavior": "none",
            "expand": self._expanded,
        }
        return self._updated(subscription_id, params, key)


def _schedule(document: reading.Document) -> Schedule:
    here = document.get("current_phase") or {}
    phases = [phase for phase in document["phases"] if phase["start_date"] == here.get("start_date")]
    return Schedule(
        id=document["id"],
        status=document["status"],
        subscription_id=reading.identity(document.get("subscription")),
        metadata=dict(document.get("metadata") or {}),
        current=phases[0] if phases else {},
    )


def _begun(phase: Phase) -> dict[str, Any]:
    """A phase to come, in the form of a request."""
    items = [
        {"price": item.price_id} | ({} if item.quantity is None else {"quantity": item.quantity})
        for item in phase.items
    ]
    return {"items": items, "start_date": phase.at, "proration_behavior": "none"}


def _restated(phase: reading.Document) -> dict[str, Any]:
    """The phase in the form of a request: everything that it says, without what it leaves empty."""
    found: dict[str, Any] = {
        "items": [_restated_item(item) for item in phase["items"]],
        "start_date": phase["start_date"],
        "metadata": dict(phase.get("metadata") or {}),
        "proration_behavior": "none",
        "discounts": _restated_discounts(phase.get("discounts")) or "",
    }
    for name in ("collection_method", "description"):
        if phase.get(name):
            found[name] = reading.identity(phase[name])
    if phase.get("automatic_tax"):
        found["automatic_tax"] = {"enabled": phase["automatic_tax"]["enabled"]}
    return found


def _restated_item(item: reading.Document) -> dict[str, Any]:
    found: dict[str, Any] = {"price": reading.identity(item["price"])}
    if item.get("quantity") is not None:
        found["quantity"] = item["quantity"]
    if item.get("metadata"):
        found["metadata"] = dict(item["metadata"])
    if item.get("discounts"):
        found["discounts"] = _restated_discounts(item["discounts"])
    return found


def _restated_discounts(rows: Any) -> list[dict[str, str]]:
    names = ("coupon", "discount", "promotion_code")
    return [{name: str(reading.identity(row[name])) for name in names if row.get(name)} for row in rows or []]
