"""Which lot covers which units, in the same commit as the usage itself."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.models import CreditEntry, CreditLot, CreditSum
from portal.services import allowances, credit_ledger, credit_lots, limits
from tests.services.lots import buy, covered, covered_by_the_rules, end_month, entries, left
from tests.services.using import HandClock, Workspace, happened

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
SEEDS = range(6)


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand."""
    return HandClock(START)


def come_back(acme: Workspace, conversation_id: str) -> None:
    acme.feed(happened(conversation_id, "reopened", acme.gateways.clock.now()))


def test_units_are_drawn_as_they_are_used(acme: Workspace) -> None:
    buy(acme, 100)
    for _number in range(3):
        acme.resolve()

    assert left(acme) == [97]
    assert entries(acme) == [("bought", 100), ("drawn", -1), ("drawn", -1), ("drawn", -1)]


def test_a_lot_covers_what_was_used_before_in_its_first_month(acme: Workspace) -> None:
    for _number in range(4):
        acme.resolve()
    buy(acme, 100)

    assert entries(acme) == [("bought", 100), ("drawn", -4)]


def test_without_a_lot_nothing_is_written(acme: Workspace) -> None:
    acme.resolve()

    assert entries(acme) == []


def test_the_lot_that_ends_first_is_used_first_and_then_what_is_paid_by_use(
    acme: Workspace, clock: HandClock
) -> None:
    buy(acme, 2)
    clock.advance(days=60)
    end_month(acme)
    buy(acme, 3)
    for _number in range(6):
        acme.resolve()

    assert left(acme) == [0, 0]
    assert sum(covered(acme).values()) == 5


def test_what_comes_back_goes_first_to_what_was_paid_by_use_and_then_to_the_lot_drawn_last(
    acme: Workspace,
) -> None:
    buy(acme, 2)
    used = [acme.resolve() for _number in range(3)]
    come_back(acme, used[0])
    first = left(acme)
    come_back(acme, used[1])

    assert (first, left(acme)) == ([0], [1])
    assert entries(acme)[-1] == ("given_back", 1)


def test_a_lot_lasts_to_the_end_of_the_month_a_year_later_and_not_a_second_more(
    acme: Workspace, clock: HandClock
) -> None:
    buy(acme, 100)
    with unit_of_work(acme.workspace_id) as session:
        [lot] = session.scalars(select(CreditLot))
    clock.at = lot.expires_at - timedelta(microseconds=1)
    end_month(acme)
    acme.resolve()
    last = left(acme)
    clock.at = lot.expires_at
    acme.resolve()

    assert (lot.starts_at, lot.expires_at) == (
        datetime(2026, 11, 10, 12, tzinfo=UTC),
        datetime(2027, 12, 10, 12, tzinfo=UTC),
    )
    assert (last, left(acme)) == ([99], [99])


def test_an_older_month_that_is_still_open_comes_before_the_new_one(
    acme: Workspace, clock: HandClock
) -> None:
    buy(acme, 2)
    end = acme.periods()[-1].ends_at
    clock.at = end + timedelta(minutes=10)
    acme.resolve()
    acme.resolve()
    late = end - timedelta(hours=1)
    acme.feed(happened("late", "ai_answered", late), happened("late", "customer_confirmed", late))

    assert left(acme) == [0]
    assert entries(acme)[-2:] == [("drawn", -1), ("given_back", 1)]
    assert covered(acme) == covered_by_the_rules(acme)


def test_what_is_left_lapses_once_the_last_month_is_billed(acme: Workspace, clock: HandClock) -> None:
    lot = buy(acme, 100)
    acme.resolve()
    clock.at = datetime(2027, 12, 10, 14, tzinfo=UTC)
    acme.resolve()
    while_open = credit_ledger.sweep(acme.gateways)
    end_month(acme)
    swept = [credit_ledger.sweep(acme.gateways), credit_ledger.sweep(acme.gateways)]

    assert (while_open, swept) == (0, [1, 0])
    assert entries(acme)[-1] == ("lapsed", -99)
    with unit_of_work(acme.workspace_id) as session:
        row = session.get_one(CreditLot, (acme.workspace_id, lot))
    assert (row.ended_why, row.ended_at) == ("lapsed", row.expires_at)


def test_a_voided_invoice_gives_its_units_back_once_and_what_has_ended_lapses(
    acme: Workspace, clock: HandClock
) -> None:
    ended, lasting = buy(acme, 1, paid_at=START - timedelta(days=40)), buy(acme, 5)
    month = acme.periods()[-1].starts_at
    for _number in range(3):
        acme.resolve()
    clock.advance(days=30)
    end_month(acme)
    with unit_of_work(acme.workspace_id) as session:
        over = {"ended_at": clock.now(), "ended_why": "lapsed"}
        session.execute(update(CreditLot).where(CreditLot.id == ended).values(over))
    for _time in range(2):
        with unit_of_work(acme.workspace_id) as session:
            credit_ledger.give_back(session, month, source="in_1", at=clock.now())

    with unit_of_work(acme.workspace_id) as session:
        rows = session.scalars(select(CreditEntry).order_by(CreditEntry.id)).all()
    of = {lot: [(row.kind, row.quantity) for row in rows if row.lot_id == lot] for lot in (ended, lasting)}
    assert of[ended] == [("bought", 1), ("drawn", -1), ("given_back", 1), ("lapsed", -1)]
    assert of[lasting][-1] == ("given_back", 2)
    assert left(acme) == [0, 5]


def test_units_that_were_refunded_cannot_be_drawn(acme: Workspace) -> None:
    lot_id = buy(acme, 10)
    acme.resolve()
    with unit_of_work(acme.workspace_id) as session:
        lot = session.get_one(CreditLot, (acme.workspace_id, lot_id))
        credit_lots.take_back(session, lot, 9, source="B-1", why="refunded", at=START)
    acme.resolve()

    assert entries(acme) == [("bought", 10), ("drawn", -1), ("returned", -9)]


def test_a_cap_in_money_counts_only_what_credits_do_not_pay(acme: Workspace) -> None:
    limits.save(acme.gateways, acme.workspace_id, None, limits.Wanted(cap_amount=500))
    before = allowances.current(acme.gateways, acme.workspace_id).cap
    buy(acme, 10)
    for _number in range(12):
        acme.resolve()
    standing = limits.standing(acme.gateways, acme.workspace_id)

    assert (before, standing.state.cap, standing.state.left) == (5, 15, 3)
    assert standing.spent.resolutions.billed == 2 * 99
    assert {entry.charge for entry in acme.entries()} == {"meter"}


def kept_sums(acme: Workspace) -> dict[tuple[str, str, datetime], tuple[int, int]]:
    """Quantity and number of entries, by lot, kind and month, as the database has kept them."""
    with unit_of_work(acme.workspace_id) as session:
        return {
            (row.lot_id, row.kind, row.period_start): (row.quantity, row.entries)
            for row in session.scalars(select(CreditSum))
        }


def added_up(acme: Workspace) -> dict[tuple[str, str, datetime], tuple[int, int]]:
    """The same from the entries."""
    found: dict[tuple[str, str, datetime], tuple[int, int]] = {}
    with unit_of_work(acme.workspace_id) as session:
        for row in session.scalars(select(CreditEntry)):
            assert row.period_start is not None
            quantity, number = found.get((row.lot_id, row.kind, row.period_start), (0, 0))
            found[row.lot_id, row.kind, row.period_start] = (quantity + row.quantity, number + 1)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_the_ledger_draws_as_the_rules_do(
    acme: Workspace, clock: HandClock, seed: int
) -> None:
    chance = random.Random(seed)
    used: list[str] = []
    for _step in range(60):
        step = chance.random()
        if step < 0.5:
            used.append(acme.resolve())
        elif step < 0.7 and used:
            come_back(acme, used.pop(chance.randrange(len(used))))
        elif step < 0.8:
            buy(acme, chance.randint(1, 12))
        else:
            clock.advance(days=chance.choice((1, 3, 11)))
            end_month(acme)

    assert covered(acme) == covered_by_the_rules(acme)
    kinds = {"bought", "drawn", "given_back"}
    assert {kind for kind, _quantity in entries(acme)} <= kinds
    assert sum(left(acme)) == sum(quantity for _kind, quantity in entries(acme))
    assert kept_sums(acme) == added_up(acme)
    assert min(left(acme), default=0) >= 0
