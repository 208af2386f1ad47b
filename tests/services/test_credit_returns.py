"""Billed units that annual credits paid and that no meter can take back: they return to their pack."""

import contextlib
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.gateways.stripe_errors import StripeUnknownError
from portal.models import Adjustment, CreditEntry, CreditGrant, CreditLot, CreditPurchase
from portal.sandbox import idempotency
from portal.services import (
    credit_further_grants,
    credit_grants,
    credit_ledger,
    credit_reconcile,
    credit_refunds,
    usage_credits,
)
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.services.metering import Metered
from tests.services.test_usage_matches import matches
from tests.shop import taken_once

GRANTS = "/v1/billing/credit_grants"


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that bought seats by the month, a day ago."""
    return Metered.buy(customer)


@pytest.fixture
def packs(acme: Metered) -> CreditBuyer:
    """It also buys packs."""
    return CreditBuyer(acme.customer)


def billed(acme: Metered, count: int) -> list[str]:
    """Units of a month whose invoice is final; the next month has none, so that nothing can go below zero."""
    used = acme.use(count)
    acme.report()
    acme.advance(days=33)
    return used


def come_back(acme: Metered, *units: str) -> None:
    for unit in units:
        acme.returns(unit)
    acme.credit()


def entries(acme: Metered) -> list[tuple[str, int]]:
    """Kind and quantity of all that became of the units after their pack was bought."""
    with unit_of_work(acme.workspace_id) as session:
        rows = session.scalars(select(CreditEntry).order_by(CreditEntry.id))
        return [(row.kind, row.quantity) for row in rows if row.kind not in ("bought", "drawn")]


def further(acme: Metered) -> list[CreditGrant]:
    with unit_of_work(acme.workspace_id) as session:
        return list(session.scalars(select(CreditGrant).order_by(CreditGrant.created_at)))


def notes(acme: Metered) -> list[int]:
    with unit_of_work(acme.workspace_id) as session:
        rows = session.scalars(select(Adjustment).where(Adjustment.kind == "credit_note"))
        return [row.amount for row in rows]


@taken_once
def free(acme: Metered) -> None:
    """The claims of a process that is gone have run out."""
    acme.free()
    with unit_of_work(acme.workspace_id) as session:
        session.execute(update(CreditPurchase).values(claimed_until=None))


def left_at_stripe(acme: Metered) -> int:
    """What all grants have left, in minor units."""
    price = {row.price_id for row in CreditBuyer(acme.customer).purchases()}
    return sum(acme.gateways.stripe.credits.left_for(acme.stripe_customer, each).ledger for each in price)


def settled(acme: Metered) -> None:
    """Every unit is where our ledger, Stripe's balance and the invoices have it, and nobody was alarmed."""
    assert acme.balanced()
    assert [each.explained for each in credit_reconcile.compare(acme.gateways, acme.workspace_id)] == [
        True for _lot in CreditBuyer(acme.customer).lots() if _lot.ended_at is None
    ]
    assert acme.customer.incidents() == []


def test_a_unit_that_a_pack_paid_returns_to_it_with_a_grant_of_what_it_cost(
    acme: Metered, packs: CreditBuyer
) -> None:
    packs.buy(100)
    [unit, *_others] = billed(acme, 5)
    come_back(acme, unit)
    [credit] = acme.credits()
    [lot] = packs.lots()
    [again, first] = packs.grants()

    assert (credit.state, credit.amount, credit.total, credit.credit_note_id) == ("done", 0, 0, None)
    assert (credit.lot_id, notes(acme)) == (lot.id, [])
    assert (packs.left(), entries(acme)) == (96, [("given_back", 1)])
    assert (again.value, again.expires_at) == (99, first.expires_at)
    assert left_at_stripe(acme) == 96 * 99
    settled(acme)


def test_the_next_months_invoice_takes_it_from_there(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    used = billed(acme, 100)
    come_back(acme, used[0], used[1])
    acme.use(3)
    acme.report()
    acme.advance(days=31)
    [month, *_] = [each for each in acme.invoices() if each.billing_reason == "subscription_cycle"]

    assert acme.billed() == [3, 100]
    assert sum(part.amount for part in month.total_pretax_credit_amounts or []) == 2 * 99
    assert (packs.left(), left_at_stripe(acme)) == (0, 0)
    assert matches(acme)[-1] == ("resolution", 3, 3, "matched")
    settled(acme)


def test_a_unit_that_returns_covers_what_the_open_month_had_to_pay(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    used = billed(acme, 100)
    [back] = acme.use(1)
    acme.report()
    come_back(acme, used[0])
    with unit_of_work(acme.workspace_id) as session:
        [month] = [period.starts_at for period in acme.periods() if period.state == "open"]
        covered = session.scalars(select(CreditEntry).where(CreditEntry.period_start == month)).all()

    # the first reversal lowers the open month's sum; there is nothing for a pack to pay
    assert (acme.credits(), [row.kind for row in covered]) == ([], [])
    come_back(acme, used[1])
    assert [row.state for row in acme.credits()] == ["done"]
    acme.use(2)
    assert back
    assert packs.left() == 0
    settled(acme)


def test_what_exceeded_the_pack_was_paid_in_money_and_comes_back_first(
    acme: Metered, packs: CreditBuyer
) -> None:
    packs.buy(100)
    used = billed(acme, 103)
    come_back(acme, *used[:5])

    assert sorted(notes(acme)) == [99, 99, 99]
    assert sorted(row.amount for row in acme.credits()) == [0, 0, 99, 99, 99]
    assert (packs.left(), left_at_stripe(acme)) == (2, 198)
    settled(acme)


def test_units_that_come_back_together_share_a_grant(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    used = billed(acme, 10)
    come_back(acme, *used[:4])

    assert [(row.units, row.value, row.state) for row in further(acme)] == [(4, 396, "done")]
    assert (packs.left(), len(packs.grants())) == (94, 2)
    settled(acme)


def test_of_two_packs_it_is_the_one_that_was_drawn_last(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    acme.advance(days=31)
    packs.buy(100)
    used = billed(acme, 103)
    come_back(acme, *used[:4])
    left = [lot_left(acme, lot) for lot in packs.lots()]

    assert left == [1, 100]
    assert sorted((row.units, row.value) for row in further(acme)) == [(1, 99), (3, 297)]
    settled(acme)


def lot_left(acme: Metered, lot: CreditLot) -> int:
    with unit_of_work(acme.workspace_id) as session:
        rows = session.scalars(select(CreditEntry.quantity).where(CreditEntry.lot_id == lot.id))
        return sum(rows)


def test_after_the_subscription_ended_it_returns_all_the_same(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    [unit, _other] = acme.use(2)
    acme.report()
    shop = acme.customer.shop
    [subscription] = shop.subscriptions()
    shop.client.v1.subscriptions.cancel(subscription.id, {"invoice_now": True})
    acme.advance(hours=2)
    acme.advance(days=2)
    come_back(acme, unit)

    assert [row.state for row in acme.credits()] == ["done"]
    assert (packs.left(), left_at_stripe(acme), notes(acme)) == (99, 99 * 99, [])
    assert acme.customer.incidents() == []


def test_in_a_pack_whose_year_is_over_it_lapses(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    [unit, _other] = billed(acme, 2)
    for _month in range(13):
        acme.advance(days=31)
    credit_ledger.sweep(acme.gateways)
    come_back(acme, unit)
    [credit] = acme.credits()

    assert (credit.state, credit.grant_id, notes(acme)) == ("done", None, [])
    assert entries(acme) == [("lapsed", -98), ("given_back", 1), ("lapsed", -1)]
    assert (packs.left(), len(packs.grants())) == (0, 1)
    settled(acme)


def test_in_a_pack_that_was_given_back_it_may_be_used_again(acme: Metered, packs: CreditBuyer) -> None:
    purchase = packs.buy(100)
    [unit, _other] = billed(acme, 2)
    credit_refunds.return_rest(acme.gateways, acme.workspace_id, purchase.id, reason="asked")
    acme.customer.settle()
    come_back(acme, unit)
    acme.use(2)
    acme.report()
    acme.advance(days=31)
    [month, *_] = [each for each in acme.invoices() if each.billing_reason == "subscription_cycle"]

    assert sum(part.amount for part in month.total_pretax_credit_amounts or []) == 99
    assert (packs.left(), left_at_stripe(acme)) == (0, 0)
    assert acme.customer.incidents() == []


@pytest.mark.parametrize("fault", ["kill_before", "kill_after", "timeout_after", "reset", "error_after"])
def test_whatever_happens_round_the_call_it_has_one_grant(
    acme: Metered, packs: CreditBuyer, fault: str
) -> None:
    packs.buy(100)
    [unit, *_others] = billed(acme, 5)
    acme.customer.shop.faults.fail(fault, GRANTS, times=3)
    with contextlib.suppress(Killed):
        come_back(acme, unit)
    acme.customer.shop.faults.mend()
    for _time in range(2):
        free(acme)
        credit_further_grants.sweep(acme.gateways)
        come_back(acme)

    [row] = further(acme)
    assert (row.state, len(packs.grants()), packs.left()) == ("done", 2, 96)
    assert {key for key in acme.customer.shop.faults.keys(GRANTS) if key and key.startswith("G-")} == {
        f"{row.id}:grant"
    }
    settled(acme)


def test_a_grant_whose_key_was_forgotten_is_found_by_what_is_noted_with_it(
    acme: Metered, packs: CreditBuyer
) -> None:
    packs.buy(100)
    [unit, *_others] = billed(acme, 5)
    acme.customer.shop.faults.fail("kill_after", GRANTS)
    with pytest.raises(Killed):
        come_back(acme, unit)
    sandbox = acme.customer.shop.sandbox
    with sandbox.work():
        for row in sandbox.store.find(idempotency.KIND):
            sandbox.store.delete(idempotency.KIND, row["id"])
    free(acme)
    credit_further_grants.sweep(acme.gateways)

    assert [row.state for row in further(acme)] == ["done"]
    assert len(packs.grants()) == 2


def test_a_crash_before_anybody_is_asked_is_made_up_for(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    [unit, *_others] = billed(acme, 5)
    acme.returns(unit)
    acme.free()
    usage_credits.sweep(acme.gateways)  # and the worker dies before the job of the grant
    assert [(row.state, row.tried_at) for row in further(acme)] == [("open", None)]
    credit_further_grants.sweep(acme.gateways)
    assert credit_further_grants.sweep(acme.gateways) == 0
    settled(acme)


def test_what_stripe_refuses_is_told_and_tried_again_under_another_key(
    acme: Metered, packs: CreditBuyer
) -> None:
    packs.buy(100)
    [unit, *_others] = billed(acme, 5)
    acme.customer.shop.faults.fail("refuse", GRANTS)
    come_back(acme, unit)
    assert acme.customer.incidents() == ["credit_grant_refused"]
    assert credit_further_grants.sweep(acme.gateways) == 0
    with unit_of_work(acme.workspace_id) as session:
        session.execute(
            update(CreditGrant).values(updated_at=datetime.now().astimezone() - timedelta(hours=1))
        )
    credit_further_grants.sweep(acme.gateways)

    [row] = further(acme)
    assert (row.state, acme.customer.shop.faults.keys(GRANTS)[-1]) == ("done", f"{row.id}:grant:1")


def test_a_grant_that_stripe_makes_after_its_units_were_refunded_ends(
    acme: Metered, packs: CreditBuyer
) -> None:
    purchase = packs.buy(100)
    [unit, *_others] = billed(acme, 5)

    def refunded() -> None:
        """It took so long that the claim ran out, and support did not wait."""
        free(acme)
        credit_refunds.return_rest(acme.gateways, acme.workspace_id, purchase.id, reason="asked")

    acme.customer.shop.faults.fail("first", GRANTS, action=refunded)
    come_back(acme, unit)
    free(acme)
    credit_further_grants.sweep(acme.gateways)
    now = int(acme.gateways.clock.now().timestamp())

    assert [grant for grant in packs.grants() if grant.counts(now)] == []
    assert packs.left() == 0


def test_what_is_refunded_before_its_grant_is_made_gets_none(acme: Metered, packs: CreditBuyer) -> None:
    purchase = packs.buy(100)
    [unit, *_others] = billed(acme, 5)
    acme.customer.shop.faults.fail("timeout_before", GRANTS, times=60)
    with pytest.raises(StripeUnknownError):
        come_back(acme, unit)
    credit_refunds.return_rest(acme.gateways, acme.workspace_id, purchase.id, reason="asked")
    acme.customer.shop.faults.mend()
    free(acme)
    acme.customer.settle()
    credit_further_grants.sweep(acme.gateways)
    now = int(acme.gateways.clock.now().timestamp())

    assert [row.state for row in further(acme)] == ["dropped"]
    assert [grant for grant in packs.grants() if grant.counts(now)] == []
    assert packs.left() == 0


def test_a_grant_that_stripe_makes_after_the_rest_was_returned_does_not_count(
    acme: Metered, packs: CreditBuyer
) -> None:
    packs.buy(100)
    [unit, *_others] = billed(acme, 5)
    faults = acme.customer.shop.faults
    faults.fail("timeout_before", GRANTS, times=300)
    with contextlib.suppress(StripeUnknownError):
        come_back(acme, unit)
    faults.mend()
    [row], [purchase] = further(acme), packs.purchases()
    assert (row.state, row.tried_at is not None) == ("open", True)
    free(acme)
    credit_refunds.return_rest(acme.gateways, acme.workspace_id, purchase.id, reason="asked")
    credit_further_grants.make(acme.gateways, acme.workspace_id, purchase.id)
    # what nobody hears an answer to any more arrives
    [lot] = packs.lots()
    with unit_of_work(acme.workspace_id) as session:
        until = credit_grants.until(session, lot)
    asked = credit_further_grants._grant(purchase, row, acme.stripe_customer, until)
    acme.gateways.stripe.credits.create(asked, key=f"{row.id}:grant")

    now = int(acme.gateways.clock.now().timestamp())
    assert [row.state for row in further(acme)] == ["dropped"]
    assert [grant.value for grant in packs.grants() if grant.counts(now)] == []
