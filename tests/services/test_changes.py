"""A change costs what its quote says, to the cent, and is there once it is paid."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import Member
from portal.services import changes, seats
from tests import factories
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.shop import TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR


@pytest.fixture
def changer(customer: Customer) -> Changer:
    """Twelve Advanced seats, five Copilot and Proactive Support by the month, paid ten days ago."""
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=10)
    return Changer(customer)


def test_three_more_seats_are_charged_at_once_for_the_rest_of_the_month(changer: Changer) -> None:
    quote_id = changer.prepare(seats=15)
    quoted = changer.quote(quote_id)
    changer.confirm(quote_id)
    changer.customer.settle()

    lines = changer.amounts(quote_id)
    assert [line[:3] for line in lines] == [("seat", "credit", 12), ("seat", "debit", 15)]
    assert quoted.total == sum(line[3] for line in lines)
    assert changer.state(quote_id) == "done"
    assert changer.customer.subscription().seats == 15
    assert changer.customer.shop.charges()[0].amount == quoted.amount_due == quoted.total
    assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]


def test_the_quote_says_what_it_costs_before_now_and_at_the_renewal(changer: Changer) -> None:
    terms = changer.quote(changer.prepare(seats=15)).terms

    assert terms["before"]["seats"] == 12
    assert terms["now"]["seats"] == 15
    assert terms["later"] is None
    assert terms["recurring"]["before"]["amount"] == 146_200
    assert terms["recurring"]["now"] == {"amount": 175_900, "discount": 0, "interval": "month"}
    assert terms["next_charge_at"] == int(changer.held().renews_at.timestamp())


def test_nothing_to_change_is_said(changer: Changer) -> None:
    with pytest.raises(changes.NothingToChangeError):
        changer.prepare(seats=12)


def test_a_year_of_seats_is_charged_at_once_and_not_a_year_later(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_YEAR)
    customer.shop.advance(days=5)
    changer = Changer(customer)
    quote_id = changer.change(seats=13)

    assert customer.shop.charges()[0].amount == changer.quote(quote_id).total > 100_000
    assert changer.at_stripe() == {"2026-11:seat:advanced:year": 13, "2026-11:copilot:year": 5}


def test_one_more_seat_costs_what_its_quote_says(changer: Changer) -> None:
    with unit_of_work(changer.customer.workspace_id) as session:
        price = changes.seat_price(session, changer.customer.gateways.clock.now())
    quote_id = changer.prepare(seats=13)

    assert price.now == changer.quote(quote_id).total
    assert (price.recurring, price.interval) == (9_900, "month")


def test_fewer_seats_are_taken_from_those_who_were_chosen(changer: Changer, app: Flask) -> None:
    workspace_id = changer.customer.workspace_id
    people = [factories.member(app, workspace_id) for _ in range(3)]
    with unit_of_work(workspace_id) as session:
        ids = [
            session.scalars(select(Member.id).where(Member.user_id == each.user_id)).one() for each in people
        ]
        seats.assign(session, ids, "full", by=changer.customer.account.user_id)
    leavers = (changes.Leaver(ids[1], "lite"), changes.Leaver(ids[2], "none"))
    changer.change(seats=1, add_ons={}, all_now=True, leavers=leavers)
    with unit_of_work(workspace_id) as session:
        sitting = dict(session.execute(select(Member.id, Member.seat).where(Member.id.in_(ids))).all())

    assert changer.customer.subscription().seats == 1
    assert sitting == {ids[0]: "full", ids[1]: "lite", ids[2]: "none"}
