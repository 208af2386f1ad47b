"""The price of a change: whole items credited and charged, own prices, each line rounded alone."""

import calendar
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing import (
    Billed,
    Discount,
    Held,
    Item,
    Lasting,
    PricingError,
    Selection,
    change,
    plain,
    recurring,
    same,
    split,
    still_planned,
)
from portal.pricing.periods import after, containing

DAY = 86_400
MONTH = 30 * DAY
ANCHOR = 1_790_000_000
TIERS = ("essential", "advanced", "expert")


def item(quantity: int, unit: int | str = 9_900, **members: Any) -> Item:
    """Advanced seats by the month unless said otherwise."""
    named = {"key": "seat", "description": "Advanced seat", "price": "advanced", "interval": "month"}
    return Item(**{**named, "quantity": quantity, "unit_amount": Decimal(unit), **members})


def held(one: Item, billed: int | None = None, start: int = ANCHOR, end: int = ANCHOR + MONTH) -> Held:
    """An item that was billed for the whole period."""
    amount = int(one.unit_amount) * one.quantity if billed is None else billed
    return Held(one, start, end, (Billed(amount, one.quantity, start, end),))


def amounts(*args: Any, at: int = ANCHOR + MONTH // 2, lasting: Any = ()) -> list[tuple[str, str, int, int]]:
    found = change(*args, at=at, anchor=ANCHOR, lasting=lasting)
    assert found.total == sum(line.amount for line in found.lines)
    return [(line.key, line.side, line.quantity, line.amount) for line in found.lines]


def test_three_more_seats_credit_all_and_charge_all() -> None:
    assert amounts([held(item(12))], [item(15)]) == [
        ("seat", "credit", 12, -59_400),
        ("seat", "debit", 15, 74_250),
    ]


def test_an_item_that_stays_makes_no_line_and_one_that_goes_only_a_credit() -> None:
    copilot = item(5, 3_500, key="copilot", price="copilot")

    assert amounts([held(item(12)), held(copilot)], [item(12)]) == [("copilot", "credit", 5, -8_750)]


def test_an_item_that_comes_is_charged_for_the_rest_of_the_period_from_the_anchor() -> None:
    copilot = item(5, 3_500, key="copilot", price="copilot")
    found = change([held(item(12))], [item(12), copilot], at=ANCHOR, anchor=ANCHOR)

    [line] = found.lines
    assert (line.amount, line.period_start, line.period_end) == (17_500, ANCHOR, after(ANCHOR, "month", 1))


def test_another_price_is_another_item_even_at_the_same_amount() -> None:
    assert amounts([held(item(1))], [item(1, price="2026-11")]) == [
        ("seat", "credit", 1, -4_950),
        ("seat", "debit", 1, 4_950),
    ]


def test_a_month_becomes_the_year_that_began_at_the_anchor() -> None:
    year = item(1, 102_000, price="advanced-year", interval="year")
    found = change([held(item(1))], [year], at=ANCHOR, anchor=ANCHOR)

    assert [line.amount for line in found.lines] == [-9_900, 102_000]
    assert found.lines[1].period_end == after(ANCHOR, "year", 1)


def test_a_credit_goes_by_what_was_billed_and_not_by_the_price() -> None:
    """A second change in a month credits the debit of the first: 74,250 for half a month."""
    second = Held(
        item(15), ANCHOR, ANCHOR + MONTH, (Billed(74_250, 15, ANCHOR + MONTH // 2, ANCHOR + MONTH),)
    )

    assert amounts([second], [item(14)], at=ANCHOR + MONTH * 3 // 4) == [
        ("seat", "credit", 15, -37_125),
        ("seat", "debit", 14, 34_650),
    ]


def test_what_was_free_or_is_over_gives_no_credit() -> None:
    free = held(item(2), billed=0)
    over = Held(item(2), ANCHOR, ANCHOR + MONTH, (Billed(100, 2, ANCHOR - MONTH, ANCHOR),))

    assert amounts([free], [item(1)]) == [("seat", "debit", 1, 4_950)]
    assert amounts([over], [item(1)]) == [("seat", "debit", 1, 4_950)]


def test_time_that_was_billed_ahead_is_credited_whole() -> None:
    ahead = Held(item(2), ANCHOR, ANCHOR + MONTH, (Billed(1_000, 2, ANCHOR + MONTH, ANCHOR + 2 * MONTH),))
    [line, _] = change([ahead], [item(1)], at=ANCHOR, anchor=ANCHOR).lines

    assert (line.amount, line.period_start) == (-1_000, ANCHOR + MONTH)


def test_a_negotiated_discount_is_in_the_debit_and_says_so() -> None:
    lasting = (Lasting(Discount(None, percent_off=Decimal(10)), frozenset({"seat"})),)
    found = change(
        [held(item(10), billed=89_100)], [item(20)], at=ANCHOR + MONTH // 2, anchor=ANCHOR, lasting=lasting
    )

    assert [line.amount for line in found.lines] == [-44_550, 89_100]
    assert [reason.rule for reason in found.lines[1].trace] == ["price", "line_percent", "proration_debit"]


def test_a_discount_that_is_over_or_for_something_else_takes_nothing_off() -> None:
    over = Lasting(Discount(None, percent_off=Decimal(10)), None, ends_at=ANCHOR)
    other = Lasting(Discount(None, percent_off=Decimal(10)), frozenset({"copilot"}))

    assert amounts([held(item(1))], [item(2)], lasting=(over, other))[1] == ("seat", "debit", 2, 9_900)


def test_an_amount_off_the_order_is_shared_by_all_lines() -> None:
    copilot = item(1, 100, key="copilot", price="copilot")
    lasting = (Lasting(Discount(None, amount_off=1_000)),)
    found = recurring([item(1), copilot], at=ANCHOR, lasting=lasting)

    assert (found.amount, found.discount, found.net("seat"), found.net("copilot")) == (
        9_000,
        1_000,
        8_910,
        90,
    )
    assert found.net("proactive_support") == 0
    assert found.as_dict() == {"amount": 9_000, "discount": 1_000, "interval": "month"}


def test_a_fraction_of_a_cent_is_rounded_in_the_share_only() -> None:
    assert amounts([], [item(3, "0.5")], at=ANCHOR)[0][3] == 1


def test_the_moment_lies_in_the_period() -> None:
    with pytest.raises(PricingError, match="at must lie"):
        change([held(item(1))], [item(2)], at=ANCHOR + 2 * MONTH, anchor=ANCHOR)


@pytest.mark.parametrize("wanted", [[], [item(1), item(2)]])
def test_something_is_wanted_and_each_thing_once(wanted: list[Item]) -> None:
    with pytest.raises(PricingError, match="wanted"):
        change([held(item(1))], wanted, at=ANCHOR, anchor=ANCHOR)


def test_a_line_is_told_as_json() -> None:
    [line] = change([], [item(2)], at=ANCHOR, anchor=ANCHOR).lines

    assert line.as_dict() == {
        "key": "seat", "description": "Advanced seat", "side": "debit", "price": "advanced", "quantity": 2,
        "unit_amount": "9900", "interval": "month", "amount": 19_800, "discount": 0, "total": 19_800,
        "period_start": ANCHOR, "period_end": after(ANCHOR, "month", 1),
    }  # fmt: skip
    assert [reason["rule"] for reason in line.as_dict(explain=True)["trace"]] == ["price", "proration_debit"]


@given(
    before=st.integers(1, 500),
    wanted=st.integers(1, 500),
    unit=st.integers(1, 200_000),
    left=st.integers(0, MONTH),
    percent=st.integers(1, 100),
)
def test_lines_add_up_and_are_the_exact_share_rounded_once(
    before: int, wanted: int, unit: int, left: int, percent: int
) -> None:
    lasting = (Lasting(Discount(None, percent_off=Decimal(percent))),)
    found = change(
        [held(item(before, unit))],
        [item(wanted, unit)],
        at=ANCHOR + MONTH - left,
        anchor=ANCHOR,
        lasting=lasting,
    )
    net = recurring([item(wanted, unit)], at=ANCHOR, lasting=lasting).amount
    for line in found.lines:
        full = -before * unit if line.side == "credit" else net
        assert line.amount == ceil(Fraction(full * left, MONTH) - Fraction(1, 2))
        assert isinstance(line.amount, int)
    assert found.total == sum(line.amount for line in found.lines)


@given(seats=st.integers(1, 300), more=st.integers(1, 300), left=st.integers(1, MONTH))
def test_more_seats_never_cost_less(seats: int, more: int, left: int) -> None:
    found = change([held(item(seats))], [item(seats + more)], at=ANCHOR + MONTH - left, anchor=ANCHOR)

    assert found.total >= 0


HAD = Selection("advanced", 12, "month", {"copilot": 5, "proactive_support": 1})


@pytest.mark.parametrize(
    ("wanted", "now", "later"),
    [
        (replace(HAD, seats=15), replace(HAD, seats=15), None),
        (replace(HAD, seats=8), HAD, replace(HAD, seats=8)),
        (replace(HAD, tier="essential"), HAD, replace(HAD, tier="essential")),
        (replace(HAD, tier="expert", seats=8), replace(HAD, tier="expert"),
         replace(HAD, tier="expert", seats=8)),
        (replace(HAD, add_ons={"copilot": 6}), replace(HAD, add_ons={"copilot": 6, "proactive_support": 1}),
         replace(HAD, add_ons={"copilot": 6})),
        (replace(HAD, interval="year", seats=8), replace(HAD, interval="year", seats=8), None),
        (replace(HAD, tier="pro", seats=8), replace(HAD, tier="pro"), replace(HAD, tier="pro", seats=8)),
    ],
)  # fmt: skip
def test_more_is_now_and_less_is_later(wanted: Selection, now: Selection, later: Selection | None) -> None:
    assert split(HAD, wanted, tiers=TIERS) == (now, later)


def test_a_year_becomes_a_month_at_its_end_and_everything_is_now_when_asked() -> None:
    year, month = replace(HAD, interval="year"), replace(HAD, seats=8)

    assert split(year, month, tiers=TIERS) == (year, month)
    assert split(year, month, tiers=TIERS, all_now=True) == (month, None)


MADE = Selection("expert", 20, "month", {"copilot": 9, "proactive_support": 1, "priority_support": 1})


@pytest.mark.parametrize(
    ("planned", "left"),
    [
        # as the change had made it: as before
        (MADE, HAD),
        (replace(MADE, seats=7), replace(HAD, seats=7)),
        (replace(MADE, tier="essential"), replace(HAD, tier="essential")),
        (replace(MADE, add_ons={"copilot": 4}), replace(HAD, add_ons={"copilot": 4})),
        # given up in part, and still more than there was
        (replace(MADE, tier="advanced", seats=15), HAD),
        (replace(MADE, add_ons={"copilot": 7, "proactive_support": 1, "priority_support": 1}), HAD),
        # of another catalogue
        (replace(MADE, tier="pro", seats=7), replace(HAD, seats=7)),
    ],
)  # fmt: skip
def test_what_was_planned_on_a_change_that_is_taken_back_keeps_only_what_was_given_up(
    planned: Selection, left: Selection
) -> None:
    assert still_planned(planned, MADE, HAD, tiers=TIERS) == left


def test_add_ons_that_come_back_are_never_for_more_seats_than_stay() -> None:
    had = replace(HAD, seats=15, add_ons={"copilot": 14})
    made = replace(HAD, seats=13, add_ons={"copilot": 5})

    assert still_planned(replace(made, seats=11), made, had, tiers=TIERS) == replace(
        HAD, seats=11, add_ons={"copilot": 11}
    )


def test_an_interval_is_what_it_was_unless_it_was_given_up_as_well() -> None:
    year, month = replace(HAD, interval="year"), HAD

    assert still_planned(replace(year, seats=7), year, month, tiers=TIERS) == replace(month, seats=7)
    assert still_planned(month, replace(MADE, interval="year"), year, tiers=TIERS) == replace(HAD)


def test_zeros_and_usage_make_no_difference() -> None:
    noted = replace(HAD, add_ons={**HAD.add_ons, "other": 0}, usage={"resolution": 5})

    assert plain(noted) == HAD
    assert same(noted, HAD)
    assert not same(HAD, replace(HAD, seats=13))


@pytest.mark.parametrize(
    ("anchor", "interval", "count", "day"),
    [
        ("2026-01-31", "month", 1, "2026-02-28"),
        ("2026-01-31", "month", 2, "2026-03-31"),
        ("2024-02-29", "year", 1, "2025-02-28"),
        ("2026-01-31", "month", -1, "2025-12-31"),
    ],
)
def test_a_day_that_a_month_does_not_have_is_its_last(
    anchor: str, interval: str, count: int, day: str
) -> None:
    assert after(seconds(anchor), interval, count) == seconds(day)


def seconds(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())


@given(
    anchor=st.integers(100_000_000, 4_000_000_000),
    at=st.integers(100_000_000, 4_000_000_000),
    interval=st.sampled_from(["month", "year"]),
)
def test_every_moment_lies_in_one_period(anchor: int, at: int, interval: str) -> None:
    start, end = containing(anchor, interval, at)

    assert start <= at < end
    assert containing(anchor, interval, end)[0] == end
    assert containing(anchor, interval, start) == (start, end)


@given(anchor=st.integers(0, 16_000_000_000), months=st.integers(-240, 240))
def test_months_are_those_of_a_calendar(anchor: int, months: int) -> None:
    start = datetime.fromtimestamp(anchor, UTC)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])

    assert after(anchor, "month", months) == start.replace(year=year, month=month + 1, day=day).timestamp()
