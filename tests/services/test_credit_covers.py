"""Which pack pays for which resolution: the same on pages, in files and in sums."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from portal.db import unit_of_work
from portal.services import credit_covers, resolution_evidence, usage, usage_entries
from portal.services.credit_covers import NOTHING, Cover, Pack, Share
from portal.services.usage_entries import Entries
from tests.services import lots
from tests.services.using import DAY, HandClock, Workspace, happened, sent

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand: 20 November 2026, noon."""
    return HandClock()


def use(acme: Workspace, clock: HandClock, count: int, name: str = "c") -> list[str]:
    """That many units, a minute apart."""
    found = []
    for number in range(count):
        clock.advance(minutes=1)
        found.append(acme.resolve(f"{name}{number}"))
    return found


def month(acme: Workspace) -> datetime:
    return acme.periods()[-1].starts_at


def cover(acme: Workspace, start: datetime | None = None) -> Cover:
    with unit_of_work(acme.workspace_id) as session:
        return credit_covers.of_month(session, start or month(acme))


def pack_of(acme: Workspace, conversation: str) -> str | None:
    """The lot that pays for a unit, as its evidence says."""
    with unit_of_work(acme.workspace_id) as session:
        pack = resolution_evidence.find(session, conversation, 1).pack
    return pack.lot_id if pack else None


def filed(acme: Workspace, start: datetime | None = None) -> tuple[dict[str | None, int], int]:
    """The units of each lot, and what is to be paid, as the file sums them."""
    with unit_of_work(acme.workspace_id) as session:
        period = usage.find(session, acme.gateways.clock.now(), start)
        assert period is not None
        return summed(usage_entries.of_period(session, period, "resolution"))


def summed(entries: Entries) -> tuple[dict[str | None, int], int]:
    units, to_pay = Counter[str | None](), 0
    for page in entries.pages(size=7):
        for booked in page:
            units[booked.pack.lot_id if booked.pack else None] += booked.entry.quantity
            to_pay += booked.to_pay
    return {lot: total for lot, total in units.items() if total}, to_pay


def test_without_packs_everything_is_paid_by_use(acme: Workspace, clock: HandClock) -> None:
    use(acme, clock, 3)

    assert cover(acme) == NOTHING
    assert pack_of(acme, "c0") is None
    assert filed(acme) == ({None: 3}, 297)


def test_a_month_within_a_pack_is_all_the_packs(acme: Workspace, clock: HandClock) -> None:
    use(acme, clock, 2)
    lot = lots.buy(acme, 100)
    use(acme, clock, 2, "later")

    assert [(share.pack.lot_id, share.units) for share in cover(acme).shares] == [(lot, 4)]
    assert {pack_of(acme, unit) for unit in ("c0", "c1", "later0", "later1")} == {lot}
    assert filed(acme) == ({lot: 4}, 0)


def test_the_first_units_of_a_month_are_the_packs_and_the_last_are_paid_by_use(
    acme: Workspace, clock: HandClock
) -> None:
    lot = lots.buy(acme, 5)
    use(acme, clock, 8)

    assert [pack_of(acme, f"c{number}") for number in range(8)] == [lot] * 5 + [None] * 3
    assert filed(acme) == ({lot: 5, None: 3}, 297)


def test_the_pack_that_ends_first_pays_for_the_first_units(acme: Workspace, clock: HandClock) -> None:
    first = lots.buy(acme, 2, paid_at=NOON - 40 * DAY)
    second = lots.buy(acme, 3, paid_at=NOON)
    use(acme, clock, 4)

    assert [pack_of(acme, f"c{number}") for number in range(4)] == [first, first, second, second]
    assert filed(acme) == ({first: 2, second: 2}, 0)


def test_what_comes_back_moves_the_units_after_it_up(acme: Workspace, clock: HandClock) -> None:
    lot = lots.buy(acme, 3)
    use(acme, clock, 5)
    acme.feed(happened("c1", "customer_asked", clock.now()))

    assert [pack_of(acme, f"c{number}") for number in range(5)] == [lot, None, lot, lot, None]
    assert filed(acme) == ({lot: 3, None: 1}, 99)


def test_what_comes_back_after_its_month_is_the_later_months(acme: Workspace, clock: HandClock) -> None:
    lot = lots.buy(acme, 3)
    use(acme, clock, 5)
    sent(acme, at=clock.now())
    november = month(acme)
    clock.advance(days=25)
    lots.end_month(acme)
    use(acme, clock, 1, "next")
    acme.feed(happened("c1", "customer_asked", clock.now()))

    assert [pack_of(acme, f"c{number}") for number in (0, 2, 3)] == [lot, lot, None]
    assert filed(acme, november) == ({lot: 3, None: 2}, 198)


def test_what_is_booked_out_of_a_month_moves_the_units_after_it_up(acme: Workspace, clock: HandClock) -> None:
    lot = lots.buy(acme, 3)
    use(acme, clock, 5)
    november = month(acme)
    clock.advance(days=25)
    lots.end_month(acme)
    use(acme, clock, 1, "next")
    acme.feed(happened("c1", "customer_asked", clock.now()))

    assert [pack_of(acme, f"c{number}") for number in (0, 2, 3, 4)] == [lot, lot, lot, None]
    assert filed(acme, november) == ({lot: 3, None: 1}, 99)


def test_free_units_are_no_packs(acme: Workspace, clock: HandClock) -> None:
    lots.buy(acme, 3)
    use(acme, clock, 1)
    acme.feed(happened("waits", "ai_answered", clock.now()))

    assert pack_of(acme, "waits") is None


def test_what_lies_too_far_back_is_not_looked_for_and_the_file_still_sums(
    acme: Workspace, clock: HandClock
) -> None:
    lot = lots.buy(acme, 5)
    use(acme, clock, 8)
    acme.feed(happened("c1", "customer_asked", clock.now()))
    with unit_of_work(acme.workspace_id) as session:
        found = credit_covers.of_months(session, [month(acme)], most=4)[month(acme)]
        period = usage.find(session, clock.now())
        assert period is not None
        entries = usage_entries.of_period(session, period, "resolution")

    assert not found.tells
    assert found.of((NOON, "c0", 1)) is None
    assert summed(replace(entries, cover=found)) == ({lot: 5, None: 2}, 198)


def test_the_usage_says_what_packs_pay_and_what_is_left_to_pay(acme: Workspace, clock: HandClock) -> None:
    lots.buy(acme, 5)
    use(acme, clock, 8)
    with unit_of_work(acme.workspace_id) as session:
        found = usage.read(session, clock.now())

    assert found is not None
    assert [(share.pack.units, share.units) for share in found.shares] == [(5, 5)]
    assert (found.amount, found.by_credits, found.to_pay, found.by_use) == (792, 495, 297, 3)


def test_the_forecast_says_only_what_exceeds_the_packs(acme: Workspace, clock: HandClock) -> None:
    for _day in range(3):
        use(acme, clock, 10, f"d{_day}-")
        clock.advance(days=1)
    lots.buy(acme, 1000)
    with unit_of_work(acme.workspace_id) as session:
        found = usage.read(session, clock.now())

    assert found is not None
    assert found.resolutions.forecast is not None
    assert found.resolutions.forecast.units.expected > 30
    assert found.due is not None
    assert (found.due.low, found.due.expected, found.due.high) == (0, 0, 0)


def test_a_place_after_the_last_end_is_paid_by_use() -> None:
    first, second = Pack("T-1", 10, NOON), Pack("T-2", 10, NOON)
    later = [NOON + timedelta(minutes=number) for number in range(4)]
    found = Cover((Share(first, 1), Share(second, 2)), 1, ((later[0], "a", 1), (later[2], "a", 1)))

    assert [found.of((at, "a", 1)) for at in later] == [first, second, second, None]
    assert [found.at(number) for number in (1, 2, 3, 4)] == [first, second, second, None]
    assert found.rest is None
