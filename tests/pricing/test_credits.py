"""Annual credits are drawn down in time, the lot that ends first before others, and no unit twice."""

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing import Coverage, Covered, DrawDown, Lot, LotDrawn, PricingError, Use, UseDrawn, draw
from portal.pricing import credits as drawing
from portal.pricing.proration import MAX_TIME
from portal.pricing.usage import MAX_QUANTITY
from tests.pricing.asking import DRAW, ask

NOW = 1_000
EARLY, LATE = Lot("early", 10, 500), Lot("late", 10, 900)


def outcome(found: DrawDown) -> dict[str, tuple[int, int, int]]:
    """Used, left and lapsed units of each lot."""
    return {each.id: (each.used, each.left, each.lapsed) for each in found.lots}


def sources(found: DrawDown) -> list[tuple[dict[str, int], int, int]]:
    """What each use took from lots, what of it was uncovered, and what was carried."""
    return [
        ({each.lot: each.units for each in use.by.lots}, use.by.uncovered, use.by.carried)
        for use in found.uses
    ]


def test_the_lot_that_ends_first_is_drawn_first() -> None:
    found = draw([LATE, EARLY], [Use(100, 13)], now=100)

    assert found.lots == (LotDrawn("late", 10, 3, 7, 0, 0), LotDrawn("early", 10, 10, 0, 0, 0))
    assert found.uses == (UseDrawn(100, 13, Coverage((Covered("early", 10), Covered("late", 3)), 0, 0)),)
    assert (found.uncovered, found.owed) == (0, 0)


def test_of_lots_that_end_together_the_one_that_started_earlier_comes_first_then_the_id() -> None:
    lots = [Lot("c", 1, 500, 50), Lot("b", 1, 500, 20), Lot("a", 1, 500, 50), Lot("d", 1, 500)]

    for order in permutations(lots):
        found = draw(order, [Use(60, 1), Use(61, 1), Use(62, 1), Use(63, 1)], now=100)

        assert [use.by.lots[0].lot for use in found.uses] == ["d", "b", "a", "c"]


@pytest.mark.parametrize(
    ("at", "used"), [(99, 0), (100, 1), (101, 1), (498, 1), (499, 1), (500, 0), (501, 0)]
)
def test_a_lot_covers_from_its_first_second_to_just_before_its_end(at: int, used: int) -> None:
    found = draw([Lot("a", 5, 500, 100)], [Use(at, 1)], now=at)

    assert (found.lots[0].used, found.uncovered) == (used, 1 - used)


@pytest.mark.parametrize(("now", "left", "lapsed"), [(499, 3, 0), (500, 0, 3), (501, 0, 3)])
def test_what_is_left_lapses_in_the_second_of_the_end(now: int, left: int, lapsed: int) -> None:
    assert outcome(draw([Lot("a", 5, 500)], [Use(10, 2)], now=now)) == {"a": (2, left, lapsed)}


def test_a_lot_that_has_not_begun_waits() -> None:
    found = draw([Lot("next", 5, 900, 400)], [Use(399, 2), Use(400, 2)], now=450)

    assert (outcome(found), found.uncovered) == ({"next": (2, 3, 0)}, 2)


def test_what_no_lot_covers_is_uncovered() -> None:
    assert draw([], [Use(10, 4)], now=NOW).uncovered == 4
    assert draw([EARLY], [Use(10, 14)], now=NOW).uncovered == 4
    assert draw([EARLY], [], now=NOW) == DrawDown((LotDrawn("early", 10, 0, 0, 10, 0),), (), 0, 0)


def test_uses_are_drawn_by_their_moment_and_told_in_the_order_given() -> None:
    found = draw([EARLY, LATE], [Use(600, 4), Use(100, 8), Use(200, 5)], now=NOW)

    assert sources(found) == [({"late": 4}, 0, 0), ({"early": 8}, 0, 0), ({"early": 2, "late": 3}, 0, 0)]
    assert outcome(found) == {"early": (10, 0, 0), "late": (7, 0, 3)}


def test_a_use_after_now_counts_so_that_a_forecast_is_drawn_alike() -> None:
    assert outcome(draw([LATE], [Use(800, 4)], now=100)) == {"late": (4, 6, 0)}


def test_units_that_were_returned_are_never_drawn() -> None:
    found = draw([Lot("refunded", 10, 500, returned=7), LATE], [Use(100, 5)], now=600)

    assert found.lots == (LotDrawn("refunded", 10, 3, 0, 0, 7), LotDrawn("late", 10, 2, 8, 0, 0))


def test_a_reversal_gives_the_unit_back_to_the_lot_that_covered_it() -> None:
    found = draw([EARLY], [Use(100, 4), Use(200, -1)], now=300)

    assert outcome(found) == {"early": (3, 7, 0)}
    assert sources(found) == [({"early": 4}, 0, 0), ({"early": -1}, 0, 0)]


def test_a_reversal_takes_back_what_was_drawn_last_as_if_it_had_never_been_used() -> None:
    lots = [Lot("a", 10, 500), Lot("b", 3, 900)]
    with_reversal = draw(lots, [Use(100, 15), Use(200, -4)], now=300)

    assert sources(with_reversal)[1] == ({"b": -2}, -2, 0)
    assert (outcome(with_reversal), with_reversal.uncovered) == ({"a": (10, 0, 0), "b": (1, 2, 0)}, 0)
    assert outcome(draw(lots, [Use(100, 11)], now=300)) == outcome(with_reversal)


def test_a_reversal_reaches_back_over_several_uses() -> None:
    found = draw([EARLY, LATE], [Use(1, 6), Use(2, 6), Use(3, 1), Use(4, -8)], now=300)

    assert sources(found)[3] == ({"late": -3, "early": -5}, 0, 0)
    assert outcome(found) == {"early": (5, 5, 0), "late": (0, 10, 0)}


def test_at_the_same_moment_uses_come_before_reversals() -> None:
    for uses in permutations([Use(100, 2), Use(100, -1), Use(100, 3)]):
        found = draw([EARLY], uses, now=300)

        assert (outcome(found), found.uncovered, found.owed) == ({"early": (4, 6, 0)}, 0, 0)


def test_a_unit_is_not_given_back_to_a_lot_that_has_ended_but_makes_the_next_one_free() -> None:
    found = draw([EARLY, LATE], [Use(100, 4), Use(500, -1), Use(600, 3)], now=700)

    assert sources(found) == [({"early": 4}, 0, 0), ({}, 0, -1), ({"late": 2}, 0, 1)]
    assert outcome(found) == {"early": (4, 0, 6), "late": (2, 8, 0)}
    assert (found.uncovered, found.owed) == (0, 0)


def test_in_the_last_second_of_a_lot_a_unit_still_goes_back() -> None:
    assert outcome(draw([EARLY], [Use(100, 4), Use(499, -1)], now=499)) == {"early": (3, 7, 0)}


def test_what_an_ended_lot_covered_is_passed_over_for_older_units() -> None:
    uses = [Use(10, 2), Use(30, 5), Use(60, 1), Use(100, -4)]
    found = draw([Lot("short", 6, 100, 20), Lot("long", 3, 900, 50)], uses, now=200)

    # the last unit was drawn from the lot that ended, the two first ones were uncovered
    assert sources(found)[3] == ({}, -2, -2)
    assert (outcome(found), found.uncovered, found.owed) == ({"short": (6, 0, 0), "long": (0, 3, 0)}, 0, 2)


def test_what_is_reversed_without_any_use_is_owed() -> None:
    assert draw([EARLY], [Use(100, -3)], now=NOW).owed == 3
    assert draw([EARLY], [Use(100, -3), Use(101, 2)], now=NOW).owed == 1


def test_what_a_final_invoice_covers_stays_and_a_reversal_frees_a_unit_of_its_own_period() -> None:
    uses = [Use(100, 13), Use(250, -1), Use(260, 4)]
    found = draw([Lot("a", 10, 900)], uses, now=300, period_starts=[200, 0])

    # the three uncovered units were invoiced before 200; after it, three units are to be paid
    assert sources(found) == [({"a": 10}, 3, 0), ({}, 0, -1), ({}, 3, 1)]
    assert (found.uncovered, found.owed) == (6, 0)


def test_a_reversal_that_meets_no_use_of_its_period_is_owed_and_frees_none_of_a_later_one() -> None:
    uses = [Use(100, 4), Use(200, -3), Use(300, 2)]
    found = draw([Lot("a", 10, 900)], uses, now=300, period_starts=[300, 200])

    assert (outcome(found), found.owed) == ({"a": (6, 4, 0)}, 3)


def test_the_invoice_of_a_period_draws_what_its_uses_came_to() -> None:
    uses = [Use(100, 8), Use(199, 4), Use(200, 3), Use(250, -1), Use(300, 20)]
    found = draw([LATE, EARLY], uses, now=300, period_starts=[100, 200, 300])

    assert found.between(100, 200) == Coverage((Covered("late", 2), Covered("early", 10)), 0, 0)
    assert found.between(200, 300) == Coverage((Covered("late", 2),), 0, 0)
    assert found.between(300, 400) == Coverage((Covered("late", 6),), 14, 0)
    assert found.between(300, 400).units == 20
    assert found.between(400, 500) == Coverage((), 0, 0)


@st.composite
def lots(draw_from: st.DrawFn) -> list[Lot]:
    """Up to five lots, some of them partly returned, that often begin and end at the same moment."""
    moments = st.integers(0, 30)
    found = []
    for name in draw_from(st.permutations("abcde"))[: draw_from(st.integers(0, 5))]:
        units, starts_at = draw_from(st.integers(0, 12)), draw_from(moments)
        expires_at = starts_at + draw_from(st.integers(1, 20))
        found.append(Lot(name, units, expires_at, starts_at, draw_from(st.integers(0, units))))
    return found


uses = st.lists(st.builds(Use, st.integers(0, 50), st.integers(-8, 8)), max_size=20)
period_starts = st.lists(st.integers(0, 50), max_size=5)


@given(lots(), uses, st.integers(0, 60), period_starts)
def test_every_unit_is_accounted_for(bought: list[Lot], used: list[Use], now: int, starts: list[int]) -> None:
    found = draw(bought, used, now=now, period_starts=starts)

    for lot, drawn in zip(bought, found.lots, strict=True):
        assert lot.units == drawn.used + drawn.left + drawn.lapsed + drawn.returned
        assert min(drawn.used, drawn.left, drawn.lapsed, drawn.returned) >= 0
        assert drawn.used == sum(
            each.units for use in found.uses for each in use.by.lots if each.lot == lot.id
        )
        assert drawn.left == 0 or now < lot.expires_at
        assert drawn.lapsed == 0 or lot.expires_at <= now
    assert [use.by.units for use in found.uses] == [use.units for use in used]
    assert sum(each.used for each in found.lots) + found.uncovered - found.owed == sum(
        use.units for use in used
    )
    assert min(found.uncovered, found.owed) >= 0


@given(lots(), uses, st.integers(0, 60), period_starts)
def test_units_come_from_lots_that_cover_the_moment_and_go_back_to_lots_that_have_not_ended(
    bought: list[Lot], used: list[Use], now: int, starts: list[int]
) -> None:
    known = {lot.id: lot for lot in bought}
    for use in draw(bought, used, now=now, period_starts=starts).uses:
        for each in use.by.lots:
            assert each.units * use.units > 0
            assert known[each.lot].covers(use.at) if use.units > 0 else use.at < known[each.lot].expires_at
        assert use.by.uncovered * use.units >= 0
        assert use.by.carried * use.units >= 0


@given(lots(), uses, st.integers(0, 60), period_starts, st.randoms(use_true_random=False))
def test_the_order_of_lots_and_uses_changes_nothing(
    bought: list[Lot], used: list[Use], now: int, starts: list[int], chance: Any
) -> None:
    found = draw(bought, used, now=now, period_starts=starts)
    for each in (bought, used, starts):
        chance.shuffle(each)
    again = draw(bought, used, now=now, period_starts=starts)

    assert outcome(again) == outcome(found)
    assert (again.uncovered, again.owed) == (found.uncovered, found.owed)
    assert again.between(0, 25).uncovered == found.between(0, 25).uncovered


@given(lots(), uses, st.integers(0, 60))
def test_a_use_in_parts_is_drawn_like_the_whole(bought: list[Lot], used: list[Use], now: int) -> None:
    ones = [Use(use.at, 1 if use.units > 0 else -1) for use in used for _ in range(abs(use.units))]
    whole, parts = draw(bought, used, now=now), draw(bought, ones, now=now)

    assert outcome(parts) == outcome(whole)
    assert (parts.uncovered, parts.owed) == (whole.uncovered, whole.owed)


def as_stripe_draws(
    whole_periods: Sequence[Lot], used: Sequence[Use], length: int, count: int
) -> tuple[dict[str, int], int, int]:
    """Used units by lot, uncovered and owed ones: by the sums of periods, as final invoices draw them."""
    left = {lot.id: lot.units for lot in whole_periods}
    uncovered = owed = 0
    for start in range(0, length * count, length):
        rest = sum(use.units for use in used if start <= use.at < start + length)
        owed += max(0, -rest)
        for lot in sorted(whole_periods, key=lambda each: (each.expires_at, each.starts_at, each.id)):
            if lot.covers(start) and rest > 0:
                taken = min(rest, left[lot.id])
                left[lot.id] -= taken
                rest -= taken
        uncovered += max(0, rest)
    return {lot.id: lot.units - left[lot.id] for lot in whole_periods}, uncovered, owed


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3), st.integers(1, 3)), max_size=4),
    st.lists(st.builds(Use, st.integers(0, 49), st.integers(-8, 8)), max_size=20),
)
def test_lots_of_whole_periods_end_as_stripes_invoices_leave_them(
    sizes: list[tuple[int, int, int]], used: list[Use]
) -> None:
    bought = [
        Lot(str(number), units, 10 * (first + periods), 10 * first)
        for number, (units, first, periods) in enumerate(sizes)
    ]
    found = draw(bought, used, now=50, period_starts=range(0, 50, 10))

    assert ({each.id: each.used for each in found.lots}, found.uncovered, found.owed) == as_stripe_draws(
        bought, used, 10, 5
    )


@pytest.mark.parametrize(
    ("make", "param"),
    [
        (lambda: Lot("", 1, 5), "id"),
        (lambda: Lot("a", -1, 5), "units"),
        (lambda: Lot("a", MAX_QUANTITY + 1, 5), "units"),
        (lambda: Lot("a", True, 5), "units"),
        (lambda: Lot("a", 1, 5, -1), "starts_at"),
        (lambda: Lot("a", 1, MAX_TIME + 1), "expires_at"),
        (lambda: Lot("a", 1, 5, 5), "expires_at"),
        (lambda: Lot("a", 1, 5, returned=2), "returned"),
        (lambda: Use(-1, 1), "at"),
        (lambda: Use(1, MAX_QUANTITY + 1), "units"),
        (lambda: Use(1, -MAX_QUANTITY - 1), "units"),
        (lambda: draw([], [], now=-1), "now"),
        (lambda: draw([EARLY, LATE, EARLY], [], now=1), "lots[2][id]"),
        (lambda: draw([EARLY] * (drawing.MAX_LOTS + 1), [], now=1), "lots"),
        (lambda: draw([], [Use(1, 1)] * (drawing.MAX_USES + 1), now=1), "uses"),
        (lambda: draw([], [], now=1, period_starts=range(drawing.MAX_PERIODS + 1)), "period_starts"),
        (lambda: draw([], [], now=1, period_starts=[1, -1]), "period_starts[1]"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], object], param: str) -> None:
    with pytest.raises(PricingError) as caught:
        make()

    assert caught.value.param == param


def test_the_program_draws_lots_down() -> None:
    assert ask(DRAW).content == {
        "lots": [
            {"id": "2026", "used": 600, "left": 0, "lapsed": 0},
            {"id": "2027", "used": 50, "left": 1150, "lapsed": 0},
        ],
        "uncovered": 40,
    }


def test_the_program_explains_what_covered_each_use() -> None:
    content = ask(DRAW | {"explain": True}).content

    later, earlier = content["uses"]
    assert later == {
        "at": 1_830_000_000,
        "units": 50,
        "lots": [{"id": "2027", "units": 50}],
        "uncovered": 0,
        "carried": 0,
    }
    assert (earlier["lots"], earlier["uncovered"]) == ([{"id": "2026", "units": 600}], 40)
    assert content["owed"] == 0


def test_a_start_that_is_null_is_taken_as_left_out() -> None:
    lots = [{"id": "a", "units": 5, "starts_at": None, "expires_at": 10}]

    assert ask({"op": "draw", "lots": lots, "uses": [{"at": 0, "units": 1}], "now": 9}).content == {
        "lots": [{"id": "a", "used": 1, "left": 4, "lapsed": 0}],
        "uncovered": 0,
    }


LOT, USE = {"id": "a", "units": 5, "expires_at": 10}, {"at": 1, "units": 1}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"lots": None}, "lots"),
        ({"lots": [LOT] * 1001}, "lots"),
        ({"lots": ["a"]}, "lots[0]"),
        ({"lots": [LOT, LOT]}, "lots[1][id]"),
        ({"lots": [LOT | {"id": 7}]}, "lots[0][id]"),
        ({"lots": [LOT | {"units": "5"}]}, "lots[0][units]"),
        ({"lots": [LOT | {"units": -5}]}, "lots[0][units]"),
        ({"lots": [LOT | {"units": 5.0}]}, "lots[0][units]"),
        ({"lots": [LOT | {"starts_at": 10}]}, "lots[0][expires_at]"),
        ({"lots": [LOT | {"starts_at": "1"}]}, "lots[0][starts_at]"),
        ({"lots": [LOT | {"expires_at": None}]}, "lots[0][expires_at]"),
        ({"lots": [LOT | {"price": 1}]}, "lots[0][price]"),
        ({"lots": [{"id": "a", "units": 5}]}, "lots[0][expires_at]"),
        ({"uses": {}}, "uses"),
        ({"uses": [USE, None]}, "uses[1]"),
        ({"uses": [USE | {"at": -1}]}, "uses[0][at]"),
        ({"uses": [USE | {"at": 10**13}]}, "uses[0][at]"),
        ({"uses": [USE | {"units": 10**12 + 1}]}, "uses[0][units]"),
        ({"uses": [USE | {"units": "1"}]}, "uses[0][units]"),
        ({"uses": [{"at": 1}]}, "uses[0][units]"),
        ({"now": "today"}, "now"),
        ({"now": -1}, "now"),
        ({"explain": 1}, "explain"),
        ({"catalog": "2026-11"}, "catalog"),
    ],
)
def test_a_bad_request_to_draw_names_its_fault(change: dict[str, Any], param: str) -> None:
    assert ask(DRAW | change).error == (2, param)


@pytest.mark.parametrize("key", ["lots", "uses", "now"])
def test_a_draw_down_needs_lots_uses_and_now(key: str) -> None:
    assert ask({name: value for name, value in DRAW.items() if name != key}).error == (2, key)
