"""Recorded answers about envelopes, lists, events, catalogue and coupons, replayed through the SDK."""

from __future__ import annotations

import re
from typing import Any

import pytest
import stripe

from tests.sandbox.recorded import assert_refused_as_recorded, covers, expected, given

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def product(client: stripe.StripeClient) -> stripe.Product:
    return client.v1.products.create({"name": "Recorded"})


@pytest.fixture
def price(client: stripe.StripeClient, product: stripe.Product) -> stripe.Price:
    return client.v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 100})


@pytest.fixture
def coupon(client: stripe.StripeClient) -> stripe.Coupon:
    return client.v1.coupons.create({"percent_off": 10, "duration": "forever"})


def assert_shows(shown: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Every recorded member has the recorded value; `keys_absent` are absent."""
    fields = {key: value for key, value in wanted.items() if key in shown}
    checked = {key: shown[key] for key in fields}

    assert checked == fields
    assert fields, "nothing was compared"
    assert [key for key in wanted.get("keys_absent", []) if key in shown] == []


@covers("err-bad-integer")
def test_a_limit_that_is_no_integer_is_refused(client: stripe.StripeClient) -> None:
    assert_refused_as_recorded("err-bad-integer", lambda: client.v1.customers.list({"limit": "abc"}))


@covers("err-unknown-param-nested")
def test_an_unknown_nested_parameter_is_named_with_its_path(client: stripe.StripeClient) -> None:
    params = {"invoice_settings": {"nope": "x"}}
    assert_refused_as_recorded("err-unknown-param-nested", lambda: client.v1.customers.create(params))


@covers("err-cursor-missing")
def test_a_cursor_that_never_was_is_refused(client: stripe.StripeClient) -> None:
    assert_refused_as_recorded(
        "err-cursor-missing", lambda: client.v1.customers.list({"starting_after": "cus_aaa"})
    )


@covers("err-bad-version")
def test_an_unknown_api_version_is_refused_without_log_url(client: stripe.StripeClient) -> None:
    options = {"stripe_version": "not-a-real-version"}
    assert_refused_as_recorded("err-bad-version", lambda: client.v1.customers.list({"limit": 1}, options))


@covers("err-product-missing-name")
def test_a_product_needs_a_name(client: stripe.StripeClient) -> None:
    assert_refused_as_recorded("err-product-missing-name", lambda: client.v1.products.create({}))


@covers("err-price-404")
def test_an_unknown_price_is_not_found(client: stripe.StripeClient) -> None:
    assert_refused_as_recorded("err-price-404", lambda: client.v1.prices.retrieve("price_nope"))


@covers("err-price-product-missing")
def test_a_price_of_an_unknown_product_is_refused(client: stripe.StripeClient) -> None:
    params = {"product": "prod_nope", "currency": "usd", "unit_amount": 100}
    assert_refused_as_recorded("err-price-product-missing", lambda: client.v1.prices.create(params))


@covers("err-price-no-amount")
def test_a_price_needs_an_amount(client: stripe.StripeClient, product: stripe.Product) -> None:
    params = {"product": product.id, "currency": "usd"}
    assert_refused_as_recorded("err-price-no-amount", lambda: client.v1.prices.create(params))


@covers("err-price-two-products")
def test_a_price_has_one_product(client: stripe.StripeClient, product: stripe.Product) -> None:
    params = {"product": product.id, "product_data": {"name": "x"}, "currency": "usd", "unit_amount": 100}
    assert_refused_as_recorded("err-price-two-products", lambda: client.v1.prices.create(params))


@covers("err-price-metered-needs-meter")
def test_a_metered_price_needs_a_meter(client: stripe.StripeClient, product: stripe.Product) -> None:
    recurring = {"interval": "month", "usage_type": "metered"}
    params = {"product": product.id, "currency": "usd", "unit_amount": 100, "recurring": recurring}
    assert_refused_as_recorded("err-price-metered-needs-meter", lambda: client.v1.prices.create(params))


@covers("err-price-lookup-key-taken")
def test_a_lookup_key_stays_taken_by_an_inactive_price(
    client: stripe.StripeClient, product: stripe.Product
) -> None:
    params = {"product": product.id, "currency": "usd", "unit_amount": 100, "lookup_key": "s07-key"}
    holder = client.v1.prices.create(params)
    client.v1.prices.update(holder.id, {"active": False})

    assert_refused_as_recorded(
        "err-price-lookup-key-taken", lambda: client.v1.prices.create(params), holder_id=holder.id
    )


@covers("err-delete-price-unrecognized")
def test_prices_cannot_be_deleted(client: stripe.StripeClient, price: stripe.Price) -> None:
    assert_refused_as_recorded(
        "err-delete-price-unrecognized",
        lambda: client.raw_request("delete", f"/v1/prices/{price.id}"),
        id=price.id,
    )


@covers("err-product-has-prices")
def test_a_product_with_prices_cannot_be_deleted(client: stripe.StripeClient, price: stripe.Price) -> None:
    assert_refused_as_recorded("err-product-has-prices", lambda: client.v1.products.delete(price.product))


@covers("disc-coupon-percent")
def test_a_percentage_coupon_looks_as_recorded(client: stripe.StripeClient) -> None:
    coupon = client.v1.coupons.create(given("disc-coupon-percent"))

    assert_shows(coupon.to_dict(), expected("disc-coupon-percent"))
    assert re.fullmatch("[A-Za-z0-9]{8}", coupon.id)


@covers("disc-coupon-amount-repeating")
def test_an_amount_coupon_hides_its_products_and_currencies(
    client: stripe.StripeClient, product: stripe.Product
) -> None:
    params = dict(given("disc-coupon-amount-repeating"))
    params["applies_to"] = {"products": [product.id]}
    params["currency_options"] = {"eur": {"amount_off": 400}}
    coupon = client.v1.coupons.create(params)
    expanded = client.v1.coupons.retrieve(coupon.id, {"expand": ["applies_to", "currency_options"]})

    assert_shows(coupon.to_dict(), expected("disc-coupon-amount-repeating"))
    assert expanded.applies_to.products == [product.id]
    assert expanded.currency_options.eur.amount_off == 400


@covers("disc-promotion-code")
def test_a_promotion_code_is_minted_in_capitals(client: stripe.StripeClient, coupon: stripe.Coupon) -> None:
    code = client.v1.promotion_codes.create({"promotion": {"type": "coupon", "coupon": coupon.id}})
    want = {**expected("disc-promotion-code"), "promotion": {"type": "coupon", "coupon": coupon.id}}

    assert_shows(code.to_dict(), want)
    assert re.fullmatch("promo_.*", code.id)
    assert re.fullmatch("[A-Z0-9]{8}", code.code)


@covers("err-coupon-both")
def test_a_coupon_takes_off_a_percentage_or_an_amount(client: stripe.StripeClient) -> None:
    params = {"percent_off": 10, "amount_off": 100, "currency": "usd"}
    assert_refused_as_recorded("err-coupon-both", lambda: client.v1.coupons.create(params))


@covers("err-coupon-currency")
def test_an_amount_off_needs_a_currency(client: stripe.StripeClient) -> None:
    assert_refused_as_recorded("err-coupon-currency", lambda: client.v1.coupons.create({"amount_off": 500}))


@covers("err-coupon-zero-percent")
def test_nothing_off_is_no_coupon(client: stripe.StripeClient) -> None:
    assert_refused_as_recorded(
        "err-coupon-zero-percent", lambda: client.v1.coupons.create({"percent_off": 0})
    )


@covers("err-coupon-redeem-by-past")
def test_a_coupon_cannot_lapse_in_the_past(client: stripe.StripeClient) -> None:
    params = {"percent_off": 10, "redeem_by": 1000}
    assert_refused_as_recorded("err-coupon-redeem-by-past", lambda: client.v1.coupons.create(params))


@covers("err-promo-coupon-missing")
def test_a_promotion_code_needs_a_coupon_that_exists(client: stripe.StripeClient) -> None:
    params = {"promotion": {"type": "coupon", "coupon": "NOPE1234"}}
    assert_refused_as_recorded("err-promo-coupon-missing", lambda: client.v1.promotion_codes.create(params))


@covers("err-promo-duplicate")
def test_two_active_promotion_codes_cannot_read_the_same(
    client: stripe.StripeClient, coupon: stripe.Coupon
) -> None:
    params = {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "s07-promo"}
    client.v1.promotion_codes.create(params)

    assert_refused_as_recorded("err-promo-duplicate", lambda: client.v1.promotion_codes.create(params))


@covers("cat-price-decimal")
def test_a_price_of_a_fraction_of_a_cent_has_no_integer_amount(
    client: stripe.StripeClient, product: stripe.Product
) -> None:
    price = client.v1.prices.create({"product": product.id, **given("cat-price-decimal")})
    shown = {**price.to_dict(), "unit_amount_decimal": str(price.unit_amount_decimal)}

    assert_shows(shown, expected("cat-price-decimal"))


@covers("cat-price-tiered")
def test_a_tiered_price_hides_its_tiers_until_expanded(
    client: stripe.StripeClient, product: stripe.Product
) -> None:
    asked = dict(given("cat-price-tiered"))
    interval = asked.pop("interval")
    params = {"product": product.id, "currency": "usd", "recurring": {"interval": interval}, **asked}
    price = client.v1.prices.create(params)
    expanded = client.v1.prices.retrieve(price.id, {"expand": ["tiers"]})

    assert_shows(price.to_dict(), expected("cat-price-tiered"))
    assert [(tier.up_to, tier.unit_amount) for tier in expanded.tiers] == [(5, 500), (None, 400)]


@covers("cat-lookup-key-transfer")
def test_a_lookup_key_moves_to_the_new_price(client: stripe.StripeClient, product: stripe.Product) -> None:
    params = {"product": product.id, "currency": "usd", "unit_amount": 100, "lookup_key": "s07-key"}
    old = client.v1.prices.create(params)
    new = client.v1.prices.create({**params, "transfer_lookup_key": True})
    want = expected("cat-lookup-key-transfer")

    assert new.lookup_key == want["new_price_lookup_key"]
    assert client.v1.prices.retrieve(old.id).lookup_key == want["old_price_lookup_key"]


@covers("list-deleted-customer-stub")
def test_a_deleted_customer_is_a_stub(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Short-lived"})
    client.v1.customers.delete(customer.id)
    stub = client.v1.customers.retrieve(customer.id)

    assert sorted(stub.to_dict()) == sorted(expected("list-deleted-customer-stub")["body_keys_exactly"])
    assert stub.deleted is True


@covers("list-limit-zero")
def test_a_limit_of_zero_gives_the_newest_row(client: stripe.StripeClient) -> None:
    want = expected("list-limit-zero")
    made = [client.v1.customers.create({"name": str(number)}) for number in range(101)]
    page = client.v1.customers.list({"limit": 0})

    assert [row.id for row in page.data] == [made[-1].id]
    assert (len(page.data), page.has_more) == (want["count"], want["has_more"])


@covers("idem-same-key-same-params", "err-idempotency-mismatch")
def test_a_payment_is_taken_once_per_key(client: stripe.StripeClient) -> None:
    want = expected("idem-same-key-same-params")
    params = {"amount": 4900, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    params["automatic_payment_methods"] = {"enabled": True, "allow_redirects": "never"}
    key = {"idempotency_key": "attempt-1:pay"}
    first = client.v1.payment_intents.create(params, key)
    second = client.v1.payment_intents.create(params, key)

    assert (second.id == first.id) is want["same_id"]
    assert (second.status, second.amount_received) == (want["status"], want["amount_received"])
    assert len(client.v1.payment_intents.list().data) == 1
    assert_refused_as_recorded(
        "err-idempotency-mismatch",
        lambda: client.v1.payment_intents.create({**params, "amount": 5000}, key),
        key="attempt-1:pay",
    )


@covers("event-customer-updated")
def test_an_update_event_tells_what_changed(client: stripe.StripeClient) -> None:
    want = expected("event-customer-updated")
    before = given("event-customer-updated")["before"]
    customer = client.v1.customers.create(before)
    client.v1.customers.update(customer.id, {"name": "After", "email": "probe-events-2@stripeapi.invalid"})
    event = client.v1.events.list({"limit": 1}).data[0]

    assert event.type == want["type"]
    assert event.data.previous_attributes.to_dict() == want["previous_attributes"]
    assert event.data.object["name"] == want["data_object_name"]
    assert event.pending_webhooks == want["pending_webhooks"]
    assert event.request.idempotency_key
    assert event.api_version == "2026-10-28.endive"  # the version this sandbox speaks


@covers("event-metadata-previous-null")
def test_a_new_metadata_key_was_null_before(client: stripe.StripeClient) -> None:
    want = expected("event-metadata-previous-null")
    product = client.v1.products.create({"name": "Seeded", "metadata": {"seed": "1"}})
    after = client.v1.products.update(product.id, {"description": "d", "metadata": {"a": "1"}})
    event = client.v1.events.list({"limit": 1}).data[0]

    assert event.type == want["type"]
    assert event.data.previous_attributes.to_dict() == want["previous_attributes"]
    assert after.metadata.to_dict() == want["metadata_after"]


@covers("event-product-deleted-flips-active")
def test_deletion_events_show_the_last_object_switched_off(
    client: stripe.StripeClient, product: stripe.Product, coupon: stripe.Coupon
) -> None:
    want = expected("event-product-deleted-flips-active")
    client.v1.products.delete(product.id)
    client.v1.coupons.delete(coupon.id)
    coupon_event, product_event = client.v1.events.list({"limit": 2}).data

    assert product_event.type == want["product_deleted"]["type"]
    assert product_event.data.object["active"] is want["product_deleted"]["active"]
    assert coupon_event.type == want["coupon_deleted"]["type"]
    assert coupon_event.data.object["valid"] is want["coupon_deleted"]["valid"]
