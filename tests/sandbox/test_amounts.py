"""What a quantity costs, and how money is written."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from portal.sandbox import amounts

GRADUATED: dict[str, Any] = {
    "billing_scheme": "tiered",
    "tiers_mode": "graduated",
    "_tiers": [
        {"up_to": 1000, "unit_amount_decimal": "4", "flat_amount": 250},
        {"up_to": None, "unit_amount_decimal": "2.5", "flat_amount": None},
    ],
}
VOLUME: dict[str, Any] = {**GRADUATED, "tiers_mode": "volume"}


@pytest.mark.parametrize(
    ("price", "quantity", "cost"),
    [
        (GRADUATED, 0, "0"),
        (GRADUATED, 1000, "4250"),
        (GRADUATED, 1200, "4750"),
        (VOLUME, 0, "0"),
        (VOLUME, 1000, "4250"),
        (VOLUME, 1200, "3000"),
        ({"unit_amount_decimal": "0.35"}, 3, "21/20"),
        ({"unit_amount": 500, "transform_quantity": {"divide_by": 10, "round": "up"}}, 11, "1000"),
        ({"unit_amount": 500, "transform_quantity": {"divide_by": 10, "round": "down"}}, 19, "500"),
    ],
)
def test_a_price_says_what_a_quantity_costs(price: dict[str, Any], quantity: int, cost: str) -> None:
    assert amounts.for_quantity(price, quantity) == Fraction(cost)


@pytest.mark.parametrize(("exact", "cents"), [("1.05", 1), ("1.5", 2), ("0.5", 1), ("-0.5", 0), ("-1.5", -1)])
def test_a_line_is_rounded_half_up(exact: str, cents: int) -> None:
    assert amounts.whole(Fraction(exact)) == cents


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (102_000, "usd", "$1,020.00"),
        (-334, "usd", "-$3.34"),
        ("0.35", "usd", "$0.0035"),
        ("99", "eur", "€0.99"),
        (1500, "jpy", "¥1,500"),
        (1500, "sek", "SEK 15.00"),
        (100_000_000, "usd", "$1,000,000.00"),
    ],
)
def test_money_is_written_as_stripe_writes_it(minor: int | str, currency: str, text: str) -> None:
    assert amounts.text(minor, currency) == text


@pytest.mark.parametrize(
    ("price", "product", "quantity", "text"),
    [
        ({"unit_amount": 1000}, {"name": "Seat"}, 3, "3 × Seat (at $10.00 / month)"),
        (
            {"unit_amount": 25_000},
            {"name": "Plan", "unit_label": "user"},
            1,
            "1 user × Plan (at $250.00 / month)",
        ),
        ({"billing_scheme": "tiered"}, {"name": "SMS"}, 7, "7 × SMS (Tiered / month)"),
    ],
)
def test_a_line_describes_quantity_price_and_interval(
    price: dict[str, Any], product: dict[str, Any], quantity: int, text: str
) -> None:
    recurring = {"interval": "month", "interval_count": 1}

    assert (
        amounts.line_description({"currency": "usd", "recurring": recurring, **price}, product, quantity)
        == text
    )


def test_an_interval_of_several_months_is_written_out() -> None:
    assert amounts.recurrence({"interval": "month", "interval_count": 3}) == "3 months"
