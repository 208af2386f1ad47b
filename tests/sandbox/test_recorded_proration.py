"""Recorded prorations, replayed through the SDK to the cent and the second."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import BillingWorld
from tests.sandbox.recorded import covers, expected, given

INVOICE_FIELDS = (
    "billing_reason", "status", "attempted", "attempt_count", "auto_advance", "amount_due",
    "amount_paid", "amount_remaining", "subtotal", "subtotal_excluding_tax", "total",
    "total_excluding_tax", "starting_balance", "ending_balance", "period_start", "period_end",
    "number", "created", "automatically_finalizes_at", "next_payment_attempt", "effective_at",
)  # fmt: skip


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


class Changed:
    """A recorded subscription, and the change that was made to it."""

    def __init__(self, world: BillingWorld, case: str, customer: stripe.Customer | None = None) -> None:
        self.world, self.case = world, case
        self.given = given(case)
        before = self.given["before"]
        world.at(before["period_start"])
        self.customer = customer or world.customer()
        price = world.price(before["unit_amount"], before.get("interval", "month"), before["product_name"])
        self.product = world.v1.prices.retrieve(price).product
        self.subscription = world.subscribe(self.customer, price)
        self.first_invoice = str(self.subscription.latest_invoice)

    def swap(self, amount: int, at: int, interval: str = "month", **params: Any) -> stripe.Subscription:
        """Move the only item to another price of the same product."""
        price = self.world.v1.prices.create(
            {
                "product": str(self.product),
                "currency": "usd",
                "unit_amount": amount,
                "recurring": {"interval": interval},
            }
        )
        item = self.subscription["items"].data[0].id
        self.world.at(at)
        wanted = {"items": [{"id": item, "price": price.id}], **params}
        return self.world.v1.subscriptions.update(self.subscription.id, wanted)


def assert_invoice(invoice: stripe.Invoice, wanted: dict[str, Any]) -> None:
    """The recorded fields, except the number, whose sequence depends on what came before."""
    fields = {name: value for name, value in wanted.items() if name in INVOICE_FIELDS}

    assert {name: getattr(invoice, name) for name in fields} == fields


def line_facts(world: BillingWorld, line: Any) -> dict[str, Any]:
    """A line in the words of the recordings."""
    price = world.v1.prices.retrieve(line.pricing.price_details.price)
    parent = line.parent.subscription_item_details or line.parent.invoice_item_details
    decimal = line.pricing.unit_amount_decimal
    return {
        "amount": line.amount,
        "quantity": line.quantity,
        "period_start": line.period.start,
        "period_end": line.period.end,
        "description": line.description,
        "price_unit_amount": price.unit_amount,
        "proration": parent.proration,
        "discountable": line.discountable,
        "unit_amount_decimal": None if decimal is None else str(decimal),
        "parent_type": line.parent.type,
    }


def assert_lines(world: BillingWorld, invoice: stripe.Invoice, wanted: list[dict[str, Any]]) -> None:
    facts = [line_facts(world, line) for line in invoice.lines.data]
    recorded = [{name: value for name, value in row.items() if name in facts[0]} for row in wanted]

    assert [{name: row[name] for name in want} for row, want in zip(facts, recorded, strict=True)] == recorded


@covers(
    "pror-tie-price-up", "pror-downgrade-third", "pror-settle-large-upgrade", "pror-settle-downgrade",
    "bal-after-net-negative-invoice",
)  # fmt: skip
@pytest.mark.parametrize(
    "case",
    ["pror-tie-price-up", "pror-downgrade-third", "pror-settle-large-upgrade", "pror-settle-downgrade"],
)
def test_a_price_change_is_prorated_and_settled_at_once(world: BillingWorld, case: str) -> None:
    changed = Changed(world, case)
    after = changed.swap(
        changed.given["change"]["unit_amount"],
        changed.given["updated_at"],
        proration_behavior="always_invoice",
        proration_date=changed.given["proration_date"],
    )
    invoice = world.v1.invoices.retrieve(str(after.latest_invoice))
    item = after["items"].data[0]
    want = expected(case)

    assert_invoice(invoice, want["invoice"])
    assert_lines(world, invoice, want["lines_in_order"])
    assert after.status == "active"
    assert item.current_period_end == changed.given["before"]["period_end"]
    balance = world.v1.customers.retrieve(changed.customer.id).balance
    assert balance == want["invoice"]["ending_balance"]


@covers("pror-tie-price-up")
def test_the_credit_names_the_line_that_it_gives_back(world: BillingWorld) -> None:
    changed = Changed(world, "pror-tie-price-up")
    first = world.v1.invoices.retrieve(changed.first_invoice)
    after = changed.swap(1800, 1790021307, proration_behavior="always_invoice")
    credit, debit = world.v1.invoices.retrieve(str(after.latest_invoice)).lines.data
    credited = credit.parent.subscription_item_details.proration_details.credited_items

    assert credited.invoice == first.id
    assert credited.invoice_line_items == [first.lines.data[0].id]
    assert debit.parent.subscription_item_details.proration_details.credited_items is None


@covers("bal-after-net-negative-invoice")
def test_a_net_credit_becomes_the_customers_balance(world: BillingWorld) -> None:
    changed = Changed(world, "pror-downgrade-third")
    change = {"proration_behavior": "always_invoice", "proration_date": 1791749314}
    changed.swap(1000, 1790021316, **change)
    customer = world.v1.customers.retrieve(changed.customer.id)
    row = world.v1.customers.balance_transactions.list(customer.id).data[0]
    want = expected("bal-after-net-negative-invoice")["customer"]

    assert customer.balance == want["balance"]
    assert customer.currency == want["currency"]
    assert customer.delinquent is want["delinquent"]
    assert customer.next_invoice_sequence == 3
    assert (row.type, row.amount, row.ending_balance) == ("applied_to_invoice", -334, -334)


@covers("pror-probe-pending-tie", "pror-none-creates-nothing")
def test_prorations_wait_for_the_next_invoice_unless_told_otherwise(world: BillingWorld) -> None:
    case = "pror-probe-pending-tie"
    changed = Changed(world, case)
    after = changed.swap(1800, 1790019530, proration_date=changed.given["proration_date"])
    rows = world.v1.invoice_items.list({"customer": changed.customer.id, "pending": True}).data
    want = expected(case)

    assert [row.amount for row in rows] == want["pending_item_amounts_newest_first"]
    assert [[row.period.start, row.period.end] for row in rows] == want["pending_periods"]
    assert [row.description for row in rows] == want["descriptions"]
    assert str(after.latest_invoice) == changed.first_invoice
    assert [row.frozen_fields for row in rows] == [["pricing", "quantity", "discounts"]] * 2
    assert [row.net_amount for row in rows] == [-3, 4]

    unprorated = Changed(world, "pror-none-creates-nothing", changed.customer)
    after = unprorated.swap(1800, 1790021323, proration_behavior="none")
    want = expected("pror-none-creates-nothing")
    item = after["items"].data[0]

    assert world.pending_amounts(changed.customer) == want["pending_item_amounts_newest_first"]
    assert str(after.latest_invoice) == unprorated.first_invoice
    assert item.price.unit_amount == want["item_unit_amount_after"]
    assert item.current_period_start == want["current_period_start"]
    assert item.current_period_end == want["current_period_end"]


@covers("pror-cancel-prorate-credits-billed-price", "pror-probe-none-then-cancel")
def test_a_cancellation_credits_what_was_billed(world: BillingWorld) -> None:
    case = "pror-cancel-prorate-credits-billed-price"
    other = Changed(world, "pror-probe-pending-tie")
    other.swap(1800, 1790019530, proration_date=other.given["proration_date"])
    changed = Changed(world, case, other.customer)
    changed.swap(1800, 1790021323, proration_behavior="none")
    world.at(changed.given["canceled_at"])
    ended = world.v1.subscriptions.cancel(changed.subscription.id, {"prorate": True})
    want = expected(case)
    item = world.v1.invoice_items.list({"customer": changed.customer.id, "pending": True}).data[0]

    assert (ended.status, ended.canceled_at, ended.ended_at) == ("canceled", 1790021329, 1790021329)
    assert str(ended.latest_invoice) == changed.first_invoice
    assert world.pending_amounts(changed.customer) == want["pending_item_amounts_newest_first"]
    assert item.amount == want["pending_item"]["amount"]
    assert item.net_amount == want["pending_item"]["net_amount"]
    assert item.date == want["pending_item"]["date"]
    assert (item.period.start, item.period.end) == (1790021329, 1792613321)
    assert item.description == want["pending_item"]["description"]
    assert item.parent is None
    assert "proration_details" not in item
    assert (item.proration, item.discountable) == (True, False)


@covers("pror-cancel-prorate-invoice-now", "life-cancel-prorate-invoice-now-fields")
def test_a_cancellation_can_put_its_credit_on_a_draft(world: BillingWorld) -> None:
    case = "pror-cancel-prorate-invoice-now"
    changed = Changed(world, case)
    world.at(changed.given["canceled_at"])
    ended = world.v1.subscriptions.cancel(changed.subscription.id, {"prorate": True, "invoice_now": True})
    want = expected(case)
    invoice = world.v1.invoices.retrieve(str(ended.latest_invoice))
    recorded = dict(want["invoice_read_at_once"])
    one_second_later = ("created", "automatically_finalizes_at", "next_payment_attempt")
    shifted = {name: recorded.pop(name) - 1 for name in one_second_later}

    assert_invoice(invoice, {**recorded, **shifted})
    assert_lines(world, invoice, want["lines_in_order"])
    assert ended.status == "canceled"
    assert (ended.cancel_at, ended.cancel_at_period_end) == (None, False)
    assert ended.cancellation_details.reason == "cancellation_requested"
    assert ended["items"].data[0].current_period_end == want["subscription"]["current_period_end"]
    assert world.v1.customers.retrieve(changed.customer.id).balance == 0


@covers("round-monthly-to-annual-3s-later")
def test_moving_from_month_to_year_keeps_the_anchor_and_rounds_to_the_nearest_cent(
    world: BillingWorld,
) -> None:
    case = "round-monthly-to-annual-3s-later"
    changed = Changed(world, case)
    after = changed.swap(
        25000,
        changed.given["updated_at"],
        interval="year",
        proration_behavior="always_invoice",
        trial_end="now",
    )
    want = expected(case)
    item = after["items"].data[0]
    invoice = world.v1.invoices.retrieve(str(after.latest_invoice), {"expand": ["confirmation_secret"]})

    assert_invoice(invoice, want["invoice"])
    assert_lines(world, invoice, want["lines_in_order"])
    assert after.billing_cycle_anchor == want["subscription"]["billing_cycle_anchor"]
    assert item.current_period_start == want["subscription"]["current_period_start"]
    assert item.current_period_end == want["subscription"]["current_period_end"]
    assert invoice.confirmation_secret.type == want["invoice"]["confirmation_secret_type"]


@covers("life-anchor-now")
def test_restarting_the_period_writes_the_added_time_and_no_invoice(world: BillingWorld) -> None:
    want = expected("life-anchor-now")["subscription"]
    world.at(1790019537)
    customer = world.customer()
    before = world.subscribe(customer, world.price(1000))
    world.at(1790019541)
    after = world.v1.subscriptions.update(before.id, {"billing_cycle_anchor": {"type": "now"}})
    item = after["items"].data[0]

    assert (after.status, after.billing_cycle_anchor) == (want["status"], want["billing_cycle_anchor"])
    assert item.current_period_start == want["current_period_start"]
    assert item.current_period_end == want["current_period_end"]
    assert after.start_date == want["start_date"]
    assert after.latest_invoice == before.latest_invoice
    assert world.pending_amounts(customer) == [0]
