"""A quote: seats and add-ons due at the start, an estimate of the usage of a month, each line explained."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing import (
    Catalog,
    Discount,
    Line,
    Money,
    PricingError,
    Selection,
    catalog,
    current_catalog,
    quote,
)
from portal.pricing.quote import MAX_DISCOUNTS
from tests.pricing.strategies import discounts, priced

EVERYTHING = Selection(
    "advanced",
    12,
    add_ons={"copilot": 5, "proactive_support": 1},
    usage={
        "resolution": 500,
        "proactive_message": 2600,
        "sms": 1200,
        "whatsapp": 100,
        "phone_minute": 77,
        "bulk_email": 60_000,
    },
)
NEGOTIATED = (Discount("seat", Decimal(10)), Discount(None, amount_off=500))


def test_advanced_with_add_ons_and_discounts_costs_1338_20() -> None:
    priced_lines = quote(EVERYTHING, catalog=current_catalog(), discounts=NEGOTIATED)

    assert [
        (line.key, line.quantity, line.amount, line.discount, line.total) for line in priced_lines.lines
    ] == [
        ("seat", 12, 118_800, 12_278, 106_522),
        ("copilot", 5, 17_500, 65, 17_435),
        ("proactive_support", 1, 9900, 37, 9863),
    ]
    assert (priced_lines.subtotal, priced_lines.discount, priced_lines.total) == (146_200, 12_380, 133_820)
    assert priced_lines.due == Money(133_820, "usd")


def test_usage_is_estimated_by_the_month_and_never_discounted() -> None:
    usage = quote(EVERYTHING, catalog=current_catalog(), discounts=[Discount(None, Decimal(100))]).usage

    assert [(line.key, line.quantity, line.included, line.amount) for line in usage.lines] == [
        ("resolution", 500, 0, 49_500),
        ("proactive_message", 2600, 500, 16_500),
        ("sms", 1200, 0, 4640),
        ("whatsapp", 100, 0, 600),
        ("phone_minute", 77, 0, 293),
        ("bulk_email", 60_000, 0, 19_150),
    ]
    assert usage.total == 90_683


def test_twelve_advanced_seats_with_five_copilots_cost_13980_by_the_year() -> None:
    by_the_year = quote(
        Selection("advanced", 12, "year", {"copilot": 5}, {"resolution": 100}), catalog=current_catalog()
    )

    assert [(line.key, line.unit_amount, line.amount, line.interval) for line in by_the_year.lines] == [
        ("seat", Decimal(102_000), 1_224_000, "year"),
        ("copilot", Decimal(34_800), 174_000, "year"),
    ]
    assert by_the_year.total == 1_398_000
    assert by_the_year.usage.total == 9900


@pytest.mark.parametrize(
    ("version", "tier", "interval", "expected"),
    [
        ("2026-11", "essential", "month", 3900),
        ("2026-11", "essential", "year", 34_800),
        ("2026-11", "advanced", "month", 9900),
        ("2026-11", "advanced", "year", 102_000),
        ("2026-11", "expert", "month", 13_900),
        ("2026-11", "expert", "year", 158_400),
        ("2023-11", "essential", "month", 3900),
        ("2023-11", "advanced", "month", 9900),
        ("2023-11", "expert", "month", 13_900),
        ("2023-05", "pro", "month", 7400),
    ],
)
def test_a_seat_costs_what_its_catalogue_says(version: str, tier: str, interval: str, expected: int) -> None:
    assert quote(Selection(tier, 1, interval), catalog=catalog(version)).total == expected


def test_an_old_customer_keeps_the_old_resolution_price() -> None:
    selection = Selection("pro", 3, usage={"resolution": 10})

    assert quote(selection, catalog=catalog("2023-05")).usage.total == 1900


def test_an_add_on_that_is_not_taken_has_no_line() -> None:
    without = quote(
        Selection("expert", 2, add_ons={"copilot": 0, "proactive_support": 0}), catalog=current_catalog()
    )

    assert [line.key for line in without.lines] == ["seat"]


def test_lines_come_in_the_order_of_the_catalogue() -> None:
    shuffled = Selection(
        "expert", 2, add_ons={"proactive_support": 1, "copilot": 1}, usage={"sms": 1, "resolution": 1}
    )

    quoted = quote(shuffled, catalog=current_catalog())

    assert [line.key for line in quoted.lines] == ["seat", "copilot", "proactive_support"]
    assert [line.key for line in quoted.usage.lines] == ["resolution", "sms"]


def test_each_line_says_how_it_came_about() -> None:
    seat = quote(EVERYTHING, catalog=current_catalog(), discounts=NEGOTIATED).lines[0]

    assert [(reason.rule, reason.formula, reason.result) for reason in seat.trace] == [
        ("price", "quantity × unit_amount", 118_800),
        ("line_percent", "amount × percent_off ÷ 100", 11_880),
        (
            "order_amount",
            "min(amount_off, order) × amount ÷ order, rounded down, the rest to the last line",
            398,
        ),
    ]
    assert [(each.name, each.value, each.kind) for each in seat.trace[2].inputs] == [
        ("amount_off", 500, "money"),
        ("amount", 106_920, "money"),
        ("order", 134_320, "money"),
    ]


def test_a_quote_for_json_has_integers_for_amounts_and_a_string_for_the_unit_amount() -> None:
    shape = quote(Selection("advanced", 2, usage={"sms": 3}), catalog=current_catalog()).as_dict()

    assert shape == {
        "currency": "usd",
        "lines": [
            {
                "key": "seat",
                "description": "Advanced seat",
                "quantity": 2,
                "unit_amount": "9900",
                "amount": 19_800,
                "discount": 0,
                "total": 19_800,
                "interval": "month",
            }
        ],
        "subtotal": 19_800,
        "discount": 0,
        "total": 19_800,
        "usage": {"lines": [{"key": "sms", "quantity": 3, "included": 0, "amount": 12}], "total": 12},
        "catalog": "2026-11",
    }


def test_a_line_for_json_explains_itself_only_when_asked() -> None:
    quoted = quote(EVERYTHING, catalog=current_catalog())

    assert "trace" not in quoted.lines[0].as_dict()
    assert "trace" not in quoted.usage.lines[0].as_dict()
    assert [reason["rule"] for reason in quoted.usage.lines[1].as_dict(explain=True)["trace"]] == [  # type: ignore[attr-defined]
        "included",
        "graduated",
        "graduated",
    ]


def test_a_quote_explains_itself_when_asked() -> None:
    shape = quote(Selection("advanced", 2), catalog=current_catalog()).as_dict(explain=True)

    assert shape["lines"][0]["trace"] == [  # type: ignore[index]
        {
            "rule": "price",
            "formula": "quantity × unit_amount",
            "inputs": {"quantity": 2, "unit_amount": "9900"},
            "result": 19_800,
        }
    ]


@pytest.mark.parametrize(
    ("selection", "version", "param", "words"),
    [
        (Selection("platinum", 1), "2026-11", "tier", "one of essential, advanced, expert, not 'platinum'"),
        (Selection("pro", 1), "2026-11", "tier", "one of essential"),
        (Selection("advanced", 1), "2023-05", "tier", "one of pro"),
        (Selection("advanced", 1, "year"), "2023-11", "interval", "sells by the month, not by the year"),
        (Selection("pro", 1, "year"), "2023-05", "interval", "sells by the month"),
        (Selection("pro", 1, add_ons={"copilot": 1}), "2023-05", "add_ons[copilot]", "sells: none"),
        (Selection("pro", 1, add_ons={"copilot": 0}), "2023-05", "add_ons[copilot]", "no add-on 'copilot'"),
        (
            Selection("expert", 5, add_ons={"copilot": 6}),
            "2026-11",
            "add_ons[copilot]",
            "at most the 5 seats",
        ),
        (
            Selection("expert", 5, add_ons={"proactive_support": 2}),
            "2026-11",
            "add_ons[proactive_support]",
            "at most 1",
        ),
        (Selection("expert", 1, usage={"fax": 1}), "2026-11", "usage[fax]", "no usage 'fax'"),
        (Selection("pro", 1, usage={"sms": 1}), "2023-05", "usage[sms]", "It sells: resolution"),
        (
            Selection("expert", 1, usage={"proactive_message": 1}),
            "2026-11",
            "usage[proactive_message]",
            "with the add-on proactive_support only",
        ),
    ],
)
def test_what_a_catalogue_does_not_sell_is_refused(
    selection: Selection, version: str, param: str, words: str
) -> None:
    with pytest.raises(PricingError) as caught:
        quote(selection, catalog=catalog(version))

    assert caught.value.param == param
    assert words in caught.value.message


@pytest.mark.parametrize("currency", ["eur", "USD", ""])
def test_a_catalogue_sells_in_its_own_currency(currency: str) -> None:
    with pytest.raises(PricingError) as caught:
        quote(Selection("expert", 1), catalog=current_catalog(), currency=currency)

    assert caught.value.param == "currency"


def test_more_discounts_than_stripe_takes_are_refused() -> None:
    with pytest.raises(PricingError) as caught:
        quote(
            Selection("expert", 1),
            catalog=current_catalog(),
            discounts=[Discount(None, amount_off=1)] * (MAX_DISCOUNTS + 1),
        )

    assert caught.value.param == "discounts"


@given(priced(), st.data())
def test_lines_sum_to_the_totals(sold: tuple[Catalog, Selection], data: st.DataObject) -> None:
    from_catalog, selection = sold
    keys = tuple(line.key for line in quote(selection, catalog=from_catalog).lines)
    given_discounts = data.draw(discounts(lines=keys))

    quoted = quote(selection, catalog=from_catalog, discounts=given_discounts)

    assert quoted.subtotal == sum(line.amount for line in quoted.lines)
    assert quoted.discount == sum(line.discount for line in quoted.lines)
    assert quoted.total == sum(line.total for line in quoted.lines) == quoted.subtotal - quoted.discount
    assert quoted.usage.total == sum(line.amount for line in quoted.usage.lines)
    assert all(0 <= line.discount <= line.amount for line in quoted.lines)
    assert all(explained_amount(line) == line.total for line in quoted.lines)


def explained_amount(line: Line) -> int:
    """What the trace of a line arrives at: the price less each deduction."""
    price, *deductions = line.trace
    return price.result - sum(reason.result for reason in deductions)


@given(priced(), st.integers(1, 50), st.data())
def test_more_seats_never_cost_less(sold: tuple[Catalog, Selection], more: int, data: st.DataObject) -> None:
    """Near 100 % off, nothing is left but the rounding of each line, so discounts go up to 80 % here."""
    from_catalog, selection = sold
    keys = tuple(line.key for line in quote(selection, catalog=from_catalog).lines)
    given_discounts = data.draw(discounts(lines=keys, most=80))

    fewer = quote(selection, catalog=from_catalog, discounts=given_discounts)
    larger = quote(
        replace(selection, seats=selection.seats + more), catalog=from_catalog, discounts=given_discounts
    )

    assert larger.subtotal > fewer.subtotal
    assert larger.total >= fewer.total


@given(priced())
def test_the_same_selection_gives_the_same_quote(sold: tuple[Catalog, Selection]) -> None:
    from_catalog, selection = sold

    assert quote(selection, catalog=from_catalog) == quote(
        Selection.from_dict(selection.as_dict()), catalog=from_catalog
    )
