"""Which coupons and promotion codes a customer may use, and how often."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal

DAY = 86_400


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def coupon(world: BillingWorld, **params: Any) -> stripe.Coupon:
    return world.v1.coupons.create({"percent_off": 10, "duration": "forever", **params})


def code(world: BillingWorld, **params: Any) -> stripe.PromotionCode:
    promotion: Any = {"type": "coupon", "coupon": coupon(world).id}
    return world.v1.promotion_codes.create({"promotion": promotion, **params})


def buy(world: BillingWorld, customer: stripe.Customer, **discount: str) -> stripe.Subscription:
    return world.subscribe(customer, world.price(10_000), discounts=[discount])


def test_using_a_code_counts_for_it_and_its_coupon(world: BillingWorld) -> None:
    used = code(world)
    subscription = buy(world, world.customer(), promotion_code=used.id)
    discount = world.v1.subscriptions.retrieve(subscription.id, {"expand": ["discounts"]}).discounts[0]

    assert world.v1.promotion_codes.retrieve(used.id).times_redeemed == 1
    assert world.v1.coupons.retrieve(str(used.promotion.coupon)).times_redeemed == 1
    assert (discount.promotion_code, discount.source.coupon) == (used.id, used.promotion.coupon)
    assert (discount.subscription, discount.end) == (subscription.id, None)
    assert "customer.discount.created" in world.event_types()


def test_a_code_is_used_up_by_its_last_redemption(world: BillingWorld) -> None:
    last = code(world, max_redemptions=1)
    buy(world, world.customer(), promotion_code=last.id)
    error = refusal(lambda: buy(world, world.customer(), promotion_code=last.id))

    assert world.v1.promotion_codes.retrieve(last.id).active is False
    assert (error.http_status, error.param) == (400, "discounts[0][promotion_code]")


def test_a_coupon_is_used_up_by_its_last_redemption(world: BillingWorld) -> None:
    last = coupon(world, max_redemptions=1)
    buy(world, world.customer(), coupon=last.id)
    error = refusal(lambda: buy(world, world.customer(), coupon=last.id))

    assert world.v1.coupons.retrieve(last.id).valid is False
    assert (error.code, error.param) == ("coupon_expired", "discounts[0][coupon]")


def test_codes_and_coupons_end_when_they_say(world: BillingWorld) -> None:
    by_code = code(world, expires_at=START + DAY)
    by_coupon = coupon(world, redeem_by=START + DAY)
    world.at(START + DAY)
    customer = world.customer()

    assert "no longer active" in str(
        refusal(lambda: buy(world, customer, promotion_code=by_code.id)).user_message
    )
    assert refusal(lambda: buy(world, customer, coupon=by_coupon.id)).code == "coupon_expired"


def test_a_code_can_belong_to_one_customer(world: BillingWorld) -> None:
    owner, other = world.customer(), world.customer()
    own = code(world, customer=owner.id)

    assert refusal(lambda: buy(world, other, promotion_code=own.id)).http_status == 400
    assert world.latest_invoice(buy(world, owner, promotion_code=own.id)).total == 9000


def test_a_code_for_first_purchases_is_refused_to_who_has_paid_before(world: BillingWorld) -> None:
    first = code(world, restrictions={"first_time_transaction": True})
    customer = world.customer()
    buy(world, customer, promotion_code=first.id)
    error = refusal(lambda: buy(world, customer, promotion_code=first.id))

    assert "prior transactions" in str(error.user_message)


def test_a_code_with_a_minimum_needs_that_much(world: BillingWorld) -> None:
    restrictions: Any = {"minimum_amount": 10_001, "minimum_amount_currency": "usd"}
    large = code(world, restrictions=restrictions)
    error = refusal(lambda: buy(world, world.customer(), promotion_code=large.id))

    assert "minimum amount" in str(error.user_message)


@pytest.mark.parametrize(
    ("discount", "param", "problem"),
    [
        ({"coupon": "NOPE"}, "discounts[0][coupon]", "resource_missing"),
        ({"promotion_code": "promo_nope"}, "discounts[0][promotion_code]", "resource_missing"),
        ({"discount": "di_nope"}, "discounts[0][discount]", "resource_missing"),
        ({"coupon": "A", "promotion_code": "B"}, "discounts[0]", None),
    ],
)
def test_an_unknown_discount_is_refused_by_its_place(
    world: BillingWorld, discount: dict[str, str], param: str, problem: str | None
) -> None:
    error = refusal(lambda: buy(world, world.customer(), **discount))

    assert (error.http_status, error.param, error.code) == (400, param, problem)


def test_a_coupon_for_one_product_leaves_the_others_alone(world: BillingWorld) -> None:
    seat, add_on = world.price(10_000), world.price(5000)
    product = str(world.v1.prices.retrieve(seat).product)
    scoped = coupon(world, applies_to={"products": [product]})
    subscription = world.subscribe(world.customer(), seat, add_on, discounts=[{"coupon": scoped.id}])
    lines = world.latest_invoice(subscription).lines.data

    assert [[row.amount for row in line.discount_amounts or []] for line in lines] == [[1000], []]


def test_an_amount_in_another_currency_needs_an_option_for_it(world: BillingWorld) -> None:
    plain: Any = {"amount_off": 500, "currency": "usd", "duration": "once"}
    only_dollars = world.v1.coupons.create(plain)
    both = world.v1.coupons.create({**plain, "currency_options": {"eur": {"amount_off": 400}}})
    price = world.price(10_000, currency="eur")
    error = refusal(lambda: world.subscribe(world.customer(), price, discounts=[{"coupon": only_dollars.id}]))
    subscription = world.subscribe(world.customer(), price, discounts=[{"coupon": both.id}])

    assert error.param == "discounts"
    assert world.latest_invoice(subscription).total == 9600


def test_a_discount_outlives_its_deleted_coupon(world: BillingWorld) -> None:
    gone = coupon(world)
    subscription = buy(world, world.customer(), coupon=gone.id)
    world.v1.coupons.delete(gone.id)
    world.sandbox.advance(seconds=31 * DAY)

    assert world.latest_invoice(subscription).total == 9000


def test_an_existing_discount_can_be_kept_in_an_update(world: BillingWorld) -> None:
    subscription = buy(world, world.customer(), coupon=coupon(world).id)
    five = coupon(world, percent_off=5)
    kept = [{"discount": str(subscription.discounts[0])}, {"coupon": five.id}]
    both = world.v1.subscriptions.update(subscription.id, {"discounts": kept})
    none = world.v1.subscriptions.update(subscription.id, {"discounts": ""})

    assert both.discounts[0] == subscription.discounts[0]
    assert len(both.discounts) == 2
    assert none.discounts == []
