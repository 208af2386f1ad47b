"""Proration equals what real Stripe put on its invoices, to the cent."""

import json
from decimal import Decimal
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing import BilledItem, PricingError, prorate
from portal.pricing.proration import MAX_ITEM_QUANTITY, MAX_TIME
from tests.pricing.strategies import billed_items

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text())["prorations"]
MONTH = 2_592_000  # thirty days, the length of the recorded months
DOLLAR = BilledItem(Decimal(100), 1)


def billed(side: dict[str, Any] | None) -> BilledItem | None:
    """A side of a recorded case."""
    return None if side is None else BilledItem(**(side | {"unit_amount": Decimal(side["unit_amount"])}))


def amounts(before: BilledItem | None, after: BilledItem | None, *, seconds_left: int) -> list[int]:
    """The amounts of a change with so much of a thirty-day month left."""
    proration = prorate(before, after, period_start=0, period_end=MONTH, at=MONTH - seconds_left)
    return [line.amount for line in proration.lines]


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["name"])
def test_a_recorded_change_comes_out_to_the_cent(case: dict[str, Any]) -> None:
    proration = prorate(
        billed(case["before"]),
        billed(case["after"]),
        period_start=case["period_start"],
        period_end=case["period_end"],
        at=case["at"],
    )

    assert [
        [line.amount, line.quantity, line.period_start, line.period_end] for line in proration.lines
    ] == case["lines"]
    assert proration.total == case["total"]


def test_a_change_of_quantity_credits_the_whole_old_item_and_charges_the_whole_new_one() -> None:
    """Recorded at Stripe: from 1 to 3 with 1/400 left gives -3 and 7, where the difference would be 5."""
    one, three = BilledItem(Decimal(1000), 1), BilledItem(Decimal(1000), 3)

    assert amounts(one, three, seconds_left=MONTH // 400) == [-3, 7]


def test_a_fraction_just_below_a_cent_is_rounded_to_the_nearest_not_down() -> None:
    """Recorded at Stripe: 24999.9976 was charged as 25000."""
    assert amounts(None, BilledItem(Decimal(25_000), 1), seconds_left=MONTH - 1) == [25_000]


def test_an_item_added_is_charged_and_an_item_removed_is_credited() -> None:
    seats = BilledItem(Decimal(9900), 2)

    assert amounts(None, seats, seconds_left=MONTH // 2) == [9900]
    assert amounts(seats, None, seconds_left=MONTH // 2) == [-9900]


def test_all_is_charged_at_the_start_of_the_period_and_nothing_at_its_end() -> None:
    assert amounts(DOLLAR, DOLLAR, seconds_left=MONTH) == [-100, 100]
    assert amounts(DOLLAR, DOLLAR, seconds_left=0) == [0, 0]


def test_unit_amounts_may_be_fractions_of_a_cent() -> None:
    assert amounts(None, BilledItem(Decimal("123.45"), 10), seconds_left=MONTH) == [1234]


def test_each_line_says_how_it_came_about() -> None:
    proration = prorate(
        BilledItem(Decimal(1000), 2),
        BilledItem(Decimal(1800), 3),
        period_start=1000,
        period_end=1400,
        at=1300,
    )

    assert [line.trace[0].rule for line in proration.lines] == ["proration_credit", "proration_debit"]
    assert [line.trace[0].formula for line in proration.lines] == [
        "-(quantity × unit_amount × seconds_left ÷ seconds_in_period)",
        "quantity × unit_amount × seconds_left ÷ seconds_in_period",
    ]
    assert [(each.name, each.value, each.kind) for each in proration.lines[1].trace[0].inputs] == [
        ("quantity", 3, "units"),
        ("unit_amount", Decimal(1800), "rate"),
        ("seconds_left", 100, "seconds"),
        ("seconds_in_period", 400, "seconds"),
    ]
    assert [line.trace[0].result for line in proration.lines] == [-500, 1350]
    assert proration.lines[0].as_dict() == {
        "amount": -500,
        "quantity": 2,
        "period_start": 1300,
        "period_end": 1400,
    }
    assert "trace" not in proration.as_dict()["lines"][0]  # type: ignore[index]


@given(billed_items, billed_items, st.integers(1, 10**8), st.data())
def test_lines_are_exact_shares_rounded_alone_and_sum_to_the_total(
    before: BilledItem, after: BilledItem, length: int, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, length))
    share = Fraction(length - at, length)

    proration = prorate(before, after, period_start=0, period_end=length, at=at)

    exact = [-share * Fraction(before.unit_amount) * before.quantity]
    exact.append(share * Fraction(after.unit_amount) * after.quantity)
    assert [line.amount for line in proration.lines] == [ceil(each - Fraction(1, 2)) for each in exact]
    assert proration.total == sum(line.amount for line in proration.lines)


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"period_start": 100, "period_end": 100, "at": 100}, "period_end"),
        ({"period_start": 100, "period_end": 99, "at": 100}, "period_end"),
        ({"period_start": 100, "period_end": 200, "at": 99}, "at"),
        ({"period_start": 100, "period_end": 200, "at": 201}, "at"),
        ({"period_start": -1, "period_end": 200, "at": 150}, "period_start"),
        ({"period_start": True, "period_end": 200, "at": 150}, "period_start"),
        ({"period_start": 100, "period_end": MAX_TIME + 1, "at": 150}, "period_end"),
        ({"period_start": 100, "period_end": 200, "at": True}, "at"),
        ({"period_start": 100, "period_end": 200, "at": "150"}, "at"),
    ],
)
def test_the_moment_lies_in_a_period_that_ends_after_it_starts(arguments: dict[str, Any], param: str) -> None:
    with pytest.raises(PricingError) as caught:
        prorate(DOLLAR, DOLLAR, **arguments)

    assert caught.value.param == param


def test_the_moment_lies_in_the_new_sides_own_period_too() -> None:
    later = BilledItem(Decimal(100), 1, period_start=160, period_end=300)

    with pytest.raises(PricingError, match="the period of after, from 160 to 300, not 150") as caught:
        prorate(DOLLAR, later, period_start=100, period_end=200, at=150)

    assert caught.value.param == "at"


def test_a_change_from_nothing_to_nothing_is_refused() -> None:
    with pytest.raises(PricingError) as caught:
        prorate(None, None, period_start=0, period_end=1, at=0)

    assert caught.value.param == "before"


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"unit_amount": Decimal(-1), "quantity": 1}, "unit_amount"),
        ({"unit_amount": 1000, "quantity": 1}, "unit_amount"),
        ({"unit_amount": Decimal(1), "quantity": -1}, "quantity"),
        ({"unit_amount": Decimal(1), "quantity": MAX_ITEM_QUANTITY + 1}, "quantity"),
        ({"unit_amount": Decimal(1), "quantity": 1, "period_start": 5}, "period_end"),
        ({"unit_amount": Decimal(1), "quantity": 1, "period_end": 5}, "period_start"),
        ({"unit_amount": Decimal(1), "quantity": 1, "period_start": 5, "period_end": 5}, "period_end"),
    ],
)
def test_a_billed_item_is_checked_when_it_is_made(arguments: dict[str, Any], param: str) -> None:
    with pytest.raises(PricingError) as caught:
        BilledItem(**arguments)

    assert caught.value.param == param


def test_the_two_ends_of_an_own_period_come_together() -> None:
    with pytest.raises(PricingError, match="period_start and period_end come together"):
        BilledItem(Decimal(1), 1, period_start=5)
