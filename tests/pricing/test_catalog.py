"""The catalogues that were sold, figure by figure, and what a push to Stripe needs to know of them."""

from decimal import Decimal

import pytest

from portal.pricing import Band, Catalog, PricingError, catalog, catalogs, current_catalog, rate


def test_there_are_three_catalogues_and_the_newest_is_current() -> None:
    assert [each.version for each in catalogs()] == ["2026-11", "2023-11", "2023-05"]
    assert current_catalog().version == "2026-11"
    assert catalog("2023-05") is catalogs()[2]


@pytest.mark.parametrize("version", ["2024-01", "", None, 7, ["2026-11"]])
def test_an_unknown_catalogue_is_refused_with_those_that_exist(version: object) -> None:
    with pytest.raises(PricingError, match="There are 2026-11, 2023-11, 2023-05") as caught:
        catalog(version)  # type: ignore[arg-type]

    assert caught.value.param == "catalog"


def prices(of: Catalog) -> dict[str, Decimal | tuple[Band, ...]]:
    """Every price by its lookup key."""
    return {
        price.lookup_key: price.bands if price.unit_amount is None else price.unit_amount
        for price in of.lookup_keys()
    }


SMS = (Band(1000, Decimal(4)), Band(10_000, Decimal("3.2")), Band(None, Decimal("2.5")))
BULK_EMAIL = (Band(1000, Decimal(0)), Band(50_000, Decimal("0.35")), Band(None, Decimal("0.2")))
MESSAGES = (Band(500, Decimal(0)), Band(2500, Decimal(8)), Band(10_500, Decimal(5)), Band(None, Decimal(3)))


def test_the_catalogue_of_november_2026_has_these_prices() -> None:
    assert prices(catalog("2026-11")) == {
        "2026-11:seat:essential:month": 3900,
        "2026-11:seat:essential:year": 34_800,
        "2026-11:seat:advanced:month": 9900,
        "2026-11:seat:advanced:year": 102_000,
        "2026-11:seat:expert:month": 13_900,
        "2026-11:seat:expert:year": 158_400,
        "2026-11:copilot:month": 3500,
        "2026-11:copilot:year": 34_800,
        "2026-11:proactive_support:month": 9900,
        "2026-11:proactive_support:year": 118_800,
        "2026-11:resolution:month": 99,
        "2026-11:proactive_message:month": MESSAGES,
        "2026-11:sms:month": SMS,
        "2026-11:whatsapp:month": 6,
        "2026-11:phone_minute:month": Decimal("3.8"),
        "2026-11:bulk_email:month": BULK_EMAIL,
    }


def test_the_catalogue_of_november_2023_has_the_same_months_and_no_years() -> None:
    assert prices(catalog("2023-11")) == {
        "2023-11:seat:essential:month": 3900,
        "2023-11:seat:advanced:month": 9900,
        "2023-11:seat:expert:month": 13_900,
        "2023-11:copilot:month": 3500,
        "2023-11:proactive_support:month": 9900,
        "2023-11:resolution:month": 99,
        "2023-11:proactive_message:month": MESSAGES,
        "2023-11:sms:month": SMS,
        "2023-11:whatsapp:month": 6,
        "2023-11:phone_minute:month": Decimal("3.8"),
        "2023-11:bulk_email:month": BULK_EMAIL,
    }


def test_the_catalogue_of_may_2023_sells_pro_and_resolutions_only() -> None:
    assert prices(catalog("2023-05")) == {
        "2023-05:seat:pro:month": 7400,
        "2023-05:resolution:month": 190,
    }


def test_a_seat_price_tells_stripe_all_it_needs() -> None:
    price = next(iter(current_catalog().lookup_keys()))

    assert price.as_dict() == {
        "lookup_key": "2026-11:seat:essential:month",
        "key": "seat",
        "tier": "essential",
        "interval": "month",
        "currency": "usd",
        "unit_amount": Decimal(3900),
        "bands": None,
        "product": "seat:essential",
        "product_name": "Essential",
        "unit_label": "seat",
        "usage_type": "licensed",
        "meter": None,
    }


def test_a_metered_price_with_an_allowance_has_a_zero_band_and_later_bounds_shifted() -> None:
    price = next(each for each in current_catalog().lookup_keys() if each.key == "proactive_message")

    assert price.as_dict() == {
        "lookup_key": "2026-11:proactive_message:month",
        "key": "proactive_message",
        "tier": None,
        "interval": "month",
        "currency": "usd",
        "unit_amount": None,
        "bands": [
            {"up_to": 500, "unit_amount": Decimal(0), "flat_amount": 0},
            {"up_to": 2500, "unit_amount": Decimal(8), "flat_amount": 0},
            {"up_to": 10_500, "unit_amount": Decimal(5), "flat_amount": 0},
            {"up_to": None, "unit_amount": Decimal(3), "flat_amount": 0},
        ],
        "product": "proactive_message",
        "product_name": "Proactive messages",
        "unit_label": "message",
        "usage_type": "metered",
        "meter": "proactive_message",
    }


def test_what_stripe_is_told_costs_the_same_as_what_is_quoted() -> None:
    for each in catalogs():
        for price in each.lookup_keys():
            if price.usage_type == "metered":
                told = price.bands or (Band(None, price.unit_amount or Decimal(0)),)
                own = each.usage[price.key]
                for quantity in (0, 1, 499, 501, 1000, 1001, 2600, 10_501, 50_001, 120_000):
                    expected = rate(quantity, own.bands, included=own.included).amount

                    assert rate(quantity, told).amount == expected


def test_the_copilot_is_sold_per_seat_and_proactive_support_per_workspace_with_messages() -> None:
    copilot, support = current_catalog().add_ons.values()

    assert (copilot.key, copilot.per, dict(copilot.included)) == ("copilot", "seat", {})
    assert (support.key, support.per, dict(support.included)) == (
        "proactive_support",
        "workspace",
        {"proactive_message": 500},
    )
    assert current_catalog().usage["proactive_message"].included == 500
    assert current_catalog().usage["proactive_message"].requires == "proactive_support"


@pytest.mark.parametrize("version", ["2026-11", "2023-11"])
def test_what_is_counted_in_seats_says_so_on_the_invoice(version: str) -> None:
    labels = {price.key: price.unit_label for price in catalog(version).lookup_keys()}

    assert (labels["seat"], labels["copilot"], labels["proactive_support"]) == ("seat", "seat", None)
    assert (labels["resolution"], labels["sms"]) == ("resolution", "segment")


@pytest.mark.parametrize("version", ["2026-11", "2023-11"])
def test_lite_seats_come_with_the_larger_tiers(version: str) -> None:
    lite_seats = {tier.key: tier.lite_seats for tier in catalog(version).tiers.values()}

    assert lite_seats == {"essential": 0, "advanced": 20, "expert": 50}


def test_annual_credits_are_cheaper_in_steps() -> None:
    credits = current_catalog().credits

    assert credits is not None
    assert (credits.usage, credits.minimum) == ("resolution", 100)
    assert [(band.from_units, int(band.percent_off)) for band in credits.bands] == [
        (600, 5),
        (1200, 10),
        (3000, 15),
        (6000, 20),
        (12_000, 25),
    ]


def test_a_trial_takes_two_weeks_and_fifty_resolutions() -> None:
    trial = current_catalog().trial

    assert trial is not None
    assert (trial.days, trial.reminder_days, dict(trial.caps)) == (14, 3, {"resolution": 50})


@pytest.mark.parametrize("version", ["2023-11", "2023-05"])
def test_older_catalogues_have_neither_credits_nor_a_trial(version: str) -> None:
    assert catalog(version).credits is None
    assert catalog(version).trial is None


def test_a_catalogue_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        current_catalog().tiers["free"] = current_catalog().tiers["expert"]  # type: ignore[index]
    with pytest.raises(TypeError):
        current_catalog().tiers["expert"].prices["month"] = 1  # type: ignore[index]
    with pytest.raises(AttributeError):
        current_catalog().version = "2027-01"  # type: ignore[misc]
