"""A preview is the invoice that would be made, and leaves no trace."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import BillingWorld
from tests.sandbox.recorded import refusal

PLACES: dict[str, Any] = {
    "new-york": {"address": {"country": "US", "state": "NY", "postal_code": "10001"}},
    "berlin": {"address": {"country": "DE"}},
    "berlin-business": {
        "address": {"country": "DE"},
        "tax_id_data": [{"type": "eu_vat", "value": "DE123456788"}],
    },
    "montreal": {"address": {"country": "CA", "state": "QC"}},
    "sao-paulo": {"address": {"country": "BR"}},
}
COMPARED = (
    "subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax", "amount_due", "currency",
    "starting_balance", "ending_balance",
)  # fmt: skip
# Remembered answers, and the tax rates that a preview names, which can be retrieved.
KEPT = ("_idempotency", "tax_rate")


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def order(world: BillingWorld) -> dict[str, Any]:
    """Twelve seats with a negotiated tenth off, five add-ons, usage, and a promotion code on top."""
    ten = world.v1.coupons.create({"percent_off": 10, "duration": "forever"})
    five = world.v1.coupons.create({"amount_off": 500, "currency": "usd", "duration": "once"})
    promotion: Any = {"type": "coupon", "coupon": five.id}
    code = world.v1.promotion_codes.create({"promotion": promotion, "code": "FIVE"})
    items = [
        {"price": world.price(9900), "quantity": 12, "discounts": [{"coupon": ten.id}]},
        {"price": world.price(3500), "quantity": 5},
        {"price": world.metered_price()},
    ]
    return {"items": items, "discounts": [{"promotion_code": code.id}], "coupon": five.id}


def preview(world: BillingWorld, asked: dict[str, Any], **params: Any) -> stripe.Invoice:
    details = {"items": asked["items"], **params.pop("details", {})}
    whole: Any = {
        "subscription_details": details,
        "discounts": asked["discounts"],
        "automatic_tax": {"enabled": True},
        **params,
    }
    return world.v1.invoices.create_preview(whole)


def amounts(invoice: stripe.Invoice) -> dict[str, Any]:
    """Everything about money on an invoice, without ids."""
    lines = [
        {
            "amount": line.amount,
            "description": line.description,
            "discounts": [row.amount for row in line.discount_amounts or []],
            "taxes": [(row.amount, row.taxability_reason, row.taxable_amount) for row in line.taxes or []],
            "period": (line.period.start, line.period.end),
        }
        for line in invoice.lines.data
    ]
    taxes = [(row.amount, row.taxability_reason) for row in invoice.total_taxes or []]
    return {**{name: invoice[name] for name in COMPARED}, "lines": lines, "taxes": taxes}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("trial", [False, True])
def test_the_preview_is_the_invoice_to_the_cent(world: BillingWorld, place: str, trial: bool) -> None:
    asked = order(world)
    customer = world.customer(None, **PLACES[place])
    end = {"trial_end": world.second + 14 * 86_400} if trial else {}
    shown = preview(world, asked, customer=customer.id, details=end)
    made: Any = {
        "customer": customer.id,
        "items": asked["items"],
        "discounts": asked["discounts"],
        "automatic_tax": {"enabled": True},
        "payment_behavior": "default_incomplete",
        **end,
    }
    invoice = world.latest_invoice(world.v1.subscriptions.create(made))

    assert amounts(shown) == amounts(invoice)
    assert (shown.total == 0) is trial


def stored(world: BillingWorld) -> dict[str, int]:
    """How many objects there are of each kind that a preview must not leave behind."""
    kinds = world.sandbox.store.kinds()
    return {kind: count for kind, count in kinds.items() if count and kind not in KEPT}


def test_a_preview_leaves_no_trace(world: BillingWorld) -> None:
    asked = order(world)
    customer = world.customer(None, **PLACES["berlin"])
    kinds, events = stored(world), world.event_types()
    shown = preview(world, asked, customer=customer.id)

    assert shown.id.startswith("upcoming_in_")
    assert (shown.status, shown.number) == ("draft", None)
    assert stored(world) == kinds
    assert world.event_types() == events
    assert world.v1.coupons.retrieve(asked["coupon"]).times_redeemed == 0
    assert world.v1.customers.retrieve(customer.id).next_invoice_sequence == 1


def test_a_preview_needs_no_customer(world: BillingWorld) -> None:
    asked = order(world)
    details = {"address": {"country": "FI"}}
    shown = preview(world, asked, customer_details=details)

    # 118800 and 17500 less 10 % on the seats and 500 on all; Finnish VAT of 25.5 %, line by line
    assert (shown.total_excluding_tax, shown.total) == (123_920, 155_519)


def test_details_in_the_request_replace_those_of_the_customer(world: BillingWorld) -> None:
    asked = order(world)
    customer = world.customer(None, **PLACES["berlin"])
    ids = [{"type": "eu_vat", "value": "DE123456788"}]
    business = preview(world, asked, customer=customer.id, customer_details={"tax_ids": ids})
    private = preview(world, asked, customer=customer.id)

    assert [row.taxability_reason for row in business.total_taxes or []] == ["reverse_charge"]
    assert [row.taxability_reason for row in private.total_taxes or []] == ["standard_rated"]


def test_a_preview_without_a_place_for_its_taxes_is_refused(world: BillingWorld) -> None:
    asked = order(world)
    customer = world.customer(None)
    error = refusal(lambda: preview(world, asked, customer=customer.id))

    assert (error.http_status, error.code) == (400, "customer_tax_location_invalid")


def test_a_credit_on_the_balance_lowers_what_the_preview_says_is_due(world: BillingWorld) -> None:
    asked = order(world)
    customer = world.customer(None, balance=-20_000, **PLACES["sao-paulo"])
    shown = preview(world, asked, customer=customer.id)

    assert (shown.total, shown.amount_due) == (123_920, 103_920)
    assert (shown.starting_balance, shown.ending_balance) == (-20_000, 0)
