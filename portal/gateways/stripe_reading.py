"""Reading Stripe's objects: from the SDK's documents into our words."""

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import stripe

from portal.errors import N_
from portal.gateways.stripe_line_reading import line_facts, tax_part
from portal.gateways.stripe_words import (
    Decline,
    Event,
    Intent,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    PromotionCode,
    Subscription,
    SubscriptionItem,
    TaxId,
    TaxPart,
)

Document = Mapping[str, Any]

# JSON can spell these characters, PostgreSQL's jsonb and text refuse them; a customer's name may hold them
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
REPLACEMENT = "\ufffd"
# how JSON spells them
ESCAPED = re.compile(r"\\u(?:0000|d[89a-f])", re.IGNORECASE)


def plain(obj: stripe.StripeObject) -> dict[str, Any]:
    """The object as dicts and lists; ``StripeObject`` is no mapping any more."""
    document: dict[str, Any] = storable(obj.to_dict())
    return document


def document(answer: stripe.StripeResponse) -> dict[str, Any]:
    """An answer of Stripe's as it came, in which no text holds a character that the database refuses."""
    found: Any = storable(answer.data) if ESCAPED.search(answer.body) else answer.data
    return dict(found)


def storable(value: Any) -> Any:
    """A JSON value in which no text holds a character that the database refuses."""
    if isinstance(value, str):
        return UNSTORABLE.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {storable(key): storable(part) for key, part in value.items()}
    return [storable(part) for part in value] if isinstance(value, list) else value


def identity(value: Any) -> str | None:
    """The id of a reference, expanded or not."""
    if value is None or isinstance(value, str):
        return value
    found = value["id"]
    return str(found)


def rate(document: Document, name: str = "unit_amount") -> Decimal | None:
    """A unit amount in minor units; fractions of a cent arrive under ``<name>_decimal``."""
    exact = document.get(f"{name}_decimal")
    if exact is None:
        exact = document.get(name)
    return None if exact is None else Decimal(str(exact))


def payment_method(value: Any) -> PaymentMethod | None:
    """The method, if it was expanded; an id alone says nothing that may be shown."""
    if not isinstance(value, Mapping):
        return None
    kind = str(value["type"])
    facts: Mapping[str, Any] = value.get(kind) or {}
    return PaymentMethod(
        type=kind,
        brand=facts.get("display_brand")
        or facts.get("brand")
        or facts.get("bank_name")
        or facts.get("bank_code"),
        last4=facts.get("last4"),
        exp_month=facts.get("exp_month"),
        exp_year=facts.get("exp_year"),
        email=facts.get("email") or facts.get("payer_email"),
        id=value.get("id"),
    )


def decline(error: Any) -> Decline | None:
    """The last error of an intent, or nothing."""
    if not error:
        return None
    return Decline(
        code=error.get("code"),
        decline_code=error.get("decline_code"),
        message=error.get("message") or N_("The payment did not go through."),
    )


def payment_intent(document: Document) -> Intent:
    """A payment intent, with ``payment_method`` and ``latest_charge`` expanded where they are known."""
    error = document.get("last_payment_error")
    charge = document.get("latest_charge")
    method = document.get("payment_method") or (error or {}).get("payment_method")
    return Intent(
        id=document["id"],
        kind="payment",
        status=document["status"],
        client_secret=document.get("client_secret"),
        amount=document["amount"],
        error=decline(error),
        method=payment_method(method),
        receipt_url=charge.get("receipt_url") if isinstance(charge, Mapping) else None,
    )


def setup_intent(document: Document) -> Intent:
    """A setup intent, with ``payment_method`` expanded."""
    return Intent(
        id=document["id"],
        kind="setup",
        status=document["status"],
        client_secret=document.get("client_secret"),
        amount=None,
        error=decline(document.get("last_setup_error")),
        method=payment_method(document.get("payment_method")),
    )


def invoice_line(document: Document, discounts: Mapping[str, Mapping[str, Any]] | None = None) -> InvoiceLine:
    """One line; only taxes on top count as tax, since our prices are exclusive of it.

    ``discounts``: what is known of each discount by its id.
    """
    parent = document.get("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    pricing = document.get("pricing") or {}
    taxes = document.get("taxes") or []
    return InvoiceLine(
        id=document["id"],
        price_id=identity((pricing.get("price_details") or {}).get("price")),
        subscription_item_id=details.get("subscription_item"),
        description=document.get("description") or "",
        quantity=document.get("quantity"),
        unit_amount=rate(pricing),
        amount=document["amount"],
        discount=sum(part["amount"] for part in document.get("discount_amounts") or []),
        tax=sum(part["amount"] for part in taxes if part["tax_behavior"] == "exclusive"),
        proration=bool(details.get("proration")),
        period_start=document["period"]["start"],
        period_end=document["period"]["end"],
        credits=sum(
            part["amount"]
            for part in document.get("pretax_credit_amounts") or []
            if part["type"] == "credit_balance_transaction"
        ),
        **line_facts(document, discounts or {}),
    )


def _tax_parts(document: Document) -> tuple[TaxPart, ...]:
    return tuple(tax_part(part) for part in document.get("total_taxes") or [])


def _named_discounts(document: Document) -> dict[str, dict[str, Any]]:
    """Id → what is known of it; names and percentages only where ``INVOICE_EXPANDED`` was asked for."""
    parts = document.get("total_discount_amounts") or []
    return {identity(part["discount"]) or "": _discount(part["discount"]) for part in parts}


def named(part: TaxPart, tax_rate: Document | None) -> TaxPart:
    """The tax with what its rate says about it: a name, a percentage, a place."""
    if tax_rate is None:
        return part
    percentage = tax_rate.get("effective_percentage")
    if percentage is None:
        percentage = tax_rate.get("percentage")
    return replace(
        part,
        name=tax_rate.get("display_name"),
        percentage=None if percentage is None else f"{Decimal(str(percentage)).normalize():f}",
        country=tax_rate.get("country"),
        jurisdiction=tax_rate.get("jurisdiction") or tax_rate.get("country"),
    )


def _billing(document: Document) -> dict[str, Any]:
    return {
        "name": document.get("customer_name"),
        "email": document.get("customer_email"),
        "address": document.get("customer_address"),
        "tax_exempt": document.get("customer_tax_exempt"),
        "tax_ids": [dict(entry) for entry in document.get("customer_tax_ids") or []],
        "custom_fields": [dict(entry) for entry in document.get("custom_fields") or []],
    }


def _intent_of(document: Document) -> str | None:
    """The payment intent of the default payment, when ``payments`` is expanded."""
    payments = (document.get("payments") or {}).get("data") or []
    ranked = sorted(payments, key=lambda entry: (entry["status"] == "canceled", not entry["is_default"]))
    for entry in ranked:
        found = identity((entry.get("payment") or {}).get("payment_intent"))
        if found:
            return found
    return None


def invoice(document: Document, lines: list[Document] | None = None) -> Invoice:
    """An invoice or preview. ``lines`` are all its lines when the document holds only the first page.

    ``subtotal`` is summed from the lines: Stripe's own is already net of item discounts (seen in recordings).
    """
    known = _named_discounts(document)
    rows = lines if lines is not None else document["lines"]["data"]
    read = tuple(invoice_line(line, known) for line in rows)
    parent = (document.get("parent") or {}).get("subscription_details") or {}
    transitions = document.get("status_transitions") or {}
    return Invoice(
        id=document.get("id") or "upcoming_in",
        customer_id=identity(document.get("customer")) or "",
        subscription_id=identity(parent.get("subscription")),
        metadata=dict(parent.get("metadata") or {}),
        number=document.get("number"),
        status=document.get("status"),
        billing_reason=document.get("billing_reason"),
        currency=document["currency"],
        subtotal=sum(line.amount for line in read),
        discount=sum(part["amount"] for part in document.get("total_discount_amounts") or []),
        tax=sum(part["amount"] for part in document.get("total_taxes") or []),
        total=document["total"],
        amount_due=document["amount_due"],
        amount_paid=document["amount_paid"],
        starting_balance=document.get("starting_balance") or 0,
        ending_balance=document.get("ending_balance"),
        lines=read,
        taxes=_tax_parts(document),
        tax_status=(document.get("automatic_tax") or {}).get("status"),
        billing=_billing(document),
        hosted_invoice_url=document.get("hosted_invoice_url"),
        invoice_pdf=document.get("invoice_pdf"),
        created=document["created"],
        finalized_at=transitions.get("finalized_at"),
        paid_at=transitions.get("paid_at"),
        attempt_count=document.get("attempt_count") or 0,
        next_payment_attempt=document.get("next_payment_attempt"),
        intent_id=_intent_of(document),
        client_secret=(document.get("confirmation_secret") or {}).get("client_secret"),
        own_metadata=dict(document.get("metadata") or {}),
    )


def _item(document: Document) -> SubscriptionItem:
    price = document["price"]
    return SubscriptionItem(
        id=document["id"],
        price_id=price["id"],
        product_id=identity(price["product"]) or "",
        lookup_key=price.get("lookup_key"),
        interval=price["recurring"]["interval"],
        metered=price["recurring"]["usage_type"] == "metered",
        quantity=document.get("quantity"),
        unit_amount=rate(price),
        period_start=document["current_period_start"],
        period_end=document["current_period_end"],
    )


def _discount(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {"id": value}
    source = value.get("source") or {}
    coupon = source.get("coupon")
    expanded: Mapping[str, Any] = coupon if isinstance(coupon, Mapping) else {}
    percent = expanded.get("percent_off")
    products = (expanded.get("applies_to") or {}).get("products")
    return {
        "id": value["id"],
        "coupon": identity(coupon),
        "name": expanded.get("name"),
        "percent_off": None if percent is None else str(percent),
        "amount_off": expanded.get("amount_off"),
        "promotion_code": identity(value.get("promotion_code")),
        "start": value.get("start"),
        "end": value.get("end"),
        "products": None if products is None else list(products),
        "duration": expanded.get("duration"),
    }


def subscription(document: Document) -> Subscription:
    """A subscription with all its items."""
    method = document.get("default_payment_method")
    return Subscription(
        id=document["id"],
        customer_id=identity(document["customer"]) or "",
        status=document["status"],
        currency=document["currency"],
        metadata=dict(document.get("metadata") or {}),
        items=tuple(_item(item) for item in document["items"]["data"]),
        discounts=tuple(_discount(entry) for entry in document.get("discounts") or []),
        created=document["created"],
        started_at=document.get("start_date"),
        trial_end=document.get("trial_end"),
        cancel_at=document.get("cancel_at"),
        canceled_at=document.get("canceled_at"),
        ended_at=document.get("ended_at"),
        latest_invoice_id=identity(document.get("latest_invoice")),
        setup_intent_id=identity(document.get("pending_setup_intent")),
        method=payment_method(method),
        default_method_id=identity(method),
        anchor=document["billing_cycle_anchor"],
        schedule_id=identity(document.get("schedule")),
        pending=_pending(document.get("pending_update")),
        ended_because=(document.get("cancellation_details") or {}).get("reason"),
    )


def _pending(value: Any) -> dict[str, str] | None:
    return None if value is None else dict(value.get("metadata") or {})


def promotion_code(document: Document) -> PromotionCode:
    """A promotion code whose coupon (with ``applies_to``) is expanded. Percentages leave float here."""
    coupon = document["promotion"]["coupon"]
    restrictions = document.get("restrictions") or {}
    percent = coupon.get("percent_off")
    return PromotionCode(
        id=document["id"],
        code=document["code"],
        active=document["active"],
        coupon_id=coupon["id"],
        coupon_valid=coupon["valid"],
        name=coupon.get("name"),
        percent_off=None if percent is None else Decimal(str(percent)),
        amount_off=coupon.get("amount_off"),
        currency=coupon.get("currency"),
        duration=coupon["duration"],
        duration_in_months=coupon.get("duration_in_months"),
        product_ids=tuple((coupon.get("applies_to") or {}).get("products") or ()),
        customer_id=identity(document.get("customer")),
        expires_at=document.get("expires_at"),
        minimum_amount=restrictions.get("minimum_amount"),
        minimum_amount_currency=restrictions.get("minimum_amount_currency"),
        first_purchase_only=bool(restrictions.get("first_time_transaction")),
    )


def tax_id(document: Document) -> TaxId:
    """A customer's tax number with the registry's answer."""
    return TaxId(
        id=document["id"],
        type=document["type"],
        value=document["value"],
        status=(document.get("verification") or {}).get("status"),
        customer_id=identity(document.get("customer")),
    )


def event(document: Document) -> Event:
    """An event, from a webhook's body or from the list of events.

    Raises KeyError, TypeError or ValueError when it has not the shape of one.
    """
    if document["object"] != "event":
        raise ValueError("not an event")
    subject = document["data"]["object"]
    found = subject.get("id")
    return Event(
        id=str(document["id"]),
        type=str(document["type"]),
        api_version=document.get("api_version"),
        livemode=bool(document["livemode"]),
        account=document.get("account"),
        created=int(document["created"]),
        object_id=None if found is None else str(found),
        payload=document,
    )
