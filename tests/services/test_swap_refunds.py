"""The pack of a swap is given back: of the invoice that it shares with seats only its part, and no seat."""

import contextlib
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from portal import pricing
from portal.db import unit_of_work
from portal.models import CreditLot, CreditPurchase, CreditRefund
from portal.services import (
    checkout,
    credit_disputes,
    credit_further_grants,
    credit_lots,
    credit_refunds,
    swaps,
)
from portal.services.credit_refunds import NotRefundableError
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.test_change_payments import pays_with
from tests.services.using import Workspace
from tests.shop import BERLIN, Shop, taken_once

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
TWELVE = pricing.Selection("advanced", 12, "month")
NOTES = "/v1/credit_notes"
BALANCE = "/balance_transactions"


@pytest.fixture
def changer(shop: Shop, customer: Customer) -> Changer:
    """Twelve Advanced seats at $99.00 since the first of November, half of which is over."""
    return half_a_month(shop, customer)


def half_a_month(shop: Shop, customer: Customer, since: datetime = NOVEMBER) -> Changer:
    shop.stand_at(since)
    customer.buy(TWELVE)
    shop.advance(days=15)
    customer.settle()
    return Changer(customer)


def swap(changer: Changer, dropped: int, units: int) -> CreditPurchase:
    """Seats into a pack, paid; its purchase."""
    _swap(changer, dropped, units)
    return purchase(changer)


@taken_once
def _swap(changer: Changer, dropped: int, units: int) -> None:
    changer.confirm(swaps.prepare(*changer.place, dropped=dropped, units=units))
    changer.customer.settle()


def purchase(changer: Changer) -> CreditPurchase:
    with unit_of_work(changer.customer.workspace_id) as session:
        return session.scalars(select(CreditPurchase)).one()


def refunds(changer: Changer) -> list[CreditRefund]:
    with unit_of_work(changer.customer.workspace_id) as session:
        return list(session.scalars(select(CreditRefund)))


def by_support(changer: Changer) -> CreditRefund:
    gateways, workspace_id, _ = changer.place
    done = credit_refunds.return_rest(gateways, workspace_id, purchase(changer).id, reason="asked")
    changer.customer.settle()
    return done


@taken_once
def use(changer: Changer, units: int) -> None:
    gateways, workspace_id, _ = changer.place
    Workspace(gateways, workspace_id).resolve_many(units)


def left(changer: Changer) -> int:
    with unit_of_work(changer.customer.workspace_id) as session:
        return credit_lots.left(session, session.scalars(select(CreditLot)).one())


def counting(changer: Changer) -> list[int]:
    """The values of the grants that something can be used of."""
    gateways = changer.customer.gateways
    [customer] = changer.customer.shop.client.v1.customers.list().data
    now = int(gateways.clock.now().timestamp())
    return [each.value for each in gateways.stripe.credits.grants(customer.id) if each.counts(now)]


def balance(changer: Changer) -> int:
    [customer] = changer.customer.shop.client.v1.customers.list().data
    return customer.balance or 0


def seats(changer: Changer) -> tuple[dict[str, int], int]:
    """At Stripe and in our rows."""
    row = changer.customer.subscription()
    assert row is not None
    return changer.at_stripe(), row.seats or 0


@taken_once
def released(changer: Changer) -> None:
    with unit_of_work(changer.customer.workspace_id) as session:
        session.execute(update(CreditRefund).values(claimed_until=None))
        session.execute(update(CreditPurchase).values(claimed_until=None))


EIGHT = ({"2026-11:seat:advanced:month": 8}, 8)


def test_the_customer_is_sent_to_support(changer: Changer) -> None:
    made = swap(changer, 4, 600)
    gateways, workspace_id, user_id = changer.place

    with pytest.raises(NotRefundableError, match="came from seats"):
        credit_refunds.return_unused(gateways, workspace_id, user_id, made.id)
    assert (left(changer), seats(changer)) == (600, EIGHT)


def test_what_was_charged_goes_to_the_card_and_what_seats_paid_to_the_balance(changer: Changer) -> None:
    swap(changer, 4, 600)
    refund = by_support(changer)

    # $564.30, of which $366.30 was charged beside $198.00 of seats
    assert (refund.state, refund.units) == ("done", 600)
    assert (refund.total, refund.refunded, refund.balance) == (56_430, 36_630, 19_800)
    assert changer.customer.shop.charges()[0].amount_refunded == 36_630
    assert balance(changer) == -19_800
    assert (left(changer), counting(changer), purchase(changer).state) == (0, [], "refunded")
    assert seats(changer) == EIGHT
    assert changer.customer.incidents() == []


def test_a_part_that_was_charged_goes_to_the_card_alone(changer: Changer) -> None:
    swap(changer, 4, 600)
    use(changer, 300)
    refund = by_support(changer)

    # 300 of 600 units of $564.30
    assert (refund.units, refund.total, refund.refunded, refund.balance) == (300, 28_215, 28_215, 0)
    assert (balance(changer), counting(changer)) == (0, [300 * 99])
    assert seats(changer) == EIGHT


def test_a_pack_that_seats_paid_wholly_comes_back_on_the_balance(changer: Changer) -> None:
    swap(changer, 4, 100)
    surplus = balance(changer)
    refund = by_support(changer)

    # $198.00 of seats for $99.00: nothing was charged
    assert (surplus, balance(changer)) == (-9_900, -19_800)
    assert (refund.state, refund.total, refund.refunded, refund.balance) == ("done", 9_900, 0, 9_900)
    assert refund.credit_note_id is None
    assert (left(changer), counting(changer), seats(changer)) == (0, [], EIGHT)


def test_its_tax_comes_back_with_it(shop: Shop, customer: Customer) -> None:
    checkout.save_details(customer.gateways, customer.workspace_id, customer.account.user_id, BERLIN)
    # the seller's registrations are of today, and June has 30 days
    changer = half_a_month(shop, customer, datetime(2027, 6, 1, tzinfo=UTC))
    swap(changer, 4, 600)
    refund = by_support(changer)

    # 19 % of $564.30 with it; the card had been charged 19 % more than $366.30
    assert (refund.total, refund.refunded, refund.balance) == (67_152, 43_590, 23_562)
    assert (balance(changer), seats(changer)) == (-23_562, EIGHT)


@pytest.mark.parametrize("path", ["/v1/billing/credit_grants/*", NOTES, BALANCE])
@pytest.mark.parametrize("fault", ["kill_before", "kill_after", "timeout_after"])
def test_a_crash_anywhere_is_gone_on_with_and_gives_back_once(
    changer: Changer, path: str, fault: str
) -> None:
    swap(changer, 4, 600)
    changer.customer.shop.faults.fail(fault, path, times=3)
    with contextlib.suppress(Killed):
        by_support(changer)
    changer.customer.shop.faults.mend()
    released(changer)
    credit_refunds.sweep(changer.customer.gateways)
    changer.customer.settle()
    [refund] = refunds(changer)

    assert (refund.state, refund.total, refund.refunded, refund.balance) == ("done", 56_430, 36_630, 19_800)
    assert changer.customer.shop.charges()[0].amount_refunded == 36_630
    assert (balance(changer), counting(changer), seats(changer)) == (-19_800, [], EIGHT)


def disputed(changer: Changer) -> None:
    """The bank takes back what the swap's invoice charged, after six units were used."""
    pays_with(changer, "pm_card_createDispute")
    swap(changer, 4, 600)
    use(changer, 6)
    changer.customer.shop.advance(days=1)
    changer.customer.settle()
    credit_disputes.sweep(changer.customer.gateways)
    changer.customer.settle()


def test_a_chargeback_of_its_invoice_takes_what_was_charged_for_and_no_seat(changer: Changer) -> None:
    disputed(changer)
    [refund] = refunds(changer)

    # $366.30 of $564.30 are 390 of 600 units; the other 210 were paid by seats, and six of them are used
    assert (refund.kind, refund.state, refund.units, refund.kept_units) == ("chargeback", "done", 390, 6)
    assert (purchase(changer).state, left(changer)) == ("disputed", 204)
    assert counting(changer) == [210 * 99]
    assert seats(changer) == EIGHT
    assert changer.customer.access() == "active"


def test_when_that_dispute_is_won_all_of_it_counts_again(changer: Changer) -> None:
    disputed(changer)
    [dispute] = changer.customer.shop.client.v1.disputes.list().data
    changer.customer.shop.client.v1.disputes.update(
        dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}, "submit": True}
    )
    changer.customer.settle()
    credit_further_grants.sweep(changer.customer.gateways)

    assert (purchase(changer).state, left(changer)) == ("granted", 594)
    assert sorted(counting(changer)) == [210 * 99, 390 * 99]
    assert seats(changer) == EIGHT
