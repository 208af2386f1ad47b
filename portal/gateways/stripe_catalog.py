"""The set-up side of Stripe: products, prices, meters, coupons, endpoints, domains, tax registrations."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import stripe

from portal.errors import ConflictError
from portal.gateways import stripe_reading as reading
from portal.gateways.stripe_errors import StripeRefusedError, ask
from portal.gateways.stripe_words import Band, Meter, Price, PriceSpec, Product, WebhookEndpoint

PAGE = 100
LOOKUP_KEYS_PER_CALL = 10


class StripeAccount:
    """What commands set up and check; nothing here belongs to one customer."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    # --- catalogue -----------------------------------------------------------------------------

    def product(self, product_id: str) -> Product | None:
        """The product with that id (ours: we choose it), or nothing."""
        try:
            return _product(reading.plain(ask(lambda: self._client.v1.products.retrieve(product_id))))
        except StripeRefusedError as refusal:
            if refusal.missing:
                return None
            raise

    def create_product(
        self,
        product_id: str,
        name: str,
        *,
        tax_code: str,
        unit_label: str | None,
        metadata: Mapping[str, str],
        key: str,
    ) -> Product:
        """A product under an id of our choosing, so that making it twice cannot make two."""
        params: Any = {"id": product_id, "name": name, "tax_code": tax_code, "metadata": dict(metadata)}
        if unit_label:
            params["unit_label"] = unit_label
        made = ask(lambda: self._client.v1.products.create(params, {"idempotency_key": key}))
        return _product(reading.plain(made))

    def update_product(
        self, product_id: str, *, name: str, tax_code: str, metadata: Mapping[str, str], key: str
    ) -> None:
        """Name, tax code and metadata may change; invoices already made keep theirs."""
        params: Any = {"name": name, "tax_code": tax_code, "metadata": dict(metadata), "active": True}
        ask(lambda: self._client.v1.products.update(product_id, params, {"idempotency_key": key}))

    def prices(self, lookup_keys: list[str]) -> dict[str, Price]:
        """The prices that hold those lookup keys, archived ones too."""
        found: dict[str, Price] = {}
        for start in range(0, len(lookup_keys), LOOKUP_KEYS_PER_CALL):
            params: Any = {
                "lookup_keys": lookup_keys[start : start + LOOKUP_KEYS_PER_CALL],
                "limit": PAGE,
                "expand": ["data.tiers"],
            }
            for entry in self._price_page(params):
                price = _price(reading.plain(entry))
                found[price.lookup_key] = price
        return found

    def _price_page(self, params: Any) -> list[stripe.Price]:
        return ask(lambda: self._client.v1.prices.list(params)).data

    def create_price(self, spec: PriceSpec, *, key: str) -> Price:
        """A price, tax on top. Its amount can never change afterwards."""
        recurring: dict[str, Any] = {"interval": spec.interval}
        if spec.meter_id:
            recurring |= {"usage_type": "metered", "meter": spec.meter_id}
        params: Any = {
            "product": spec.product_id,
            "currency": spec.currency,
            "lookup_key": spec.lookup_key,
            "recurring": recurring,
            "tax_behavior": "exclusive",
            "metadata": dict(spec.metadata),
        }
        if spec.bands:
            params |= {"billing_scheme": "tiered", "tiers_mode": spec.bands_mode, "tiers": _tiers(spec.bands)}
        else:
            params |= _amount("unit_amount", spec.unit_amount)
        return _price(
            reading.plain(ask(lambda: self._client.v1.prices.create(params, {"idempotency_key": key})))
        )

    def meters(self) -> dict[str, Meter]:
        """Active meters by event name."""
        params: Any = {"status": "active", "limit": PAGE}
        listed = ask(lambda: list(self._client.v1.billing.meters.list(params).auto_paging_iter()))
        return {entry.event_name: _meter(entry) for entry in listed}

    def create_meter(self, event_name: str, display_name: str, *, key: str) -> Meter:
        """A meter that sums ``value`` per ``stripe_customer_id``."""
        params: Any = {
            "event_name": event_name,
            "display_name": display_name,
            "default_aggregation": {"formula": "sum"},
            "customer_mapping": {"type": "by_id", "event_payload_key": "stripe_customer_id"},
            "value_settings": {"event_payload_key": "value"},
        }
        return _meter(ask(lambda: self._client.v1.billing.meters.create(params, {"idempotency_key": key})))

    # --- promotion codes --------------------------------------------------------------------------

    def create_promotion(
        self,
        code: str,
        *,
        percent_off: Decimal | None,
        amount_off: int | None,
        currency: str,
        duration: str,
        months: int | None,
        product_ids: list[str],
        key: str,
    ) -> str:
        """A coupon for ``product_ids`` and a promotion code for it; the promotion code's id.

        Exactly one of ``percent_off`` and ``amount_off`` (minor units) is given. A code that is in use raises
        ConflictError before anything is made, so that no coupon is left behind.
        """
        taken: Any = {"code": code, "active": True, "limit": 1}
        if ask(lambda: self._client.v1.promotion_codes.list(taken)).data:
            raise ConflictError(f"There is an active promotion code {code} already.")
        coupon: Any = {"duration": duration, "name": code, "applies_to": {"products": product_ids}}
        if percent_off is not None:
            coupon["percent_off"] = f"{percent_off:f}"
        else:
            coupon |= {"amount_off": amount_off, "currency": currency}
        if months is not None:
            coupon["duration_in_months"] = months
        made = ask(lambda: self._client.v1.coupons.create(coupon, {"idempotency_key": f"{key}:coupon"}))
        params: Any = {"code": code, "promotion": {"type": "coupon", "coupon": made.id}}
        return ask(
            lambda: self._client.v1.promotion_codes.create(params, {"idempotency_key": f"{key}:code"})
        ).id

    # --- endpoints, domains, tax -------------------------------------------------------------------

    def webhook_endpoints(self) -> list[WebhookEndpoint]:
        """All webhook endpoints of the account."""
        params: Any = {"limit": PAGE}
        listed = ask(lambda: list(self._client.v1.webhook_endpoints.list(params).auto_paging_iter()))
        return [_endpoint(reading.plain(entry)) for entry in listed]

    def create_webhook_endpoint(
        self, url: str, events: tuple[str, ...], *, api_version: str, key: str
    ) -> WebhookEndpoint:
        """An endpoint pinned to ``api_version``; its secret is told only in this answer."""
        params: Any = {"url": url, "enabled_events": list(events), "api_version": api_version}
        made = ask(lambda: self._client.v1.webhook_endpoints.create(params, {"idempotency_key": key}))
        return _endpoint(reading.plain(made))

    def update_webhook_endpoint(self, endpoint_id: str, events: tuple[str, ...], *, key: str) -> None:
        """Let it send exactly ``events``, and enable it."""
        params: Any = {"enabled_events": list(events), "disabled": False}
        ask(lambda: self._client.v1.webhook_endpoints.update(endpoint_id, params, {"idempotency_key": key}))

    def event_destinations(self) -> list[WebhookEndpoint]:
        """Where the thin events of API v2 are sent, over HTTP."""
        params: Any = {"include": ["webhook_endpoint.url"], "limit": PAGE}
        listed = ask(lambda: list(self._client.v2.core.event_destinations.list(params).auto_paging_iter()))
        found = [_destination(reading.plain(entry)) for entry in listed]
        return [each for each in found if each.url]

    def create_event_destination(self, name: str, url: str, events: tuple[str, ...], *, key: str) -> str:
        """A destination for thin events; its secret, which is told only in this answer."""
        params: Any = {
            "name": name,
            "type": "webhook_endpoint",
            "event_payload": "thin",
            "enabled_events": list(events),
            "webhook_endpoint": {"url": url},
            "include": ["webhook_endpoint.signing_secret"],
        }
        options: Any = {"idempotency_key": key}
        made = ask(lambda: self._client.v2.core.event_destinations.create(params, options))
        return str(reading.plain(made)["webhook_endpoint"]["signing_secret"])

    def update_event_destination(self, destination_id: str, events: tuple[str, ...]) -> None:
        """Let it send exactly ``events``, and enable it."""
        params: Any = {"enabled_events": list(events)}
        ask(lambda: self._client.v2.core.event_destinations.update(destination_id, params))
        ask(lambda: self._client.v2.core.event_destinations.enable(destination_id))

    def payment_method_domains(self) -> dict[str, bool]:
        """Registered domain → enabled."""
        params: Any = {"limit": PAGE}
        listed = ask(lambda: list(self._client.v1.payment_method_domains.list(params).auto_paging_iter()))
        return {entry.domain_name: entry.enabled for entry in listed}

    def create_payment_method_domain(self, domain: str, *, key: str) -> None:
        """Register ``domain`` for Link, Apple Pay, Google Pay and other wallets."""
        params: Any = {"domain_name": domain}
        ask(lambda: self._client.v1.payment_method_domains.create(params, {"idempotency_key": key}))

    def tax_settings(self) -> str:
        """``active`` or ``pending`` (the head office's address is missing)."""
        return str(ask(lambda: self._client.v1.tax.settings.retrieve()).status)

    def tax_registrations(self) -> list[str]:
        """Countries in which tax is collected; with none, tax is 0 and nothing says so."""
        params: Any = {"status": "active", "limit": PAGE}
        listed = ask(lambda: list(self._client.v1.tax.registrations.list(params).auto_paging_iter()))
        return [entry.country for entry in listed]


def _amount(name: str, value: Decimal | None) -> dict[str, Any]:
    """``unit_amount`` when it is whole, else the exact decimal."""
    if value is None:
        raise ValueError(f"a price needs its {name}")
    if value == value.to_integral_value():
        return {name: int(value)}
    return {f"{name}_decimal": value}


def _tiers(bands: tuple[Band, ...]) -> list[dict[str, Any]]:
    return [
        {
            "up_to": "inf" if band.up_to is None else band.up_to,
            **_amount("unit_amount", band.unit_amount),
            **({"flat_amount": band.flat_amount} if band.flat_amount else {}),
        }
        for band in bands
    ]


def _product(document: reading.Document) -> Product:
    return Product(
        id=document["id"],
        name=document["name"],
        active=document["active"],
        tax_code=reading.identity(document.get("tax_code")),
        unit_label=document.get("unit_label"),
        metadata=dict(document.get("metadata") or {}),
    )


def _price(document: reading.Document) -> Price:
    recurring = document.get("recurring") or {}
    return Price(
        id=document["id"],
        lookup_key=document.get("lookup_key") or "",
        product_id=reading.identity(document["product"]) or "",
        currency=document["currency"],
        interval=recurring.get("interval") or "",
        unit_amount=reading.rate(document),
        bands=tuple(_band(tier) for tier in document.get("tiers") or []),
        bands_mode=document.get("tiers_mode"),
        meter_id=recurring.get("meter"),
        metadata=dict(document.get("metadata") or {}),
        active=document["active"],
        tax_behavior=document.get("tax_behavior"),
    )


def _band(tier: reading.Document) -> Band:
    return Band(
        up_to=tier.get("up_to"),
        unit_amount=reading.rate(tier) or Decimal(0),
        flat_amount=tier.get("flat_amount") or 0,
    )


def _meter(entry: Any) -> Meter:
    return Meter(
        id=entry.id,
        event_name=entry.event_name,
        display_name=entry.display_name,
        active=entry.status == "active",
    )


def _endpoint(document: reading.Document) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=document["id"],
        url=document["url"],
        api_version=document.get("api_version"),
        enabled=document["status"] == "enabled",
        events=tuple(document["enabled_events"]),
        secret=document.get("secret"),
    )


def _destination(document: reading.Document) -> WebhookEndpoint:
    return WebhookEndpoint(
        id=document["id"],
        url=(document.get("webhook_endpoint") or {}).get("url") or "",
        api_version=None,
        enabled=document["status"] == "enabled",
        events=tuple(document["enabled_events"]),
    )
