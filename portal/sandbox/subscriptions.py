"""Subscriptions: made from an order, with their first invoice."""

from __future__ import annotations

from typing import Any

from portal.sandbox import (
    added_items,
    amounts,
    billed,
    discount_objects,
    invoices,
    items,
    lines,
    ordering,
    payments,
    planned_end,
    setups,
    standing,
    tax_rates,
)
from portal.sandbox.confirmation import Outcome
from portal.sandbox.errors import StripeError, invalid
from portal.sandbox.invoice_totals import require_location
from portal.sandbox.ordering import Order
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "subscription"
NO_METHOD = (
    "This customer has no attached payment source or default payment method. Please consider adding "
    "a default "
    "payment method. For more information, visit "
    "https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority."
)
ACTION_REQUIRED = (
    "Payment for this subscription requires additional user action, but the requested payment "
    "behavior doesn't save "
    "the invoice or PaymentIntent. Retry the request with `payment_behavior=allow_incomplete` or "
    "`payment_behavior=default_incomplete`, then complete the PaymentIntent on the subscription's "
    "latest invoice. "
    "Additional information is available here: "
    "https://stripe.com/docs/billing/subscriptions/overview#requires-action"
)
UNSET = (
    "application", "application_fee_percent", "billing_cycle_anchor_config",
    "billing_thresholds", "cancel_at",
    "canceled_at", "customer_account", "days_until_due", "default_payment_method",
    "default_source", "description",
    "ended_at", "latest_invoice", "next_pending_invoice_item_invoice", "on_behalf_of", "pause_collection",
    "pending_invoice_item_interval", "pending_setup_intent", "pending_update", "schedule", "transfer_data",
    "trial_end", "trial_start",
)  # fmt: skip
DEFAULT_TRIAL_SETTINGS = {"end_behavior": {"missing_payment_method": "create_invoice"}}
NO_REASON = {"comment": None, "feedback": None, "reason": None}


def build(sandbox: Sandbox, order: Order, params: dict[str, Any]) -> Document:
    """Store the subscription of an order with its items; nothing is invoiced or told yet."""
    now = sandbox.now(order.customer)
    anchor = order.trial_end or now
    subscription = _blank(sandbox, order, params, now, anchor)
    id = subscription["id"]
    rows = ordering.build_items(sandbox, order, id, anchor=anchor, start=now)
    items.place(sandbox, subscription, rows)
    planned_end.plan(sandbox, subscription, params)
    subscription["discounts"] = discount_objects.attach(
        sandbox, order.coupons, order.customer, order.currency, subscription=id
    )
    sandbox.store.put(KIND, subscription)
    invoices.stamp_currency(sandbox, order.customer["id"], order.currency)
    return subscription


def _blank(sandbox: Sandbox, order: Order, params: dict[str, Any], now: int, anchor: int) -> Document:
    return {
        "id": sandbox.new_id("sub"),
        "object": KIND,
        **dict.fromkeys(UNSET),
        **_settings(params),
        "billing_cycle_anchor": anchor,
        "billing_mode": {
            "flexible": {"proration_discounts": "included"},
            "type": "flexible",
            "updated_at": None,
        },
        "billing_schedules": [],
        "cancel_at_period_end": False,
        "cancellation_details": dict(NO_REASON),
        "collection_method": params.get("collection_method", "charge_automatically"),
        "created": now,
        "currency": order.currency,
        "customer": order.customer["id"],
        "days_until_due": params.get("days_until_due"),
        "default_payment_method": params.get("default_payment_method"),
        "default_tax_rates": tax_rates.named(sandbox, params.get("default_tax_rates"), "default_tax_rates"),
        "description": params.get("description"),
        "discounts": [],
        "livemode": False,
        "metadata": params.get("metadata") or {},
        "start_date": now,
        "status": "trialing" if order.trial_end else "incomplete",
        "test_clock": order.customer.get("test_clock"),
        "trial_end": order.trial_end,
        "trial_settings": params.get("trial_settings") or DEFAULT_TRIAL_SETTINGS,
        "trial_start": now if order.trial_end else None,
        "_items": [],
    }


def _settings(params: dict[str, Any]) -> Document:
    """The hashes that say how the subscription is taxed, invoiced and paid."""
    payment, invoice = params.get("payment_settings") or {}, params.get("invoice_settings") or {}
    enabled = bool((params.get("automatic_tax") or {}).get("enabled"))
    return {
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": enabled,
            "liability": {"type": "self"} if enabled else None,
        },
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": invoice.get("description"),
            "footer": invoice.get("footer"),
            "issuer": {"type": "self"},
        },
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": payment.get("save_default_payment_method", "off"),
        },
    }


def create(sandbox: Sandbox, order: Order, params: dict[str, Any]) -> Document:
    """Make the subscription, its first invoice when there is something on it, and collect as asked.

    Raises Stripe's 400 without a payment method, 402 for `error_if_incomplete`.
    """
    subscription = build(sandbox, order, params)
    rows = first_lines(sandbox, subscription, params)
    if not rows:
        subscription["status"] = "active"
        sandbox.store.put(KIND, subscription)
        sandbox.emit("customer.subscription.created", subscription)
        return _ask_for_method(sandbox, subscription)
    waits = subscription["collection_method"] == "send_invoice"
    if waits and subscription["status"] == "incomplete":
        subscription["status"] = "active"
    invoice_id = sandbox.new_id("in")
    subscription["latest_invoice"] = invoice_id
    sandbox.store.put(KIND, subscription)
    sandbox.emit("customer.subscription.created", subscription)
    invoice = first_invoice(sandbox, subscription, rows, id=invoice_id, auto_advance=waits)
    require_location(invoice)
    if not waits:
        invoice = invoices.finalize(sandbox, invoice)
        _collect(sandbox, invoice, params)
    return _ask_for_method(sandbox, stored(sandbox, subscription))


def stored(sandbox: Sandbox, subscription: Document) -> Document:
    """The subscription as it now is."""
    return sandbox.store.get(KIND, subscription["id"]) or subscription


def first_lines(sandbox: Sandbox, subscription: Document, params: dict[str, Any]) -> list[Document]:
    """The lines of the first invoice: a line per licensed item, then what was added to this invoice only."""
    rows = item_lines(sandbox, subscription, items.of_subscription(sandbox, subscription))
    added = added_items.lines_of(sandbox, subscription, params.get("add_invoice_items") or [])
    return rows + added


def item_lines(sandbox: Sandbox, subscription: Document, rows: list[Document]) -> list[Document]:
    """The lines of the items that bill ahead: all but the metered ones."""
    return [item_line(sandbox, subscription, item) for item in rows if not items.is_metered(item)]


def item_line(
    sandbox: Sandbox, subscription: Document, item: Document, quantity: int | None = None
) -> Document:
    """The line of an item for its current period; in a trial it is free."""
    price = item["price"]
    product = sandbox.store.get("product", lines.product_id(price)) or {"name": "", "unit_label": None}
    quantity = item.get("quantity", 0) if quantity is None else quantity
    period = (item["current_period_start"], item["current_period_end"])
    free = subscription["status"] == "trialing"
    exact = amounts.for_quantity(price, quantity)
    line = lines.build(
        sandbox,
        amount=0 if free else amounts.whole(exact),
        currency=subscription["currency"],
        description=(
            f"Trial period for {product['name']}"
            if free
            else amounts.line_description(price, product, quantity)
        ),
        period=period,
        quantity=quantity,
        parent=lines.of_subscription_item(item),
        pricing=lines.pricing_of(price),
        discounts=item["discounts"],
        metadata=subscription["metadata"],
        subscription=subscription["id"],
        tax_behavior=price.get("tax_behavior"),
    )
    if free:
        line["pricing"]["unit_amount_decimal"] = "0"
    return line


def first_invoice(
    sandbox: Sandbox,
    subscription: Document,
    rows: list[Document],
    *,
    auto_advance: bool = False,
    **members: Any,
) -> Document:
    """The draft of a new subscription's first invoice."""
    return draft_invoice(
        sandbox,
        subscription,
        rows,
        billing_reason="subscription_create",
        auto_advance=auto_advance,
        **members,
    )


def draft_invoice(
    sandbox: Sandbox,
    subscription: Document,
    rows: list[Document],
    *,
    billing_reason: str,
    remember: bool = True,
    **members: Any,
) -> Document:
    """A draft that bills this subscription, with its discounts, tax setting and way of collecting.

    `remember`: its items keep what the lines bill for them.
    """
    customer = sandbox.store.get("customer", subscription["customer"])
    assert customer
    days = subscription["days_until_due"]
    details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
    members.setdefault("discounts", subscription["discounts"])
    invoice = invoices.draft(
        sandbox,
        customer,
        rows,
        billing_reason=billing_reason,
        currency=subscription["currency"],
        automatic_tax=subscription["automatic_tax"],
        collection_method=subscription["collection_method"],
        default_tax_rates=subscription["default_tax_rates"],
        description=subscription["invoice_settings"]["description"],
        footer=subscription["invoice_settings"]["footer"],
        due_date=None if days is None else sandbox.now(customer) + days * invoices.DAY,
        parent={"quote_details": None, "subscription_details": details, "type": "subscription_details"},
        **members,
    )
    if remember:
        billed.remember_stored(sandbox, invoice)
    return invoice


def _collect(sandbox: Sandbox, invoice: Document, params: dict[str, Any]) -> None:
    """Charge the open first invoice, unless the customer is going to confirm the payment itself."""
    behavior = params.get("payment_behavior", "allow_incomplete")
    if invoice["status"] != "open" or behavior == "default_incomplete":
        return
    if payments.default_method(sandbox, invoice) is None:
        raise invalid(NO_METHOD, code="resource_missing")
    outcome = payments.pay_invoice(sandbox, invoice, off_session=params.get("off_session", False))
    if behavior == "error_if_incomplete" and outcome.status not in ("succeeded", "processing"):
        raise refusal(outcome)


def refusal(outcome: Outcome) -> StripeError:
    """Stripe's 402 for a payment that did not go through and of which nothing is kept."""
    if outcome.status == "requires_action":
        return StripeError(
            402, "card_error", ACTION_REQUIRED, code="subscription_payment_intent_requires_action"
        )
    assert outcome.error
    outcome.error.keep = False
    return outcome.error


def _ask_for_method(sandbox: Sandbox, subscription: Document) -> Document:
    """Where nothing was due and no payment method is known, a setup intent waits to collect one."""
    customer = sandbox.store.get("customer", subscription["customer"]) or {}
    known = subscription["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
    automatic = subscription["collection_method"] == "charge_automatically"
    if known or not automatic or subscription["status"] not in ("trialing", "active"):
        return subscription
    intent = setups.create(
        sandbox, customer=customer["id"], usage="off_session", _subscription=subscription["id"]
    )
    subscription["pending_setup_intent"] = intent["id"]
    sandbox.store.put(KIND, subscription)
    return subscription


def setup_succeeded(sandbox: Sandbox, intent: Document) -> None:
    """The subscription's setup intent has a payment method: the default from now on, where asked for."""
    for subscription in sandbox.store.find(KIND, pending_setup_intent=intent["id"]):
        members: Document = {"pending_setup_intent": None}
        if subscription["payment_settings"]["save_default_payment_method"] == "on_subscription":
            members["default_payment_method"] = intent["payment_method"]
        standing.change(sandbox, subscription, **members)
