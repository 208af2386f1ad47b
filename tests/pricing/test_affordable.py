"""How many units a budget pays for: exactly as many as the invoice charges no more for."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import pricing
from portal.pricing import Band, PricingError, rate, units_within

RESOLUTION = (Band(None, Decimal(99)),)
MESSAGES = (Band(2_000, Decimal(8)), Band(10_000, Decimal(5)), Band(None, Decimal(3)))


@pytest.mark.parametrize(
    ("amount", "units"),
    [(0, 0), (98, 0), (99, 1), (197, 1), (198, 2), (49_500, 500), (49_599, 501), (50_000, 505)],
)
def test_an_amount_pays_for_whole_units(amount: int, units: int) -> None:
    assert units_within(amount, RESOLUTION) == units


def test_included_units_come_first_and_bands_follow() -> None:
    assert units_within(0, MESSAGES, included=500) == 500
    assert units_within(16_500, MESSAGES, included=500) == 2_600


def test_a_fraction_of_a_cent_counts_as_the_invoice_rounds_it() -> None:
    # 12 × 3.8 = 45.6 → 46; 13 × 3.8 = 49.4 → 49
    assert units_within(45, (Band(None, Decimal("3.8")),)) == 11
    assert units_within(49, (Band(None, Decimal("3.8")),)) == 13


def test_what_is_free_has_no_end() -> None:
    assert units_within(0, (Band(None, Decimal(0)),)) == 10**12


def test_every_usage_of_every_catalogue_can_be_turned_into_units() -> None:
    for catalog in pricing.catalogs():
        for usage in catalog.usage.values():
            units = units_within(10_000, usage.bands, included=usage.included)

            assert rate(units, usage.bands, included=usage.included).amount <= 10_000
            assert rate(units + 1, usage.bands, included=usage.included).amount > 10_000


@given(amount=st.integers(0, 10**9), flat=st.integers(0, 500), unit=st.decimals("0.01", "500", places=2))
def test_one_unit_more_always_costs_more_than_the_amount(amount: int, flat: int, unit: Decimal) -> None:
    bands = (Band(10, unit, flat), Band(None, unit / 2))
    units = units_within(amount, bands)

    assert rate(units, bands).amount <= amount
    assert rate(units + 1, bands).amount > amount


@pytest.mark.parametrize(
    ("amount", "included", "bands", "param"),
    [
        (-1, 0, RESOLUTION, "amount"),
        (1, -1, RESOLUTION, "included"),
        (1, 0, (), "bands"),
    ],
)
def test_what_makes_no_sense_is_refused(
    amount: int, included: int, bands: tuple[Band, ...], param: str
) -> None:
    with pytest.raises(PricingError) as refusal:
        units_within(amount, bands, included=included)

    assert refusal.value.param == param
