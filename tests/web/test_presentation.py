"""Money, rates and dates as people read them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from flask import Flask
from flask_babel import force_locale

from portal.web.explanations import explain, monthly, units
from portal.web.presentation import address_lines, date_text, datetime_text, money, percent, rate, territories


@pytest.fixture(autouse=True)
def page(app: Flask):
    with app.test_request_context():
        yield


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (1398000, "usd", "$13,980.00"),
        (5, "usd", "$0.05"),
        (0, "usd", "$0.00"),
        (-122400, "usd", "−$1,224.00"),
        (1398000, "eur", "€13,980.00"),
        (1398, "jpy", "¥1,398"),
        (1500, "kwd", "KWD1.500"),
    ],
)
def test_money_shows_every_minor_unit_and_a_real_minus(minor: int, currency: str, text: str) -> None:
    assert money(minor, currency) == text


@pytest.mark.parametrize("not_minor", [139.8, "13980", True, Decimal("1")])
def test_money_takes_whole_minor_units_only(not_minor: object) -> None:
    with pytest.raises(TypeError):
        money(not_minor)  # type: ignore[arg-type]


def test_money_follows_the_language_of_the_page() -> None:
    with force_locale("de"):
        assert money(-1398000, "eur") == "−13.980,00\N{NO-BREAK SPACE}€"


@pytest.mark.parametrize(
    ("unit_amount", "text"),
    [
        (Decimal("99"), "$0.99"),
        (Decimal("3.2"), "$0.032"),
        ("0.35", "$0.0035"),
        (Decimal("102000"), "$1,020.00"),
        (Decimal("0"), "$0.00"),
    ],
)
def test_a_rate_keeps_its_fractions_of_a_cent(unit_amount: Decimal | str, text: str) -> None:
    assert rate(unit_amount) == text


def test_a_rate_is_never_a_float() -> None:
    with pytest.raises(TypeError):
        rate(0.35)  # type: ignore[arg-type]


def test_a_percentage_keeps_its_digits() -> None:
    assert percent("8.875") == "8.875%"


def test_dates_name_the_month_and_times_their_zone() -> None:
    instant = datetime(2027, 3, 3, 14, 5, tzinfo=UTC)

    assert date_text(date(2027, 3, 3)) == "3 March 2027"
    assert date_text(instant) == "3 March 2027"
    assert datetime_text(instant) == "3 March 2027, 14:05 UTC"


def test_countries_are_ordered_as_the_language_orders_them() -> None:
    names = [name for _, name in territories(["US", "DE", "AX", "AF", "EU", "ZZ"])]

    assert names == ["Afghanistan", "Åland Islands", "Germany", "United States"]


def test_counts_take_the_plural() -> None:
    assert [units(1, "seat"), units(1200, "sms")] == ["1 seat", "1,200 SMS segments"]


def test_a_twelfth_of_a_years_price_is_told_as_a_months() -> None:
    assert monthly(102000) == "$85.00"


def test_a_stored_line_explains_itself_like_a_fresh_one() -> None:
    stored = {
        "key": "seat",
        "interval": "year",
        "trace": [{"rule": "price", "inputs": {"quantity": 12, "unit_amount": "102000"}, "result": 1224000}],
    }

    assert explain(stored) == ["12 seats × $1,020.00 a year ($85.00 a month) = $12,240.00"]


def test_a_line_without_a_trace_explains_nothing() -> None:
    assert explain({"key": "seat", "amount": 5}) == []


@pytest.mark.parametrize(
    ("address", "lines"),
    [
        (
            ("1 Main St", "Apt 2", "New York", "NY", "10001", "US"),
            "1 Main St|Apt 2|New York, NY 10001|United States",
        ),
        (("1 King St", "", "Toronto", "ON", "M5H 1A1", "CA"), "1 King St|Toronto, ON M5H 1A1|Canada"),
        (("1 Pitt St", "", "Sydney", "NSW", "2000", "AU"), "1 Pitt St|Sydney, NSW 2000|Australia"),
        (
            ("10 Downing St", "", "London", "", "SW1A 2AA", "GB"),
            "10 Downing St|London|SW1A 2AA|United Kingdom",
        ),
        (("Torstraße 1", "", "Berlin", "", "10119", "DE"), "Torstraße 1|10119 Berlin|Germany"),
        (("1 Main St", "", "", "NY", "", "US"), "1 Main St|NY|United States"),
    ],
)
def test_an_address_is_written_as_its_country_writes_it(address: tuple[str, ...], lines: str) -> None:
    names = ("line1", "line2", "city", "state", "postal_code", "country")

    assert address_lines(dict(zip(names, address, strict=True))).replace("<br>", "|") == lines
