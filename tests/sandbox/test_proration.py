"""Proration to the second; the figures of the first tests were recorded from Stripe."""

from fractions import Fraction

import pytest

from portal.sandbox import proration

START, END = 1790021304, 1792613304
ALMOST_OVER = 1792606824  # 1/400 of the period is left


@pytest.mark.parametrize(
    ("price", "amount"),
    [(-1000, -3), (1800, 4), (3000, 7), (-2000, -5)],
)
def test_a_tie_goes_toward_minus_infinity(price, amount):
    assert proration.rest(Fraction(price), start=START, end=END, at=ALMOST_OVER) == amount


def test_a_line_is_rounded_to_the_nearest_cent_not_down():
    line = proration.rest(Fraction(25000), start=1789921845, end=1821457845, at=1789921848)

    assert line == 25000


def test_a_third_of_a_month_is_rounded_line_by_line():
    start, end, at = 1790021314, 1792613314, 1791749314

    assert proration.rest(Fraction(-2000), start=start, end=end, at=at) == -667
    assert proration.rest(Fraction(1000), start=start, end=end, at=at) == 333


@pytest.mark.parametrize(("at", "amount"), [(START - 5, 1000), (END + 5, 0)])
def test_a_moment_outside_the_period_counts_as_its_nearer_edge(at, amount):
    assert proration.rest(Fraction(1000), start=START, end=END, at=at) == amount


def test_descriptions_name_the_quantity_only_above_one():
    assert proration.description("Unused", "Seat", 1, 1792606824) == "Unused time on Seat after 21 Oct 2026"
    assert (
        proration.description("Remaining", "Seat", 3, 1792606824)
        == "Remaining time on 3 × Seat after 21 Oct 2026"
    )
