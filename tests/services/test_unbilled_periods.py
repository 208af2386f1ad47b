"""A month that began while a year was held whose debit failed: billed as by its renewal, or by support."""

from contextlib import suppress
from decimal import Decimal

import pytest
from sqlalchemy import select

from portal.db import unit_of_work
from portal.gateways.stripe_errors import StripeUnknownError
from portal.models import AuditEntry, Invoice
from portal.services import dues, leaving, negotiated_discounts, sweeping
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.failing import add, owed, pay
from tests.services.test_attempts import NOW, let_claims_run_out
from tests.services.test_change_payments import debit_payer, failing_account, pays_with
from tests.services.test_change_waits import later, until_the_renewal

UPDATE = "/v1/subscriptions/*"
# twelve seats for 99.00, five of Copilot for 35.00, proactive support for 99.00
MONTH = 12 * 9_900 + 5 * 3_500 + 9_900


@pytest.fixture
def changer(customer: Customer) -> Changer:
    """A company that pays by the month, two days before its renewal."""
    changer = debit_payer(customer)
    until_the_renewal(changer, days=2)
    return changer


def to_a_year(changer: Changer, **wanted: object) -> str:
    """A change to a year whose debit comes back after the renewal; a card pays from then on."""
    pays_with(changer, failing_account(changer.customer))
    year = changer.change(interval="year", **wanted)
    pays_with(changer, "pm_card_visa")
    later(changer.customer, days=3)
    return year


def comes_back(changer: Changer) -> None:
    later(changer.customer, days=2)


def invoices(changer: Changer) -> list[Invoice]:
    """The invoices since the renewal, the oldest first; without the one of the year, which is void."""
    with unit_of_work(changer.customer.workspace_id) as session:
        rows = session.scalars(select(Invoice).order_by(Invoice.issued_at)).all()
    return [row for row in rows[1:] if row.status != "void"]


def billed(changer: Changer) -> list[tuple[str, int]]:
    return [(row.billing_reason, row.total) for row in invoices(changer)]


def test_it_is_billed_with_going_back_as_its_renewal_would_have_been(changer: Changer) -> None:
    year = to_a_year(changer)
    comes_back(changer)
    customer = changer.customer

    assert changer.state(year) == "failed"
    assert (changer.held().selection.interval, customer.subscription().seats) == ("month", 12)
    assert billed(changer) == [("subscription_cycle", 0), ("subscription_update", MONTH)]
    begun = changer.held().items["seat"].period_start
    assert {line["period_start"] for line in invoices(changer)[-1].lines} == {begun}
    assert (customer.incidents(), customer.mails("change_unpaid")) == ([], 1)
    with unit_of_work(customer.workspace_id) as session:
        [entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "period.billed"))
    assert entry.after == {"since": begun, "total": MONTH, "currency": "usd"}


def test_what_is_changed_in_it_afterwards_is_credited_by_what_was_billed(changer: Changer) -> None:
    to_a_year(changer)
    comes_back(changer)
    higher = changer.change(tier="expert")
    until_the_renewal(changer)
    later(changer.customer, hours=3)
    fewer = changer.change(seats=13)

    assert [line[:2] for line in changer.amounts(higher)] == [("seat", "credit"), ("seat", "debit")]
    for quote_id in (higher, fewer):
        assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]
    assert changer.customer.incidents() == []


def test_an_agreed_discount_is_on_it(changer: Changer) -> None:
    negotiated_discounts.agree(
        changer.customer.gateways, changer.customer.workspace_id, "seat", percent_off=Decimal(10)
    )
    to_a_year(changer)
    comes_back(changer)

    assert billed(changer)[-1] == ("subscription_update", MONTH - 12 * 990)
    assert changer.customer.incidents() == []


@pytest.mark.parametrize("kind", ["kill_after", "timeout_after", "timeout_before", "error_after"])
def test_it_is_billed_once_whatever_is_heard_of_that(changer: Changer, kind: str) -> None:
    year = to_a_year(changer)
    customer = changer.customer
    customer.shop.faults.fail(kind, UPDATE, times=1 if kind == "kill_after" else 300)
    with suppress(Killed, StripeUnknownError):
        comes_back(changer)
    customer.shop.faults.mend()
    for _ in range(2):
        let_claims_run_out(customer)
        sweeping.sweep_attempts(customer.gateways, left_behind_after=NOW)
        customer.settle()

    assert changer.state(year) == "failed"
    assert billed(changer) == [("subscription_cycle", 0), ("subscription_update", MONTH)]
    assert customer.incidents() == []


def test_a_month_that_begins_while_stripe_fails_to_go_back_is_billed_with_it(customer: Customer) -> None:
    """What failed inside Stripe is kept under the key of the call, which then has more to do."""
    changer = debit_payer(customer)
    until_the_renewal(changer, days=7)
    pays_with(changer, failing_account(customer))
    year = changer.change(interval="year")
    pays_with(changer, "pm_card_visa")
    order = customer.shop.application.extensions["faults"].order
    customer.shop.faults.fail("first", UPDATE, action=lambda: order(500, "during"))
    with suppress(StripeUnknownError):
        later(customer, days=6)
    assert changer.state(year) != "failed"

    with suppress(StripeUnknownError):
        later(customer, days=2)
    for _ in range(2):
        let_claims_run_out(customer)
        sweeping.sweep_attempts(customer.gateways, left_behind_after=NOW)
        customer.settle()

    assert changer.state(year) == "failed"
    assert billed(changer) == [("subscription_cycle", 0), ("subscription_update", MONTH)]
    assert customer.incidents() == []


def test_where_no_card_pays_for_it_it_is_owed_as_a_renewal_is(changer: Changer) -> None:
    to_a_year(changer)
    pays_with(changer, "pm_card_chargeCustomerFail")
    comes_back(changer)

    customer = changer.customer
    invoice = invoices(changer)[-1]
    [due] = owed(customer)
    with unit_of_work(customer.workspace_id) as session:
        staying = [each.stripe_id for each in dues.staying_due(session)]

    assert (invoice.status, invoice.total) == ("open", MONTH)
    assert customer.subscription().status == "past_due"
    assert (due.invoice.stripe_id, due.limited, staying) == (invoice.stripe_id, False, [invoice.stripe_id])
    assert customer.mails("payment_failed") == 1

    customer.shop.advance(days=8)
    customer.settle()
    sweeping.sweep_grace(customer.gateways)
    customer.settle()
    limited = customer.access()
    came = pay(customer, invoice.stripe_id, add(customer))
    customer.settle()
    assert (limited, came.name, customer.access(), owed(customer)) == ("limited", "paid", "active", [])


def test_of_a_subscription_that_ends_it_is_left_to_support(changer: Changer) -> None:
    year = to_a_year(changer)
    leaving.ask(*changer.place, leaving.AT_PERIOD_END)
    changer.customer.settle()
    comes_back(changer)

    assert changer.state(year) == "failed"
    assert billed(changer) == [("subscription_cycle", 0)]
    assert changer.customer.incidents() == ["period_unbilled"]
    assert "not billed yet" in str(changer.customer.attempt(year).error["message"])


def test_what_had_been_planned_for_that_renewal_is_left_to_support_too(customer: Customer) -> None:
    changer = debit_payer(customer)
    until_the_renewal(changer, days=2)
    changer.change(seats=8)
    to_a_year(changer)
    comes_back(changer)

    assert billed(changer) == [("subscription_cycle", 0)]
    assert customer.incidents() == ["planned_change_missed", "period_unbilled"]
    # nothing was billed for the seats of this month, so nothing of them is credited
    higher = changer.prepare(tier="expert")
    assert {line[:2] for line in changer.amounts(higher)} >= {("seat", "debit")}
    assert ("seat", "credit") not in {line[:2] for line in changer.amounts(higher)}


def test_a_debit_that_fails_within_its_month_leaves_nothing_to_bill(customer: Customer) -> None:
    changer = debit_payer(customer)
    pays_with(changer, failing_account(customer))
    year = changer.change(interval="year")
    pays_with(changer, "pm_card_visa")
    later(customer, days=6)

    assert changer.state(year) == "failed"
    assert billed(changer) == []
    assert customer.incidents() == []
