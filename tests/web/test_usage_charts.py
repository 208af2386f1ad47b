"""Where the bars of a chart are, and periods, days and conversations in addresses."""

from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as some

from portal.pricing.forecast import Forecast, Range
from portal.services.usage import Metered, Period
from portal.services.usage_rollup import Count
from portal.web.usage_address import ConversationId, read_period
from portal.web.usage_charts import Chart, chart

START = datetime(2026, 11, 10, 12, tzinfo=UTC)
PERIOD = Period(START, START + timedelta(days=30), "open", trial=False, invoice_id=None)
NOW = START + timedelta(days=2)


def drawn(*counts: Count, forecast: Forecast | None = None) -> Chart:
    days = {date(2026, 11, 10 + number): count for number, count in enumerate(counts)}
    return chart(Metered("resolution", Count(), days, [], None, None, 0, forecast=forecast), PERIOD, NOW)


def test_the_bars_stand_on_each_other_and_the_scale_ends_round() -> None:
    found = drawn(Count(confirmed=30, assumed=50), Count(confirmed=10))

    assert found.ticks == (80, 40, 0)
    assert found.paths["confirmed"] == "M1.5 62.5h7v37.5h-7zM11.5 87.5h7v12.5h-7z"
    assert found.paths["assumed"] == "M1.5 0h7v62.5h-7z"


@pytest.mark.parametrize(("highest", "top"), [(0, 2), (1, 2), (3, 4), (11, 12), (112, 120), (1_001, 1_200)])
def test_the_scale_has_a_round_end_and_a_round_half(highest: int, top: int) -> None:
    assert drawn(Count(confirmed=highest)).ticks[0] == top
    assert top % 2 == 0


def test_what_came_back_hangs_in_a_strip_of_its_own() -> None:
    found = drawn(Count(confirmed=8, reversed=2), Count(reversed=4))

    assert found.most_back == 4
    assert found.paths["back"] == "M1.5 0h7v50h-7zM11.5 0h7v100h-7z"


def test_days_to_come_share_what_is_expected() -> None:
    forecast = Forecast(20, Range(48, 76, 104), "days", 1)
    found = drawn(Count(confirmed=10), Count(confirmed=10), Count(), forecast=forecast)
    coming = [column.expected for column in found.columns if column.expected]

    assert (len(found.columns), len(coming)) == (31, 28)
    assert coming[0] == (1, 2, 3)
    assert coming[-1] == (1, 1, 2)  # half a day
    assert found.paths["ahead"].count("M") == 28


def test_the_whole_period_is_drawn_with_a_few_labels() -> None:
    found = drawn(Count(confirmed=1))

    assert (found.columns[0].day, found.columns[-1].day) == (date(2026, 11, 10), date(2026, 12, 10))
    assert sum(column.labelled for column in found.columns) == 5


@given(some.text(alphabet=some.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_text_is_a_conversation_in_an_address_and_back(name: str) -> None:
    converter = ConversationId(Flask("any").url_map)
    written = converter.to_url(name)

    assert converter.to_python(written) == name
    assert set(written) <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.-~")
    assert written.strip(".")


def test_a_period_is_an_instant() -> None:
    assert read_period({"period": "2026-11-10T12:00:00Z"}) == START
    assert read_period({"period": "2026-11-10T13:00:00+01:00"}) == START
    assert read_period({"period": "2026-11-10T13:00:00 01:00"}) == START
    for text in ("", "soon", "2026-11-10", "2026-11-10T12:00:00", "9999-12-31T23:59:59-23:59"):
        assert read_period({"period": text}) is None
