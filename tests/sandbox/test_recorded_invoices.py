"""Recorded invoices: numbers, states, sums, drafts and the customer's balance, replayed through the SDK."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import BillingWorld
from tests.sandbox.recorded import assert_refused_as_recorded, covers, expected, given, refusal


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


@pytest.fixture
def customer(world: BillingWorld) -> stripe.Customer:
    return world.customer()


TRANSITIONS = ("finalized_at", "paid_at", "voided_at")


def facts(invoice: stripe.Invoice) -> dict[str, Any]:
    """An invoice in the words of the recordings."""
    shown = invoice.to_dict()
    return {
        **shown,
        **{name: shown["status_transitions"][name] for name in TRANSITIONS},
        "number_suffix": (invoice.number or "-")[-4:],
        "parent_type": invoice.parent.type if invoice.parent else None,
        "total_count": invoice.lines.total_count,
        "total_count_on_invoice": invoice.lines.total_count,
        "total_discount_amounts": [row.amount for row in invoice.total_discount_amounts or []],
        "total_pretax_credit_amounts": [row.amount for row in invoice.total_pretax_credit_amounts or []],
        "lines": invoice.lines.data,
    }


def assert_recorded(invoice: stripe.Invoice, wanted: dict[str, Any], *left_out: str) -> None:
    shown = facts(invoice)
    fields = {name: value for name, value in wanted.items() if name in shown and name not in left_out}

    assert fields, "nothing was compared"
    assert {name: shown[name] for name in fields} == fields


def draft(world: BillingWorld, customer: stripe.Customer, *amounts: int, **params: Any) -> stripe.Invoice:
    """A draft made by hand with these amounts on it."""
    for amount in amounts:
        world.v1.invoice_items.create({"customer": customer.id, "amount": amount, "currency": "usd"})
    sweep = {"pending_invoice_items_behavior": "include"} if amounts else {}
    return world.v1.invoices.create({"customer": customer.id, **sweep, **params})


@covers("inv-subscription-create", "tax-untaxed-invoice-fields")
def test_the_first_invoice_of_a_subscription_is_paid_in_the_call(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    asked = given("inv-subscription-create")["new_subscription"]
    world.at(asked["period_start"])
    subscription = world.subscribe(customer, world.price(1000, product=asked["product_name"]))
    invoice = world.latest_invoice(subscription)
    want = expected("inv-subscription-create")
    line, wanted_line = invoice.lines.data[0], want["lines_in_order"][0]

    assert_recorded(invoice, want["invoice"])
    assert (line.amount, line.quantity) == (wanted_line["amount"], wanted_line["quantity"])
    assert (line.period.start, line.period.end) == (wanted_line["period_start"], wanted_line["period_end"])
    assert line.description == "1 × probe proration 2 (at $10.00 / month)"
    assert (line.parent.type, line.discountable) == ("subscription_item_details", True)
    assert str(line.pricing.unit_amount_decimal) == wanted_line["unit_amount_decimal"]

    untaxed = expected("tax-untaxed-invoice-fields")
    assert invoice.total_taxes == untaxed["total_taxes"]
    assert line.taxes == untaxed["line_taxes"]
    assert invoice.automatic_tax.to_dict() == untaxed["automatic_tax"]


@covers("bal-owed-1-drawn-on-next-invoice", "bal-owed-4-drawn-on-next-invoice")
@pytest.mark.parametrize("case", ["bal-owed-1-drawn-on-next-invoice", "bal-owed-4-drawn-on-next-invoice"])
def test_what_a_customer_owes_is_collected_with_the_next_invoice(world: BillingWorld, case: str) -> None:
    customer = world.customer(balance=given(case)["customer_balance_before"])
    subscription = world.subscribe(customer, world.price(1000))

    assert_recorded(world.latest_invoice(subscription), expected(case)["invoice"], "number_suffix")
    assert world.v1.customers.retrieve(customer.id).balance == 0


@covers("bal-too-small-net-rolls-4")
def test_a_total_below_the_minimum_charge_rolls_to_the_balance(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    invoice = world.v1.invoices.finalize_invoice(draft(world, customer, 4).id)
    row = world.v1.customers.balance_transactions.list(customer.id).data[0]

    assert_recorded(invoice, expected("bal-too-small-net-rolls-4")["invoice"])
    assert (row.type, row.amount) == ("invoice_too_small", 4)
    assert world.v1.customers.retrieve(customer.id).balance == 4


@covers("inv-number-skips-drafts")
def test_numbers_are_taken_when_an_invoice_becomes_final(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    first = world.subscribe(customer, world.price(1000))
    world.v1.subscriptions.cancel(first.id, {"prorate": True, "invoice_now": True})
    second = world.subscribe(customer, world.price(1000))
    ended = world.v1.subscriptions.retrieve(first.id)

    assert world.v1.invoices.retrieve(str(ended.latest_invoice)).number is None
    assert world.latest_invoice(second).number == f"{customer.invoice_prefix}-0002"


@covers("inv-items-list-newest-first", "inv-create-excludes-pending-by-default", "inv-create-include-pending")
def test_an_invoice_takes_up_pending_items_only_when_asked(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    world.at(1789995706)
    texts = given("inv-create-include-pending")["items_created_in_order"]
    for row in texts:
        world.v1.invoice_items.create({"customer": customer.id, "currency": "usd", **row})
    listed = world.v1.invoice_items.list({"limit": 5, "pending": True})
    want = expected("inv-items-list-newest-first")

    assert [row.amount for row in listed.data] == want["amounts_in_order"]
    assert (listed.has_more, listed.url) == (want["has_more"], want["url"])

    bare = draft(world, customer)
    assert_recorded(bare, {**expected("inv-create-excludes-pending-by-default"), "lines": []})

    world.at(1789995707)
    full = draft(world, customer, pending_invoice_items_behavior="include")
    want = expected("inv-create-include-pending")
    shown = [
        {name: line[name] for name in ("amount", "subtotal", "quantity", "description")}
        for line in full.lines.data
    ]
    assert shown == want["lines_in_order"]
    assert {line.parent.type for line in full.lines.data} == {want["line_parent_type"]}
    assert_recorded(full, want)
    page = world.v1.invoices.line_items.list(full.id)
    assert [line.amount for line in page.data] == [1500, 2000]
    assert "total_count" not in page


@covers("inv-auto-advance-window")
def test_the_hour_of_an_automatic_draft_is_reckoned_from_its_making(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    world.at(given("inv-auto-advance-window")["created"])
    want = expected("inv-auto-advance-window")
    invoice = draft(world, customer, 800, auto_advance=True)
    assert_recorded(invoice, want["at_create"])

    world.at(world.second + 9)
    assert_recorded(world.v1.invoices.update(invoice.id, {"auto_advance": False}), want["after_false"])
    assert_recorded(world.v1.invoices.update(invoice.id, {"auto_advance": True}), want["after_true_again"])


@covers("inv-pay-draft", "err-invoice-pay-paid", "err-invoice-mark-not-open", "err-invoice-delete-nondraft")
def test_paying_a_draft_makes_it_final_and_charges(world: BillingWorld, customer: stripe.Customer) -> None:
    world.at(given("inv-pay-draft")["at"])
    invoice = draft(world, customer, 2000, 1500)
    assert_refused_as_recorded(
        "err-invoice-mark-not-open", lambda: world.v1.invoices.mark_uncollectible(invoice.id)
    )

    paid = world.v1.invoices.pay(invoice.id)
    assert_recorded(paid, expected("inv-pay-draft"))
    assert_refused_as_recorded("err-invoice-pay-paid", lambda: world.v1.invoices.pay(invoice.id))
    assert_refused_as_recorded(
        "err-invoice-mark-not-open", lambda: world.v1.invoices.mark_uncollectible(invoice.id)
    )
    assert_refused_as_recorded("err-invoice-delete-nondraft", lambda: world.v1.invoices.delete(invoice.id))


@covers("inv-add-line", "inv-remove-line", "inv-finalize-zero-is-paid", "err-invoice-update-finalized")
def test_lines_of_a_draft_come_and_go(world: BillingWorld, customer: stripe.Customer) -> None:
    world.at(given("inv-finalize-zero-is-paid")["at"])
    invoice = draft(world, customer)
    full = world.v1.invoices.add_lines(invoice.id, {"lines": given("inv-add-line")["lines"]})
    want = expected("inv-add-line")
    line = full.lines.data[0]
    assert_recorded(full, want)
    assert (line.amount, line.quantity, line.description) == (999, 1, "Extra line")
    assert str(line.pricing.unit_amount_decimal) == "999"

    changed = world.v1.invoices.update_lines(invoice.id, {"lines": [{"id": line.id, "amount": 1200}]})
    assert (changed.total, changed.lines.data[0].id) == (1200, line.id)

    lines = [{"id": line.id, "behavior": "delete"}]
    assert_recorded(world.v1.invoices.remove_lines(invoice.id, {"lines": lines}), expected("inv-remove-line"))
    paid = world.v1.invoices.finalize_invoice(invoice.id)
    assert_recorded(paid, expected("inv-finalize-zero-is-paid"), "number_suffix")
    assert_refused_as_recorded(
        "err-invoice-update-finalized", lambda: world.v1.invoices.update(invoice.id, {"description": "later"})
    )
    assert world.v1.invoices.update(invoice.id, {"metadata": {"k": "v"}}).metadata.to_dict() == {"k": "v"}


@covers("inv-finalize-open", "inv-void-open", "err-invoice-void-not-open")
def test_finalizing_opens_without_charging_and_voiding_keeps_the_number(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    world.at(given("inv-finalize-open")["at"])
    invoice = draft(world, customer, 3000)
    assert_refused_as_recorded(
        "err-invoice-void-not-open", lambda: world.v1.invoices.void_invoice(invoice.id)
    )
    opened = world.v1.invoices.finalize_invoice(invoice.id)
    assert_recorded(opened, expected("inv-finalize-open"), "number_suffix")
    again = refusal(lambda: world.v1.invoices.finalize_invoice(invoice.id))
    assert str(again.user_message) == (
        "This invoice is already finalized, you can't re-finalize a non-draft invoice."
    )

    world.at(1789995717)
    void = world.v1.invoices.void_invoice(invoice.id)
    assert_recorded(void, expected("inv-void-open"), "number_suffix")
    assert void.number == opened.number
    assert_refused_as_recorded(
        "err-invoice-void-not-open", lambda: world.v1.invoices.void_invoice(invoice.id)
    )


@covers("inv-send-invoice-draft", "inv-send-zero", "inv-send-open-unchanged", "inv-paid-out-of-band")
def test_an_invoice_that_is_sent_waits_to_be_paid_otherwise(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    world.at(given("inv-send-invoice-draft")["created"])
    sent = {"collection_method": "send_invoice", "days_until_due": 7}
    empty = draft(world, customer, **sent)
    assert_recorded(empty, expected("inv-send-invoice-draft"))
    assert_recorded(world.v1.invoices.send_invoice(empty.id), expected("inv-send-zero"), "number_suffix")

    world.at(1789995723)
    full = draft(world, customer, 4400, **sent)
    world.v1.invoices.finalize_invoice(full.id)
    opened = world.v1.invoices.send_invoice(full.id)
    assert_recorded(opened, expected("inv-send-open-unchanged"), "number_suffix")

    world.at(1789995725)
    paid = world.v1.invoices.pay(full.id, {"paid_out_of_band": True})
    assert_recorded(paid, expected("inv-paid-out-of-band"))


@covers("inv-manual-on-subscription-empty")
def test_an_empty_invoice_for_a_subscription_takes_its_period(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    asked, want = given("inv-manual-on-subscription-empty"), expected("inv-manual-on-subscription-empty")
    world.at(asked["subscription_period_start"])
    subscription = world.subscribe(customer, world.price(1000))
    world.at(asked["created"])
    invoice = world.v1.invoices.create({"customer": customer.id, "subscription": subscription.id})
    assert_recorded(invoice, want["draft"])
    assert_recorded(world.v1.invoices.pay(invoice.id), want["after_pay"], "number_suffix")


@covers("disc-item-percent-50")
def test_an_items_discount_leaves_its_line_gross_and_the_subtotal_net(
    world: BillingWorld, customer: stripe.Customer
) -> None:
    coupon = world.v1.coupons.create({"percent_off": 50, "duration": "forever"})
    item = world.v1.invoice_items.create(
        {
            "customer": customer.id,
            "amount": 1900,
            "currency": "usd",
            "discounts": [{"coupon": coupon.id}],
        }
    )
    invoice = world.v1.invoices.pay(draft(world, customer, pending_invoice_items_behavior="include").id)
    line, want = invoice.lines.data[0], expected("disc-item-percent-50")

    assert (item.amount, len(item.discounts or [])) == (1900, 1)
    assert (line.amount, line.subtotal, line.discountable) == (1900, 1900, True)
    assert [row.amount for row in line.discount_amounts or []] == [950]
    assert [(row.amount, row.type) for row in line.pretax_credit_amounts or []] == [(950, "discount")]
    assert_recorded(invoice, want["invoice"])


@covers(
    "err-invoice-send-needs-due", "err-invoice-due-needs-send", "err-invoice-bad-two-value-enum",
    "err-invoice-unknown-param",
)  # fmt: skip
@pytest.mark.parametrize(
    ("case", "params"),
    [
        ("err-invoice-send-needs-due", {"collection_method": "send_invoice"}),
        ("err-invoice-due-needs-send", {"days_until_due": 5}),
        ("err-invoice-bad-two-value-enum", {"pending_invoice_items_behavior": "bogus"}),
        ("err-invoice-unknown-param", {"nope": 1}),
    ],
)
def test_what_an_invoice_cannot_be_made_from(
    world: BillingWorld, customer: stripe.Customer, case: str, params: Any
) -> None:
    assert_refused_as_recorded(case, lambda: world.v1.invoices.create({"customer": customer.id, **params}))


@covers("err-item-404", "err-item-delete-on-dead-invoice")
def test_an_item_on_a_deleted_draft_stays_there(world: BillingWorld, customer: stripe.Customer) -> None:
    assert_refused_as_recorded("err-item-404", lambda: world.v1.invoice_items.retrieve("ii_nope"))
    item = world.v1.invoice_items.create({"customer": customer.id, "amount": 100, "currency": "usd"})
    invoice = draft(world, customer, pending_invoice_items_behavior="include")
    gone = world.v1.invoices.delete(invoice.id)
    update = refusal(lambda: world.v1.invoice_items.update(item.id, {"amount": 5}))

    assert gone.to_dict() == {"id": invoice.id, "object": "invoice", "deleted": True}
    assert world.pending_amounts(customer) == []
    assert update.user_message == "This invoice item has been deleted."
    assert_refused_as_recorded(
        "err-item-delete-on-dead-invoice", lambda: world.v1.invoice_items.delete(item.id)
    )


@covers("err-invoice-404-param-by-route")
def test_each_route_names_the_missing_invoice_in_its_own_way(world: BillingWorld) -> None:
    want = expected("err-invoice-404-param-by-route")
    invoices, id = world.v1.invoices, given("err-invoice-404-param-by-route")["id"]
    calls = {
        "GET /v1/invoices/{id}": lambda: invoices.retrieve(id),
        "POST /v1/invoices/{id}": lambda: invoices.update(id, {"metadata": {"a": "b"}}),
        "DELETE /v1/invoices/{id}": lambda: invoices.delete(id),
        "POST pay": lambda: invoices.pay(id),
        "POST finalize": lambda: invoices.finalize_invoice(id),
        "POST void": lambda: invoices.void_invoice(id),
        "POST send": lambda: invoices.send_invoice(id),
        "POST mark_uncollectible": lambda: invoices.mark_uncollectible(id),
        "POST add_lines": lambda: invoices.add_lines(id, {"lines": [{"amount": 1}]}),
    }
    errors = {route: refusal(call) for route, call in calls.items()}

    assert {route: error.param for route, error in errors.items()} == want["param_by_route"]
    assert {error.http_status for error in errors.values()} == {want["http_status"]}
    assert {error.code for error in errors.values()} == {want["code"]}
    assert {error.user_message for error in errors.values()} == {want["message"]}
