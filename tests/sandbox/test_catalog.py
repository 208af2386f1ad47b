"""Products, prices, meters, coupons and promotion codes over the SDK."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import stripe

from tests.sandbox.recorded import refusal


@pytest.fixture
def product(client: stripe.StripeClient) -> stripe.Product:
    return client.v1.products.create({"name": "Advanced seat", "unit_label": "seat"})


@pytest.fixture
def meter(client: stripe.StripeClient) -> stripe.billing.Meter:
    return client.v1.billing.meters.create(
        {
            "display_name": "Resolutions",
            "event_name": "resolution",
            "default_aggregation": {"formula": "sum"},
        }
    )


def types(client: stripe.StripeClient) -> list[str]:
    return [event.type for event in client.v1.events.list({"limit": 100}).data][::-1]


def test_a_default_price_is_made_with_its_product(client: stripe.StripeClient) -> None:
    data = {"currency": "usd", "unit_amount": 9900, "recurring": {"interval": "month"}}
    product = client.v1.products.create(
        {"name": "Seat", "default_price_data": data, "expand": ["default_price"]}
    )

    assert product.default_price.unit_amount == 9900
    assert product.default_price.product == product.id
    assert types(client) == ["product.created", "price.created"]


def test_a_product_keeps_what_an_update_does_not_name(
    client: stripe.StripeClient, product: stripe.Product
) -> None:
    client.v1.products.update(product.id, {"metadata": {"tier": "advanced", "role": "seat"}})
    after = client.v1.products.update(product.id, {"description": "A seat", "metadata": {"role": ""}})

    assert (after.name, after.unit_label, after.description) == ("Advanced seat", "seat", "A seat")
    assert after.metadata.to_dict() == {"tier": "advanced"}


def test_an_empty_string_unsets(client: stripe.StripeClient, product: stripe.Product) -> None:
    assert client.v1.products.update(product.id, {"unit_label": ""}).unit_label is None


def test_a_product_id_can_be_chosen_once(client: stripe.StripeClient) -> None:
    client.v1.products.create({"id": "prod_seat", "name": "Seat"})
    error = refusal(lambda: client.v1.products.create({"id": "prod_seat", "name": "Seat"}))

    assert error.code == "resource_already_exists"


def test_a_deleted_product_is_gone(client: stripe.StripeClient, product: stripe.Product) -> None:
    client.v1.products.delete(product.id)
    error = refusal(lambda: client.v1.products.retrieve(product.id))

    assert (error.http_status, error.param) == (404, "id")
    assert error.user_message == f"No such product: '{product.id}'"


def test_a_price_is_licensed_unless_told(client: stripe.StripeClient, product: stripe.Product) -> None:
    price = client.v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": 102000,
            "recurring": {"interval": "year"},
            "lookup_key": "2026-11:seat:advanced:year",
            "tax_behavior": "exclusive",
        }
    )

    assert price.recurring.to_dict() == {
        "interval": "year",
        "interval_count": 1,
        "meter": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }
    assert (price.type, price.billing_scheme, price.unit_amount_decimal) == (
        "recurring",
        "per_unit",
        Decimal("102000"),
    )


def test_a_metered_price_names_its_meter(
    client: stripe.StripeClient, product: stripe.Product, meter: stripe.billing.Meter
) -> None:
    recurring = {"interval": "month", "usage_type": "metered", "meter": meter.id}
    price = client.v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount_decimal": "99", "recurring": recurring}
    )

    assert (price.recurring.meter, price.unit_amount) == (meter.id, 99)


def test_tiers_take_fractions_of_a_cent(
    client: stripe.StripeClient, product: stripe.Product, meter: stripe.billing.Meter
) -> None:
    price = client.v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "tiers": [
                {"up_to": 1000, "unit_amount": 0},
                {"up_to": 50000, "unit_amount_decimal": "0.35"},
                {"up_to": "inf", "unit_amount_decimal": "0.20", "flat_amount": 5},
            ],
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
            "expand": ["tiers"],
        }
    )

    assert [
        (tier.up_to, tier.unit_amount, tier.unit_amount_decimal, tier.flat_amount) for tier in price.tiers
    ] == [
        (1000, 0, Decimal("0"), None),
        (50000, None, Decimal("0.35"), None),
        (None, None, Decimal("0.2"), 5),
    ]


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"billing_scheme": "tiered"}, "tiers"),
        ({"billing_scheme": "tiered", "tiers": [{"up_to": "inf", "unit_amount": 1}]}, "tiers_mode"),
        (
            {"billing_scheme": "tiered", "tiers_mode": "volume", "tiers": [{"up_to": 5, "unit_amount": 1}]},
            "tiers[0][up_to]",
        ),
        (
            {
                "billing_scheme": "tiered",
                "tiers_mode": "volume",
                "tiers": [
                    {"up_to": 5, "unit_amount": 1},
                    {"up_to": 5, "unit_amount": 1},
                    {"up_to": "inf", "unit_amount": 1},
                ],
            },
            "tiers[1][up_to]",
        ),
        (
            {"billing_scheme": "tiered", "tiers_mode": "volume", "tiers": [{"up_to": "inf"}]},
            "tiers[0]",
        ),
        ({"unit_amount": 1, "tiers_mode": "volume"}, "tiers_mode"),
        ({"unit_amount": 1, "unit_amount_decimal": "1"}, "unit_amount"),
        ({"unit_amount": -1}, "unit_amount"),
        ({"unit_amount": 1, "currency": "dollars"}, "currency"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused(
    client: stripe.StripeClient, product: stripe.Product, params: dict[str, Any], param: str
) -> None:
    error = refusal(lambda: client.v1.prices.create({"product": product.id, "currency": "usd", **params}))

    assert (error.http_status, error.param) == (400, param)


def test_a_price_may_have_several_currencies(client: stripe.StripeClient, product: stripe.Product) -> None:
    price = client.v1.prices.create(
        {
            "product": product.id,
            "currency": "usd",
            "unit_amount": 9900,
            "currency_options": {"eur": {"unit_amount": 9500}},
        }
    )
    shown = client.v1.prices.retrieve(price.id, {"expand": ["currency_options"]}).currency_options

    assert (shown.usd.unit_amount, shown.eur.unit_amount) == (9900, 9500)


def test_prices_are_found_by_lookup_key_with_their_product(
    client: stripe.StripeClient, product: stripe.Product
) -> None:
    for number in range(3):
        client.v1.prices.create(
            {
                "product": product.id,
                "currency": "usd",
                "unit_amount": number + 1,
                "lookup_key": f"key-{number}",
            }
        )
    page = client.v1.prices.list({"lookup_keys": ["key-0", "key-2"], "expand": ["data.product"]})

    assert [price.lookup_key for price in page.data] == ["key-2", "key-0"]
    assert page.data[0].product.name == "Advanced seat"


def test_an_archived_price_is_hidden_only_by_a_filter(
    client: stripe.StripeClient, product: stripe.Product
) -> None:
    price = client.v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 1})
    client.v1.prices.update(price.id, {"active": False, "nickname": "old", "lookup_key": ""})

    assert [row.id for row in client.v1.prices.list().data] == [price.id]
    assert client.v1.prices.list({"active": True}).data == []


def test_prices_are_filtered_by_their_terms(
    client: stripe.StripeClient, product: stripe.Product, meter: stripe.billing.Meter
) -> None:
    metered = {"interval": "month", "usage_type": "metered", "meter": meter.id}
    client.v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 1})
    price = client.v1.prices.create(
        {"product": product.id, "currency": "usd", "unit_amount": 1, "recurring": metered}
    )
    found = client.v1.prices.list({"recurring": {"usage_type": "metered", "meter": meter.id}})

    assert [row.id for row in found.data] == [price.id]
    assert len(client.v1.prices.list({"type": "one_time"}).data) == 1


def test_the_tax_behavior_of_a_price_is_set_once(
    client: stripe.StripeClient, product: stripe.Product
) -> None:
    price = client.v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 1})
    client.v1.prices.update(price.id, {"tax_behavior": "exclusive"})
    error = refusal(lambda: client.v1.prices.update(price.id, {"tax_behavior": "inclusive"}))

    assert error.param == "tax_behavior"


def test_a_moved_lookup_key_tells_about_its_old_holder(
    client: stripe.StripeClient, product: stripe.Product
) -> None:
    params = {"product": product.id, "currency": "usd", "unit_amount": 1, "lookup_key": "seat"}
    old = client.v1.prices.create(params)
    client.v1.prices.create({**params, "transfer_lookup_key": True})
    (updated,) = client.v1.events.list({"type": "price.updated"}).data

    assert updated.data.object.id == old.id
    assert updated.data.previous_attributes.to_dict() == {"lookup_key": "seat"}


def test_one_active_meter_per_event_name(client: stripe.StripeClient, meter: stripe.billing.Meter) -> None:
    params = {
        "display_name": "Again",
        "event_name": "resolution",
        "default_aggregation": {"formula": "count"},
    }
    error = refusal(lambda: client.v1.billing.meters.create(params))
    client.v1.billing.meters.deactivate(meter.id)
    again = client.v1.billing.meters.create(params)

    assert error.http_status == 400
    assert [row.id for row in client.v1.billing.meters.list({"status": "active"}).data] == [again.id]


def test_a_meter_is_renamed_switched_off_and_on(
    client: stripe.StripeClient, meter: stripe.billing.Meter
) -> None:
    client.v1.billing.meters.update(meter.id, {"display_name": "Resolved"})
    off = client.v1.billing.meters.deactivate(meter.id)
    refusal(lambda: client.v1.billing.meters.deactivate(meter.id))
    on = client.v1.billing.meters.reactivate(meter.id)

    assert (off.display_name, off.status, on.status) == ("Resolved", "inactive", "active")
    assert off.status_transitions.deactivated_at
    assert on.status_transitions.deactivated_at is None


def test_a_price_may_bring_its_product(client: stripe.StripeClient) -> None:
    price = client.v1.prices.create(
        {"product_data": {"name": "Setup"}, "currency": "usd", "unit_amount": 5000, "expand": ["product"]}
    )

    assert price.product.name == "Setup"
    assert types(client) == ["product.created", "price.created"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "Missing required param: product."),
        (
            {"product_data": {"name": "x"}, "currency_options": {"eur": {"tiers": [{"up_to": "inf"}]}}},
            "Only amounts per unit are supported here.",
        ),
        (
            {"product_data": {"name": "x"}, "recurring": {"interval": "month", "meter": "mtr_nope"}},
            "No such meter: 'mtr_nope'",
        ),
    ],
)
def test_a_refused_price_leaves_no_product(
    client: stripe.StripeClient, params: dict[str, Any], message: str
) -> None:
    error = refusal(lambda: client.v1.prices.create({"currency": "usd", "unit_amount": 1, **params}))

    assert error.user_message == message
    assert client.v1.products.list().data == []


def test_a_licensed_price_has_no_meter(
    client: stripe.StripeClient, product: stripe.Product, meter: stripe.billing.Meter
) -> None:
    params = {"product": product.id, "currency": "usd", "unit_amount": 1}
    recurring = {"interval": "month", "meter": meter.id}

    assert (
        refusal(lambda: client.v1.prices.create({**params, "recurring": recurring})).param
        == "recurring[meter]"
    )


def test_eleven_lookup_keys_are_too_many(client: stripe.StripeClient) -> None:
    keys = [f"key-{number}" for number in range(11)]

    assert refusal(lambda: client.v1.prices.list({"lookup_keys": keys})).param == "lookup_keys"


def test_the_default_price_of_a_product_is_one_of_its_own(
    client: stripe.StripeClient, product: stripe.Product
) -> None:
    own = client.v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 1})
    other = client.v1.prices.create({"product_data": {"name": "x"}, "currency": "usd", "unit_amount": 1})
    error = refusal(lambda: client.v1.products.update(product.id, {"default_price": other.id}))

    assert client.v1.products.update(product.id, {"default_price": own.id}).default_price == own.id
    assert error.param == "default_price"
