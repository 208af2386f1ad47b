"""Why a bill differs from the one before: the parts add up to the cent, whatever the bills are."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing.difference import LICENSED, METERED, ONCE, Bill, BillLine, Part, difference
from portal.pricing.errors import PricingError

AMOUNTS = st.integers(-(10**9), 10**9)
LINES = st.builds(
    BillLine,
    key=st.sampled_from(["seat", "copilot", "proactive_support", "resolution", "setup"]),
    kind=st.sampled_from([LICENSED, METERED, ONCE]),
    amount=AMOUNTS,
    quantity=st.none() | st.integers(0, 10_000),
    unit_amount=st.none() | st.decimals(0, 10_000, places=4),
)
BILLS = st.builds(
    Bill,
    lines=st.lists(LINES, max_size=6).map(tuple),
    discount=AMOUNTS,
    tax=AMOUNTS,
    total=AMOUNTS,
    due=AMOUNTS,
    credits=AMOUNTS,
)


def seats(quantity: int, unit_amount: int, key: str = "seat") -> BillLine:
    return BillLine(key, LICENSED, quantity * unit_amount, quantity, Decimal(unit_amount))


def bill(*lines: BillLine, discount: int = 0, credits: int = 0, tax: int = 0, balance: int = 0) -> Bill:
    total = sum(line.amount for line in lines) - discount - credits + tax
    return Bill(lines, discount, tax, total, total + balance, credits)


@given(BILLS, BILLS)
def test_the_parts_add_up_to_the_difference(before: Bill, after: Bill) -> None:
    found = difference(before, after)

    assert sum(part.amount for part in found.parts) == after.due - before.due == found.amount


@given(BILLS)
def test_a_bill_does_not_differ_from_itself(one: Bill) -> None:
    assert difference(one, one).parts == ()


def test_seats_at_the_price_before_and_the_price_on_all_seats() -> None:
    found = difference(bill(seats(12, 9900)), bill(seats(15, 13900)))

    assert found.parts == (
        Part("seats", 29_700, "seat", 12, 15),
        Part("prices", 60_000, "seat"),
    )
    assert (found.before, found.after, found.amount) == (118_800, 208_500, 89_700)


def test_every_cause_has_its_part_in_a_fixed_order() -> None:
    before = bill(seats(10, 3900), seats(2, 3500, "copilot"), BillLine("resolution", METERED, 9_900), tax=100)
    after = bill(
        seats(10, 3900),
        BillLine("proactive_support", LICENSED, 9_900, 1, Decimal(9900)),
        BillLine("resolution", METERED, 4_950),
        BillLine("seat", ONCE, -1_300),
        discount=390,
        credits=990,
        tax=50,
        balance=-500,
    )

    assert difference(before, after).parts == (
        Part("add_ons", -7_000, "copilot", 2, 0),
        Part("add_ons", 9_900, "proactive_support", 0, 1),
        Part("usage", -4_950),
        Part("one_offs", -1_300),
        Part("discounts", -390),
        Part("credits", -990),
        Part("tax", -50),
        Part("balance", -500),
    )


def test_two_lines_of_one_key_tell_no_price() -> None:
    found = difference(bill(seats(2, 100), seats(3, 200)), bill(seats(5, 300)))

    assert found.parts == (Part("prices", 700, "seat"),)


def test_what_a_total_does_not_explain_is_told() -> None:
    found = difference(Bill((), 0, 0, 0, 0), Bill((), 0, 0, 3, 3))

    assert found.parts == (Part("rest", 3),)


def test_a_bill_is_of_whole_amounts() -> None:
    with pytest.raises(PricingError) as refused:
        Bill((), 0, 0, 1.5, 1)  # type: ignore[arg-type]

    assert refused.value.param == "total"
