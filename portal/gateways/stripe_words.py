"""What the portal knows of Stripe's objects, in its own words: frozen values, no SDK types.

Amounts are integer minor units, rates ``Decimal`` minor units, times unix seconds (Stripe's).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class TaxId:
    """A customer's tax number; ``status`` is the registry's: pending, verified, unverified, unavailable."""

    id: str
    type: str
    value: str
    status: str | None
    customer_id: str | None = None


@dataclass(frozen=True)
class PromotionCode:
    """A code that a customer may type, with the coupon behind it.

    Exactly one of ``percent_off`` and ``amount_off`` is set; ``product_ids`` empty means every product.
    """

    id: str
    code: str
    active: bool
    coupon_id: str
    coupon_valid: bool
    name: str | None
    percent_off: Decimal | None
    amount_off: int | None
    currency: str | None
    duration: str  # once | repeating | forever
    duration_in_months: int | None
    product_ids: tuple[str, ...]
    customer_id: str | None
    expires_at: int | None
    minimum_amount: int | None
    minimum_amount_currency: str | None
    first_purchase_only: bool


@dataclass(frozen=True)
class PaymentMethod:
    """What pays, as far as it may be stored and shown."""

    type: str
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    email: str | None = None
    id: str | None = None

    def as_dict(self) -> dict[str, object]:
        """The stored form; absent facts are null."""
        return {
            "id": self.id,
            "type": self.type,
            "brand": self.brand,
            "last4": self.last4,
            "exp_month": self.exp_month,
            "exp_year": self.exp_year,
            "email": self.email,
        }


@dataclass(frozen=True)
class Decline:
    """Why a payment did not go through."""

    code: str | None
    decline_code: str | None
    message: str

    def as_dict(self) -> dict[str, object]:
        """The stored form."""
        return {"code": self.code, "decline_code": self.decline_code, "message": self.message}


@dataclass(frozen=True)
class Intent:
    """A payment or setup intent: what the browser confirms.

    ``status`` is Stripe's: requires_payment_method, requires_confirmation, requires_action, processing,
    succeeded, canceled.
    """

    id: str
    kind: str  # payment | setup
    status: str
    client_secret: str | None
    amount: int | None
    error: Decline | None
    method: PaymentMethod | None
    receipt_url: str | None = None


@dataclass(frozen=True)
class LineDiscount:
    """What one discount took off a line: ``amount`` ≥ 0, and what it is called where that is known.

    ``agreed``: it was given to this customer, not brought by a promotion code.
    """

    amount: int
    name: str | None = None
    percent_off: str | None = None
    amount_off: int | None = None
    agreed: bool = False


@dataclass(frozen=True)
class InvoiceLine:
    """One line. ``amount`` is before discounts, ``discount`` ≥ 0, ``tax`` on top of what is left.

    ``credits`` ≥ 0 is what credit grants pay of it; a draft's and a preview's are not taken yet. A credit of
    unused time names the invoice and the lines that it gives back.
    """

    id: str
    price_id: str | None
    subscription_item_id: str | None
    description: str
    quantity: int | None
    unit_amount: Decimal | None
    amount: int
    discount: int
    tax: int
    proration: bool
    period_start: int
    period_end: int
    product_id: str | None = None
    discounts: tuple[LineDiscount, ...] = ()
    taxes: "tuple[TaxPart, ...]" = ()
    credited_invoice_id: str | None = None
    credited_line_ids: tuple[str, ...] = ()
    credits: int = 0

    @property
    def total(self) -> int:
        """Net of discounts, before credits and tax."""
        return self.amount - self.discount


@dataclass(frozen=True)
class TaxPart:
    """One tax of an invoice. ``reason`` is Stripe's, e.g. standard_rated, reverse_charge."""

    amount: int
    taxable_amount: int | None
    reason: str | None
    rate_id: str | None
    name: str | None = None  # VAT, Sales tax …
    percentage: str | None = None
    jurisdiction: str | None = None
    country: str | None = None  # two letters


@dataclass(frozen=True)
class Invoice:
    """An invoice or a preview of one (``id`` then starts with ``upcoming_in``)."""

    id: str
    customer_id: str
    subscription_id: str | None
    metadata: Mapping[str, str]
    number: str | None
    status: str | None  # draft | open | paid | void | uncollectible
    billing_reason: str | None
    currency: str
    subtotal: int  # sum of the lines before every discount
    discount: int
    tax: int
    total: int
    amount_due: int
    amount_paid: int
    starting_balance: int
    ending_balance: int | None
    lines: tuple[InvoiceLine, ...]
    taxes: tuple[TaxPart, ...]
    tax_status: str | None  # complete | failed | requires_location_inputs; None while automatic tax is off
    billing: Mapping[str, Any]
    hosted_invoice_url: str | None
    invoice_pdf: str | None
    created: int
    finalized_at: int | None
    paid_at: int | None
    attempt_count: int
    next_payment_attempt: int | None
    intent_id: str | None = None
    client_secret: str | None = None
    own_metadata: Mapping[str, str] = field(default_factory=dict)  # ``metadata`` is its subscription's

    @property
    def credits(self) -> int:
        """What credit grants pay of it, before tax."""
        return sum(line.credits for line in self.lines)


@dataclass(frozen=True)
class SubscriptionItem:
    """One item; metered ones have no quantity."""

    id: str
    price_id: str
    product_id: str
    lookup_key: str | None
    interval: str
    metered: bool
    quantity: int | None
    unit_amount: Decimal | None
    period_start: int
    period_end: int


@dataclass(frozen=True)
class Subscription:
    """A subscription as Stripe has it now."""

    id: str
    customer_id: str
    status: str
    currency: str
    metadata: Mapping[str, str]
    items: tuple[SubscriptionItem, ...]
    discounts: tuple[Mapping[str, Any], ...]
    created: int
    started_at: int | None
    trial_end: int | None
    cancel_at: int | None
    canceled_at: int | None
    ended_at: int | None
    latest_invoice_id: str | None
    setup_intent_id: str | None
    method: PaymentMethod | None
    default_method_id: str | None
    anchor: int = 0  # the second from which periods are counted
    schedule_id: str | None = None
    # the metadata that it gets once the change that waits for its payment is paid; None: none waits
    pending: Mapping[str, str] | None = None
    ended_because: str | None = None  # cancellation_requested | payment_failed | payment_disputed


@dataclass(frozen=True)
class PurchaseItem:
    """One item of a purchase: a price, and a quantity unless it is metered."""

    price_id: str
    quantity: int | None = None


@dataclass(frozen=True)
class Purchase:
    """All that a first purchase asks of Stripe; previewed and created from the same value."""

    customer_id: str
    items: tuple[PurchaseItem, ...]
    currency: str
    promotion_code_id: str | None = None
    trial_days: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """A notice that something happened. Only its type and the object's id are trusted to steer by."""

    id: str
    type: str
    api_version: str | None
    livemode: bool
    account: str | None
    created: int
    object_id: str | None
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Band:
    """One step of a tiered price; ``up_to`` None is the last."""

    up_to: int | None
    unit_amount: Decimal
    flat_amount: int = 0


@dataclass(frozen=True)
class PriceSpec:
    """A price as our catalogue wants it. Exactly one of ``unit_amount`` and ``bands`` is set."""

    lookup_key: str
    product_id: str
    currency: str
    interval: str
    unit_amount: Decimal | None
    bands: tuple[Band, ...] = ()
    bands_mode: str | None = None  # graduated | volume
    meter_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Price(PriceSpec):
    """A price as Stripe has it."""

    id: str = ""
    active: bool = True
    tax_behavior: str | None = None


@dataclass(frozen=True)
class Product:
    """What a price belongs to; invoice lines carry its name."""

    id: str
    name: str
    active: bool
    tax_code: str | None
    unit_label: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Meter:
    """Stripe's counter of one kind of usage."""

    id: str
    event_name: str
    display_name: str
    active: bool


@dataclass(frozen=True)
class WebhookEndpoint:
    """Where Stripe sends events. ``secret`` is told once, when it is made."""

    id: str
    url: str
    api_version: str | None
    enabled: bool
    events: tuple[str, ...]
    secret: str | None = None
