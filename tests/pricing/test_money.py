"""Amounts are whole minor units with a currency, and are rounded in two ways only."""

from decimal import Decimal, getcontext, localcontext
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing import Money, PricingError, decimal_text
from portal.pricing.money import MAX_AMOUNT, line_amount, round_half_down, round_half_up


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        (1, 2, 1),
        (3, 2, 2),
        (49, 100, 0),
        (51, 100, 1),
        (0, 7, 0),
        (-1, 2, 0),
        (-3, 2, -1),
        (10**30 + 1, 2, 5 * 10**29 + 1),
    ],
)
def test_a_tie_of_a_line_is_rounded_up(numerator: int, denominator: int, expected: int) -> None:
    assert round_half_up(numerator, denominator) == expected


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        (-5, 2, -3),
        (9, 2, 4),
        (15, 2, 7),
        (-2000, 3, -667),
        (1000, 3, 333),
        (249999976, 10000, 25000),
        (0, 3, 0),
    ],
)
def test_a_tie_of_a_proration_is_rounded_toward_minus_infinity(
    numerator: int, denominator: int, expected: int
) -> None:
    assert round_half_down(numerator, denominator) == expected


@given(st.integers(), st.integers(1, 10**9))
def test_rounding_agrees_with_its_definition(numerator: int, denominator: int) -> None:
    exact, half = Fraction(numerator, denominator), Fraction(1, 2)

    assert round_half_up(numerator, denominator) == floor(exact + half)
    assert round_half_down(numerator, denominator) == ceil(exact - half)


@pytest.mark.parametrize(
    ("unit_amount", "quantity", "expected"),
    [("9900", 12, 118800), ("123.45", 1, 123), ("123.45", 10, 1235), ("0.5", 1, 1), ("0.000000000001", 1, 0)],
)
def test_a_line_is_quantity_times_unit_amount_rounded_once(
    unit_amount: str, quantity: int, expected: int
) -> None:
    assert line_amount(Decimal(unit_amount), quantity) == expected


def test_a_line_is_exact_whatever_the_decimal_context_of_the_thread() -> None:
    with localcontext() as context:
        context.prec = 1

        assert line_amount(Decimal("123.45"), 1000) == 123450
        assert getcontext().prec == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4.0", "4"),
        ("2.50", "2.5"),
        ("1E+3", "1000"),
        ("0.000001", "0.000001"),
        ("-0.0", "0"),
        ("100", "100"),
        ("-0", "0"),
    ],
)
def test_a_decimal_has_one_spelling(value: str, expected: str) -> None:
    assert decimal_text(Decimal(value)) == expected


def test_money_adds_subtracts_and_compares_within_a_currency() -> None:
    three, two = Money(300, "usd"), Money(200, "usd")

    assert three + two == Money(500, "usd")
    assert two - three == Money(-100, "usd")
    assert -three == Money(-300, "usd")
    assert two < three
    assert two <= Money(200, "usd")
    assert three > two
    assert not two < Money(200, "usd")
    assert not three <= two


@pytest.mark.parametrize("operation", ["__add__", "__sub__", "__lt__", "__le__"])
def test_two_currencies_never_mix(operation: str) -> None:
    dollars, euros = Money(100, "usd"), Money(100, "eur")

    with pytest.raises(PricingError, match="usd and eur cannot be added or compared") as caught:
        getattr(dollars, operation)(euros)

    assert caught.value.param == "currency"
    assert dollars != euros


@pytest.mark.parametrize(
    ("minor", "currency", "param"),
    [
        (True, "usd", "minor"),
        ("100", "usd", "minor"),
        (MAX_AMOUNT + 1, "usd", "minor"),
        (-MAX_AMOUNT - 1, "usd", "minor"),
        (100, "USD", "currency"),
        (100, "us", "currency"),
        (100, "u5d", "currency"),
        (100, "usä", "currency"),
        (100, "", "currency"),
        (100, None, "currency"),
    ],
)
def test_money_takes_whole_minor_units_and_a_currency_code(
    minor: object, currency: object, param: str
) -> None:
    with pytest.raises(PricingError) as caught:
        Money(minor, currency)  # type: ignore[arg-type]

    assert caught.value.param == param
