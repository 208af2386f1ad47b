"""Two tabs end the subscription, or end and keep it, in the same moment."""

from concurrent.futures import ThreadPoolExecutor

from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import Cancellation
from portal.services import leaving
from portal.services.leaving import AT_PERIOD_END, KEEP
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH


def test_two_clicks_at_once_end_it_once(open_shop: tuple[Flask, Customer]) -> None:
    _, customer = open_shop
    customer.buy(TWELVE_BY_THE_MONTH)
    subscription_id = customer.shop.subscriptions()[0].id
    customer.shop.faults.fail("slow", subscription_id, times=1, seconds=0.5)

    def click(_: int) -> None:
        leaving.ask(customer.gateways, customer.workspace_id, customer.account.user_id, AT_PERIOD_END)

    with ThreadPoolExecutor(4) as tabs:
        list(tabs.map(click, range(4)))
    with unit_of_work(customer.workspace_id) as session:
        rows = [(row.kind, row.state) for row in session.scalars(select(Cancellation))]

    assert rows == [(AT_PERIOD_END, "done")]
    assert len(set(customer.shop.faults.keys(subscription_id))) == 1


def test_ending_and_keeping_at_once_leave_one_clear_state(open_shop: tuple[Flask, Customer]) -> None:
    _, customer = open_shop
    customer.buy(TWELVE_BY_THE_MONTH)
    leaving.ask(customer.gateways, customer.workspace_id, customer.account.user_id, AT_PERIOD_END)

    def click(kind: str) -> None:
        leaving.ask(customer.gateways, customer.workspace_id, customer.account.user_id, kind)

    with ThreadPoolExecutor(2) as tabs:
        list(tabs.map(click, [KEEP, AT_PERIOD_END]))
    found = customer.subscription()
    with unit_of_work(customer.workspace_id) as session:
        states = set(session.scalars(select(Cancellation.state)))

    assert found
    assert states == {"done"}
    at_stripe = customer.shop.subscriptions()[0].cancel_at
    assert (at_stripe is None) == (found.cancel_at is None)
