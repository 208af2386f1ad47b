"""What a period will have at its end: from what is known, sane at the edges, and never surprised by more."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing import Band, Forecast, PricingError, Range, forecast
from portal.pricing.forecast import MAX_PERIOD, RECENT_DAYS, cost
from portal.pricing.proration import MAX_TIME
from portal.pricing.usage import MAX_QUANTITY

HOUR, DAY = 3_600, 86_400
START = 1_793_577_600  # Monday, 2 November 2026, 00:00 UTC
END = START + 28 * DAY
CENTS_99 = (Band(None, Decimal(99)),)


def units(used: int, days: list[int], *, after: int) -> tuple[int, int, int]:
    """Low, expected and high for a period of four weeks, seen so many seconds after its start."""
    found = forecast(used, days, starts_at=START, ends_at=END, now=START + after).units
    return found.low, found.expected, found.high


def test_even_days_go_on_as_they_were() -> None:
    found = forecast(140, [10] * 14, starts_at=START, ends_at=END, now=START + 14 * DAY)

    # 140 more, and the square root of that to either side
    assert found == Forecast(140, Range(269, 280, 291), "weeks", 14)


def test_each_weekday_is_taken_from_its_own() -> None:
    week = [20, 20, 20, 20, 20, 0, 0]

    assert units(200, week * 2, after=14 * DAY)[1] == 400
    # Monday to Friday of the last week are over, only an idle weekend is left
    assert units(400, week * 3 + week[:5], after=26 * DAY) == (400, 400, 400)


def test_the_range_is_the_lower_and_the_upper_half_of_the_same_days() -> None:
    weeks = [count for count in (8, 10, 12, 14) for _ in range(7)]

    # a week is left: 7 × 9, 7 × 11 and 7 × 13, then the square root
    assert units(308, weeks, after=21 * DAY) == (308 + 63 - 7, 308 + 77, 308 + 91 + 9)


def test_only_the_last_four_weeks_count() -> None:
    assert units(0, [1_000] * 60 + [10] * RECENT_DAYS, after=0) == units(0, [10] * RECENT_DAYS, after=0)


def test_a_period_begins_with_what_earlier_ones_taught() -> None:
    assert units(0, [10] * 28, after=0) == (264, 280, 296)


def test_less_than_two_weeks_are_taken_together() -> None:
    found = forecast(60, [4, 6, 4, 6, 4, 6, 4, 6, 10, 10], starts_at=START, ends_at=END, now=START + 10 * DAY)

    assert (found.basis, found.days) == ("days", 10)
    # 18 days are left: at 4.4, 6 and 7.6 a day
    assert found.units == Range(60 + 79 - 8, 60 + 108, 60 + 137 + 11)


def test_in_the_first_week_the_weekdays_not_seen_widen_the_range() -> None:
    # 27 days are left: at 10/7, at 10, and at (10 + 6 × 20)/7 a day
    assert units(10, [10], after=DAY) == (10 + 39 - 6, 10 + 270, 10 + 501 + 22)


def test_the_first_hour_is_not_taken_for_the_pace_of_a_day() -> None:
    found = forecast(3, [], starts_at=START, ends_at=END, now=START + HOUR)

    assert (found.basis, found.days) == ("hours", 0)
    # 671 hours are left: at 3 a day, and at 12 a day
    assert found.units == Range(3, 3 + 84, 3 + 336 + 18)


def test_without_anything_nothing_is_expected() -> None:
    assert units(0, [], after=0) == (0, 0, 0)
    assert units(0, [0] * 14, after=14 * DAY) == (0, 0, 0)


@pytest.mark.parametrize("days", [[], [30] * 5, [30] * 27])
def test_at_the_last_second_and_after_the_end_the_forecast_is_what_was_used(days: list[int]) -> None:
    for after in (28 * DAY - 1, 28 * DAY, 28 * DAY + HOUR, 90 * DAY):
        assert units(750, days, after=after) == (750, 750, 750)


def test_a_clock_before_the_start_sees_the_whole_period() -> None:
    assert units(0, [10] * 28, after=-HOUR) == units(0, [10] * 28, after=0)


def test_a_part_of_a_day_counts_by_its_seconds() -> None:
    found = forecast(5, [10] * 14, starts_at=START + DAY // 2, ends_at=START + DAY * 3 // 2, now=START + DAY)

    assert found.units.expected == 10


def test_more_was_reversed_than_used() -> None:
    assert units(-2, [-3, -1], after=2 * DAY) == (-2, -2, -2)
    assert cost(Range(-2, 0, 5), CENTS_99) == Range(0, 0, 495)


def test_a_forecast_has_a_price() -> None:
    bands = (Band(1_000, Decimal(4)), Band(None, Decimal("2.5")))

    assert cost(Range(500, 1_500, 2_000), bands, included=500) == Range(0, 4_000, 5_250)
    assert cost(Range(0, 0, 2 * MAX_QUANTITY), CENTS_99).high == 99 * MAX_QUANTITY


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"used": "3"}, "used"),
        ({"used": MAX_QUANTITY + 1}, "used"),
        ({"days": [1, None]}, "days[1]"),
        ({"days": [-MAX_QUANTITY - 1]}, "days[0]"),
        ({"starts_at": -1}, "starts_at"),
        ({"ends_at": START}, "ends_at"),
        ({"ends_at": START + MAX_PERIOD + 1}, "ends_at"),
        ({"now": MAX_TIME + 1}, "now"),
    ],
)
def test_what_cannot_be_forecast_names_its_fault(change: dict[str, object], param: str) -> None:
    given: dict[str, object] = {"used": 1, "days": [1], "starts_at": START, "ends_at": END, "now": START}
    with pytest.raises(PricingError) as refused:
        forecast(**(given | change))  # type: ignore[arg-type]

    assert refused.value.param == param


counts = st.integers(0, 5_000)
histories = st.lists(counts, max_size=40)
moments = st.integers(-DAY, 30 * DAY)


@given(st.integers(-5_000, 5_000), st.lists(st.integers(-5_000, 5_000), max_size=40), moments)
def test_the_range_holds_what_is_expected_and_what_was_used(used: int, days: list[int], after: int) -> None:
    low, expected, high = units(used, days, after=after)

    assert used <= low <= expected <= high


@given(counts, histories, moments, counts)
def test_more_used_never_forecasts_less(used: int, days: list[int], after: int, more: int) -> None:
    before, now = units(used, days, after=after), units(used + more, days, after=after)

    assert all(less <= greater for less, greater in zip(before, now, strict=True))


@given(counts, st.lists(counts, min_size=1, max_size=40), moments, st.data())
def test_a_busier_day_never_forecasts_less(
    used: int, days: list[int], after: int, data: st.DataObject
) -> None:
    position, more = data.draw(st.integers(0, len(days) - 1)), data.draw(counts)
    busier = [count + more * (place == position) for place, count in enumerate(days)]
    before, now = units(used, days, after=after), units(used, busier, after=after)

    assert all(less <= greater for less, greater in zip(before, now, strict=True))


@given(counts, histories, moments, st.integers(0, 30 * DAY))
def test_a_longer_period_never_forecasts_less(used: int, days: list[int], after: int, longer: int) -> None:
    found = [
        forecast(used, days, starts_at=START, ends_at=END + more, now=START + after).units
        for more in (0, longer)
    ]

    assert found[0].low <= found[1].low
    assert found[0].expected <= found[1].expected
    assert found[0].high <= found[1].high


@given(counts, histories, st.integers(0, 27), st.integers(0, DAY - 1), st.integers(0, DAY - 1))
def test_as_a_day_passes_without_units_the_forecast_only_falls(
    used: int, days: list[int], day: int, one: int, other: int
) -> None:
    early, late = (units(used, days, after=day * DAY + second) for second in sorted((one, other)))

    assert all(less <= greater for less, greater in zip(late, early, strict=True))
