"""Annual credits cost a percentage less than the customer's own price, and never more than a larger pack."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing import (
    Band,
    Catalog,
    CreditBand,
    PricingError,
    UsageRate,
    catalog,
    offer,
    pack,
    price_list,
)
from portal.pricing.packs import BECAUSE
from portal.pricing.usage import MAX_QUANTITY
from tests.pricing.asking import PACK, ask, ask_program

NEWEST = catalog("2026-11")

units = st.one_of(st.integers(100, 15_000), st.integers(100, 10**9))
unit_amounts = st.one_of(
    st.decimals("0.01", "1", places=2), st.decimals("0.0001", 500, places=4), st.just(Decimal(99))
)


def other(*bands: tuple[int, str], minimum: int = 1, usage: UsageRate | None = None) -> Catalog:
    """The newest catalogue with other bands of credits, or another price of a resolution."""
    assert NEWEST.credits is not None
    own = tuple(CreditBand(from_units, Decimal(percent_off)) for from_units, percent_off in bands)
    return replace(
        NEWEST,
        credits=replace(NEWEST.credits, minimum=minimum, bands=own),
        usage={**NEWEST.usage, "resolution": usage or NEWEST.usage["resolution"]},
    )


@pytest.mark.parametrize(
    ("bought", "amount", "discount", "total", "unit_price"),
    [
        (100, 9_900, 0, 9_900, "99"),
        (599, 59_301, 0, 59_301, "99"),
        (600, 59_400, 2_970, 56_430, "94.05"),
        (1_199, 118_701, 5_935, 112_766, "94.05"),
        (1_200, 118_800, 11_880, 106_920, "89.1"),
        (3_000, 297_000, 44_550, 252_450, "84.15"),
        (6_000, 594_000, 118_800, 475_200, "79.2"),
        (12_000, 1_188_000, 297_000, 891_000, "74.25"),
        (50_000, 4_950_000, 1_237_500, 3_712_500, "74.25"),
    ],
)
def test_the_last_band_reached_counts_for_the_whole_pack(
    bought: int, amount: int, discount: int, total: int, unit_price: str
) -> None:
    found = pack(bought, catalog=NEWEST)

    assert (found.amount, found.discount, found.total) == (amount, discount, total)
    assert found.unit_price == Decimal(unit_price)
    assert found.saving == discount


def test_a_pack_is_priced_from_the_customers_own_price() -> None:
    found = pack(1_200, catalog=NEWEST, unit_amount=Decimal("79.5"))

    # 1,200 × 79.5 = 95,400, less a tenth
    assert (found.amount, found.discount, found.total, found.grant) == (95_400, 9_540, 85_860, 95_400)
    assert (found.unit_amount, found.unit_price) == (Decimal("79.5"), Decimal("71.55"))


def test_a_pack_at_a_discount_grants_its_full_value_rounded_up() -> None:
    assert pack(600, catalog=NEWEST).grant == 59_400
    # 601 × 79.33 = 47,677.33, which a line rounds down and a grant up
    fraction = pack(601, catalog=NEWEST, unit_amount=Decimal("79.33"))
    assert (fraction.amount, fraction.grant) == (47_677, 47_678)


def test_a_pack_tells_why_it_costs_what_it_costs() -> None:
    price, percent, grant = pack(600, catalog=NEWEST).trace

    assert (price.rule, price.formula, price.result) == ("price", "units × unit_amount", 59_400)
    assert (percent.rule, percent.formula, percent.result) == (
        "pack_percent",
        "amount × percent_off ÷ 100",
        2_970,
    )
    assert [(each.name, each.value, each.kind) for each in percent.inputs] == [
        ("amount", 59_400, "money"),
        ("percent_off", Decimal(5), "percent"),
    ]
    assert (grant.rule, grant.result) == ("grant", 59_400)
    assert [reason.rule for reason in pack(599, catalog=NEWEST).trace] == ["price", "grant"]


@pytest.mark.parametrize(
    ("asked", "offered", "costs_less_by", "because"),
    [
        (100, 100, 0, None),
        (569, 569, 0, None),
        # 570 × 99 is what 600 units cost at 5 % off
        (570, 600, 0, "costs_the_same"),
        (571, 600, 99, "costs_less"),
        (599, 600, 2_871, "costs_less"),
        (600, 600, 0, None),
        (1_136, 1_136, 0, None),
        # 1,137 × 99 less 5 % is 106,935
        (1_137, 1_200, 15, "costs_less"),
        (2_833, 2_833, 0, None),
        (2_834, 3_000, 59, "costs_less"),
        (5_999, 6_000, 29_616, "costs_less"),
        (11_999, 12_000, 59_321, "costs_less"),
        (12_001, 12_001, 0, None),
    ],
)
def test_a_larger_pack_that_costs_no_more_is_offered_instead(
    asked: int, offered: int, costs_less_by: int, because: str | None
) -> None:
    found = offer(asked, catalog=NEWEST)

    assert (found.asked.units, found.pack.units) == (asked, offered)
    assert (found.costs_less_by, found.because) == (costs_less_by, because)
    assert found.asked.total - found.pack.total == costs_less_by


def test_an_offer_skips_a_band_that_the_next_one_undercuts() -> None:
    steep = other((10, "1"), (12, "90"))

    assert offer(9, catalog=steep).pack.units == 12
    assert offer(10, catalog=steep).pack.units == 12


def test_of_sizes_that_are_rounded_to_one_price_the_largest_is_offered() -> None:
    # 100 and 101 units at 0.4 are 40 and 40.4, 102 are 40.8
    found = offer(100, catalog=NEWEST, unit_amount=Decimal("0.4"))

    assert (found.pack.units, found.pack.total, found.because) == (101, 40, "costs_the_same")


def test_what_a_unit_costs_does_not_depend_on_the_precision_of_decimal_arithmetic() -> None:
    with localcontext(prec=3):
        found = pack(12_345, catalog=NEWEST, unit_amount=Decimal("98.123456789012"))

    # a quarter off, to twelve places
    assert (found.amount, found.unit_price) == (1_211_334, Decimal("73.592592591759"))


@given(units, unit_amounts)
def test_a_pack_never_costs_more_than_its_use_and_its_grant_pays_for_every_unit(
    bought: int, unit_amount: Decimal
) -> None:
    found = pack(bought, catalog=NEWEST, unit_amount=unit_amount)

    assert found.amount - found.discount == found.total
    assert 0 <= found.total <= found.amount
    assert found.saving == found.discount
    assert found.grant >= bought * unit_amount > found.grant - 1
    assert found.unit_price <= unit_amount
    assert [reason.result for reason in found.trace if reason.rule == "price"] == [found.amount]


@given(units, unit_amounts, st.one_of(st.integers(1, 50), st.integers(1, 10**6)))
def test_no_larger_pack_costs_as_little_as_the_one_that_is_offered(
    asked: int, unit_amount: Decimal, more: int
) -> None:
    found = offer(asked, catalog=NEWEST, unit_amount=unit_amount).pack

    assert found.units >= asked
    assert pack(found.units + more, catalog=NEWEST, unit_amount=unit_amount).total > found.total


@given(units, unit_amounts, st.one_of(st.integers(0, 50), st.integers(0, 10**6)))
def test_more_units_never_cost_less_once_they_are_offered(
    asked: int, unit_amount: Decimal, more: int
) -> None:
    smaller = offer(asked, catalog=NEWEST, unit_amount=unit_amount)
    larger = offer(asked + more, catalog=NEWEST, unit_amount=unit_amount)

    assert smaller.pack.total <= larger.pack.total
    assert smaller.pack.units <= larger.pack.units
    assert smaller.pack.total <= smaller.asked.total


@given(units, unit_amounts)
def test_an_offer_is_never_bettered_again(asked: int, unit_amount: Decimal) -> None:
    found = offer(asked, catalog=NEWEST, unit_amount=unit_amount)
    again = offer(found.pack.units, catalog=NEWEST, unit_amount=unit_amount)

    assert (again.pack, again.because) == (found.pack, None)
    assert (found.because is None) == (found.asked.units == found.pack.units)


@pytest.mark.parametrize("version", ["2023-11", "2023-05"])
def test_a_catalogue_without_credits_sells_none(version: str) -> None:
    with pytest.raises(PricingError) as caught:
        pack(600, catalog=catalog(version))

    assert caught.value.param == "catalog"


def test_without_one_price_for_every_unit_the_customers_own_is_needed() -> None:
    tiered = UsageRate(
        "resolution", "Resolutions", "resolution", (Band(10, Decimal(99)), Band(None, Decimal(90))), 0, None
    )
    banded = other((600, "5"), usage=tiered)

    with pytest.raises(PricingError) as caught:
        pack(600, catalog=banded)
    assert caught.value.param == "unit_amount"
    assert pack(600, catalog=banded, unit_amount=Decimal(95)).total == 54_150


@pytest.mark.parametrize(
    ("ask_for", "param"),
    [
        (lambda: pack(99, catalog=NEWEST), "units"),
        (lambda: offer(0, catalog=NEWEST), "units"),
        (lambda: offer(-600, catalog=NEWEST), "units"),
        (lambda: pack(True, catalog=NEWEST), "units"),
        (lambda: pack(MAX_QUANTITY + 1, catalog=NEWEST, unit_amount=Decimal("0.01")), "units"),
        (lambda: pack(MAX_QUANTITY, catalog=NEWEST, unit_amount=Decimal(10**4)), "units"),
        (lambda: pack(600, catalog=NEWEST, unit_amount=Decimal(0)), "unit_amount"),
        (lambda: pack(600, catalog=NEWEST, unit_amount=Decimal(-1)), "unit_amount"),
        (lambda: pack(600, catalog=NEWEST, unit_amount=Decimal("NaN")), "unit_amount"),
    ],
)
def test_what_cannot_be_bought_is_refused(ask_for: Callable[[], object], param: str) -> None:
    with pytest.raises(PricingError) as caught:
        ask_for()

    assert caught.value.param == param


def test_the_program_prices_a_pack_and_offers_the_better_one() -> None:
    answer = ask_program(b'{"op": "pack", "catalog": "2026-11", "units": 599}')

    assert answer.status == 0
    assert answer.content == {
        "usage": "resolution",
        "currency": "usd",
        "units": 599,
        "unit_amount": "99",
        "percent_off": "0",
        "amount": 59_301,
        "discount": 0,
        "total": 59_301,
        "saving": 0,
        "unit_price": "99",
        "grant": 59_301,
        "catalog": "2026-11",
        "offer": {
            "usage": "resolution",
            "currency": "usd",
            "units": 600,
            "unit_amount": "99",
            "percent_off": "5",
            "amount": 59_400,
            "discount": 2_970,
            "total": 56_430,
            "saving": 2_970,
            "unit_price": "94.05",
            "grant": 59_400,
            "catalog": "2026-11",
            "costs_less_by": 2_871,
            "because": "This larger pack costs less.",
        },
    }


def test_the_program_offers_nothing_where_what_was_asked_is_best() -> None:
    assert ask(PACK | {"units": 600}).content["offer"] is None
    assert "trace" not in ask(PACK).content["offer"]


def test_the_program_explains_both_packs() -> None:
    content = ask(PACK | {"explain": True}).content

    assert [reason["rule"] for reason in content["trace"]] == ["price", "grant"]
    assert [reason["rule"] for reason in content["offer"]["trace"]] == ["price", "pack_percent", "grant"]


def test_the_program_takes_the_customers_own_price() -> None:
    assert ask(PACK | {"units": 600, "unit_amount": "190"}).content["total"] == 108_300
    assert ask(PACK | {"units": 600, "unit_amount": None}).content["total"] == 56_430


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"catalog": "2024-01"}, "catalog"),
        ({"catalog": "2023-11"}, "catalog"),
        ({"units": 99}, "units"),
        ({"units": 10**12 + 1}, "units"),
        ({"units": "600"}, "units"),
        ({"units": 600.0}, "units"),
        ({"unit_amount": 99}, "unit_amount"),
        ({"unit_amount": "0"}, "unit_amount"),
        ({"unit_amount": "-1"}, "unit_amount"),
        ({"unit_amount": "free"}, "unit_amount"),
        ({"explain": "yes"}, "explain"),
        ({"tier": "advanced"}, "tier"),
    ],
)
def test_a_bad_request_for_a_pack_names_its_fault(change: dict[str, Any], param: str) -> None:
    assert ask(PACK | change).error == (2, param)


@pytest.mark.parametrize("key", ["catalog", "units"])
def test_a_pack_needs_catalogue_and_units(key: str) -> None:
    assert ask({name: value for name, value in PACK.items() if name != key}).error == (2, key)


def test_the_price_list_begins_with_the_smallest_pack() -> None:
    assert [(each.units, each.total) for each in price_list(catalog=NEWEST)] == [
        (100, 9_900),
        (600, 56_430),
        (1_200, 106_920),
        (3_000, 252_450),
        (6_000, 475_200),
        (12_000, 891_000),
    ]
    assert [each.units for each in price_list(catalog=other((100, "5"), (200, "9"), minimum=100))] == [
        100,
        200,
    ]


@pytest.mark.parametrize("because", ["costs_less", "costs_the_same"])
def test_each_reason_of_an_offer_has_a_sentence(because: str) -> None:
    assert BECAUSE[because].endswith(".")
