"""Credit notes: before payment, after it, in parts, with discounts and taxes, taken back, and corrections."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal

GERMANY = {"line1": "Allee 1", "city": "Berlin", "postal_code": "10115", "country": "DE"}


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def paid(world: BillingWorld, quantity: int = 4, **params: Any) -> stripe.Invoice:
    """A paid first invoice of $30.00 for each seat."""
    customer = params.pop("customer", None) or world.customer()
    item = {"price": world.price(3000), "quantity": quantity, **params.pop("item", {})}
    subscription = world.v1.subscriptions.create({"customer": customer.id, "items": [item], **params})
    return world.latest_invoice(subscription)


def opened(world: BillingWorld, amount: int = 5000) -> stripe.Invoice:
    """An open one-off invoice."""
    customer = world.customer()
    world.v1.invoice_items.create({"customer": customer.id, "amount": amount, "currency": "usd"})
    draft = world.v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    return world.v1.invoices.finalize_invoice(draft.id)


def line(invoice: stripe.Invoice, **members: Any) -> dict[str, Any]:
    """A part of the invoice's first line."""
    return {"type": "invoice_line_item", "invoice_line_item": invoice.lines.data[0].id, **members}


def credit(world: BillingWorld, invoice: stripe.Invoice, *lines: Any, **params: Any) -> stripe.CreditNote:
    wanted: Any = {"invoice": invoice.id, **({"lines": list(lines)} if lines else {}), **params}
    return world.v1.credit_notes.create(wanted)


def fresh(world: BillingWorld, invoice: stripe.Invoice) -> stripe.Invoice:
    return world.v1.invoices.retrieve(invoice.id)


def balance(world: BillingWorld, invoice: stripe.Invoice) -> int | None:
    return world.v1.customers.retrieve(str(invoice.customer)).balance


def test_a_seat_of_a_paid_invoice_is_refunded(world: BillingWorld) -> None:
    invoice = paid(world)
    note = credit(world, invoice, line(invoice, quantity=1), refund_amount=3000, reason="order_change")
    refund = world.v1.refunds.retrieve(str(note.refunds[0].refund))

    assert (note.total, note.type, note.post_payment_amount) == (3000, "post_payment", 3000)
    assert note.number == f"{invoice.number}-CN-01"
    assert [(row.amount, row.quantity) for row in note.lines.data] == [(3000, 1)]
    assert (refund.amount, refund.status) == (3000, "succeeded")
    assert fresh(world, invoice).post_payment_credit_notes_amount == 3000
    assert (fresh(world, invoice).status, fresh(world, invoice).amount_paid) == ("paid", 12_000)
    assert {"credit_note.created", "refund.created", "charge.refunded"} <= set(world.event_types())


def test_a_credit_goes_to_the_balance_and_pays_the_next_invoice(world: BillingWorld) -> None:
    invoice = paid(world)
    note = credit(world, invoice, line(invoice, amount=1000), credit_amount=1000)
    customer = str(invoice.customer)
    entry = world.v1.customers.balance_transactions.retrieve(customer, str(note.customer_balance_transaction))
    world.v1.invoice_items.create({"customer": customer, "amount": 2500, "currency": "usd"})
    draft = world.v1.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"})
    following = world.v1.invoices.pay(draft.id)

    assert (entry.amount, entry.type, entry.credit_note) == (-1000, "credit_note", note.id)
    assert (following.starting_balance, following.amount_paid) == (-1000, 1500)
    assert balance(world, invoice) == 0


def test_a_credit_can_be_split_and_settled_elsewhere(world: BillingWorld) -> None:
    invoice = paid(world)
    note = credit(
        world, invoice, amount=6000, refund_amount=1000, credit_amount=2000, out_of_band_amount=3000
    )

    assert (note.total, note.out_of_band_amount) == (6000, 3000)
    assert balance(world, invoice) == -2000
    assert [row.amount_refunded for row in note.refunds] == [1000]


def test_an_earlier_refund_can_be_linked(world: BillingWorld) -> None:
    invoice = paid(world)
    payment = world.v1.invoices.retrieve(invoice.id, {"expand": ["payments"]}).payments
    assert payment is not None
    intent = str(payment.data[0].payment.payment_intent)
    refund = world.v1.refunds.create({"payment_intent": intent, "amount": 3000})
    refunds = [{"type": "refund", "refund": refund.id, "amount_refunded": 3000}]
    note = credit(world, invoice, line(invoice, quantity=1), refunds=refunds)

    assert [str(row.refund) for row in note.refunds] == [refund.id]
    assert len(world.v1.refunds.list({"payment_intent": intent}).data) == 1


def test_the_parts_must_add_up(world: BillingWorld) -> None:
    invoice = paid(world)
    error = refusal(lambda: credit(world, invoice, amount=6000, refund_amount=5000))

    assert error.http_status == 400
    assert "($50.00) must equal the post payment amount ($60.00)" in str(error)
    assert fresh(world, invoice).post_payment_credit_notes_amount == 0
    assert world.v1.refunds.list().data == []


def test_no_more_is_credited_than_the_invoice_has(world: BillingWorld) -> None:
    invoice = paid(world)
    credit(world, invoice, line(invoice, quantity=3), credit_amount=9000)
    too_many = refusal(lambda: credit(world, invoice, line(invoice, quantity=2), credit_amount=6000))
    too_much = refusal(lambda: credit(world, invoice, amount=3001, credit_amount=3001))

    assert too_many.param == "lines[0][quantity]"
    assert too_much.param == "amount"


def test_an_open_invoice_is_lessened_and_then_paid_for_the_rest(world: BillingWorld) -> None:
    invoice = opened(world)
    note = credit(world, invoice, amount=2000)
    lessened = world.v1.invoices.retrieve(invoice.id, {"expand": ["payments"]})
    assert lessened.payments is not None
    requested = lessened.payments.data[0].amount_requested
    after = world.v1.invoices.pay(invoice.id)

    assert (note.type, note.pre_payment_amount) == ("pre_payment", 2000)
    assert (lessened.total, lessened.amount_due, lessened.amount_remaining) == (5000, 3000, 3000)
    assert lessened.pre_payment_credit_notes_amount == 2000
    assert requested == 3000
    assert (after.status, after.amount_paid) == ("paid", 3000)


def test_an_open_invoice_without_a_rest_is_paid(world: BillingWorld) -> None:
    invoice = opened(world)
    credit(world, invoice, amount=5000)
    after = fresh(world, invoice)

    assert (after.status, after.amount_due, after.amount_paid) == ("paid", 0, 0)
    assert world.event_types()[-2:] == ["invoice.paid", "credit_note.created"]


def test_a_voided_note_makes_the_amount_due_again(world: BillingWorld) -> None:
    invoice = opened(world)
    note = credit(world, invoice, amount=2000)
    voided = world.v1.credit_notes.void_credit_note(note.id)
    after = world.v1.invoices.pay(invoice.id)

    assert (voided.status, voided.voided_at) == ("void", START)
    assert after.amount_paid == 5000
    assert "credit_note.voided" in world.event_types()
    assert refusal(lambda: world.v1.credit_notes.void_credit_note(note.id)).http_status == 400


def test_a_note_for_a_paid_invoice_cannot_be_voided(world: BillingWorld) -> None:
    invoice = paid(world)
    note = credit(world, invoice, amount=1000, credit_amount=1000)

    assert refusal(lambda: world.v1.credit_notes.void_credit_note(note.id)).http_status == 400
    assert balance(world, invoice) == -1000


def test_tax_and_discount_of_the_part_go_with_it(world: BillingWorld) -> None:
    coupon = world.v1.coupons.create({"percent_off": 10, "duration": "forever"})
    customer = world.customer(address=GERMANY)
    invoice = paid(
        world,
        customer=customer,
        automatic_tax={"enabled": True},
        item={"discounts": [{"coupon": coupon.id}]},
    )
    note = credit(world, invoice, line(invoice, quantity=1), refund_amount=3213)

    # 30.00 less 10 % is 27.00, and 19 % of that is 5.13
    assert (invoice.total, note.total) == (12_852, 3213)
    assert (note.discount_amount, note.total_excluding_tax) == (300, 2700)
    assert [row.amount for row in note.total_taxes or []] == [513]


def test_parts_add_up_to_the_whole_line(world: BillingWorld) -> None:
    customer = world.customer(address=GERMANY)
    subscription = world.subscribe(customer, world.price(1001), automatic_tax={"enabled": True})
    invoice = world.latest_invoice(subscription)
    notes = [
        credit(world, invoice, line(invoice, amount=amount), credit_amount=397) for amount in (334, 333, 334)
    ]

    # 19 % of 10.01 is 1.90; of the parts it would be 63, 63 and 63
    assert invoice.total == 1191
    assert [[tax.amount for tax in note.total_taxes or []] for note in notes] == [[63], [64], [63]]
    assert [note.total for note in notes] == [397, 397, 397]


def test_a_preview_changes_nothing_and_says_what_will_be(world: BillingWorld) -> None:
    invoice = paid(world)
    before = world.event_types()
    wanted: Any = {"invoice": invoice.id, "lines": [line(invoice, quantity=2)], "refund_amount": 6000}
    shown = world.v1.credit_notes.preview(wanted)
    lines = world.v1.credit_notes.preview_lines.list(wanted)

    assert (shown.total, [row.amount for row in lines.data]) == (6000, [6000])
    assert world.v1.credit_notes.list({"invoice": invoice.id}).data == []
    assert world.event_types() == before
    assert credit(world, invoice, *wanted["lines"], refund_amount=6000).total == shown.total


def test_notes_are_listed_read_and_annotated(world: BillingWorld) -> None:
    invoice = paid(world)
    first = credit(world, invoice, amount=1000, credit_amount=1000)
    second = credit(world, invoice, amount=500, credit_amount=500, memo="Sorry")
    world.v1.credit_notes.update(first.id, {"metadata": {"case": "7"}})
    listed = world.v1.credit_notes.list({"invoice": invoice.id}).data
    lines = world.v1.credit_notes.line_items.list(second.id).data

    assert [row.id for row in listed] == [second.id, first.id]
    assert [row.number for row in listed] == [f"{invoice.number}-CN-02", f"{invoice.number}-CN-01"]
    assert (listed[1].metadata or {})["case"] == "7"
    assert [(row.type, row.unit_amount) for row in lines] == [("custom_line_item", 500)]
    assert world.v1.credit_notes.retrieve(second.id).memo == "Sorry"


def test_a_note_has_a_pdf(world: BillingWorld) -> None:
    invoice = paid(world)
    note = credit(world, invoice, line(invoice, quantity=1), credit_amount=3000, memo="One seat fewer")
    path = note.pdf.split("sandbox.test", 1)[1]
    answer = world.app.test_client().get(path)

    assert (answer.status_code, answer.content_type) == (200, "application/pdf")
    assert answer.data.startswith(b"%PDF")
    assert world.app.test_client().get("/credit_note/nope/pdf").status_code == 404


def test_the_invoices_page_shows_what_was_credited(world: BillingWorld) -> None:
    invoice = paid(world)
    credit(world, invoice, line(invoice, quantity=1), refund_amount=3000)
    waiting = opened(world)
    credit(world, waiting, amount=2000)
    pages = [
        world.app.test_client().get(str(each.hosted_invoice_url).split("sandbox.test", 1)[1]).text
        for each in (invoice, waiting)
    ]

    assert "Credited after payment" in pages[0]
    assert "−$30.00" in pages[0]
    assert "−$20.00" in pages[1]
    assert "$30.00 USD" in pages[1]


@pytest.mark.parametrize("state", ["draft", "void"])
def test_only_final_invoices_are_credited(world: BillingWorld, state: str) -> None:
    invoice = opened(world)
    if state == "void":
        world.v1.invoices.void_invoice(invoice.id)
    else:
        invoice = world.v1.invoices.create({"customer": str(invoice.customer)})

    assert refusal(lambda: credit(world, invoice, amount=100)).http_status == 400


def test_an_invoice_paid_elsewhere_cannot_be_refunded(world: BillingWorld) -> None:
    invoice = opened(world)
    world.v1.invoices.pay(invoice.id, {"paid_out_of_band": True})

    assert refusal(lambda: credit(world, invoice, amount=500, refund_amount=500)).http_status == 400
    assert credit(world, invoice, amount=500, out_of_band_amount=500).total == 500


def test_a_wrong_name_is_corrected_with_a_credit_and_a_new_invoice(world: BillingWorld) -> None:
    invoice = paid(world)
    customer = str(invoice.customer)
    credit(world, invoice, line(invoice, quantity=4), credit_amount=12_000)
    world.v1.customers.update(customer, {"name": "Right Company GmbH"})
    world.v1.invoice_items.create(
        {"customer": customer, "amount": 12_000, "currency": "usd", "description": "4 seats"}
    )
    draft = world.v1.invoices.create(
        {
            "customer": customer,
            "pending_invoice_items_behavior": "include",
            "custom_fields": [{"name": "PO", "value": "4711"}],
        }
    )
    corrected = world.v1.invoices.finalize_invoice(draft.id)

    assert (corrected.status, corrected.amount_paid) == ("paid", 0)
    assert (corrected.total, corrected.starting_balance, corrected.ending_balance) == (12_000, -12_000, 0)
    assert corrected.customer_name == "Right Company GmbH"
    assert balance(world, invoice) == 0


def test_voiding_an_invoice_gives_the_balance_back_that_it_took(world: BillingWorld) -> None:
    customer = world.customer()
    world.v1.customers.balance_transactions.create(customer.id, {"amount": -2000, "currency": "usd"})
    world.v1.invoice_items.create({"customer": customer.id, "amount": 5000, "currency": "usd"})
    draft = world.v1.invoices.create({"customer": customer.id, "pending_invoice_items_behavior": "include"})
    invoice = world.v1.invoices.finalize_invoice(draft.id)
    taken = world.v1.customers.retrieve(customer.id).balance
    world.v1.invoices.void_invoice(invoice.id)

    assert (invoice.amount_due, taken) == (3000, 0)
    assert balance(world, invoice) == -2000
