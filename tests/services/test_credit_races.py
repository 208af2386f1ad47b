"""One pack, many hands: whoever comes at the same moment, it is bought and given back once, to the unit."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import CreditEntry, CreditGrant, CreditLot, CreditPurchase, CreditRefund
from portal.services import (
    credit_by_hand,
    credit_further_grants,
    credit_grants,
    credit_lots,
    credit_refunds,
    credits,
)
from portal.services.credit_refunds import NotRefundableError
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.services.test_at_once import at_once
from tests.services.using import Workspace
from tests.shop import TWELVE_BY_THE_MONTH


@pytest.fixture
def packs(open_shop: tuple[Flask, Customer]) -> CreditBuyer:
    """A company with seats by the month, whose rows are there for every thread."""
    _app, customer = open_shop
    customer.buy(TWELVE_BY_THE_MONTH)
    return CreditBuyer(customer)


def bought(packs: CreditBuyer, units: int = 600) -> CreditPurchase:
    """A pack that is paid and granted."""
    purchase = packs.buy(units)
    credit_grants.make(packs.gateways, packs.workspace_id, purchase.id)
    return packs.purchase(str(purchase.quote_id))


def give_back(packs: CreditBuyer, purchase: CreditPurchase) -> CreditRefund:
    """The customer's click."""
    return credit_refunds.return_unused(packs.gateways, packs.workspace_id, None, purchase.id)


def by_support(packs: CreditBuyer, purchase: CreditPurchase) -> CreditRefund:
    return credit_refunds.return_rest(packs.gateways, packs.workspace_id, purchase.id, reason="asked")


def use(packs: CreditBuyer) -> str:
    return Workspace(packs.gateways, packs.workspace_id).resolve()


def refunds(packs: CreditBuyer) -> list[CreditRefund]:
    with unit_of_work(packs.workspace_id) as session:
        return list(session.scalars(select(CreditRefund)))


def finished(packs: CreditBuyer) -> None:
    """The sweepers have come by, after whoever was at it."""
    for _time in range(3):
        credit_refunds.sweep(packs.gateways)
        packs.customer.settle()


def conserved(packs: CreditBuyer) -> bool:
    """Whether each lot's units are where its entries have them, none twice; fails where they are not."""
    with unit_of_work(packs.workspace_id) as session:
        for held in credits.read(session, packs.gateways.clock.now()).lots:
            parts = held.billed + held.open + held.lapsed + held.returned + held.left
            assert held.lot.units == parts
            assert min(held.billed, held.open, held.lapsed, held.returned, held.left) >= 0
    return True


def counting(packs: CreditBuyer) -> list[int]:
    now = int(packs.gateways.clock.now().timestamp())
    return [grant.value for grant in packs.grants() if grant.counts(now)]


def test_three_clicks_on_buy_are_one_payment_and_one_pack(packs: CreditBuyer) -> None:
    quote_id = packs.prepare(600)
    first, second, third = at_once(*[lambda: packs.pay(quote_id)] * 3)
    secrets = {getattr(each, "client_secret", None) for each in (first, second, third)} - {None}
    packs.shop.pay(str(secrets.pop()))
    packs.customer.settle()

    assert secrets == set()
    assert [charge.amount for charge in packs.shop.charges()][:1] == [56_430]
    assert (len(packs.purchases()), len(packs.lots()), packs.left()) == (1, 1, 600)


def test_three_workers_make_one_grant(packs: CreditBuyer) -> None:
    purchase = packs.buy(600)
    at_once(*[lambda: credit_grants.make(packs.gateways, packs.workspace_id, purchase.id)] * 3)
    credit_grants.sweep(packs.gateways)

    assert packs.purchases()[0].state == "granted"
    assert [grant.value for grant in packs.grants()] == [59_400]


def test_three_workers_make_one_further_grant(packs: CreditBuyer) -> None:
    purchase = bought(packs)
    with unit_of_work(packs.workspace_id) as session:
        lot = session.scalars(select(CreditLot)).one()
        credit_further_grants.want(session, packs.gateways, lot, "returned", 5, source="test")
    at_once(*[lambda: credit_further_grants.make(packs.gateways, packs.workspace_id, purchase.id)] * 3)
    credit_further_grants.sweep(packs.gateways)
    with unit_of_work(packs.workspace_id) as session:
        [row] = session.scalars(select(CreditGrant))

    assert (row.state, sorted(grant.value for grant in packs.grants())) == ("done", [495, 59_400])


def test_two_refunds_at_once_give_back_once(packs: CreditBuyer) -> None:
    purchase = bought(packs)
    results = at_once(
        lambda: give_back(packs, purchase),
        lambda: give_back(packs, purchase),
        lambda: by_support(packs, purchase),
        lambda: by_support(packs, purchase),
    )
    finished(packs)
    [refund] = refunds(packs)

    assert {type(each) for each in results} <= {CreditRefund, NotRefundableError}
    assert (refund.state, refund.units, refund.total) == ("done", 600, 56_430)
    assert packs.shop.charges()[0].amount_refunded == 56_430
    assert (packs.left(), counting(packs), conserved(packs)) == (0, [], True)


def test_a_refund_and_a_chargeback_at_once_take_the_units_once(packs: CreditBuyer) -> None:
    purchase = bought(packs)
    at_once(
        lambda: by_support(packs, purchase),
        lambda: credit_refunds.charged_back(
            packs.gateways, packs.workspace_id, str(purchase.stripe_invoice_id), reason="fraudulent"
        ),
    )
    finished(packs)

    assert [(each.units, each.state) for each in refunds(packs)] == [(600, "done")]
    assert (packs.left(), counting(packs), conserved(packs)) == (0, [], True)


@pytest.mark.parametrize("round_", range(3))
def test_a_unit_that_is_used_at_the_customers_click_is_on_one_side_or_the_other(
    packs: CreditBuyer, round_: int
) -> None:
    purchase = bought(packs)
    refunded, _used = at_once(lambda: give_back(packs, purchase), lambda: use(packs))
    finished(packs)

    if isinstance(refunded, NotRefundableError):
        # the unit came first: the pack stays, without it
        assert (packs.left(), counting(packs), refunds(packs)) == (599, [59_400], [])
        assert packs.shop.charges()[0].amount_refunded == 0
    else:
        # the refund came first: the unit is paid by use
        assert (packs.left(), counting(packs)) == (0, [])
        assert packs.shop.charges()[0].amount_refunded == 56_430
    assert conserved(packs)


def test_what_is_used_while_support_takes_the_rest_back_is_not_given_back(packs: CreditBuyer) -> None:
    purchase = bought(packs)
    uses = [lambda: use(packs)] * 4
    at_once(*uses, lambda: by_support(packs, purchase), *uses)
    finished(packs)
    [refund] = refunds(packs)
    with unit_of_work(packs.workspace_id) as session:
        rows = session.scalars(select(CreditEntry).where(CreditEntry.kind.in_(("drawn", "given_back"))))
        drawn = -sum(row.quantity for row in rows)

    assert (refund.units + drawn, packs.left()) == (600, 0)
    # half a cent and more is rounded up: 94.05 cents a unit
    assert refund.total == (refund.units * 56_430 + 300) // 600
    assert sum(counting(packs)) == drawn * 99
    assert (refund.kept_units, conserved(packs)) == (drawn, True)


def test_what_was_given_back_by_hand_is_settled_once(packs: CreditBuyer) -> None:
    purchase = bought(packs)
    [charge, *_older] = packs.shop.charges()
    packs.shop.client.v1.refunds.create({"charge": charge.id, "amount": 9_405})
    packs.customer.settle()
    place = (packs.gateways, packs.workspace_id, purchase.id)
    results = at_once(*[lambda: credit_by_hand.settle(*place, units=100, reason="agreed")] * 3)
    finished(packs)

    assert sum(isinstance(each, CreditRefund) for each in results) == 1
    assert [(each.units, each.state) for each in refunds(packs)] == [(100, "done")]
    assert (packs.left(), counting(packs), conserved(packs)) == (500, [500 * 99], True)


def test_units_are_drawn_by_many_threads_and_none_twice(packs: CreditBuyer) -> None:
    bought(packs, 100)
    at_once(*[lambda: [use(packs) for _unit in range(15)]] * 7)
    with unit_of_work(packs.workspace_id) as session:
        lot = session.scalars(select(CreditLot)).one()

        # 105 units of which the pack had a hundred
        assert credit_lots.left(session, lot) == 0
    assert Workspace(packs.gateways, packs.workspace_id).used() == 105
    assert conserved(packs)
