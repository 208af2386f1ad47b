"""Catalogues at Stripe: brought there once, the same afterwards, never changed."""

from decimal import Decimal

import pytest
from sqlalchemy import func, select

from portal import pricing
from portal.db import unit_of_work
from portal.errors import ConflictError, UnavailableError
from portal.gateways import Gateways
from portal.models import CatalogPrice
from portal.services import catalogs
from tests.shop import Shop

PRICES = 29


def noted() -> int:
    with unit_of_work() as session:
        return session.scalar(select(func.count()).select_from(CatalogPrice))


def test_a_push_brings_every_price_of_every_catalogue(gateways: Gateways, shop: Shop) -> None:
    done = catalogs.push(gateways)

    assert len(done.prices) == PRICES
    assert noted() == PRICES
    assert sorted(done.meters) == [
        "bulk_email",
        "phone_minute",
        "proactive_message",
        "resolution",
        "sms",
        "whatsapp",
    ]


def test_a_second_push_makes_nothing(gateways: Gateways, shop: Shop) -> None:
    catalogs.push(gateways)
    before = len(shop.faults.calls)
    done = catalogs.push(gateways)

    assert (done.products, done.meters, done.prices, len(done.kept)) == ([], [], [], PRICES)
    assert [call for call in shop.faults.calls[before:] if call.method == "POST"] == []


def test_a_push_that_died_half_way_is_finished_by_the_next(gateways: Gateways, shop: Shop) -> None:
    shop.faults.fail("slow", "/v1/prices", times=10)
    shop.faults.fail("refuse", "/v1/prices", times=1)
    with pytest.raises(Exception, match="This cannot be done"):
        catalogs.push(gateways)
    done = catalogs.push(gateways)

    assert (len(done.prices), len(done.kept)) == (PRICES - 10, 10)
    assert noted() == PRICES


def test_a_lost_table_is_filled_from_what_stripe_has(gateways: Gateways, shop: Shop) -> None:
    catalogs.push(gateways)
    with unit_of_work() as session:
        session.query(CatalogPrice).delete()
    done = catalogs.push(gateways)

    assert (done.prices, noted()) == ([], PRICES)


def test_another_price_under_our_key_is_an_error_that_names_it(gateways: Gateways, shop: Shop) -> None:
    shop.client.v1.products.create({"id": "portal-copilot", "name": "Copilot"})
    shop.client.v1.prices.create(
        {
            "product": "portal-copilot",
            "currency": "usd",
            "unit_amount": 3600,
            "recurring": {"interval": "month"},
            "tax_behavior": "exclusive",
            "lookup_key": "2026-11:copilot:month",
        }
    )
    with pytest.raises(catalogs.CatalogDiffersError) as refused:
        catalogs.push(gateways)

    assert "2026-11:copilot:month: unit amount is 3600, ours is 3500" in refused.value.message
    assert noted() == 0


def test_included_messages_are_a_band_of_zero(gateways: Gateways, shop: Shop) -> None:
    catalogs.push(gateways)
    found = shop.client.v1.prices.list(
        {"lookup_keys": ["2026-11:proactive_message:month"], "expand": ["data.tiers"]}
    )
    [price] = found.data

    bands = [(tier.up_to, tier.unit_amount_decimal) for tier in price.tiers]
    assert bands == [(500, Decimal(0)), (2500, Decimal(8)), (10500, Decimal(5)), (None, Decimal(3))]
    assert price.tiers_mode == "graduated"
    assert price.tax_behavior == "exclusive"
    assert price.metadata["catalog"] == "2026-11"


def test_a_fraction_of_a_cent_survives(gateways: Gateways, shop: Shop) -> None:
    catalogs.push(gateways)
    known = gateways.stripe.account.prices(["2026-11:phone_minute:month"])

    assert known["2026-11:phone_minute:month"].unit_amount == Decimal("3.8")


def test_catalogues_share_their_products_and_each_has_a_tax_code(gateways: Gateways, shop: Shop) -> None:
    catalogs.push(gateways)
    products = {each.id: each for each in shop.client.v1.products.list({"limit": 100}).data}

    assert products["portal-seat-advanced"].name == "Advanced"
    assert {each.tax_code for each in products.values()} == {"txcd_10103001"}
    assert len([each for each in products if each.startswith("portal-seat-")]) == 4


def test_before_a_push_nothing_is_sold(gateways: Gateways) -> None:
    with unit_of_work() as session, pytest.raises(UnavailableError, match="not at Stripe"):
        catalogs.prices_by_key(session, "2026-11")


def test_every_price_has_its_product_and_interval_in_our_table(gateways: Gateways) -> None:
    catalogs.push(gateways)
    with unit_of_work() as session:
        rows = catalogs.prices_by_key(session, "2026-11")

    expected = {price.lookup_key for price in pricing.catalog("2026-11").lookup_keys()}
    assert set(rows) == expected
    assert rows["2026-11:seat:expert:year"].stripe_product_id == "portal-seat-expert"


def test_a_promotion_code_never_touches_usage(gateways: Gateways, shop: Shop) -> None:
    catalogs.push(gateways)
    catalogs.promote(gateways, "SPRING", percent_off=Decimal("12.5"), duration="repeating", months=3)
    found = gateways.stripe.find_promotion_code("spring")

    assert found.percent_off == Decimal("12.5")
    assert found.product_ids == (
        "portal-copilot",
        "portal-proactive-support",
        "portal-seat-advanced",
        "portal-seat-essential",
        "portal-seat-expert",
    )


def test_a_code_that_is_in_use_leaves_no_coupon_behind(gateways: Gateways, shop: Shop) -> None:
    catalogs.push(gateways)
    catalogs.promote(gateways, "SPRING", percent_off=Decimal("33.33"))
    with pytest.raises(ConflictError, match="SPRING"):
        catalogs.promote(gateways, "SPRING", percent_off=Decimal(5))

    assert [str(coupon.percent_off) for coupon in shop.client.v1.coupons.list().data] == ["33.33"]
