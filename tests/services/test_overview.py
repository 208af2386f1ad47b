"""What is read ahead for the overview: the same rows as one by one, and none of them twice."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.read_ahead import ReadAhead
from portal.services import (
    allowances,
    attempts,
    billing_details,
    holdings,
    invoices,
    planned_changes,
    subscriptions,
    unbilled_periods,
)
from portal.services.overview import ROWS
from tests.reads import reading
from tests.services.buying import Customer


def seen(session: Session, customer: Customer) -> Sequence[object]:
    return [
        subscriptions.current(session),
        billing_details.current(session),
        invoices.newest(session),
        holdings.plan(session),
        planned_changes.missed(session),
        attempts.unpaid(session),
        unbilled_periods.latest(session),
        allowances.stopped(session, customer.gateways.clock.now()),
    ]


def test_rows_that_were_read_ahead_are_the_same_and_are_not_asked_for_again(customer: Customer) -> None:
    customer.buy()
    with unit_of_work(customer.workspace_id) as session:
        one_by_one = seen(session, customer)
        ROWS.read(session)
        with reading() as afterwards:
            at_once = seen(session, customer)

    assert at_once == one_by_one
    assert [row is not None for row in at_once] == [True, True, True, False, False, False, False, False]
    assert afterwards.statements == 0


def test_what_was_read_ahead_is_of_that_unit_of_work_alone(customer: Customer) -> None:
    with unit_of_work(customer.workspace_id) as session:
        ROWS.read(session)
    customer.buy()
    with unit_of_work(customer.workspace_id) as session:
        found = subscriptions.current(session)

    assert found is not None


def test_of_a_company_without_anything_nothing_is_found(customer: Customer) -> None:
    with unit_of_work(customer.workspace_id) as session:
        ROWS.read(session)
        found = (subscriptions.current(session), invoices.newest(session), attempts.unpaid(session))

    assert found == (None, None, None)


@pytest.fixture
def _threads_in_turn() -> Iterator[None]:
    """Threads that take turns a thousand times as often."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 1000)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("_threads_in_turn", "committing")
def test_threads_that_read_ahead_for_the_first_time_together_do_not_disturb_each_other() -> None:
    rows = ReadAhead(subscriptions.CURRENT, billing_details.CURRENT, invoices.NEWEST, holdings.PLAN)

    def look(_number: int) -> object:
        with unit_of_work(1) as session:
            rows.read(session)
            return subscriptions.current(session)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(look, range(24))) == [None] * 24
