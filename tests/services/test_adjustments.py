"""What happens to a paid invoice: refunds, credit notes and disputes reach our rows, once, in any order."""

from typing import Any

from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import Adjustment, Invoice
from portal.services import adjustments
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH


def paid(customer: Customer, **options: Any) -> Invoice:
    customer.buy(TWELVE_BY_THE_MONTH, **options)
    with unit_of_work(customer.workspace_id) as session:
        return session.scalars(select(Invoice)).one()


def known(customer: Customer, invoice: Invoice) -> list[Adjustment]:
    customer.settle()
    with unit_of_work(customer.workspace_id) as session:
        return adjustments.of_invoice(session, invoice.stripe_id)


def refund(customer: Customer, **params: Any) -> Any:
    [charge] = customer.shop.charges()
    return customer.shop.client.v1.refunds.create({"charge": charge.id, **params})


def test_a_refund_stands_with_the_invoice_that_was_paid(customer: Customer) -> None:
    invoice = paid(customer)
    refund(customer, amount=10_000, reason="requested_by_customer")
    [found] = known(customer, invoice)

    assert (found.kind, found.status, found.amount, found.reason) == (
        "refund",
        "succeeded",
        10_000,
        "requested_by_customer",
    )


def test_a_credit_note_says_where_its_parts_went(customer: Customer) -> None:
    invoice = paid(customer)
    customer.shop.client.v1.credit_notes.create(
        {
            "invoice": invoice.stripe_id,
            "amount": 9_900,
            "refund_amount": 5_000,
            "credit_amount": 4_000,
            "out_of_band_amount": 900,
        }
    )
    found = known(customer, invoice)
    note = next(each for each in found if each.kind == "credit_note")

    assert sorted(each.kind for each in found) == ["credit_note", "refund"]
    assert adjustments.refunded_apart(found) == []
    assert (note.amount, note.details["refunded"], note.details["balance"], note.details["outside"]) == (
        9_900,
        5_000,
        4_000,
        900,
    )
    assert str(note.details["number"]).endswith("-CN-01")
    with unit_of_work(customer.workspace_id) as session:
        assert adjustments.given_back(session, [invoice.stripe_id]) == {
            invoice.stripe_id: adjustments.GivenBack(9_900, 0)
        }


def test_a_dispute_is_kept_to_its_end_and_support_is_told_once(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    secret = customer.confirm(quote_id).client_secret or ""
    customer.shop.pay(secret, "pm_card_createDispute")
    customer.settle()
    customer.shop.advance(days=3)
    customer.settle()
    with unit_of_work(customer.workspace_id) as session:
        invoice = session.scalars(select(Invoice)).one()
    [opened] = known(customer, invoice)
    status = opened.status
    customer.shop.client.v1.disputes.close(opened.stripe_id)
    [lost] = known(customer, invoice)

    assert (status, lost.status, lost.amount) == ("needs_response", "lost", 146_200)
    assert customer.incidents().count("dispute") == 1


def test_a_second_delivery_changes_nothing_and_writes_no_history(customer: Customer) -> None:
    invoice = paid(customer)
    made = refund(customer, amount=100)
    [first] = known(customer, invoice)
    adjustments.refresh_refund(customer.gateways, made.id)
    adjustments.refresh_charge(customer.gateways, made.charge)
    [again] = known(customer, invoice)

    assert (first.amount, again.amount) == (100, 100)


def test_a_refund_of_nobody_here_is_left_alone(customer: Customer) -> None:
    intent = customer.shop.client.v1.payment_intents.create(
        {"amount": 500, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True,
         "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
    )  # fmt: skip
    made = customer.shop.client.v1.refunds.create({"payment_intent": intent.id})
    done = adjustments.refresh_refund(customer.gateways, made.id)

    assert done.workspace_id is None
