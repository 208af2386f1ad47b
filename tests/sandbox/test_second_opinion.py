"""Our prices against the sandbox's: two programs that share no code must agree to the cent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from portal.pricing import Discount, Selection, current_catalog, quote
from tests.sandbox.billing import BillingWorld

EXAMPLES = 40
CATALOG = current_catalog()


class Shop:
    """A sandbox that sells the current catalogue, as the portal pushes it."""

    def __init__(self) -> None:
        self.world = BillingWorld()
        self.products: dict[str, str] = {}
        self.prices: dict[str, str] = {}
        for price in CATALOG.lookup_keys():
            if price.usage_type == "licensed":
                self.prices[price.lookup_key] = self._price(price)

    def _price(self, price: Any) -> str:
        if price.product not in self.products:
            self.products[price.product] = self.world.v1.products.create({"name": price.product_name}).id
        made: Any = {
            "product": self.products[price.product],
            "currency": price.currency,
            "unit_amount": int(price.unit_amount),
            "recurring": {"interval": price.interval},
        }
        return self.world.v1.prices.create(made).id

    def coupon(self, discount: Discount) -> dict[str, str]:
        """A coupon for one purchase, on seats and add-ons."""
        if discount.percent_off is not None:
            terms: Any = {"percent_off": float(discount.percent_off)}
        else:
            terms = {"amount_off": discount.amount_off, "currency": "usd"}
        scope = {"products": list(self.products.values())}
        return {"coupon": self.world.v1.coupons.create({**terms, "duration": "once", "applies_to": scope}).id}

    def preview(self, selection: Selection, discounts: list[Discount]) -> Any:
        """What the sandbox would bill for the selection."""
        keys = {"seat": f"seat:{selection.tier}", **{key: key for key in selection.add_ons}}
        quantities = {"seat": selection.seats, **selection.add_ons}
        items = [
            {
                "price": self.prices[f"{CATALOG.version}:{name}:{selection.interval}"],
                "quantity": quantities[key],
                "discounts": [self.coupon(one) for one in discounts if one.line == key],
            }
            for key, name in keys.items()
            if quantities[key]
        ]
        order = [self.coupon(one) for one in discounts if one.line is None]
        params: Any = {
            "customer_details": {"address": {"country": "BR"}},
            "subscription_details": {"items": items},
            "discounts": order,
        }
        return self.world.v1.invoices.create_preview(params)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


percentages = some.decimals(Decimal("0.01"), 100, places=2)
terms = some.one_of(
    some.builds(lambda off: {"percent_off": off}, percentages),
    some.builds(lambda off: {"amount_off": off}, some.integers(1, 500_000)),
)


@some.composite
def purchases(draw: Any) -> tuple[Selection, list[Discount]]:
    seats = draw(some.integers(1, 60))
    add_ons = {"copilot": draw(some.integers(0, seats)), "proactive_support": draw(some.integers(0, 1))}
    add_ons = {key: count for key, count in add_ons.items() if count}
    selection = Selection(
        draw(some.sampled_from(list(CATALOG.tiers))),
        seats,
        draw(some.sampled_from(["month", "year"])),
        add_ons,
    )
    lines = [key for key in ("seat", *add_ons) if draw(some.booleans())]
    discounts = [Discount(key, **draw(terms)) for key in lines]
    order = [Discount(None, **draw(terms)) for _ in range(draw(some.integers(0, 2)))]
    return selection, discounts + order


@settings(max_examples=EXAMPLES, deadline=None)
@given(purchase=purchases())
def test_both_programs_ask_the_same_for_every_line(
    shop: Shop, purchase: tuple[Selection, list[Discount]]
) -> None:
    selection, discounts = purchase
    ours = quote(selection, catalog=CATALOG, discounts=discounts)
    theirs = shop.preview(selection, discounts)
    discounted = [sum(row.amount for row in line.discount_amounts or []) for line in theirs.lines.data]

    assert [line.amount for line in ours.lines] == [line.amount for line in theirs.lines.data]
    assert [line.discount for line in ours.lines] == discounted
    assert ours.total == theirs.total
