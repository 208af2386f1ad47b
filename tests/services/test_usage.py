"""What customers read of their usage: totals, days, channels, cost at their own price, and what comes."""

from datetime import UTC, date, datetime

import pytest

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.pricing.forecast import Range
from portal.services import demo_usage, subscriptions, usage, usage_entries, usage_so_far
from portal.services.demo_usage import Shape
from portal.services.usage import Period, Usage
from portal.services.usage_rollup import Count
from tests import factories
from tests.services.using import DAY, HandClock, Workspace, happened, subscribe

METERED = [
    {"key": key, "metered": True, "lookup_key": f"2026-11:{key}:month"} for key in ("resolution", "sms")
]


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand: 20 November 2026, noon."""
    return HandClock()


def read(acme: Workspace, starts_at: datetime | None = None) -> Usage:
    with unit_of_work(acme.workspace_id) as session:
        found = usage.read(session, acme.gateways.clock.now(), starts_at)
    assert found is not None
    return found


def present(acme: Workspace) -> Period:
    return read(acme).period


def test_before_a_subscription_there_is_no_usage(gateways: Gateways, workspace: factories.Account) -> None:
    with unit_of_work(workspace.workspace_id) as session:
        assert usage.read(session, gateways.clock.now()) is None


def test_a_fresh_period_is_empty_and_costs_nothing(acme: Workspace) -> None:
    found = read(acme)

    assert found.empty
    assert (found.resolutions.count, found.amount) == (Count(), 0)
    assert (found.due.low, found.due.expected, found.due.high) == (0, 0, 0)  # type: ignore[union-attr]


def test_what_was_confirmed_assumed_reversed_and_waits_is_told_apart(
    acme: Workspace, clock: HandClock
) -> None:
    now = clock.now()
    acme.resolve("confirmed")
    acme.feed(happened("assumed", "ai_answered", now - 2 * DAY, channel="email"))
    acme.resolve("back")
    clock.advance(minutes=5)
    acme.feed(happened("back", "customer_asked", clock.now()))
    acme.feed(happened("waiting", "ai_answered", now))
    found = read(acme)

    assert found.resolutions.count == Count(quantity=2, charged=2, confirmed=2, assumed=1, reversed=1)
    assert found.pending == 1
    assert found.amount == 198
    assert found.resolutions.channels == [
        ("chat", Count(quantity=1, charged=1, confirmed=2, reversed=1)),
        ("email", Count(quantity=1, charged=1, assumed=1)),
    ]
    assert found.resolutions.days[date(2026, 11, 19)] == Count(quantity=1, charged=1, assumed=1)


def test_every_day_up_to_today_is_there(acme: Workspace) -> None:
    days = list(read(acme).resolutions.days)

    assert (days[0], days[-1], len(days)) == (date(2026, 11, 10), date(2026, 11, 20), 11)


def test_the_own_price_counts_not_the_lists(gateways: Gateways, workspace: factories.Account) -> None:
    item = METERED[0] | {"unit_amount": "65"}
    subscribe(gateways, workspace.workspace_id, items=[item | _month(gateways.clock.now())])
    acme = Workspace(gateways, workspace.workspace_id)
    acme.resolve()

    assert read(acme).amount == 65


def _month(now: datetime) -> dict[str, int]:
    start = now - 10 * DAY
    return {"period_start": int(start.timestamp()), "period_end": int((start + 30 * DAY).timestamp())}


def test_units_of_a_trial_are_free(gateways: Gateways, workspace: factories.Account) -> None:
    subscribe(gateways, workspace.workspace_id, trial_days=14)
    acme = Workspace(gateways, workspace.workspace_id)
    acme.resolve()
    found = read(acme)

    assert found.period.trial
    assert (found.resolutions.count.quantity, found.resolutions.count.free, found.amount) == (1, 1, 0)
    assert found.resolutions.due.high == 0  # type: ignore[union-attr]


def test_the_forecast_goes_on_from_what_was_counted(acme: Workspace, clock: HandClock) -> None:
    demo_usage.fill(acme.workspace_id, present(acme), clock.now(), 300, Shape())
    found = read(acme)
    forecast = found.resolutions.forecast

    assert forecast is not None
    assert (forecast.basis, forecast.days) == ("days", 9)
    assert forecast.used == found.resolutions.count.charged
    assert forecast.units.low < forecast.units.expected < forecast.units.high
    assert found.due is not None
    assert found.due.expected == 99 * forecast.units.expected


def test_with_a_hard_cap_the_forecast_keeps_to_it(acme: Workspace, clock: HandClock) -> None:
    demo_usage.fill(acme.workspace_id, present(acme), clock.now(), 300, Shape(events=False))
    found = read(acme)
    used = found.resolutions.count.charged
    capped = usage.within(found, used + 20).resolutions.forecast
    reached = usage.within(found, 10).resolutions

    assert capped is not None
    assert capped.units == Range(used + 20, used + 20, used + 20)
    assert reached.due == Range(99 * used, 99 * used, 99 * used)
    assert usage.within(found, None) is found


def test_the_present_period_in_a_few_numbers(acme: Workspace) -> None:
    acme.resolve()
    with unit_of_work(acme.workspace_id) as session:
        found = usage_so_far.read(session, acme.gateways.clock.now(), subscriptions.current(session))

    assert found is not None
    assert (found.resolutions, found.by_packs, found.to_pay) == (1, 0, 99)


def test_other_units_stand_beside_the_resolutions(gateways: Gateways, workspace: factories.Account) -> None:
    items = [each | _month(gateways.clock.now()) for each in METERED]
    subscribe(gateways, workspace.workspace_id, items=items)

    assert [each.key for each in read(Workspace(gateways, workspace.workspace_id)).metered] == [
        "resolution",
        "sms",
    ]


def test_made_up_usage_agrees_in_units_ledger_rollup_and_period(acme: Workspace, clock: HandClock) -> None:
    days = demo_usage.fill(acme.workspace_id, present(acme), clock.now(), 1_000, Shape())
    [period] = acme.periods()
    rows = [unit for unit in acme.units() if unit.period_start]

    assert len(rows) == 1_000
    assert sum(unit.counts for unit in rows) == acme.used() == period.used == sum(days.values())
    assert sum(day.quantity for day in acme.days()) == acme.used()
    assert sum(day.reversed for day in acme.days()) == sum(unit.state == "reversed" for unit in rows)
    assert all(period.starts_at <= entry.at < clock.now() for entry in acme.entries())


def test_made_up_usage_is_what_its_own_events_come_to(acme: Workspace, clock: HandClock) -> None:
    demo_usage.fill(acme.workspace_id, present(acme), clock.now(), 60, Shape())
    before = {(unit.conversation_id, unit.episode): unit.state for unit in acme.units()}
    # each conversation is looked at again when anything of it arrives
    for conversation_id, _episode in before:
        acme.feed(happened(conversation_id, "ai_greeted", clock.now() - 12 * DAY))

    assert {(unit.conversation_id, unit.episode): unit.state for unit in acme.units()} == before


def test_every_entry_adds_what_it_costs_and_all_sum_to_the_amount(acme: Workspace, clock: HandClock) -> None:
    demo_usage.fill(acme.workspace_id, present(acme), clock.now(), 500, Shape(events=False))
    with unit_of_work(acme.workspace_id) as session:
        entries = usage_entries.of_period(session, present(acme), "resolution")
    booked = [each for page in entries.pages(size=64) for each in page]

    assert {each.amount for each in booked} == {99, -99}
    assert sum(each.amount for each in booked) == read(acme).amount
    assert sum(each.entry.quantity for each in booked) == read(acme).resolutions.count.charged


def test_an_entry_is_of_a_conversation_whatever_its_id_looks_like(acme: Workspace) -> None:
    for name in ("a:1:2", "b~2", "c"):
        acme.resolve(name)
    with unit_of_work(acme.workspace_id) as session:
        entries = usage_entries.of_period(session, present(acme), "resolution")
    [page] = entries.pages()

    assert {(each.conversation_id, each.episode) for each in page} == {("a:1:2", 1), ("b~2", 1), ("c", 1)}


def test_the_period_is_found_by_its_start(acme: Workspace, clock: HandClock) -> None:
    first = present(acme)
    clock.advance(days=31)
    acme.resolve()

    assert present(acme).starts_at == first.ends_at
    assert read(acme, first.starts_at).period == first
    assert not read(acme, first.starts_at).is_current
    assert datetime(2026, 12, 10, 12, tzinfo=UTC) == first.ends_at
