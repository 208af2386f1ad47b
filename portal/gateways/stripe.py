"""The door to Stripe: buying, reading what was bought, and hearing about it.

Every writing call takes the idempotency key that its caller has committed before. No call is made while this
thread holds a database transaction. The API version is the one that the SDK is pinned to.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote

import stripe

from portal.config import Settings
from portal.gateways import stripe_reading as reading
from portal.gateways import stripe_thin_events
from portal.gateways.stripe_catalog import StripeAccount
from portal.gateways.stripe_changes import StripeChanges
from portal.gateways.stripe_credits import StripeCredits
from portal.gateways.stripe_demo import StripeDemo
from portal.gateways.stripe_errors import StripeRefusedError, ask, find
from portal.gateways.stripe_invoices import StripeInvoices
from portal.gateways.stripe_leaving import StripeLeaving
from portal.gateways.stripe_meters import StripeMeters
from portal.gateways.stripe_payments import StripePayments
from portal.gateways.stripe_webhooks import WebhookDoor
from portal.gateways.stripe_words import Event, Intent, Invoice, PromotionCode, Purchase, Subscription, TaxId

# The SDK waits 80 seconds and never retries by default; a web request can do neither.
TIMEOUT_SECONDS = 15
NETWORK_RETRIES = 2
PAGE = 100
EVENT_TYPES_AT_ONCE = 20
API_VERSION = "2026-10-28.endive"

INTENT_EXPANDED = ["payment_method", "latest_charge"]
DISCOUNTS_EXPANDED = "total_discount_amounts.discount.source.coupon"
INVOICE_EXPANDED = ["payments", "confirmation_secret", DISCOUNTS_EXPANDED]
SUBSCRIPTION_EXPANDED = ["default_payment_method", "discounts.source.coupon.applies_to"]
PROMOTION_EXPANDED = ["data.promotion.coupon.applies_to"]


class StripeGateway:
    """Stripe in the portal's words. ``account`` is the set-up side: catalogue, endpoints, registrations."""

    def __init__(
        self,
        secret_key: str,
        *,
        webhook_secrets: tuple[str, ...] = (),
        thin_webhook_secrets: tuple[str, ...] = (),
        base_address: str | None = None,
        http_client: stripe.HTTPClient | None = None,
        account_id: str | None = None,
        tax: bool = True,
    ) -> None:
        client = partial(_client, base_address, http_client or stripe.RequestsClient(timeout=TIMEOUT_SECONDS))
        self._client = client(secret_key)
        self._tax = {"automatic_tax": {"enabled": tax}}
        self._rates: dict[str, reading.Document] = {}
        self.account = StripeAccount(self._client)
        self.invoices = StripeInvoices(self._client, named=self._with_rates, tax=tax)
        self.changes = StripeChanges(
            self._client, tax=self._tax, expanded=SUBSCRIPTION_EXPANDED, with_rates=self._with_rates
        )
        self.payments = StripePayments(self._client)
        self.leaving = StripeLeaving(self._client)
        self.credits = StripeCredits(self._client)
        livemode = "_live_" in secret_key
        # Stripe has its stream in live mode alone, and the sandbox always
        self.meters = StripeMeters(
            self._client, stream=livemode or base_address is not None, with_token=client
        )
        self.demo = StripeDemo(self._client, tax=self._tax, expanded=SUBSCRIPTION_EXPANDED)
        facts: Any = {"livemode": livemode, "account_id": account_id, "api_version": API_VERSION}
        self.webhooks = WebhookDoor(webhook_secrets, **facts)
        self.thin_webhooks = WebhookDoor(thin_webhook_secrets, read=stripe_thin_events.thin_event, **facts)

    # --- customers -----------------------------------------------------------------------------

    def create_customer(self, metadata: Mapping[str, str], *, key: str) -> str:
        """A new customer that is nothing but its metadata; its id. The details follow by update."""
        params: Any = {"metadata": dict(metadata)}
        return ask(lambda: self._client.v1.customers.create(params, {"idempotency_key": key})).id

    def find_customer(self, name: str, value: str, *, since: int) -> str | None:
        """The customer made since then (unix seconds) whose metadata has ``name`` = ``value``, if any."""

        def search() -> str | None:
            params: Any = {"created": {"gte": since}, "limit": PAGE}
            for found in self._client.v1.customers.list(params).auto_paging_iter():
                if reading.plain(found).get("metadata", {}).get(name) == value:
                    return found.id
            return None

        return ask(search)

    def update_customer(
        self, customer_id: str, *, name: str, email: str, address: Mapping[str, str], key: str
    ) -> None:
        """Set whom the invoices are made out to, and have the tax location checked at once.

        Raises StripeRefusedError (stripe_code ``customer_tax_location_invalid``) for an impossible address.
        """
        params: Any = {
            "name": name,
            "email": email,
            "address": dict(address),
            "tax": {"validate_location": "immediately"},
        }
        ask(lambda: self._client.v1.customers.update(customer_id, params, {"idempotency_key": key}))

    def tax_ids(self, customer_id: str) -> list[TaxId]:
        """All tax numbers of the customer."""
        listed = ask(lambda: self._client.v1.customers.tax_ids.list(customer_id, {"limit": PAGE}))
        return [reading.tax_id(reading.plain(entry)) for entry in listed.data]

    def create_tax_id(self, customer_id: str, kind: str, value: str, *, key: str) -> TaxId:
        """Add a tax number. Raises StripeRefusedError (stripe_code ``tax_id_invalid``) for a bad format."""
        params: Any = {"type": kind, "value": value}
        made = ask(
            lambda: self._client.v1.customers.tax_ids.create(customer_id, params, {"idempotency_key": key})
        )
        return reading.tax_id(reading.plain(made))

    def delete_tax_id(self, customer_id: str, tax_id: str) -> None:
        """Remove a tax number; one that is gone already is no error."""
        try:
            ask(lambda: self._client.v1.customers.tax_ids.delete(customer_id, tax_id))
        except StripeRefusedError as refusal:
            if not refusal.missing:
                raise

    # --- prices asked and promised ---------------------------------------------------------------

    def find_promotion_code(self, code: str) -> PromotionCode | None:
        """The active promotion code with that text, whatever its case."""
        params: Any = {"code": code, "active": True, "limit": 1, "expand": PROMOTION_EXPANDED}
        listed = ask(lambda: self._client.v1.promotion_codes.list(params))
        return reading.promotion_code(reading.plain(listed.data[0])) if listed.data else None

    def preview(self, purchase: Purchase) -> Invoice:
        """What Stripe would charge for ``purchase`` now: its first invoice, nothing written.

        Source: docs.stripe.com/api/invoices/create_preview; items without a subscription preview a new one.
        """
        details: dict[str, Any] = {"items": _items(purchase), "billing_mode": {"type": "flexible"}}
        params: Any = {
            "customer": purchase.customer_id,
            "currency": purchase.currency,
            "subscription_details": details,
            **self._tax,
            **_discounts(purchase),
        }
        document = reading.plain(ask(lambda: self._client.v1.invoices.create_preview(params)))
        return self._with_rates(reading.invoice(document))

    def _with_rates(self, invoice: Invoice) -> Invoice:
        """The invoice with its taxes named; a rate never changes, so each is asked for once."""
        parts = []
        for part in invoice.taxes:
            if part.rate_id and part.rate_id not in self._rates:
                self._rates[part.rate_id] = self._read("tax_rates", part.rate_id)
            parts.append(reading.named(part, self._rates.get(part.rate_id or "")))
        return replace(invoice, taxes=tuple(parts))

    # --- buying ------------------------------------------------------------------------------------

    def create_subscription(self, purchase: Purchase, *, key: str) -> Subscription:
        """The subscription of a first purchase, not yet paid (``default_incomplete``).

        Its first invoice is final and open, or there is a pending setup intent when nothing is due now
        (trial, 100 % off). Source: docs.stripe.com/billing/subscriptions/overview.
        """
        params: Any = {
            "customer": purchase.customer_id,
            "items": _items(purchase),
            "currency": purchase.currency,
            "payment_behavior": "default_incomplete",
            "payment_settings": {"save_default_payment_method": "on_subscription"},
            "billing_mode": {"type": "flexible"},
            "metadata": dict(purchase.metadata),
            "expand": SUBSCRIPTION_EXPANDED,
            **self._tax,
            **_discounts(purchase),
        }
        if purchase.trial_days:
            params["trial_period_days"] = purchase.trial_days
            params["trial_settings"] = {"end_behavior": {"missing_payment_method": "cancel"}}
        made = ask(lambda: self._client.v1.subscriptions.create(params, {"idempotency_key": key}))
        return reading.subscription(reading.plain(made))

    def subscription(self, subscription_id: str) -> Subscription:
        """The subscription as it is now, with its payment method. Raises NotFoundError."""
        return reading.subscription(self._read("subscriptions", subscription_id, SUBSCRIPTION_EXPANDED))

    def find_subscription(self, customer_id: str, name: str, value: str) -> Subscription | None:
        """The customer's subscription, in whatever state, whose metadata has ``name`` = ``value``."""

        def search() -> Subscription | None:
            params: Any = {"customer": customer_id, "status": "all", "limit": PAGE}
            for found in self._client.v1.subscriptions.list(params).auto_paging_iter():
                document = reading.plain(found)
                if (document.get("metadata") or {}).get(name) == value:
                    return reading.subscription(document)
            return None

        return ask(search)

    def cancel_subscription(self, subscription_id: str, *, key: str) -> Subscription:
        """End it at once, without a final invoice. One that has ended already is returned as it is."""
        try:
            gone = ask(
                lambda: self._client.v1.subscriptions.cancel(subscription_id, {}, {"idempotency_key": key})
            )
        except StripeRefusedError as refusal:
            # a second cancel of a cancelled one is a 404, as recorded
            if refusal.http_status not in (400, 404):
                raise
            return self.subscription(subscription_id)
        return reading.subscription(reading.plain(gone))

    # --- invoices and payments ------------------------------------------------------------------

    def invoice(self, invoice_id: str) -> Invoice:
        """The invoice as it is now, with all its lines, its intent and, while it is open, its client secret.

        Raises NotFoundError.
        """
        document = self._read("invoices", invoice_id, INVOICE_EXPANDED)
        if document["lines"]["has_more"]:
            return self._with_rates(reading.invoice(document, self._all_lines(invoice_id)))
        return self._with_rates(reading.invoice(document))

    def _all_lines(self, invoice_id: str) -> list[reading.Document]:
        def every() -> list[reading.Document]:
            pages = self._client.v1.invoices.line_items.list(invoice_id, {"limit": PAGE})
            return [reading.plain(line) for line in pages.auto_paging_iter()]

        return ask(every)

    def void_invoice(self, invoice_id: str, *, key: str) -> Invoice:
        """Make an open invoice void: nobody can pay it any more.

        Raises StripeRefusedError when it is paid, being paid, or not open.
        """
        params: Any = {}
        voided = ask(
            lambda: self._client.v1.invoices.void_invoice(invoice_id, params, {"idempotency_key": key})
        )
        return reading.invoice(reading.plain(voided))

    def payment_intent(self, intent_id: str) -> Intent:
        """The payment intent with what it was tried with. Raises NotFoundError."""
        return reading.payment_intent(self._read("payment_intents", intent_id, INTENT_EXPANDED))

    def setup_intent(self, intent_id: str) -> Intent:
        """The setup intent with the method that it saves. Raises NotFoundError."""
        return reading.setup_intent(self._read("setup_intents", intent_id, ["payment_method"]))

    # --- events ------------------------------------------------------------------------------------

    def events_since(self, created: int, types: tuple[str, ...]) -> list[Event]:
        """All events of ``types`` (none: of every type) created at or after that second, oldest first.

        Stripe keeps them for 30 days, and lists twenty types at once.
        """
        starts = range(0, len(types), EVENT_TYPES_AT_ONCE)
        groups = [types[start : start + EVENT_TYPES_AT_ONCE] for start in starts] or [()]

        def every() -> Iterator[Event]:
            for group in groups:
                found = self._pages("events", created={"gte": created}, types=list(group), limit=PAGE)
                yield from map(reading.event, found)

        found = ask(lambda: list(every()))
        # each group comes newest first, also within a second
        found.reverse()
        return sorted(found, key=lambda event: event.created)

    def _pages(self, kind: str, **params: Any) -> Iterator[reading.Document]:
        """All objects of a list, page by page."""
        while True:
            page = reading.document(self._client.raw_request("get", f"/v1/{kind}", **params))
            yield from page["data"]
            if not page["has_more"]:
                return
            params["starting_after"] = page["data"][-1]["id"]

    def _read(self, kind: str, object_id: str, expand: Sequence[str] = ()) -> reading.Document:
        """The object as Stripe's answer spells it. Raises NotFoundError.

        To make the SDK's objects of it and documents of these took longer than all else in reading it.
        """
        path = f"/v1/{kind}/{quote(object_id, safe='')}"
        return reading.document(find(lambda: self._client.raw_request("get", path, expand=list(expand))))


def _client(base_address: str | None, transport: stripe.HTTPClient, key: str) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=API_VERSION,
        base_addresses={"api": base_address, "meter_events": base_address} if base_address else None,
        max_network_retries=NETWORK_RETRIES,
        http_client=transport,
    )


def _items(purchase: Purchase) -> list[dict[str, Any]]:
    return [
        {"price": item.price_id}
        if item.quantity is None
        else {"price": item.price_id, "quantity": item.quantity}
        for item in purchase.items
    ]


def _discounts(purchase: Purchase) -> dict[str, Any]:
    if purchase.promotion_code_id is None:
        return {}
    return {"discounts": [{"promotion_code": purchase.promotion_code_id}]}


def connect_stripe(settings: Settings) -> StripeGateway:
    """The gateway to real Stripe or the sandbox, as ``settings`` say. Opens no connection."""
    return StripeGateway(
        settings.stripe_secret_key,
        webhook_secrets=settings.stripe_webhook_secrets,
        thin_webhook_secrets=settings.stripe_thin_webhook_secrets,
        base_address=settings.sandbox_url,
        account_id=settings.stripe_account,
        tax=settings.tax_enabled,
    )
