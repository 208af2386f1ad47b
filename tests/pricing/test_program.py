"""``python -m portal.pricing``: one JSON object in, one out, run as the program that others run."""

import json
from typing import Any

import pytest

from portal.pricing.program import MAX_INPUT_BYTES
from tests.pricing.asking import PRORATE, QUOTE, RATE, ask, ask_program

QUOTED = {
    "currency": "usd",
    "lines": [
        {
            "key": "seat",
            "description": "Advanced seat",
            "quantity": 12,
            "unit_amount": "9900",
            "amount": 118_800,
            "discount": 12_278,
            "total": 106_522,
            "interval": "month",
        },
        {
            "key": "copilot",
            "description": "Copilot",
            "quantity": 5,
            "unit_amount": "3500",
            "amount": 17_500,
            "discount": 65,
            "total": 17_435,
            "interval": "month",
        },
        {
            "key": "proactive_support",
            "description": "Proactive Support",
            "quantity": 1,
            "unit_amount": "9900",
            "amount": 9900,
            "discount": 37,
            "total": 9863,
            "interval": "month",
        },
    ],
    "subtotal": 146_200,
    "discount": 12_380,
    "total": 133_820,
    "usage": {
        "lines": [
            {"key": "resolution", "quantity": 500, "included": 0, "amount": 49_500},
            {"key": "sms", "quantity": 1200, "included": 0, "amount": 4640},
        ],
        "total": 54_140,
    },
    "catalog": "2026-11",
}
PRORATED = {
    "lines": [
        {"amount": -3, "quantity": 1, "period_start": 1792606824, "period_end": 1792613304},
        {"amount": 4, "quantity": 1, "period_start": 1792606824, "period_end": 1792613304},
    ],
    "total": 1,
}
RATED = {
    "amount": 4500,
    "steps": [
        {"quantity": 1000, "unit_amount": "4", "amount": 4000},
        {"quantity": 200, "unit_amount": "2.5", "amount": 500},
    ],
}


@pytest.mark.parametrize(
    ("document", "expected"),
    [(QUOTE, QUOTED), (PRORATE, PRORATED), (RATE, RATED)],
    ids=lambda each: each.get("op"),
)
def test_the_program_answers_with_one_object(document: dict[str, Any], expected: dict[str, Any]) -> None:
    answer = ask_program(json.dumps(document).encode())

    assert answer.status == 0
    assert answer.content == expected
    assert ask(document) == answer


def test_the_program_lists_every_price_of_every_catalogue() -> None:
    answer = ask_program(b'{"op": "catalogs"}')
    listed = {each["version"]: each for each in answer.content["catalogs"]}

    assert answer.status == 0
    assert list(listed) == ["2026-11", "2023-11", "2023-05"]
    assert [len(each["prices"]) for each in listed.values()] == [16, 11, 2]
    assert listed["2026-11"]["tiers"]["advanced"] == {
        "name": "Advanced",
        "prices": {"month": "9900", "year": "102000"},
        "lite_seats": 20,
    }
    assert listed["2026-11"]["add_ons"]["proactive_support"] == {
        "name": "Proactive Support",
        "per": "workspace",
        "prices": {"month": "9900", "year": "118800"},
        "included": {"proactive_message": 500},
    }
    assert listed["2026-11"]["usage"]["sms"] == {
        "name": "SMS",
        "unit_name": "segment",
        "mode": "graduated",
        "bands": [
            {"up_to": 1000, "unit_amount": "4", "flat_amount": 0},
            {"up_to": 10_000, "unit_amount": "3.2", "flat_amount": 0},
            {"up_to": None, "unit_amount": "2.5", "flat_amount": 0},
        ],
        "included": 0,
        "requires": None,
    }
    assert listed["2026-11"]["credits"]["bands"][-1] == {"from_units": 12_000, "percent_off": "25"}
    assert listed["2026-11"]["trial"] == {"days": 14, "reminder_days": 3, "caps": {"resolution": 50}}
    assert (listed["2023-05"]["credits"], listed["2023-05"]["trial"]) == (None, None)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "The input is empty"),
        (None, "The input is empty"),
        (b" \n", "The input is empty"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
        (b" " * (MAX_INPUT_BYTES + 1), "at most 1000000 bytes"),
    ],
    ids=["empty", "closed", "blank", "half", "binary", "deep", "large"],
)
def test_the_program_says_what_is_wrong_with_its_input_and_exits_2(raw: bytes | None, words: str) -> None:
    answer = ask_program(raw)

    assert answer.error == (2, None)
    assert words in answer.content["error"]["message"]


def test_the_program_takes_no_arguments() -> None:
    answer = ask_program(b'{"op": "catalogs"}', "--help")

    assert answer.error == (2, None)
    assert "one JSON object on standard input" in answer.content["error"]["message"]


def test_the_program_names_the_field_that_is_wrong() -> None:
    answer = ask_program(json.dumps(QUOTE | {"seats": 0}).encode())

    assert answer.status == 2
    assert answer.content == {
        "error": {"message": "seats must be from 1 to 100000, not 0.", "param": "seats"}
    }


def test_a_byte_order_mark_is_forgiven() -> None:
    assert ask(b'\xef\xbb\xbf{"op": "catalogs"}').status == 0


@pytest.mark.parametrize(
    ("percent_off", "expected"), [("100", 0), ("100.0", 0), ("0.01", 118_788), ("007.50", 109_890)]
)
def test_percentages_may_be_spelt_with_zeros(percent_off: str, expected: int) -> None:
    answer = ask(QUOTE | {"discounts": [{"line": "seat", "percent_off": percent_off}]})

    assert answer.content["lines"][0]["total"] == expected


def test_add_ons_discounts_and_usage_may_be_left_out() -> None:
    optional = {"add_ons", "discounts", "usage"}
    answer = ask({key: value for key, value in QUOTE.items() if key not in optional})

    assert (answer.status, answer.content["total"]) == (0, 118_800)
    assert answer.content["usage"] == {"lines": [], "total": 0}


def test_a_null_beside_the_other_kind_of_discount_is_taken_as_left_out() -> None:
    discounts = [{"line": "seat", "percent_off": "10", "amount_off": None}]

    assert ask(QUOTE | {"discounts": discounts}).content["lines"][0]["discount"] == 11_880


def test_an_explained_quote_carries_the_trace_of_each_line() -> None:
    lines = ask(QUOTE | {"explain": True}).content["lines"]

    assert [[reason["rule"] for reason in line["trace"]] for line in lines] == [
        ["price", "line_percent", "order_amount"],
        ["price", "order_amount"],
        ["price", "order_amount"],
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"before": None}, [4]),
        ({"after": None}, [-3]),
        ({"at": 1790021304}, [-1000, 1800]),
        ({"at": 1792613304}, [0, 0]),
        ({"after": {"unit_amount": "1000", "quantity": 3}}, [-3, 7]),
        ({"after": {"unit_amount": "1000", "quantity": 0}}, [-3, 0]),
        ({"after": {"unit_amount": "1000.5", "quantity": 1}}, [-3, 3]),
    ],
)
def test_a_change_is_prorated(change: dict[str, Any], expected: list[int]) -> None:
    answer = ask(PRORATE | change)

    assert [line["amount"] for line in answer.content["lines"]] == expected
    assert answer.content["total"] == sum(expected)


def test_a_month_becomes_a_year_with_its_own_period() -> None:
    """Recorded at Stripe."""
    year = {"unit_amount": "25000", "quantity": 1, "period_start": 1789921845, "period_end": 1821457845}
    answer = ask(
        {
            "op": "prorate",
            "before": {"unit_amount": "2500", "quantity": 1},
            "after": year,
            "period_start": 1789921845,
            "period_end": 1792513845,
            "at": 1789921848,
        }
    )

    assert answer.content == {
        "lines": [
            {"amount": -2500, "quantity": 1, "period_start": 1789921848, "period_end": 1792513845},
            {"amount": 25_000, "quantity": 1, "period_start": 1789921848, "period_end": 1821457845},
        ],
        "total": 22_500,
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"quantity": 0}, {"amount": 0, "steps": []}),
        (
            {"mode": "volume"},
            {"amount": 3000, "steps": [{"quantity": 1200, "unit_amount": "2.5", "amount": 3000}]},
        ),
        (
            {"included": 1100},
            {
                "amount": 400,
                "steps": [
                    {"quantity": 1100, "unit_amount": "0", "amount": 0},
                    {"quantity": 100, "unit_amount": "4", "amount": 400},
                ],
            },
        ),
        (
            {"bands": [{"up_to": None, "unit_amount": "0.005", "flat_amount": 1000}]},
            {"amount": 1006, "steps": [{"quantity": 1200, "unit_amount": "0.005", "amount": 1006}]},
        ),
    ],
)
def test_a_quantity_is_rated(change: dict[str, Any], expected: dict[str, Any]) -> None:
    assert ask(RATE | change).content == expected


def test_included_may_be_left_out() -> None:
    assert ask({key: value for key, value in RATE.items() if key != "included"}).content == RATED
