"""The balance of annual credits: every unit that was bought is used, left, lapsed or returned."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from portal.db import unit_of_work
from portal.models import CreditLot, CreditSum
from portal.services import credit_ledger, credit_lots, credit_outlook, credits
from portal.services.credit_outlook import Outlook
from portal.services.credits import Balance
from tests.services.lots import buy, end_month
from tests.services.using import HandClock, Workspace

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand."""
    return HandClock(START)


def balance(acme: Workspace) -> Balance:
    with unit_of_work(acme.workspace_id) as session:
        return credits.read(session, acme.gateways.clock.now())


def outlook(acme: Workspace) -> Outlook | None:
    with unit_of_work(acme.workspace_id) as session:
        return credit_outlook.read(session, credits.read(session, acme.gateways.clock.now()))


def test_what_is_used_moves_from_the_open_month_to_the_final_invoices(
    acme: Workspace, clock: HandClock
) -> None:
    buy(acme, 100)
    acme.resolve()
    acme.resolve()
    [before] = balance(acme).lots
    clock.advance(days=30)
    end_month(acme)
    acme.resolve()
    [after] = balance(acme).lots

    assert (before.billed, before.open, before.left) == (0, 2, 98)
    assert (after.billed, after.open, after.left) == (2, 1, 97)
    assert (after.worth, after.at_stake) == (97 * 99, 97 * 99)


def test_the_pack_that_ends_first_stands_first_and_those_without_anything_left_last(
    acme: Workspace, clock: HandClock
) -> None:
    first = buy(acme, 1)
    clock.advance(days=30)
    second = buy(acme, 10)
    before = [each.lot.id for each in balance(acme).lots]
    acme.resolve()
    after = balance(acme)

    assert before == [first, second]
    assert [(each.lot.id, each.state) for each in after.lots] == [(second, "usable"), (first, "used_up")]
    assert after.left == 10


def test_at_the_second_of_its_end_nothing_is_left_of_a_pack(acme: Workspace, clock: HandClock) -> None:
    buy(acme, 100)
    acme.resolve()
    [lot] = balance(acme).lots
    clock.at = lot.lot.expires_at - timedelta(seconds=1)
    [last] = balance(acme).lots
    clock.at = lot.lot.expires_at
    [over] = balance(acme).lots
    clock.advance(days=1)
    end_month(acme)
    credit_ledger.sweep(acme.gateways)
    [swept] = balance(acme).lots

    assert (last.left, last.lapsed) == (99, 0)
    assert (over.left, over.lapsed, over.state) == (0, 99, "ended")
    assert (swept.left, swept.lapsed, swept.used) == (0, 99, 1)


def test_without_packs_there_is_no_balance(acme: Workspace) -> None:
    found = balance(acme)

    assert (found.lots, found.left, found.worth, found.currency) == ([], 0, 0, None)
    assert outlook(acme) is None


def test_what_will_not_be_used_is_foreseen_to_lapse(acme: Workspace) -> None:
    buy(acme, 1000)
    for _number in range(10):
        acme.resolve()
    found = outlook(acme)

    assert found is not None
    assert found.runs_out is None
    [lapsing] = found.lapsing
    assert lapsing.at == datetime(2027, 12, 10, 12, tzinfo=UTC)
    assert 0 < lapsing.units < 990
    assert lapsing.amount == lapsing.units * 99
    # thirteen months, of which one has begun; at the end of the last what lapses is left
    assert [month.expected for month in found.months] == [False] + [True] * 12
    assert (found.months[0].left, found.months[-1].left) == (990, lapsing.units)


def test_the_day_on_which_a_small_pack_runs_out_is_foreseen(acme: Workspace, clock: HandClock) -> None:
    buy(acme, 20)
    for _number in range(10):
        acme.resolve()
    found = outlook(acme)

    assert found is not None
    assert found.runs_out is not None
    assert clock.now() < found.runs_out < clock.now() + timedelta(days=60)
    assert found.lapsing == []
    assert found.months[-1].left == 0


def test_a_months_end_knows_what_was_left_then(acme: Workspace, clock: HandClock) -> None:
    lot = buy(acme, 100)
    for _number in range(3):
        acme.resolve()
    [month] = acme.periods()
    clock.advance(days=30)
    end_month(acme)
    acme.resolve()
    with unit_of_work(acme.workspace_id) as session:
        # a unit of the first month comes back in the second, and ten are refunded
        credit_ledger.take_back(session, month.starts_at, 1, of="c-1", at=clock.now())
        refunded = session.get_one(CreditLot, (acme.workspace_id, lot))
        credit_lots.take_back(session, refunded, 10, source="B-1", why="refunded", at=clock.now())
    clock.advance(days=30)
    end_month(acme)
    buy(acme, 5)
    ends = [month.ends_at + timedelta(days=days) for days in (-31, 0, 31, 62)]
    with unit_of_work(acme.workspace_id) as session:
        left = credits.left_at(session, ends)

    assert left == [0, 97, 87, 92]


def test_what_was_left_is_read_from_sums_however_long_the_ledger_is(acme: Workspace) -> None:
    buy(acme, 100)
    for _number in range(3):
        acme.resolve()
    [month] = acme.periods()
    with unit_of_work(acme.workspace_id) as session:
        session.execute(update(CreditSum).where(CreditSum.kind == "drawn").values(quantity=-50))
        left = credits.left_at(session, [month.ends_at])

    assert left == [50]


def test_every_entry_is_listed_once_a_page_at_a_time(acme: Workspace) -> None:
    buy(acme, 100)
    for _number in range(3):
        acme.resolve()
    with unit_of_work(acme.workspace_id) as session:
        first = credits.entries(session, limit=2)
        second = credits.entries(session, limit=9, before=first[-1].id)
    oldest_first = [row.quantity for page in credits.every_entry(acme.workspace_id, size=2) for row in page]

    assert [row.quantity for row in [*first, *second]] == [-1, -1, -1, 100]
    assert oldest_first == [100, -1, -1, -1]
