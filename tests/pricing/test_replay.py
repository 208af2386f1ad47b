"""What would have been paid under another catalogue, month by month, and where it cannot be told."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing import (
    Catalog,
    Discount,
    Month,
    Part,
    PricingError,
    Selection,
    catalog,
    current_catalog,
    quote,
    replay,
)
from portal.pricing.replay import MAX_CHANGES, MAX_MONTHS, cheapest_tier
from tests.pricing.strategies import priced

CURRENT = catalog("2026-11")
HALF = {"seconds": 1_296_000, "of": 2_592_000}


def month(**change: Any) -> Month:
    """Ten seats of Pro at 74 dollars and 500 resolutions at 1.90, as the catalogue of May 2023 has it."""
    usual: dict[str, Any] = {
        "period": "2026-10",
        "seats": 10,
        "tier": "pro",
        "interval": "month",
        "add_ons": {},
        "usage": {"resolution": 500},
        "paid": 74_000,
        "usage_paid": 95_000,
    }
    return Month(**(usual | change))


def test_a_tier_that_is_not_sold_is_replaced_by_the_cheapest_and_named() -> None:
    found = replay([month()], catalog=CURRENT)

    assert dict(found.replaced) == {"pro": "essential"}
    # 10 × 39.00 and 500 × 0.99
    assert (found.own, found.cost, found.difference) == (169_000, 39_000 + 49_500, -80_500)


def test_the_caller_chooses_the_tier() -> None:
    found = replay([month()], catalog=CURRENT, tier="advanced")

    assert dict(found.replaced) == {"pro": "advanced"}
    assert (found.cost, found.difference) == (99_000 + 49_500, -20_500)


def test_a_tier_that_is_sold_is_kept_unless_another_is_chosen() -> None:
    kept = replay([month(tier="expert")], catalog=CURRENT)
    chosen = replay([month(tier="expert")], catalog=CURRENT, tier="essential")

    assert (kept.cost, dict(kept.replaced)) == (139_000 + 49_500, {})
    assert (chosen.cost, dict(chosen.replaced)) == (39_000 + 49_500, {})
    assert dict(chosen.months[0].tiers) == {"expert": "essential"}


@pytest.mark.parametrize(
    ("lite_seats", "expected"),
    [(0, "essential"), (1, "advanced"), (20, "advanced"), (21, "expert"), (50, "expert"), (51, "expert")],
)
def test_the_cheapest_tier_holds_the_lite_seats_that_are_used(lite_seats: int, expected: str) -> None:
    assert cheapest_tier(CURRENT, lite_seats=lite_seats) == expected
    assert dict(replay([month()], catalog=CURRENT, lite_seats=lite_seats).replaced) == {"pro": expected}


def test_paying_by_the_year_counts_a_twelfth_each_month() -> None:
    [line] = replay([month()], catalog=CURRENT, interval="year").months[0].lines

    # 10 × 348.00 a year
    assert (line.total, line.interval, line.trace[0].rule) == (29_000, "year", "month_of_year")
    assert line.trace[0].formula == "quantity × unit_amount ÷ 12"


def test_an_interval_that_is_not_sold_becomes_the_one_that_is() -> None:
    found = replay([month(interval="year", paid=61_000)], catalog=catalog("2023-05"))

    assert (found.months[0].interval, found.cost) == ("month", 169_000)


def test_what_came_or_went_within_the_month_counts_by_its_seconds() -> None:
    """Ten seats become fifteen in the middle of the month, as the invoice tells it: back, and anew."""
    changes = (Part("seat", 10, -HALF["seconds"], HALF["of"]), Part("seat", 15, **HALF))
    [line] = replay([month(changes=changes)], catalog=CURRENT, tier="advanced").months[0].lines

    assert line.quantity == 10
    assert [reason.result for reason in line.trace] == [99_000, -49_500, 74_250]
    assert line.total == 123_750


def test_a_change_of_tier_within_the_month_is_told_for_each() -> None:
    changes = (
        Part("seat", 10, -HALF["seconds"], HALF["of"], "essential"),
        Part("seat", 10, **HALF, tier="expert"),
    )
    found = replay([month(tier="essential", changes=changes)], catalog=CURRENT).months[0]

    assert [(line.description, line.quantity, line.total) for line in found.lines] == [
        ("Essential seat", 10, 19_500),
        ("Expert seat", 0, 69_500),
    ]


def test_add_ons_and_usage_are_priced_as_the_catalogue_has_them() -> None:
    usage = {"resolution": 100, "proactive_message": 2_600, "sms": 0}
    add_ons = {"copilot": 4, "proactive_support": 1}
    found = replay([month(tier="advanced", add_ons=add_ons, usage=usage)], catalog=CURRENT).months[0]

    assert [(line.key, line.total) for line in found.lines] == [
        ("seat", 99_000),
        ("copilot", 14_000),
        ("proactive_support", 9_900),
    ]
    assert [(line.key, line.amount) for line in found.usage] == [
        ("resolution", 9_900),
        ("proactive_message", 16_500),
    ]


def test_what_the_catalogue_does_not_sell_is_named_and_not_reckoned() -> None:
    had = month(
        tier="advanced",
        add_ons={"copilot": 3, "jetpack": 1, "unused": 0},
        usage={"resolution": 500, "fax": 9, "proactive_message": 10},
        changes=(Part("jetpack", 1, **HALF),),
    )
    now = replay([had], catalog=CURRENT).months[0]
    then = replay([had], catalog=catalog("2023-05")).months[0]

    # messages are sold with their add-on, which was not had
    assert now.not_sold == ("jetpack", "fax", "proactive_message")
    assert then.not_sold == ("copilot", "jetpack", "fax", "proactive_message")
    assert then.cost == 74_000 + 95_000


def test_discounts_that_a_move_keeps_are_taken_off() -> None:
    discounts = (
        Discount("seat", percent_off=Decimal(10)),
        Discount("copilot", percent_off=Decimal(50)),
        Discount(None, amount_off=1_000),
    )
    [line] = replay([month(discounts=discounts)], catalog=CURRENT, tier="advanced").months[0].lines

    # the one on Copilot has no line to be on
    assert (line.amount, line.discount, line.total) == (99_000, 10_900, 88_100)


def test_a_discount_is_taken_once_in_a_month_of_two_tiers_and_never_from_what_goes_back() -> None:
    ten = (Discount("seat", percent_off=Decimal(10)), Discount("copilot", percent_off=Decimal(10)))
    changes = (
        Part("seat", 10, -HALF["seconds"], HALF["of"], "essential"),
        Part("seat", 10, **HALF, tier="expert"),
        Part("copilot", 2, -HALF["seconds"], HALF["of"]),
    )
    found = replay([month(tier="essential", changes=changes, discounts=ten)], catalog=CURRENT).months[0]

    assert [(line.amount, line.discount) for line in found.lines] == [
        (19_500, 8_900),
        (69_500, 0),
        (-3_500, 0),
    ]


def test_the_best_and_the_worst_month_are_found() -> None:
    quiet = month(period="2026-08", usage={"resolution": 10}, usage_paid=1_900)
    busy = month(period="2026-09", usage={"resolution": 1_000}, usage_paid=190_000)
    found = replay([quiet, busy, month()], catalog=CURRENT, tier="advanced")

    assert [each.difference for each in found.months] == [99_990 - 75_900, 198_000 - 264_000, -20_500]
    assert (found.best, found.worst) == (found.months[1], found.months[0])
    assert found.difference == -62_410


def test_without_months_there_is_nothing_to_tell() -> None:
    found = replay([], catalog=CURRENT)

    assert (found.own, found.cost, found.best, found.worst) == (0, 0, None, None)
    assert found.as_dict()["best"] is None


def test_a_month_without_seats_has_its_usage_only() -> None:
    [found] = replay([month(seats=0, paid=0)], catalog=CURRENT).months

    assert (found.lines, found.cost, dict(found.tiers)) == ((), 49_500, {})


def test_a_replay_can_be_written_as_json_with_its_reasons() -> None:
    told: Any = replay([month()], catalog=CURRENT).as_dict(explain=True)
    [only] = told["months"]

    assert (told["catalog"], told["best"], told["worst"]) == ("2026-11", "2026-10", "2026-10")
    assert (only["own"], only["cost"], only["difference"]) == (169_000, 88_500, -80_500)
    assert only["lines"][0]["trace"][0]["inputs"] == {"quantity": 10, "unit_amount": "3900"}
    assert only["usage"][0]["trace"][0]["inputs"] == {"quantity": 500, "unit_amount": "99"}


@pytest.mark.parametrize(
    ("make", "param"),
    [
        (lambda: month(period=""), "period"),
        (lambda: month(seats=-1), "seats"),
        (lambda: month(tier=""), "tier"),
        (lambda: month(interval="week"), "interval"),
        (lambda: month(add_ons={"copilot": -1}), "add_ons[copilot]"),
        (lambda: month(usage={"resolution": 1.5}), "usage[resolution]"),
        (lambda: month(paid="1"), "paid"),
        (lambda: month(usage_paid=None), "usage_paid"),
        (lambda: month(changes=(Part("seat", 1, 1, 2),) * (MAX_CHANGES + 1)), "changes"),
        (lambda: Part("", 1, 1, 1), "key"),
        (lambda: Part("seat", -1, 1, 1), "quantity"),
        (lambda: Part("seat", 1, 0, 0), "of"),
        (lambda: Part("seat", 1, 3, 2), "seconds"),
        (lambda: Part("seat", 1, -3, 2), "seconds"),
        (lambda: replay([month()] * (MAX_MONTHS + 1), catalog=CURRENT), "months"),
        (lambda: replay([], catalog=CURRENT, tier="pro"), "tier"),
        (lambda: replay([], catalog=catalog("2023-05"), interval="year"), "interval"),
        (lambda: replay([], catalog=CURRENT, lite_seats=-1), "lite_seats"),
    ],
)
def test_what_cannot_be_replayed_names_its_fault(make: Any, param: str) -> None:
    with pytest.raises(PricingError) as refused:
        make()

    assert refused.value.param == param


@given(priced())
def test_a_month_under_its_own_catalogue_costs_what_its_quote_says(sold: tuple[Catalog, Selection]) -> None:
    from_catalog, selection = sold
    monthly = Selection(selection.tier, selection.seats, "month", selection.add_ons, selection.usage)
    quoted = quote(monthly, catalog=from_catalog)
    had = Month(
        period="any",
        seats=monthly.seats,
        tier=monthly.tier,
        interval="month",
        add_ons=monthly.add_ons,
        usage=monthly.usage,
        paid=quoted.total,
        usage_paid=quoted.usage.total,
    )
    found = replay([had], catalog=from_catalog)

    assert (found.difference, found.months[0].not_sold) == (0, ())


@given(st.lists(priced(), max_size=12), st.sampled_from([None, "month", "year"]), st.integers(0, 10**7))
def test_months_add_up_and_lie_between_the_best_and_the_worst(
    sold: list[tuple[Catalog, Selection]], interval: str | None, paid: int
) -> None:
    months = [
        Month(str(position), each.seats, each.tier, each.interval, each.add_ons, each.usage, paid, 0)
        for position, (_, each) in enumerate(sold)
    ]
    found = replay(months, catalog=current_catalog(), interval=interval)

    assert found.difference == sum(each.difference for each in found.months) == found.cost - found.own
    for each in found.months:
        assert each.cost == sum(line.total for line in each.lines) + sum(line.amount for line in each.usage)
        assert found.best is not None
        assert found.worst is not None
        assert found.best.difference <= each.difference <= found.worst.difference


@given(st.integers(1, 500), st.integers(0, 2_592_000))
def test_parts_of_a_month_that_make_a_whole_cost_a_month_to_the_cent(seats: int, second: int) -> None:
    of = HALF["of"]
    parts = (Part("seat", seats, second, of), Part("seat", seats, of - second, of))
    [found] = replay([month(seats=0, changes=parts)], catalog=CURRENT, tier="advanced").months

    assert abs(found.lines[0].total - 9_900 * seats) <= 1
