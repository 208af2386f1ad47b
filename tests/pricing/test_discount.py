"""Discounts: per line and per order, the line's first, never below zero."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing import Discount, PricingError
from portal.pricing.discount import MAX_AMOUNT_OFF, deduct, spread
from tests.pricing.strategies import discounts

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())["discounts"]


def taken(amounts: dict[str, int], *given_discounts: Discount) -> dict[str, int]:
    """What all discounts together take off each line."""
    return {
        key: sum(reason.result for reason in reasons)
        for key, reasons in deduct(amounts, given_discounts).items()
    }


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["name"])
def test_a_recorded_discount_comes_out_to_the_cent(case: dict[str, object]) -> None:
    amount, percent_off = case["amount"], Decimal(str(case["percent_off"]))
    assert isinstance(amount, int)

    off = taken({"seat": amount}, Discount("seat", percent_off))["seat"]

    assert off == case["discount"]
    assert amount - off == case["total"]


def test_the_line_discount_comes_first_and_the_order_discount_shares_out_what_is_left() -> None:
    amounts = {"seat": 118_800, "copilot": 17_500, "proactive_support": 9900}

    assert taken(amounts, Discount("seat", Decimal(10)), Discount(None, amount_off=500)) == {
        "seat": 12_278,
        "copilot": 65,
        "proactive_support": 37,
    }


def test_the_order_in_which_line_and_order_discounts_are_given_makes_no_difference() -> None:
    amounts = {"seat": 118_800, "copilot": 17_500, "proactive_support": 9900}
    line, order = Discount("seat", Decimal(10)), Discount(None, amount_off=500)

    assert deduct(amounts, [order, line]) == deduct(amounts, [line, order])


def test_several_discounts_of_a_line_apply_one_after_the_other() -> None:
    ten, five_dollars = Discount("seat", Decimal(10)), Discount("seat", amount_off=500)

    assert taken({"seat": 10_000}, ten, five_dollars) == {"seat": 1500}
    assert taken({"seat": 10_000}, five_dollars, ten) == {"seat": 1450}
    assert taken({"seat": 10_000}, ten, ten) == {"seat": 1900}


@pytest.mark.parametrize(
    ("amount", "percent_off", "expected"),
    [
        (9905, "10", 991),
        (9904, "10", 990),
        (1, "50", 1),
        (1, "49.99", 0),
        (3900, "22.5", 878),
        (100, "100", 100),
    ],
)
def test_a_percentage_is_rounded_to_the_nearest_cent_and_a_tie_up(
    amount: int, percent_off: str, expected: int
) -> None:
    assert taken({"seat": amount}, Discount("seat", Decimal(percent_off))) == {"seat": expected}


def test_a_percentage_of_the_order_is_rounded_on_each_line_alone() -> None:
    assert taken({"seat": 5, "copilot": 5, "proactive_support": 5}, Discount(None, Decimal(10))) == {
        "seat": 1,
        "copilot": 1,
        "proactive_support": 1,
    }


def test_five_dollars_over_ten_and_twenty_are_166_and_334() -> None:
    assert spread(500, [1000, 2000]) == [166, 334]


@pytest.mark.parametrize(
    ("amount", "over", "expected"),
    [
        (0, [100, 100], [0, 0]),
        (500, [0, 0], [0, 0]),
        (500, [], []),
        (100, [1, 1, 1], [1, 1, 1]),
        (1, [1, 1, 1], [0, 0, 1]),
        (200, [100, 100, 1], [99, 100, 1]),
        (31, [10, 10, 10, 2], [9, 10, 10, 2]),
        (10, [100, 100, 0], [5, 5, 0]),
        (1, [7, 0], [1, 0]),
    ],
)
def test_shares_are_floored_the_rest_goes_to_the_last_and_none_exceeds_its_line(
    amount: int, over: list[int], expected: list[int]
) -> None:
    assert spread(amount, over) == expected


@given(st.integers(0, 10**7), st.lists(st.integers(0, 10**6), min_size=1, max_size=6))
def test_shares_add_up_and_stay_within_their_lines(amount: int, over: list[int]) -> None:
    shares = spread(amount, over)

    assert sum(shares) == min(amount, sum(over))
    assert all(0 <= share <= part for share, part in zip(shares, over, strict=True))


@given(
    st.lists(st.integers(0, 10**7), min_size=3, max_size=3),
    discounts(lines=("seat", "copilot", "proactive_support")),
)
def test_no_line_falls_below_zero(amounts: list[int], given_discounts: tuple[Discount, ...]) -> None:
    lines = dict(zip(("seat", "copilot", "proactive_support"), amounts, strict=True))

    off = taken(lines, *given_discounts)

    assert all(0 <= off[key] <= lines[key] for key in lines)


def test_an_amount_above_the_line_takes_all_of_it_and_no_more() -> None:
    assert taken({"seat": 3900, "copilot": 3500}, Discount("seat", amount_off=10_000)) == {
        "seat": 3900,
        "copilot": 0,
    }


def test_an_amount_above_the_order_takes_all_of_it_and_no_more() -> None:
    assert taken({"seat": 3900, "copilot": 3500}, Discount(None, amount_off=10_000)) == {
        "seat": 3900,
        "copilot": 3500,
    }


def test_reasons_name_rule_and_inputs() -> None:
    amounts = {"seat": 10_000, "copilot": 2000}
    reasons = deduct(
        amounts,
        [
            Discount("seat", Decimal(10)),
            Discount("seat", amount_off=500),
            Discount(None, Decimal("2.5")),
            Discount(None, amount_off=100),
        ],
    )["seat"]

    assert [(each.rule, each.result) for each in reasons] == [
        ("line_percent", 1000),
        ("line_amount", 500),
        ("order_percent", 213),
        ("order_amount", 80),
    ]
    assert [reason.formula for reason in reasons] == [
        "amount × percent_off ÷ 100",
        "min(amount_off, amount)",
        "amount × percent_off ÷ 100",
        "min(amount_off, order) × amount ÷ order, rounded down, the rest to the last line",
    ]
    assert [[(each.name, each.value) for each in reason.inputs] for reason in reasons] == [
        [("amount", 10_000), ("percent_off", Decimal(10))],
        [("amount_off", 500), ("amount", 9000)],
        [("amount", 8500), ("percent_off", Decimal("2.5"))],
        [("amount_off", 100), ("amount", 8287), ("order", 10_237)],
    ]


@pytest.mark.parametrize(
    ("line", "percent_off", "amount_off", "param"),
    [
        ("seat", None, None, "percent_off"),
        ("seat", Decimal(10), 500, "percent_off"),
        ("seat", Decimal(0), None, "percent_off"),
        ("seat", Decimal(-1), None, "percent_off"),
        ("seat", Decimal("100.01"), None, "percent_off"),
        ("seat", Decimal("NaN"), None, "percent_off"),
        ("seat", Decimal("10.0000000000001"), None, "percent_off"),
        ("seat", 10, None, "percent_off"),
        ("seat", None, 0, "amount_off"),
        ("seat", None, -500, "amount_off"),
        ("seat", None, True, "amount_off"),
        ("seat", None, Decimal(500), "amount_off"),
        ("seat", None, MAX_AMOUNT_OFF + 1, "amount_off"),
        ("", Decimal(10), None, "line"),
        (7, Decimal(10), None, "line"),
    ],
)
def test_a_discount_is_one_percentage_or_one_amount(
    line: str | None, percent_off: Decimal | None, amount_off: int | None, param: str
) -> None:
    with pytest.raises(PricingError) as caught:
        Discount(line, percent_off, amount_off)

    assert caught.value.param == param


@pytest.mark.parametrize("line", ["copilot", "resolution", "nonsense"])
def test_a_discount_on_a_line_that_is_not_there_is_refused_not_lost(line: str) -> None:
    with pytest.raises(PricingError, match="This quote has seat") as caught:
        deduct({"seat": 100}, [Discount("seat", Decimal(10)), Discount(line, Decimal(10))])

    assert caught.value.param == "discounts[1][line]"
