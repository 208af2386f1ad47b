"""A paid invoice made out anew: the same to the cent, paid from its own credit, whatever fails on the way."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.errors import UnavailableError
from portal.models import Adjustment, Correction, Invoice
from portal.services import checkout, corrections, details_changes, invoices
from portal.services.corrections import NotCorrectableError
from portal.services.details_changes import Wanted
from tests.faults import Killed
from tests.services.buying import Customer
from tests.shop import BERLIN, CALIFORNIA, TWELVE_BY_THE_MONTH

MOVED = {**CALIFORNIA.address, "line1": "1 Market St", "postal_code": "94105"}


def first(customer: Customer) -> Invoice:
    with unit_of_work(customer.workspace_id) as session:
        rows = session.scalars(select(Invoice).order_by(Invoice.issued_at, Invoice.number))
        return rows.first()  # type: ignore[return-value]


def rename(customer: Customer, **changes: Any) -> None:
    wanted = Wanted("Acme Holdings Inc", "billing@acme.example", MOVED)
    details_changes.change(
        customer.gateways, customer.workspace_id, customer.account.user_id, replace(wanted, **changes)
    )


def correct(customer: Customer, invoice: Invoice, number: str | None = None) -> Correction:
    return corrections.correct(
        customer.gateways, customer.workspace_id, customer.account.user_id, invoice.stripe_id, number
    )


def balance(customer: Customer) -> int:
    [subscription] = customer.shop.subscriptions()
    return customer.gateways.stripe.invoices.balance(str(subscription.customer))


def stored(customer: Customer, stripe_id: str | None) -> Invoice:
    customer.settle()
    with unit_of_work(customer.workspace_id) as session:
        return invoices.get(session, str(stripe_id))


def test_the_new_invoice_is_the_old_one_with_another_name_and_costs_nothing(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    old = first(customer)
    rename(customer)
    done = correct(customer, old, "PO-77")
    new = stored(customer, done.replacement_id)

    assert done.state == "done"
    assert (old.total, new.total, new.amount_due, new.amount_paid) == (146_200, 146_200, 0, 0)
    assert (new.status, new.billing["name"]) == ("paid", "Acme Holdings Inc")
    assert new.billing["address"]["line1"] == "1 Market St"  # type: ignore[index]
    assert new.billing["custom_fields"] == [{"name": "PO number", "value": "PO-77"}]
    assert [line["description"] for line in new.lines] == [
        line["description"] for line in old.lines if line["amount"]
    ]
    assert balance(customer) == 0
    assert [charge.amount for charge in customer.shop.charges()] == [146_200]


def test_the_old_one_is_credited_in_full_and_both_name_each_other(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    old = first(customer)
    rename(customer)
    done = correct(customer, old)
    customer.settle()
    with unit_of_work(customer.workspace_id) as session:
        [note] = session.scalars(select(Adjustment))
        found = {
            corrections.of_invoice(session, each).id for each in (old.stripe_id, str(done.replacement_id))
        }

    assert (note.kind, note.amount, note.details["balance"]) == ("credit_note", 146_200, 146_200)
    assert found == {done.id}
    assert (customer.mails("receipt"), customer.mails("correction")) == (1, 1)


def test_taxes_and_discounts_come_out_to_the_cent(customer: Customer) -> None:
    customer.shop.promotion("LAUNCH10", percent_off=10)
    checkout.save_details(customer.gateways, customer.workspace_id, customer.account.user_id, BERLIN)
    customer.buy(TWELVE_BY_THE_MONTH, promotion_code="LAUNCH10")
    old = first(customer)
    rename(customer, company_name="Acme Europe GmbH", address={**BERLIN.address, "line1": "Torstraße 2"})
    new = stored(customer, correct(customer, old).replacement_id)

    assert (old.total, old.tax, old.discount) == (156_581, 25_001, 14_620)
    assert (new.total, new.tax, new.discount) == (156_581, 25_001, 0)
    assert balance(customer) == 0


def test_a_second_click_gets_the_first_ones_result(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    old = first(customer)
    rename(customer)

    assert correct(customer, old).id == correct(customer, old).id
    assert len(customer.shop.client.v1.credit_notes.list({"invoice": old.stripe_id}).data) == 1


def test_an_address_with_another_tax_is_refused_before_anything_is_credited(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    old = first(customer)
    new_york = {"line1": "1 Broadway", "city": "New York", "state": "NY", "postal_code": "10004"}
    rename(customer, address=new_york)
    with pytest.raises(NotCorrectableError, match="the tax is another"):
        correct(customer, old)

    assert customer.shop.client.v1.invoices.list({"status": "draft"}).data == []
    assert customer.shop.client.v1.credit_notes.list({"invoice": old.stripe_id}).data == []
    assert balance(customer) == 0


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/invoices", "timeout_after"),
        ("/add_lines", "timeout_after"),
        ("/v1/credit_notes", "timeout_after"),
        ("/v1/credit_notes", "error_after"),
        ("/finalize", "timeout_after"),
    ],
)
def test_a_silent_stripe_leaves_it_to_the_sweeper_and_nothing_happens_twice(
    customer: Customer, path: str, kind: str
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    old = first(customer)
    rename(customer)
    customer.shop.faults.fail(kind, path, times=3)
    with pytest.raises(UnavailableError):
        correct(customer, old)
    customer.shop.faults.mend()
    with unit_of_work(customer.workspace_id) as session:
        [waiting] = session.scalars(select(Correction))
    corrections.resume(customer.gateways, customer.workspace_id, waiting.id)
    with unit_of_work(customer.workspace_id) as session:
        [done] = session.scalars(select(Correction))
    notes = customer.shop.client.v1.credit_notes.list({"invoice": old.stripe_id}).data

    assert (waiting.state, done.state, len(notes), balance(customer)) == ("open", "done", 1, 0)


@pytest.mark.parametrize("kind", ["kill_before", "kill_after"])
@pytest.mark.parametrize("path", ["/add_lines", "/v1/credit_notes", "/finalize"])
def test_a_killed_process_is_taken_up_where_it_stood(customer: Customer, path: str, kind: str) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    old = first(customer)
    rename(customer)
    customer.shop.faults.fail(kind, path)
    with pytest.raises(Killed):
        correct(customer, old)
    with unit_of_work(customer.workspace_id) as session:
        [left] = session.scalars(select(Correction))
    corrections.resume(customer.gateways, customer.workspace_id, left.id)
    new = stored(customer, left.replacement_id)

    assert (new.status, new.total, balance(customer)) == ("paid", 146_200, 0)


def test_a_credit_eaten_by_another_invoice_is_for_a_person(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    old = first(customer)
    rename(customer)
    [subscription] = customer.shop.subscriptions()

    def eaten() -> None:
        customer.shop.client.v1.customers.balance_transactions.create(
            str(subscription.customer), {"amount": 100_000, "currency": "usd"}
        )

    customer.shop.faults.fail("first", "/finalize", action=eaten)
    done = correct(customer, old)

    assert done.state == "stuck"
    assert customer.incidents()[-1] == "correction_stuck"


def test_what_cannot_be_corrected_says_why(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    old = first(customer)
    with pytest.raises(NotCorrectableError, match="says that already"):
        correct(customer, old)
    rename(customer)
    [charge] = customer.shop.charges()
    customer.shop.client.v1.refunds.create({"charge": charge.id, "amount": 100})
    customer.settle()
    with pytest.raises(NotCorrectableError, match="credited, refunded or disputed"):
        correct(customer, old)


def test_an_invoice_is_corrected_once(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    old = first(customer)
    rename(customer)
    done = correct(customer, old)
    rename(customer, company_name="Acme Other Inc")
    new = stored(customer, done.replacement_id)

    assert correct(customer, old).id == done.id
    assert correct(customer, new).id == done.id


def test_two_clicks_at_the_same_moment_make_one_correction(open_shop: tuple[Flask, Customer]) -> None:
    _app, customer = open_shop
    customer.buy(TWELVE_BY_THE_MONTH)
    old = first(customer)
    rename(customer)

    def click(_number: int) -> str:
        try:
            return correct(customer, old).id
        except (NotCorrectableError, UnavailableError):
            return "told to wait"

    with ThreadPoolExecutor(2) as pool:
        said = set(pool.map(click, range(2)))
    notes = customer.shop.client.v1.credit_notes.list({"invoice": old.stripe_id}).data

    assert len(said - {"told to wait"}) == 1
    assert (len(notes), balance(customer)) == (1, 0)


@pytest.mark.parametrize("path", ["/v1/invoices", "/v1/credit_notes"])
def test_after_stripe_forgot_the_key_what_was_made_is_found_by_reading(customer: Customer, path: str) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    old = first(customer)
    rename(customer)
    customer.shop.faults.fail("timeout_after", path, times=3)
    with pytest.raises(UnavailableError):
        correct(customer, old)
    customer.shop.faults.mend()
    asked = len(customer.shop.faults.keys(path))
    with unit_of_work(customer.workspace_id) as session:
        row = session.scalars(select(Correction)).one()
        row.created_at -= timedelta(hours=24)
    corrections.resume(customer.gateways, customer.workspace_id, row.id)
    with unit_of_work(customer.workspace_id) as session:
        done = session.scalars(select(Correction)).one()

    assert done.state == "done"
    assert (len(customer.shop.faults.keys(path)), balance(customer)) == (asked, 0)
