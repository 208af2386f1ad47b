"""A price that changes within a pack's year: the units promised stay, at every invoice, whatever fails."""

import contextlib

import pytest
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.models import CreditGrant, CreditLot, CreditPurchase
from portal.services import (
    credit_further_grants,
    credit_lots,
    credit_reconcile,
    credit_refunds,
    credit_repricing,
)
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.crediting import CreditBuyer
from tests.services.metering import Metered
from tests.shop import taken_once

GRANTS = "/v1/billing/credit_grants"


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that pays 0.99 for a resolution, a day into its month."""
    return Metered.buy(customer)


@pytest.fixture
def packs(acme: Metered) -> CreditBuyer:
    """It also buys packs."""
    return CreditBuyer(acme.customer)


def moves_to(acme: Metered, version: str) -> None:
    """It moves to the catalogue that is sold now; what usage costs changes with its next month."""
    tier = {"2023-05": "pro", "2026-11": "advanced"}[version]
    Changer(acme.customer.at_the_time_of(version)).change(
        tier=tier, catalog=version, add_ons={}, all_now=True
    )


def month_ends(acme: Metered) -> None:
    """The month's invoice is made, becomes final an hour later, and the workers come by."""
    acme.report()
    left = max(period.ends_at for period in acme.periods()) - acme.gateways.clock.now()
    acme.customer.shop.advance(seconds=left.total_seconds() + 60)
    acme.customer.settle()
    acme.customer.shop.advance(hours=2)
    acme.customer.settle()
    sweeps(acme)


@taken_once
def sweeps(acme: Metered) -> None:
    """What the workers do every few seconds, after those that died."""
    with unit_of_work(acme.workspace_id) as session:
        session.execute(update(CreditPurchase).values(claimed_until=None))
    credit_repricing.sweep(acme.gateways)
    credit_further_grants.sweep(acme.gateways)
    acme.customer.settle()


def paid_by_credits(acme: Metered) -> list[int]:
    """What credits paid of the invoices of months, the newest first, in minor units."""
    cycles = [each for each in acme.invoices() if each.billing_reason == "subscription_cycle"]
    return [
        sum(part.amount for part in each.total_pretax_credit_amounts or [] if part.type != "discount")
        for each in cycles
    ]


def counting(acme: Metered, packs: CreditBuyer) -> list[int]:
    """What those grants have left that something can be used of, the oldest first."""
    now = int(acme.gateways.clock.now().timestamp())
    stripe = acme.gateways.stripe.credits
    return [
        stripe.left(acme.stripe_customer, each.id).ledger
        for each in reversed(packs.grants())
        if each.counts(now)
    ]


def further(acme: Metered) -> list[CreditGrant]:
    with unit_of_work(acme.workspace_id) as session:
        return list(session.scalars(select(CreditGrant).order_by(CreditGrant.created_at)))


def left(acme: Metered) -> list[int]:
    with unit_of_work(acme.workspace_id) as session:
        lots = session.scalars(select(CreditLot).order_by(*credit_lots.ORDER))
        return [credit_lots.left(session, lot) for lot in lots]


def settled(acme: Metered) -> None:
    """Our ledger, Stripe's grants and the invoices say the same, and nobody was alarmed."""
    assert acme.balanced()
    compared = credit_reconcile.compare(acme.gateways, acme.workspace_id)
    assert [each for each in compared if not each.explained] == []
    assert {row.state for row in further(acme)} <= {"done", "dropped"}
    assert acme.customer.incidents() == []


def test_a_higher_price_leaves_the_units_that_were_promised(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    acme.use(10)
    moves_to(acme, "2023-05")
    acme.use(2)
    month_ends(acme)
    [lot] = packs.lots()

    assert (left(acme), counting(acme, packs)) == ([88], [88 * 190])
    assert (int(lot.unit_amount), lot.grant_value) == (190, 88 * 190)
    acme.use(90)
    month_ends(acme)
    # 12 at 0.99, then 88 at 1.90; two are paid by use
    assert paid_by_credits(acme) == [88 * 190, 12 * 99]
    assert acme.billed() == [90, 12]
    assert (left(acme), counting(acme, packs)) == ([0], [0])
    settled(acme)


def test_a_lower_price_gives_no_more_than_them(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    moves_to(acme, "2023-05")
    month_ends(acme)
    acme.use(10)
    moves_to(acme, "2026-11")
    acme.use(5)
    month_ends(acme)

    assert (left(acme), counting(acme, packs)) == ([85], [85 * 99])
    acme.use(100)
    month_ends(acme)
    assert paid_by_credits(acme) == [85 * 99, 15 * 190, 0]
    assert (left(acme), counting(acme, packs)) == ([0], [0])
    settled(acme)


def test_two_packs_are_drawn_in_their_order_at_the_new_price(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    packs.buy(600)
    acme.use(30)
    moves_to(acme, "2023-05")
    month_ends(acme)

    assert (left(acme), sorted(counting(acme, packs))) == ([70, 600], [70 * 190, 600 * 190])
    acme.use(75)
    month_ends(acme)
    assert paid_by_credits(acme) == [75 * 190, 30 * 99]
    assert (left(acme), sorted(counting(acme, packs))) == ([0, 595], [0, 595 * 190])
    settled(acme)


def test_what_was_used_of_the_new_month_before_the_grant_is_in_it(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    acme.use(10)
    moves_to(acme, "2023-05")
    acme.report()
    ends = max(period.ends_at for period in acme.periods()) - acme.gateways.clock.now()
    acme.customer.shop.advance(seconds=ends.total_seconds() + 60)
    acme.customer.settle()
    [row] = further(acme)
    acme.use(4)
    # the month before is not billed: the old grant is there for it, and the new one is not made
    assert (row.state, counting(acme, packs)) == ("open", [100 * 99])
    acme.customer.shop.advance(hours=2)
    acme.customer.settle()
    acme.report()
    sweeps(acme)

    assert (left(acme), counting(acme, packs)) == ([86], [90 * 190])
    month_ends(acme)
    assert paid_by_credits(acme) == [4 * 190, 10 * 99]
    settled(acme)


def test_a_pack_that_is_used_up_has_nothing_to_replace(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    acme.use(101)
    moves_to(acme, "2023-05")
    month_ends(acme)

    assert [(row.state, row.units, row.stripe_credit_grant_id) for row in further(acme)] == [
        ("done", 0, None)
    ]
    assert (len(packs.grants()), counting(acme, packs)) == (1, [])
    settled(acme)


def test_a_unit_of_the_old_price_returns_as_a_unit(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    [unit, *_others] = acme.use(10)
    moves_to(acme, "2023-05")
    month_ends(acme)
    acme.use(1)
    acme.returns(unit)
    acme.report()
    acme.credit()
    sweeps(acme)

    # it had cost 0.99 and is worth one at 1.90
    assert ([row.state for row in acme.credits()], left(acme)) == (["done"], [90])
    assert sum(counting(acme, packs)) == 91 * 190
    month_ends(acme)
    assert paid_by_credits(acme) == [190, 990]
    settled(acme)


def test_what_is_left_is_refunded_pro_rata_after_a_change(acme: Metered, packs: CreditBuyer) -> None:
    purchase = packs.buy(100)
    acme.use(10)
    moves_to(acme, "2023-05")
    month_ends(acme)
    acme.use(5)
    acme.report()
    refund = credit_refunds.return_rest(acme.gateways, acme.workspace_id, purchase.id, reason="asked")
    acme.customer.settle()
    month_ends(acme)

    # 85 of 100 units of $99.00; the five of the open month stay paid for
    assert (refund.units, refund.kept_units, refund.total) == (85, 5, 8_415)
    assert paid_by_credits(acme) == [5 * 190, 10 * 99]
    assert (left(acme), counting(acme, packs)) == ([0], [0])
    assert acme.customer.incidents() == []


@pytest.mark.parametrize("path", [GRANTS, f"{GRANTS}/*"])
@pytest.mark.parametrize("fault", ["kill_before", "kill_after", "timeout_after", "error_after"])
def test_a_crash_anywhere_is_gone_on_with_and_covers_once(
    acme: Metered, packs: CreditBuyer, path: str, fault: str
) -> None:
    packs.buy(100)
    acme.use(10)
    moves_to(acme, "2023-05")
    acme.customer.shop.faults.fail(fault, path, times=3)
    with contextlib.suppress(Killed):
        month_ends(acme)
    acme.customer.shop.faults.mend()
    acme.customer.settle()
    sweeps(acme)
    sweeps(acme)

    [row] = further(acme)
    assert (row.state, left(acme), counting(acme, packs)) == ("done", [90], [90 * 190])
    assert len(packs.grants()) == 2
    acme.use(3)
    month_ends(acme)
    assert paid_by_credits(acme) == [570, 990]
    settled(acme)


def test_a_change_that_nobody_told_of_is_found_by_the_sweeper(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    moves_to(acme, "2023-05")
    month_ends(acme)
    with unit_of_work(acme.workspace_id) as session:
        before = session.scalars(select(CreditPurchase)).one()
        session.execute(update(CreditLot).values(price_id=before.price_id, unit_amount=before.unit_amount))
        session.query(CreditGrant).delete()

    assert credit_repricing.sweep(acme.gateways) == 1
    sweeps(acme)
    assert credit_repricing.sweep(acme.gateways) == 0
    assert [int(lot.unit_amount) for lot in packs.lots()] == [190]


def test_a_price_that_goes_back_before_anything_was_granted_at_the_other_changes_nothing(
    acme: Metered, packs: CreditBuyer
) -> None:
    purchase = packs.buy(100)
    acme.use(10)
    moves_to(acme, "2023-05")
    acme.report()
    ends = max(period.ends_at for period in acme.periods()) - acme.gateways.clock.now()
    acme.customer.shop.advance(seconds=ends.total_seconds() + 60)
    acme.customer.settle()
    [other] = further(acme)
    shop = acme.customer.shop
    [subscription] = shop.subscriptions()
    item = next(each for each in subscription["items"].data if each.price.id == other.price_id)
    shop.client.v1.subscriptions.update(
        subscription.id,
        {"items": [{"id": item.id, "price": purchase.price_id}], "proration_behavior": "none"},
    )
    acme.customer.settle()
    month_ends(acme)

    assert [row.state for row in further(acme)] == ["dropped"]
    assert (left(acme), counting(acme, packs), len(packs.grants())) == ([90], [90 * 99], 1)
    settled(acme)
