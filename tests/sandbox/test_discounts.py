"""Discount arithmetic, amounts in cents."""

from fractions import Fraction

from portal.sandbox.discounts import Reduction, Row, take


def percent(value, **more):
    return Reduction("di_percent", percent_off=Fraction(value), **more)


def fixed(value, **more):
    return Reduction("di_fixed", amount_off=value, **more)


def test_an_amount_over_two_lines_is_rounded_down_and_the_last_takes_the_rest():
    taken = take([Row(1000), Row(2000)], [fixed(500)])

    assert taken == [[("di_fixed", 166)], [("di_fixed", 334)]]


def test_the_rest_goes_to_the_line_before_when_the_last_has_no_room():
    taken = take([Row(100), Row(100), Row(1)], [fixed(200)])

    assert taken == [[("di_fixed", 99)], [("di_fixed", 100)], [("di_fixed", 1)]]


def test_the_discount_of_a_line_comes_before_the_discount_of_the_order():
    rows = [Row(118_800, own=(percent(10),)), Row(17_500), Row(9_900)]

    taken = take(rows, [fixed(500)])

    assert taken == [[("di_percent", 11_880), ("di_fixed", 398)], [("di_fixed", 65)], [("di_fixed", 37)]]


def test_a_percentage_is_rounded_half_up_per_line():
    taken = take([Row(101), Row(103)], [percent(50)])

    assert taken == [[("di_percent", 51)], [("di_percent", 52)]]


def test_a_fractional_percentage_is_exact():
    assert take([Row(20_000)], [percent("22.5")]) == [[("di_percent", 4_500)]]


def test_two_percentages_apply_one_after_the_other():
    taken = take([Row(10_000)], [percent(50), percent(10)])

    assert taken == [[("di_percent", 5_000), ("di_percent", 500)]]


def test_a_discount_for_one_product_leaves_the_other_lines_alone():
    rows = [Row(1_000, product="prod_seat"), Row(1_000, product="prod_usage")]

    taken = take(rows, [percent(20, products=frozenset({"prod_seat"}))])

    assert taken == [[("di_percent", 200)], []]


def test_a_proration_is_not_discounted():
    assert take([Row(-500, discountable=False), Row(1_000)], [percent(10)]) == [[], [("di_percent", 100)]]


def test_an_amount_never_takes_more_than_there_is():
    assert take([Row(300), Row(100)], [fixed(500)]) == [[("di_fixed", 300)], [("di_fixed", 100)]]
    assert take([Row(0, own=(fixed(500),))], []) == [[("di_fixed", 0)]]
