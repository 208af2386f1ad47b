"""A catalogue file is read strictly: a fault in it is found before anything is sold."""

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from portal.pricing import PricingError, catalogs, loading
from portal.pricing.loading import catalog_from
from portal.pricing.reading import UnreadNumber

GOOD: dict[str, Any] = {
    "version": "2030-01",
    "currency": "eur",
    "tiers": {"solo": {"name": "Solo", "prices": {"month": 1000}, "lite_seats": 0}},
    "add_ons": {
        "extra": {"name": "Extra", "per": "workspace", "prices": {"month": 100}, "included": {"fax": 10}}
    },
    "usage": {
        "fax": {
            "name": "Fax",
            "unit_name": "page",
            "bands": [{"unit_amount": "2.5", "flat_amount": 100}],
            "requires": "extra",
        }
    },
    "credits": {"usage": "fax", "minimum": 10, "bands": [{"from_units": 20, "percent_off": "5"}]},
    "trial": {"days": 7, "reminder_days": 1, "caps": {"fax": 5}},
}


def changed(place: str, value: object) -> dict[str, Any]:
    """The good file with the value at a dotted place changed, or taken away if it is None."""
    content = copy.deepcopy(GOOD)
    inner: Any = content
    *outer, last = place.split(".")
    for key in outer:
        inner = inner[int(key) if isinstance(inner, list) else key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return content


def test_a_good_file_is_read() -> None:
    found = catalog_from(GOOD)

    assert (found.version, found.currency, found.intervals) == ("2030-01", "eur", ("month",))
    assert found.usage["fax"].included == 10


def test_a_file_is_named_after_its_version() -> None:
    files = sorted(path.stem for path in Path(loading.__file__).with_name("catalogs").iterdir())

    assert files == sorted(each.version for each in catalogs())


def test_a_single_band_with_a_flat_amount_stays_a_band() -> None:
    fax = next(
        price
        for price in catalog_from(changed("add_ons.extra.included", {})).lookup_keys()
        if price.key == "fax"
    )

    assert fax.unit_amount is None
    assert [(band.up_to, band.unit_amount, band.flat_amount) for band in fax.bands] == [
        (None, Decimal("2.5"), 100)
    ]


@pytest.mark.parametrize(
    ("place", "value", "param"),
    [
        ("version", None, "version"),
        ("currency", "EUR", "currency"),
        ("colour", "blue", "colour"),
        ("tiers", {}, "tiers"),
        ("tiers", [], "tiers"),
        ("tiers.solo", 7, "tiers[solo]"),
        ("tiers.solo.name", None, "tiers[solo][name]"),
        ("tiers.solo.lite_seats", -1, "tiers[solo][lite_seats]"),
        ("tiers.solo.prices", {}, "tiers[solo][prices]"),
        ("tiers.solo.prices", {"week": 5}, "tiers[solo][prices][week]"),
        ("tiers.solo.prices.month", -1, "tiers[solo][prices][month]"),
        ("tiers.solo.prices.month", UnreadNumber("39.5"), "tiers[solo][prices][month]"),
        ("add_ons.extra.per", "box", "add_ons[extra][per]"),
        ("add_ons.extra.prices", {"month": 1, "year": 2}, "add_ons[extra][prices]"),
        ("add_ons.extra.included", {"fax": 0}, "add_ons[extra][included][fax]"),
        ("add_ons.extra.included", {"smoke": 1}, "add_ons[extra][included]"),
        ("usage.fax.requires", "magic", "usage[fax][requires]"),
        ("usage.fax.bands", [], "usage[fax][bands]"),
        ("usage.fax.bands", [{"up_to": 5, "unit_amount": "1"}], "usage[fax][bands][0][up_to]"),
        ("usage.fax.bands", [{"unit_amount": UnreadNumber("2.5")}], "usage[fax][bands][0][unit_amount]"),
        ("usage.fax.bands", [{"unit_amount": "-1"}], "usage[fax][bands][0][unit_amount]"),
        ("usage.fax.bands", [{"unit_amount": "1", "up_to": True}], "usage[fax][bands][0][up_to]"),
        ("credits.usage", "smoke", "credits[usage]"),
        ("credits.minimum", 0, "credits[minimum]"),
        ("credits.bands.0.from_units", 9, "credits[bands][0][from_units]"),
        ("credits.bands.0.percent_off", "101", "credits[bands][0][percent_off]"),
        ("trial.days", 0, "trial[days]"),
        ("trial.reminder_days", 0, "trial[reminder_days]"),
        ("trial.reminder_days", 8, "trial[reminder_days]"),
        ("trial.caps", {"smoke": 1}, "trial[caps]"),
    ],
)
def test_a_fault_is_named_with_its_place(place: str, value: object, param: str) -> None:
    with pytest.raises(PricingError) as caught:
        catalog_from(changed(place, value))

    assert caught.value.param == param


def test_credit_bands_rise() -> None:
    bands = [
        {"from_units": 20, "percent_off": "5"},
        {"from_units": 30, "percent_off": "10"},
        {"from_units": 30, "percent_off": "15"},
    ]

    with pytest.raises(PricingError) as caught:
        catalog_from(changed("credits.bands", bands))

    assert caught.value.param == "credits[bands][2][from_units]"
