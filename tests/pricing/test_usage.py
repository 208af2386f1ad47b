"""Usage is priced by bands, after what is included, and rounded once."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing import Band, PricingError, Step, current_catalog, instalment, rate
from portal.pricing.usage import MAX_BANDS, MAX_QUANTITY
from tests.pricing.strategies import bands

SMS = (Band(1000, Decimal("4.0")), Band(10_000, Decimal("3.2")), Band(None, Decimal("2.5")))
MESSAGES = (Band(2000, Decimal(8)), Band(10_000, Decimal(5)), Band(None, Decimal(3)))


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        (0, 0),
        (1, 4),
        (999, 3996),
        (1000, 4000),
        (1001, 4003),
        (1200, 4640),
        (10_000, 32_800),
        (10_001, 32_803),
    ],
)
def test_each_unit_of_a_graduated_rate_has_the_price_of_its_band(quantity: int, expected: int) -> None:
    assert rate(quantity, SMS).amount == expected


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [(0, 0), (1000, 4000), (1001, 3203), (10_000, 32_000), (10_001, 25_003), (20_000, 50_000)],
)
def test_all_units_of_a_volume_rate_have_the_price_of_the_last_band_reached(
    quantity: int, expected: int
) -> None:
    assert rate(quantity, SMS, mode="volume").amount == expected


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        (0, 0),
        (499, 0),
        (500, 0),
        (501, 8),
        (2500, 16_000),
        (2600, 16_500),
        (10_500, 56_000),
        (10_600, 56_300),
    ],
)
def test_bands_count_from_the_first_unit_after_the_included_ones(quantity: int, expected: int) -> None:
    assert rate(quantity, MESSAGES, included=500).amount == expected


def test_an_allowance_equals_stripes_zero_band_with_the_later_bounds_shifted() -> None:
    zero_band = (
        Band(500, Decimal(0)),
        Band(2500, Decimal(8)),
        Band(10_500, Decimal(5)),
        Band(None, Decimal(3)),
    )
    quantities = (0, 1, 499, 500, 501, 2499, 2500, 2501, 2600, 10_500, 10_501, 90_000)

    assert [rate(each, zero_band).amount for each in quantities] == [
        rate(each, MESSAGES, included=500).amount for each in quantities
    ]


def test_steps_show_what_each_band_took() -> None:
    rating = rate(2600, MESSAGES, included=500)

    assert rating.steps == (
        Step(500, Decimal(0), 0, 0),
        Step(2000, Decimal(8), 0, 16_000),
        Step(100, Decimal(5), 0, 500),
    )
    assert [reason.rule for reason in rating.trace] == ["included", "graduated", "graduated"]
    assert [reason.result for reason in rating.trace] == [0, 16_000, 500]


def test_a_rating_for_json_has_integers_for_amounts_and_strings_for_unit_amounts() -> None:
    assert rate(1200, SMS).as_dict() == {
        "amount": 4640,
        "steps": [
            {"quantity": 1000, "unit_amount": "4", "amount": 4000},
            {"quantity": 200, "unit_amount": "3.2", "amount": 640},
        ],
    }


def test_a_unit_amount_has_up_to_twelve_places() -> None:
    assert rate(10**12, [Band(None, Decimal("0.000000000001"))]).amount == 1


def test_a_volume_rate_has_one_step() -> None:
    assert rate(1200, SMS, mode="volume").steps == (Step(1200, Decimal("3.2"), 0, 3840),)


def test_a_flat_amount_is_charged_once_for_each_band_in_use() -> None:
    with_flat = (Band(10, Decimal(100), 500), Band(20, Decimal(50), 300), Band(None, Decimal(10), 100))

    assert rate(0, with_flat).amount == 0
    assert rate(1, with_flat).amount == 600
    assert rate(10, with_flat).amount == 1500
    assert rate(11, with_flat).amount == 1850
    assert rate(21, with_flat).amount == 2410
    assert rate(11, with_flat, mode="volume").amount == 850
    assert rate(0, with_flat, mode="volume").amount == 0


def test_a_flat_amount_stands_in_the_trace() -> None:
    (reason,) = rate(3, [Band(None, Decimal("2.5"), 100)]).trace

    assert reason.formula == "quantity × unit_amount + flat_amount"
    assert [(each.name, each.value, each.kind) for each in reason.inputs] == [
        ("quantity", 3, "units"),
        ("unit_amount", Decimal("2.5"), "rate"),
        ("flat_amount", 100, "money"),
    ]
    assert reason.result == 108


def test_fractions_of_a_cent_are_rounded_once_at_the_end_and_steps_still_add_up() -> None:
    thirds = (Band(1, Decimal("0.4")), Band(2, Decimal("0.4")), Band(None, Decimal("0.4")))

    rating = rate(3, thirds)

    assert rating.amount == 1
    assert [step.amount for step in rating.steps] == [0, 1, 0]


def test_a_band_of_the_catalogues_ends_on_a_whole_cent() -> None:
    """So it makes no difference whether Stripe rounds a usage line by line or as a whole."""
    for usage_rate in current_catalog().usage.values():
        bounds = [band.up_to for band in usage_rate.bands if band.up_to is not None]
        lower = [0, *bounds]
        for band, start in zip(usage_rate.bands, lower, strict=True):
            size = (band.up_to or start) - start

            assert (size * band.unit_amount) % 1 == 0


@given(st.integers(0, 10_000), bands(), st.sampled_from(["graduated", "volume"]), st.integers(0, 1000))
def test_steps_sum_to_the_amount_and_to_the_quantity(
    quantity: int, given_bands: tuple[Band, ...], mode: str, included: int
) -> None:
    rating = rate(quantity, given_bands, mode=mode, included=included)

    assert sum(step.amount for step in rating.steps) == rating.amount
    assert sum(step.quantity for step in rating.steps) == quantity
    assert sum(reason.result for reason in rating.trace) == rating.amount


@given(
    st.lists(st.integers(0, 2000), max_size=8),
    bands(),
    st.sampled_from(["graduated", "volume"]),
    st.integers(0, 1000),
)
def test_rating_in_instalments_from_the_running_total_gives_the_same_total(
    parts: list[int], given_bands: tuple[Band, ...], mode: str, included: int
) -> None:
    rated, charged = 0, 0
    for part in parts:
        charged += instalment(rated, part, given_bands, mode=mode, included=included)
        rated += part

    assert charged == rate(rated, given_bands, mode=mode, included=included).amount


@given(st.integers(0, 10_000), st.integers(0, 1000), bands(), st.integers(0, 1000))
def test_more_graduated_usage_never_costs_less(
    quantity: int, more: int, given_bands: tuple[Band, ...], included: int
) -> None:
    assert instalment(quantity, more, given_bands, included=included) >= 0


def test_an_instalment_of_a_volume_rate_may_be_negative() -> None:
    assert instalment(1000, 1, SMS, mode="volume") == -797


@pytest.mark.parametrize(
    ("given_bands", "param"),
    [
        ([], "bands"),
        ([Band(None, Decimal(1))] * (MAX_BANDS + 1), "bands"),
        ([Band(10, Decimal(1))], "bands[0][up_to]"),
        ([Band(10, Decimal(1)), Band(20, Decimal(1))], "bands[1][up_to]"),
        ([Band(None, Decimal(1)), Band(None, Decimal(1))], "bands[0][up_to]"),
        ([Band(10, Decimal(1)), Band(10, Decimal(1)), Band(None, Decimal(1))], "bands[1][up_to]"),
        ([Band(10, Decimal(1)), Band(9, Decimal(1)), Band(None, Decimal(1))], "bands[1][up_to]"),
    ],
)
def test_bands_must_rise_and_only_the_last_is_open(given_bands: Sequence[Band], param: str) -> None:
    with pytest.raises(PricingError) as caught:
        rate(1, given_bands)

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("up_to", "unit_amount", "flat_amount", "param"),
    [
        (0, Decimal(1), 0, "up_to"),
        (True, Decimal(1), 0, "up_to"),
        (MAX_QUANTITY + 1, Decimal(1), 0, "up_to"),
        (None, Decimal(-1), 0, "unit_amount"),
        (None, Decimal("NaN"), 0, "unit_amount"),
        (None, Decimal("sNaN"), 0, "unit_amount"),
        (None, Decimal("Infinity"), 0, "unit_amount"),
        (None, Decimal("0.0000000000001"), 0, "unit_amount"),
        (None, Decimal(10**11 + 1), 0, "unit_amount"),
        (None, 1, 0, "unit_amount"),
        (None, Decimal(1), -1, "flat_amount"),
        (None, Decimal(1), False, "flat_amount"),
    ],
)
def test_a_band_takes_exact_rates_that_are_not_negative(
    up_to: int | None, unit_amount: Decimal, flat_amount: int, param: str
) -> None:
    with pytest.raises(PricingError) as caught:
        Band(up_to, unit_amount, flat_amount)

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("quantity", "mode", "included", "param"),
    [
        (-1, "graduated", 0, "quantity"),
        (MAX_QUANTITY + 1, "graduated", 0, "quantity"),
        (True, "graduated", 0, "quantity"),
        (1, "tiered", 0, "mode"),
        (1, "graduated", -1, "included"),
    ],
)
def test_rating_refuses_what_is_no_quantity(quantity: int, mode: str, included: int, param: str) -> None:
    with pytest.raises(PricingError) as caught:
        rate(quantity, SMS, mode=mode, included=included)

    assert caught.value.param == param


def test_an_instalment_is_not_negative_units() -> None:
    with pytest.raises(PricingError) as caught:
        instalment(10, -1, SMS)

    assert caught.value.param == "more"
