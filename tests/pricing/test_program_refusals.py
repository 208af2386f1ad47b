"""The pricing program names the fault of every input that it cannot price, whatever it is given."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing.program import MAX_INPUT_BYTES, main
from tests.pricing.asking import DRAW, PACK, PRORATE, QUOTE, RATE, RESOLVE, ask

OPEN = {"up_to": None, "unit_amount": "1"}


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b'{"op": "catalogs"} {"op": "catalogs"}', None),
        (b'{"op": "catalogs",}', None),
        (b"[" * 200_000, None),
        (b" " * (MAX_INPUT_BYTES + 1), None),
        (b"", None),
        (b"{'op': 'catalogs'}", None),
        (b'{"op": "catalogs", "op": "catalogs"}', "op"),
        (b'{"op": "quote", "usage": {"sms": 1, "sms": 2}}', "sms"),
        (b'{"op": NaN}', None),
        (b'{"op": "rate", "quantity": Infinity}', None),
        (b'{"op": "rate", "quantity": -Infinity}', None),
        (b'{"op": "\xc3\x28"}', None),
        (b"null", None),
        (b"true", None),
        (b"12", None),
        (b"1.5", None),
        (b'"quote"', None),
        (b"[]", None),
        (b'[{"op": "catalogs"}]', None),
        (b"{}", "op"),
        (b'{"op": null}', "op"),
        (b'{"op": ""}', "op"),
        (b'{"op": 1}', "op"),
        (b'{"op": "refund"}', "op"),
        (b'{"op": ["quote"]}', "op"),
        (b'{"op": "catalogs", "catalog": "2026-11"}', "catalog"),
        (b'{"op": "quote", "colour": "blue"}', "colour"),
        (b'{"op": "quote", "\\ud800": 1}', "\ud800"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_input_that_is_no_request_is_refused(raw: bytes, param: str | None) -> None:
    assert ask(raw).error == (2, param)


def test_arguments_are_refused_before_anything_is_read() -> None:
    source = io.BytesIO(b'{"op": "catalogs"}')
    printed = io.StringIO()

    assert main(["--help"], source, printed) == 2
    assert source.tell() == 0
    assert json.loads(printed.getvalue())["error"]["param"] is None


def test_a_long_unknown_key_is_cut() -> None:
    assert ask({"op": "quote", "x" * 100_000: 1}).error == (2, "x" * 40)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"catalog": "2020-01"}, "catalog"),
        ({"catalog": 2026}, "catalog"),
        ({"catalog": None}, "catalog"),
        ({"currency": "eur"}, "currency"),
        ({"currency": "USD"}, "currency"),
        ({"currency": 1}, "currency"),
        ({"interval": "week"}, "interval"),
        ({"interval": None}, "interval"),
        ({"catalog": "2023-11", "interval": "year"}, "interval"),
        ({"catalog": "2023-05", "tier": "pro"}, "add_ons[copilot]"),
        ({"tier": "pro"}, "tier"),
        ({"tier": ""}, "tier"),
        ({"tier": ["advanced"]}, "tier"),
        ({"tier": {"advanced": 1}}, "tier"),
        ({"seats": 0}, "seats"),
        ({"seats": -3}, "seats"),
        ({"seats": True}, "seats"),
        ({"seats": False}, "seats"),
        ({"seats": "12"}, "seats"),
        ({"seats": 12.0}, "seats"),
        ({"seats": 12.5}, "seats"),
        ({"seats": None}, "seats"),
        ({"seats": [12]}, "seats"),
        ({"seats": 100_001}, "seats"),
        ({"seats": 10**400}, "seats"),
        ({"add_ons": None}, "add_ons"),
        ({"add_ons": []}, "add_ons"),
        ({"add_ons": "copilot"}, "add_ons"),
        ({"add_ons": {"copilot": 13}}, "add_ons[copilot]"),
        ({"add_ons": {"copilot": -1}}, "add_ons[copilot]"),
        ({"add_ons": {"copilot": True}}, "add_ons[copilot]"),
        ({"add_ons": {"copilot": 1.0}}, "add_ons[copilot]"),
        ({"add_ons": {"copilot": "5"}}, "add_ons[copilot]"),
        ({"add_ons": {"copilot": None}}, "add_ons[copilot]"),
        ({"add_ons": {"proactive_support": 2}}, "add_ons[proactive_support]"),
        ({"add_ons": {"proactive_support": True}}, "add_ons[proactive_support]"),
        ({"add_ons": {"jetpack": 1}}, "add_ons[jetpack]"),
        ({"add_ons": {"": 1}}, "add_ons[]"),
        ({"add_ons": {str(each): 0 for each in range(1001)}}, "add_ons"),
        ({"usage": []}, "usage"),
        ({"usage": None}, "usage"),
        ({"usage": {"fax": 1}}, "usage[fax]"),
        ({"usage": {"sms": -1}}, "usage[sms]"),
        ({"usage": {"sms": 1.5}}, "usage[sms]"),
        ({"usage": {"sms": True}}, "usage[sms]"),
        ({"usage": {"sms": 10**12 + 1}}, "usage[sms]"),
        ({"usage": {"sms": {"count": 1}}}, "usage[sms]"),
        ({"add_ons": {}, "discounts": [], "usage": {"proactive_message": 1}}, "usage[proactive_message]"),
        ({"discounts": None}, "discounts"),
        ({"discounts": {}}, "discounts"),
        ({"discounts": [None]}, "discounts[0]"),
        ({"discounts": ["10"]}, "discounts[0]"),
        ({"discounts": [[]]}, "discounts[0]"),
        ({"discounts": [{}]}, "discounts[0][line]"),
        ({"discounts": [{"percent_off": "10"}]}, "discounts[0][line]"),
        ({"discounts": [{"line": "seat"}]}, "discounts[0][percent_off]"),
        ({"discounts": [{"line": "seat", "percent_off": None}]}, "discounts[0][percent_off]"),
        (
            {"discounts": [{"line": "seat", "percent_off": "10", "amount_off": 5}]},
            "discounts[0][percent_off]",
        ),
        ({"discounts": [{"line": "seat", "percent_off": "10", "code": "X"}]}, "discounts[0][code]"),
        ({"discounts": [{"line": "", "percent_off": "10"}]}, "discounts[0][line]"),
        ({"discounts": [{"line": 1, "percent_off": "10"}]}, "discounts[0][line]"),
        ({"discounts": [{"line": "sms", "percent_off": "10"}]}, "discounts[0][line]"),
        ({"add_ons": {}, "discounts": [{"line": "copilot", "amount_off": 1}]}, "discounts[0][line]"),
        ({"discounts": [{"line": None, "amount_off": 1}] * 21}, "discounts"),
        ({"discounts": [{"line": None, "amount_off": 1}] * 1001}, "discounts"),
        ({"explain": 1}, "explain"),
        ({"explain": None}, "explain"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_bad_quote_request_names_its_fault(change: dict[str, Any], param: str) -> None:
    assert ask(QUOTE | change).error == (2, param)


@pytest.mark.parametrize("key", ["catalog", "currency", "interval", "tier", "seats"])
def test_a_quote_assumes_nothing_that_decides_the_price(key: str) -> None:
    assert ask({name: value for name, value in QUOTE.items() if name != key}).error == (2, key)


@pytest.mark.parametrize(
    "percent_off",
    [
        *("0", "-1", "100.01", "101", "1e1", "1E1", "NaN", "nan", "sNaN", "Infinity", "-Infinity", "ten", ""),
        *(
            " 10",
            "10 ",
            "1_0",
            "+10",
            "10%",
            ".5",
            "5.",
            ".",
            "-",
            "1.2.3",
            "0x10",
            "\u0661\u0660",
            "1" * 100,
        ),
        *(10, 10.0, 0.5, True, [], {}, "0.0000000000001"),
    ],
)
def test_a_percentage_is_a_plain_decimal_string_above_0_and_at_most_100(percent_off: object) -> None:
    discounts = [{"line": None, "amount_off": 500}, {"line": "seat", "percent_off": percent_off}]

    assert ask(QUOTE | {"discounts": discounts}).error == (2, "discounts[1][percent_off]")


@pytest.mark.parametrize("amount_off", [0, -1, 500.0, 0.5, "500", True, [], {}, 10**12 + 1, 10**50])
def test_an_amount_off_is_a_whole_number_of_minor_units(amount_off: object) -> None:
    discounts = [{"line": None, "amount_off": amount_off}]

    assert ask(QUOTE | {"discounts": discounts}).error == (2, "discounts[0][amount_off]")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"before": None, "after": None}, "before"),
        ({"before": 1000}, "before"),
        ({"before": []}, "before"),
        ({"before": {}}, "before[unit_amount]"),
        ({"before": {"unit_amount": "1000"}}, "before[quantity]"),
        ({"after": {"unit_amount": 1000, "quantity": 1}}, "after[unit_amount]"),
        ({"after": {"unit_amount": 10.5, "quantity": 1}}, "after[unit_amount]"),
        ({"after": {"unit_amount": "-1", "quantity": 1}}, "after[unit_amount]"),
        ({"after": {"unit_amount": "NaN", "quantity": 1}}, "after[unit_amount]"),
        ({"after": {"unit_amount": "9" * 12, "quantity": 1}}, "after[unit_amount]"),
        ({"after": {"unit_amount": "1", "quantity": "1"}}, "after[quantity]"),
        ({"after": {"unit_amount": "1", "quantity": 1.0}}, "after[quantity]"),
        ({"after": {"unit_amount": "1", "quantity": -1}}, "after[quantity]"),
        ({"after": {"unit_amount": "1", "quantity": True}}, "after[quantity]"),
        ({"after": {"unit_amount": "1", "quantity": 10**9 + 1}}, "after[quantity]"),
        ({"after": {"unit_amount": "1", "quantity": 1, "price": "x"}}, "after[price]"),
        ({"after": {"unit_amount": "1", "quantity": 1, "period_end": 5}}, "after[period_start]"),
        (
            {"after": {"unit_amount": "1", "quantity": 1, "period_start": 5, "period_end": 4}},
            "after[period_end]",
        ),
        ({"after": {"unit_amount": "1", "quantity": 1, "period_start": 5, "period_end": 6}}, "at"),
        ({"period_end": 1790021304}, "period_end"),
        ({"period_end": 1790021303}, "period_end"),
        ({"period_start": 1.5}, "period_start"),
        ({"period_start": "1790021304"}, "period_start"),
        ({"period_start": None}, "period_start"),
        ({"period_start": -1}, "period_start"),
        ({"period_end": 10**18}, "period_end"),
        ({"at": 1790021303}, "at"),
        ({"at": 1792613305}, "at"),
        ({"at": None}, "at"),
        ({"at": True}, "at"),
        ({"currency": "usd"}, "currency"),
        ({"explain": "yes"}, "explain"),
    ],
)
def test_a_bad_proration_request_names_its_fault(change: dict[str, Any], param: str) -> None:
    assert ask(PRORATE | change).error == (2, param)


@pytest.mark.parametrize("key", ["before", "after", "period_start", "period_end", "at"])
def test_a_proration_needs_all_its_fields(key: str) -> None:
    assert ask({name: value for name, value in PRORATE.items() if name != key}).error == (2, key)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"mode": "tiered"}, "mode"),
        ({"mode": None}, "mode"),
        ({"quantity": -1}, "quantity"),
        ({"quantity": 1.0}, "quantity"),
        ({"quantity": "1200"}, "quantity"),
        ({"quantity": True}, "quantity"),
        ({"quantity": 10**12 + 1}, "quantity"),
        ({"included": -1}, "included"),
        ({"included": None}, "included"),
        ({"included": 0.0}, "included"),
        ({"bands": []}, "bands"),
        ({"bands": None}, "bands"),
        ({"bands": {}}, "bands"),
        ({"bands": "1"}, "bands"),
        ({"bands": [OPEN] * 101}, "bands"),
        ({"bands": [None]}, "bands[0]"),
        ({"bands": [{"up_to": None}]}, "bands[0][unit_amount]"),
        ({"bands": [{"up_to": None, "unit_amount": 4}]}, "bands[0][unit_amount]"),
        ({"bands": [{"up_to": None, "unit_amount": 4.0}]}, "bands[0][unit_amount]"),
        ({"bands": [{"up_to": None, "unit_amount": "-4"}]}, "bands[0][unit_amount]"),
        ({"bands": [{"up_to": None, "unit_amount": "four"}]}, "bands[0][unit_amount]"),
        ({"bands": [{"up_to": None, "unit_amount": "1", "flat_amount": "5"}]}, "bands[0][flat_amount]"),
        ({"bands": [{"up_to": None, "unit_amount": "1", "flat_amount": -5}]}, "bands[0][flat_amount]"),
        ({"bands": [{"up_to": None, "unit_amount": "1", "flat_amount": None}]}, "bands[0][flat_amount]"),
        ({"bands": [{"up_to": None, "unit_amount": "1", "price": "1"}]}, "bands[0][price]"),
        ({"bands": [{"up_to": 10, "unit_amount": "1"}]}, "bands[0][up_to]"),
        ({"bands": [{"up_to": "inf", "unit_amount": "1"}]}, "bands[0][up_to]"),
        ({"bands": [{"up_to": 10.0, "unit_amount": "1"}, OPEN]}, "bands[0][up_to]"),
        ({"bands": [{"up_to": 0, "unit_amount": "1"}, OPEN]}, "bands[0][up_to]"),
        ({"bands": [{"up_to": -1, "unit_amount": "1"}, OPEN]}, "bands[0][up_to]"),
        ({"bands": [OPEN, OPEN]}, "bands[0][up_to]"),
        (
            {"bands": [{"up_to": 10, "unit_amount": "1"}, {"up_to": 5, "unit_amount": "1"}, OPEN]},
            "bands[1][up_to]",
        ),
        ({"tiers": []}, "tiers"),
    ],
)
def test_a_bad_rating_request_names_its_fault(change: dict[str, Any], param: str) -> None:
    assert ask(RATE | change).error == (2, param)


@pytest.mark.parametrize("key", ["mode", "bands", "quantity"])
def test_a_rating_needs_mode_bands_and_quantity(key: str) -> None:
    assert ask({name: value for name, value in RATE.items() if name != key}).error == (2, key)


def test_a_message_quotes_what_was_given_in_one_short_line() -> None:
    for value in (
        "x" * 10_000,
        "line\nbreak",
        "\ud800",
        "9" * 500,
        {"a": "b" * 999},
        ["c" * 999],
        None,
        True,
    ):
        message = ask(QUOTE | {"seats": value}).content["error"]["message"]

        assert message.startswith("seats must be a whole number, not ")
        assert len(message) < 100
        assert message.isprintable()


def test_a_message_about_a_line_that_is_not_there_quotes_it_in_one_short_line() -> None:
    for line in ("x" * 10_000, "line\nbreak", "\ud800"):
        message = ask(QUOTE | {"discounts": [{"line": line, "amount_off": 1}]}).content["error"]["message"]

        assert message.startswith("No such line to discount: ")
        assert len(message) < 130
        assert message.isprintable()


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["1", "-1", "0.5", "seat"]),
)
nonsense = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["line", "up_to", "sms", "x"]), inner, max_size=3),
    ),
    max_leaves=6,
)


@st.composite
def spoilt(draw: st.DrawFn) -> object:
    """A good request with one of its values, at any depth, replaced by anything."""
    document = json.loads(json.dumps(draw(st.sampled_from([QUOTE, PRORATE, RATE, RESOLVE, DRAW, PACK]))))
    inner: Any = document
    while True:
        key = draw(
            st.sampled_from(sorted(inner)) if isinstance(inner, dict) else st.integers(0, len(inner) - 1)
        )
        if not isinstance(inner[key], dict | list) or not inner[key] or draw(st.booleans()):
            inner[key] = draw(nonsense)
            return document
        inner = inner[key]


@given(spoilt())
def test_whatever_is_asked_the_answer_is_a_price_or_a_named_fault(document: object) -> None:
    answer = ask(document)

    assert answer.status == 0 or answer.error[0] == 2
