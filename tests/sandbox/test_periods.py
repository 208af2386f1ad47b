"""Periods are counted from the anchor, in UTC, and keep its day."""

from datetime import UTC, datetime

import pytest

from portal.sandbox import periods


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_a_month_after_the_recorded_anchor_ends_thirty_days_later():
    assert periods.after(1790021304, "month", 1) == 1792613304


def test_the_31st_returns_after_a_short_month():
    anchor = at("2026-01-31T10:00:00")

    assert periods.after(anchor, "month", 1) == at("2026-02-28T10:00:00")
    assert periods.after(anchor, "month", 2) == at("2026-03-31T10:00:00")


def test_a_leap_day_anchor_renews_on_the_28th_and_returns_to_the_29th():
    anchor = at("2024-02-29T00:00:00")

    assert periods.after(anchor, "year", 1) == at("2025-02-28T00:00:00")
    assert periods.after(anchor, "year", 4) == at("2028-02-29T00:00:00")


@pytest.mark.parametrize(
    ("moment", "start", "end"),
    [
        ("2026-01-31T10:00:00", "2026-01-31T10:00:00", "2026-02-28T10:00:00"),
        ("2026-02-28T09:59:59", "2026-01-31T10:00:00", "2026-02-28T10:00:00"),
        ("2026-02-28T10:00:00", "2026-02-28T10:00:00", "2026-03-31T10:00:00"),
        ("2031-12-31T09:59:59", "2031-11-30T10:00:00", "2031-12-31T10:00:00"),
        ("2026-01-30T10:00:00", "2025-12-31T10:00:00", "2026-01-31T10:00:00"),
    ],
)
def test_the_period_that_contains_a_moment_starts_at_or_before_it(moment, start, end):
    anchor = at("2026-01-31T10:00:00")

    assert periods.containing(anchor, "month", 1, at(moment)) == (at(start), at(end))


def test_quarters_are_three_months_from_the_anchor():
    anchor = at("2026-01-15T00:00:00")

    assert periods.containing(anchor, "month", 3, at("2026-08-01T00:00:00")) == (
        at("2026-07-15T00:00:00"),
        at("2026-10-15T00:00:00"),
    )


@pytest.mark.parametrize(
    ("recurrings", "fit"),
    [
        ([("month", 1), ("year", 1)], True),
        ([("month", 3), ("year", 1)], True),
        ([("month", 5), ("year", 1)], False),
        ([("week", 1), ("month", 1)], False),
        ([("day", 1), ("week", 2)], True),
    ],
)
def test_intervals_fit_when_each_is_a_multiple_of_the_shortest(recurrings, fit):
    given = [{"interval": interval, "interval_count": count} for interval, count in recurrings]

    assert periods.multiples(given) is fit
