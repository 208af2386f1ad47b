"""The advisor plays a workspace's own months once more, and recommends a pack only where that is safe."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing import Advice, Left, Lot, Option, Outcome, PricingError, Range, Use, catalog, draw, pack
from portal.pricing import advise as advised
from portal.pricing.advice import BECAUSE, MAX_MONTHLY_UNITS, MAX_MONTHS
from tests.pricing.test_packs import NEWEST, other

EVEN = [100] * 24
# busy at the end of the year, and a fifth more each month than a year before
YEAR = [40, 40, 50, 50, 60, 60, 70, 80, 100, 150, 250, 300]
GROWING = [*YEAR, *(units * 6 // 5 for units in YEAR)]


def advise(history: Sequence[int]) -> Advice:
    return advised(history, catalog=NEWEST)


def year(history: Sequence[int]) -> tuple[int, int, int]:
    """Low, expected and high units of the coming year."""
    expectation = advise(history).expectation
    assert expectation is not None
    return expectation.year.low, expectation.year.expected, expectation.year.high


def option(found: Advice, units: int) -> Option:
    return next(each for each in found.options if each.pack and each.pack.units == units)


def recommended(history: Sequence[int]) -> tuple[int | None, str]:
    """The units of the pack that is recommended, None for paying by use, and why."""
    found = advise(history)
    assert found.recommended is not None
    return found.recommended.pack.units if found.recommended.pack else None, found.because


@pytest.mark.parametrize("history", [[], [500], [500, 500], [0] * 30 + [500, 500]])
def test_a_history_that_is_too_short_says_so_and_nothing_else(history: list[int]) -> None:
    found = advise(history)

    assert found == Advice(min(len(history), 2), None, (), None, "too_short")
    assert BECAUSE["too_short"] == "Fewer than 3 months are known, which is too short to advise on a year."


def test_a_few_months_are_taken_together_and_the_unseen_ones_widen_the_range() -> None:
    # low: six months of 90, high: six of 110 and six of twice the busiest; and the square roots
    assert year([80, 90, 100, 100, 110, 120]) == (540 - 23, 1_200, 660 + 1_440 + 45)
    assert year([100] * 11) == (1_100 - 33, 1_200, 1_300 + 36)


def test_one_year_comes_again_a_quarter_less_or_more() -> None:
    found = advise(YEAR).expectation
    assert found is not None

    assert (found.basis, found.growth_percent) == ("one_year", None)
    assert found.year == Range(938 - 30, 1_250, 1_563 + 39)
    assert found.expected == tuple(YEAR)


@pytest.mark.parametrize("months", [13, 14])
def test_less_than_three_months_of_a_second_year_show_no_growth(months: int) -> None:
    history = [10] * (months - 12) + [100] * 12

    assert advise(history).expectation == advise(history[-12:]).expectation


def test_two_years_show_season_and_growth() -> None:
    found = advise(GROWING).expectation
    assert found is not None

    assert (found.basis, found.growth_percent) == ("two_years", 20)
    # 1,500 a year ago; low does not count on growth
    assert found.year == Range(1_500 - 38, 1_800, 1_800 + 42)
    assert found.expected == (58, 57, 72, 72, 87, 86, 101, 115, 144, 216, 360, 432)
    assert sum(found.low) == 1_462
    assert sum(found.high) == 1_842


def test_months_without_a_comparison_keep_the_quarter() -> None:
    # three of twelve months were seen twice, and were the same
    assert year([100] * 15) == (975 - 31, 1_200, 1_425 + 37)


def test_low_and_high_take_the_lower_and_the_upper_half_of_the_growth() -> None:
    # half of the months shrank by a tenth, half grew by three tenths
    history = [100] * 12 + [90] * 6 + [130] * 6

    assert year(history) == (1_188 - 34, 1_452, 1_716 + 41)


def test_a_decline_is_expected_to_go_on_but_high_does_not_count_on_it() -> None:
    history = [100] * 12 + [80] * 12

    assert year(history) == (768 - 27, 768, 960 + 30)
    assert advise(history).expectation.growth_percent == -20  # type: ignore[union-attr]


def test_growth_is_at_most_to_twice_and_decline_to_half() -> None:
    assert year([10] * 12 + [100] * 12)[1] == 2_400
    assert year([100] * 12 + [10] * 12)[1] == 60
    # what came from nothing is no more than that
    assert year([1, *[0] * 11] + [0] * 6 + [100] * 6)[1] == 1_200


def test_months_without_use_in_both_years_say_nothing_of_growth() -> None:
    assert year([100, *[0] * 11] * 2)[1] == 100
    assert advise([100, *[0] * 11] * 2).expectation.growth_percent == 0  # type: ignore[union-attr]


def test_only_the_last_two_years_count() -> None:
    assert advise([9_000] * 12 + GROWING) == advise(GROWING)


def test_months_before_the_first_use_do_not_count() -> None:
    assert advise([0] * 9 + [100] * 6) == advise([100] * 6)
    assert advise([0] * 9 + [100] * 6).months == 6


def test_an_option_tells_what_the_year_costs_with_it() -> None:
    by_use, *packs = advise(EVEN).options

    assert by_use == Option(
        None,
        0,
        Outcome(1_166, 115_434, 0, 0, None),
        Outcome(1_200, 118_800, 0, 0, None),
        Outcome(1_234, 122_166, 0, 0, None),
        Outcome(1_200, 118_800, 0, 0, None),
    )
    assert packs[0] == Option(
        pack(600, catalog=NEWEST),
        570,
        Outcome(1_166, 112_464, 0, 2_970, 7),
        Outcome(1_200, 115_830, 0, 2_970, 7),
        Outcome(1_234, 119_196, 0, 2_970, 6),
        Outcome(1_200, 115_830, 0, 2_970, 7),
    )
    assert packs[1] == Option(
        pack(1_200, catalog=NEWEST),
        1_080,
        Outcome(1_166, 106_920, 34, 8_514, None),
        Outcome(1_200, 106_920, 0, 11_880, None),
        Outcome(1_234, 110_286, 0, 11_880, 12),
        Outcome(1_200, 106_920, 0, 11_880, None),
    )


def test_the_options_are_the_price_list_and_the_sizes_of_the_expected_year() -> None:
    sizes = [each.pack.units for each in advise(GROWING).options if each.pack]

    # low, 1,462; expected, 1,800; high, 1,842
    assert sizes == [600, 1_200, 1_462, 1_800, 1_842, 3_000, 6_000, 12_000]


def test_a_size_that_a_larger_pack_undercuts_is_no_option() -> None:
    sizes = [each.pack.units for each in advise([99] * 12 + [97] * 12).options if each.pack]

    # 1,140 ± 34 are near enough to 1,200 to cost more
    assert sizes == [600, 1_107, 1_200, 3_000, 6_000, 12_000]


def test_the_past_year_is_played_again_if_it_is_known() -> None:
    assert advise([100] * 11).options[1].past is None
    past = option(advise([*[7] * 12, *YEAR]), 600).past

    # nine months have 550 units, the tenth is where 600 end
    assert past == Outcome(1_250, 56_430 + 650 * 99, 0, 2_970, 10)


def test_units_that_were_paid_for_before_are_no_part_of_what_a_pack_is_bought_for() -> None:
    found = advised(EVEN, catalog=NEWEST, held=[Left(700, Fraction(12))])
    by_use = found.options[0]

    assert found.expectation == advise(EVEN).expectation
    # 1,166 ± less 700; the whole first seven months
    assert (by_use.low.units, by_use.expected.units, by_use.high.units) == (466, 500, 534)
    assert by_use.expected.cost == 49_500
    assert option(found, 600).expected == Outcome(500, 56_430, 100, -6_930, None)
    assert found.recommended is by_use


def test_where_all_of_a_year_is_paid_for_nothing_saves() -> None:
    found = advised(EVEN, catalog=NEWEST, held=[Left(2_000, Fraction(13))])

    assert (found.recommended, found.because) == (found.options[0], "none_saves")
    assert found.options[0].high == Outcome(0, 0, 0, 0, None)


def test_of_what_is_left_only_counts_what_is_used_before_it_ends() -> None:
    # 2,000 end in a week, of which a hundred a month use 23; 50 more in half a year
    ending = [Left(50, Fraction(6)), Left(2_000, Fraction(7, 30))]
    found = advised([100] * 12, catalog=NEWEST, held=ending)
    by_use = found.options[0]

    # a low year has 870, and uses 17 in that week
    assert (found.held, by_use.expected.units, by_use.low.units) == (73, 1_127, 803)


@pytest.mark.parametrize(
    ("history", "units", "because"),
    [
        (EVEN, 1_200, "safe"),
        # a quarter less would not use up a larger one
        ([100] * 12, 870, "safe"),
        ([100] * 6, 600, "safe"),
        (GROWING, 1_462, "safe"),
        ([50] * 12 + [100] * 12, 1_200, "safe"),
        ([1_000] * 24, 12_000, "safe"),
        ([50] * 3, None, "none_is_safe"),
        ([10] * 24, None, "none_saves"),
        ([0] * 24, None, "none_saves"),
        ([0] * 3, None, "none_saves"),
    ],
)
def test_what_is_recommended(history: list[int], units: int | None, because: str) -> None:
    assert recommended(history) == (units, because)


def test_a_pack_that_only_breaks_even_is_not_recommended() -> None:
    found = advise([48] * 24)

    # 576 units a year, and 570 in a low one were needed
    assert (found.because, found.expectation.year.low) == ("none_is_safe", 552)  # type: ignore[union-attr]
    assert option(found, 600).break_even == 570
    assert option(found, 600).low.saving == 552 * 99 - 56_430
    assert option(found, 552).expected.saving == 0


def test_of_packs_that_save_the_same_the_smaller_is_recommended() -> None:
    found = advised(EVEN, catalog=other((100, "50"), (1_000, "5"), (1_001, "1"), minimum=100))

    assert option(found, 100).expected.saving == 4_950
    assert option(found, 1_000).expected.saving == 4_950
    assert found.recommended == option(found, 100)


def test_a_pack_that_is_free_breaks_even_at_once() -> None:
    found = advised(EVEN, catalog=other((600, "100")))

    assert found.recommended is not None
    assert (found.recommended.break_even, found.recommended.expected.saving) == (0, 118_800)


def test_advice_follows_the_customers_own_price() -> None:
    found = advised(EVEN, catalog=NEWEST, unit_amount=Decimal("190"))

    assert option(found, 1_200).expected == Outcome(1_200, 205_200, 0, 22_800, None)
    assert option(found, 1_200).break_even == 1_080


def test_a_price_in_fractions_is_billed_month_by_month() -> None:
    found = advised([3] * 24, catalog=NEWEST, unit_amount=Decimal("0.5"))

    # three units are 1.5, which each invoice rounds to 2
    assert found.options[0].expected == Outcome(36, 24, 0, 0, None)


def test_what_is_more_than_can_be_sold_is_no_option() -> None:
    dear = advised([10**6] * 24, catalog=NEWEST, unit_amount=Decimal(10**11))
    sizes = [each.pack.units for each in dear.options if each.pack]

    # 12,000 would cost more than an amount can be
    assert sizes == [600, 1_200, 3_000, 6_000, 10_000]


units = st.one_of(st.integers(0, 60), st.integers(0, 2_000))
# the first month has use: those before it would not count
histories = st.builds(
    lambda first, others: [first, *others], st.integers(1, 2_000), st.lists(units, min_size=2, max_size=23)
)


@given(histories)
def test_the_range_holds_the_expected_year_and_its_months_add_up(history: list[int]) -> None:
    expectation = advise(history).expectation
    assert expectation is not None
    low, expected, high = (expectation.low, expectation.expected, expectation.high)

    assert (sum(low), sum(expected), sum(high)) == (
        expectation.year.low,
        expectation.year.expected,
        expectation.year.high,
    )
    assert 0 <= sum(low) <= sum(expected) <= sum(high)
    assert {len(low), len(expected), len(high)} == {12}
    assert min(*low, *expected, *high) >= 0


@given(histories)
def test_no_option_loses_a_unit_or_a_cent(history: list[int]) -> None:
    found = advise(history)
    by_use = found.options[0]
    for each in found.options[1:]:
        assert each.pack is not None
        assert each.break_even <= each.pack.units
        for outcome, paid in (
            (each.low, by_use.low),
            (each.expected, by_use.expected),
            (each.high, by_use.high),
        ):
            assert outcome.units == paid.units
            assert outcome.cost == each.pack.total + 99 * (outcome.units - each.pack.units + outcome.wasted)
            assert outcome.wasted == max(0, each.pack.units - outcome.units)
            assert outcome.saving == paid.cost - outcome.cost
            assert (outcome.saving >= 0) is (outcome.units >= each.break_even)
            assert (outcome.runs_out is not None) is (outcome.units > each.pack.units)
        assert each.low.wasted >= each.expected.wasted >= each.high.wasted
        assert each.low.cost <= each.expected.cost <= each.high.cost
        assert each.low.saving <= each.expected.saving <= each.high.saving


@given(histories)
def test_what_is_recommended_never_costs_more_than_paying_by_use(history: list[int]) -> None:
    found = advise(history)
    assert found.recommended in found.options
    assert found.recommended is not None

    assert found.recommended.low.saving >= 0
    if found.recommended.pack is not None:
        assert found.because == "safe"
        assert found.recommended.expected.saving > 0
        for each in found.options:
            assert each.low.saving < 0 or each.expected.saving <= found.recommended.expected.saving
    else:
        assert found.because in ("none_saves", "none_is_safe")
        assert all(each.low.saving < 0 or each.expected.saving <= 0 for each in found.options[1:])


@given(histories)
def test_options_rise_and_none_is_undercut(history: list[int]) -> None:
    found = advise(history)
    packs = [each.pack for each in found.options if each.pack]

    assert found.options[0].pack is None
    for smaller, larger in pairwise(packs):
        assert smaller.units < larger.units
        assert smaller.total < larger.total


@given(histories)
def test_a_year_with_a_pack_is_what_drawing_its_lot_down_leaves(history: list[int]) -> None:
    advice = advise(history)
    expectation = advice.expectation
    assert expectation is not None
    uses = [Use(month, used) for month, used in enumerate(expectation.expected)]
    for each in advice.options[1:]:
        assert each.pack is not None
        found = draw([Lot("pack", each.pack.units, 12)], uses, now=12)

        assert found.lots[0].lapsed == each.expected.wasted
        assert each.pack.total + 99 * found.uncovered == each.expected.cost


@given(histories)
def test_the_same_history_gives_the_same_advice(history: list[int]) -> None:
    assert advise(tuple(history)) == advise(history)
    assert advise(history).because in BECAUSE


@pytest.mark.parametrize(
    ("ask_for", "param"),
    [
        (lambda: advise([1, 2, -1]), "history[2]"),
        (lambda: advise([1, True, 1]), "history[1]"),
        (lambda: advise([1, 1, MAX_MONTHLY_UNITS + 1]), "history[2]"),
        (lambda: advise([1] * (MAX_MONTHS + 1)), "history"),
        (lambda: advised([1], catalog=catalog("2023-11")), "catalog"),
        (lambda: advised(EVEN, catalog=NEWEST, unit_amount=Decimal(0)), "unit_amount"),
        (lambda: advised(EVEN, catalog=NEWEST, held=[Left(1, Fraction(-1, 2))]), "held[0]"),
    ],
)
def test_what_makes_no_sense_is_refused(ask_for: Callable[[], object], param: str) -> None:
    with pytest.raises(PricingError) as caught:
        ask_for()

    assert caught.value.param == param


@pytest.mark.parametrize("sentence", BECAUSE.values())
def test_each_reason_is_a_sentence(sentence: str) -> None:
    assert sentence[0].isupper()
    assert sentence.endswith(".")
