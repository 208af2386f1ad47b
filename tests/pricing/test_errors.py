"""Errors carry the path of their culprit, also when seen from an input that holds it."""

import pytest

from portal.pricing import PricingError
from portal.pricing.checks import shown
from portal.pricing.errors import inside


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        ("discounts[0]", "percent_off", "discounts[0][percent_off]"),
        ("before", "period[end]", "before[period][end]"),
        ("usage[sms]", "bands[1][up_to]", "usage[sms][bands][1][up_to]"),
        ("selection", None, "selection"),
        ("", "seats", "seats"),
        ("", None, ""),
    ],
)
def test_a_fault_seen_from_outside_has_a_longer_path(outer: str, inner: str | None, expected: str) -> None:
    error = PricingError("Something is wrong.", inner).within(outer)

    assert (error.message, error.param, str(error)) == (
        "Something is wrong.",
        expected,
        "Something is wrong.",
    )


def test_a_block_puts_its_place_in_front_of_what_goes_wrong_in_it() -> None:
    with pytest.raises(PricingError) as caught, inside("items[3]"):
        raise PricingError("Something is wrong.", "quantity")

    assert caught.value.param == "items[3][quantity]"


def test_a_block_leaves_other_errors_alone() -> None:
    with pytest.raises(KeyError), inside("items[3]"):
        raise KeyError("quantity")


def test_an_error_is_a_value_error_for_those_who_expect_one() -> None:
    with pytest.raises(ValueError, match="Something is wrong"):
        raise PricingError("Something is wrong.")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (12, "12"),
        (10**40, "a number of more than 40 digits"),
        (-(10**4000), "a number of more than 40 digits"),
        ({}, "an object"),
        ([1], "a list"),
        ((1,), "a list"),
        ("ten", "'ten'"),
        ("caf\u00e9", "'caf\\xe9'"),
        ("x" * 38, "'" + "x" * 38 + "'"),
        ("x" * 50, "'" + "x" * 38 + "\u2026"),
    ],
)
def test_a_message_quotes_a_value_as_json_spells_it_and_not_at_length(value: object, expected: str) -> None:
    assert shown(value) == expected
