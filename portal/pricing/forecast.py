"""How many units a period will have at its end, and what they will cost: an expectation and its range.

The method, which anyone can redo by hand: what was counted so far stays, and the time that is left is
filled with days such as the recent ones. With two weeks known, each weekday is taken from its own last four;
with less, all known days are taken together; with no whole day, the hours so far. The range takes the lower
and the upper half of the same days, widened by the square root of the units to come, the scatter of chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

from portal.pricing.checks import whole
from portal.pricing.errors import PricingError
from portal.pricing.money import round_half_up
from portal.pricing.proration import MAX_TIME
from portal.pricing.usage import MAX_QUANTITY, Band, rate

DAY = 86_400
WEEK = 7
# Older days than these say little about the coming ones.
RECENT_DAYS = 4 * WEEK
# From so many days on each weekday was seen twice, and is told apart.
FULL_WEEKS = 2 * WEEK
MAX_PERIOD = 366 * DAY
# Day 0, 1 January 1970, was the fourth day of a week that begins on Monday.
_FIRST_WEEKDAY = 3

HOURS, DAYS, WEEKS = "hours", "days", "weeks"


@dataclass(frozen=True, slots=True)
class Range:
    """Three numbers of one thing, low ≤ expected ≤ high: units, or integer minor units."""

    low: int
    expected: int
    high: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a period will have at its end.

    ``basis`` says what it rests on: ``hours`` (no whole day is known yet, so it is a guess), ``days`` or
    ``weeks``; ``days`` is how many whole days that were.
    """

    used: int
    units: Range
    basis: str
    days: int


@dataclass(frozen=True, slots=True)
class _Pace:
    """Units a day, exact."""

    low: Fraction
    expected: Fraction
    high: Fraction


def forecast(used: int, days: Sequence[int], *, starts_at: int, ends_at: int, now: int) -> Forecast:
    """Return how many units the period from ``starts_at`` to ``ends_at`` will have, as seen ``now``.

    ``used`` was counted in the period so far. ``days`` are the units of the whole UTC days before today, the
    oldest first and yesterday last, reaching into earlier periods if those are known; the last RECENT_DAYS
    count. Times are unix seconds; ``now`` outside of the period counts as its nearest edge, so at the end the
    forecast is what was used. Reversals may make counts negative; the units to come never are.
    Raises PricingError (params ``used``, ``days[i]``, ``starts_at``, ``ends_at``, ``now``).
    """
    whole(used, "used", minimum=-MAX_QUANTITY, maximum=MAX_QUANTITY)
    _check_times(starts_at, ends_at, now)
    recent = [
        whole(count, f"days[{position}]", minimum=-MAX_QUANTITY, maximum=MAX_QUANTITY)
        for position, count in enumerate(days)
    ][-RECENT_DAYS:]
    basis = WEEKS if len(recent) >= FULL_WEEKS else DAYS if recent else HOURS
    if basis == WEEKS:
        paces = [_pace_of(recent, back) for back in _by_weekday(now // DAY)]
    else:
        paces = [_pace_of_days(recent) if recent else _pace_of_hours(used, now - starts_at)] * WEEK
    seconds = _seconds_left(min(max(now, starts_at), ends_at), ends_at)
    units = Range(
        used + _scattered(_to_come(seconds, [pace.low for pace in paces]), -1),
        used + _to_come(seconds, [pace.expected for pace in paces]),
        used + _scattered(_to_come(seconds, [pace.high for pace in paces]), +1),
    )
    return Forecast(used, units, basis, len(recent))


def cost(units: Range, bands: Sequence[Band], *, included: int = 0) -> Range:
    """Return what so many units cost by graduated ``bands``, in integer minor units; see ``rate()``.

    Less than no unit, after reversals, costs nothing.
    Raises PricingError like ``rate()``.
    """
    low, expected, high = (
        rate(min(max(quantity, 0), MAX_QUANTITY), bands, included=included).amount
        for quantity in (units.low, units.expected, units.high)
    )
    return Range(low, expected, high)


def _check_times(starts_at: int, ends_at: int, now: int) -> None:
    for param, moment in (("starts_at", starts_at), ("ends_at", ends_at), ("now", now)):
        whole(moment, param, minimum=0, maximum=MAX_TIME)
    if not 0 < ends_at - starts_at <= MAX_PERIOD:
        message = f"ends_at must be after starts_at ({starts_at}) by at most {MAX_PERIOD} seconds."
        raise PricingError(message, "ends_at")


def _seconds_left(now: int, ends_at: int) -> list[int]:
    """The seconds left on each weekday, Monday first."""
    left = [0] * WEEK
    for day in range(now // DAY, -(-ends_at // DAY)):
        left[_weekday(day)] += min(ends_at, (day + 1) * DAY) - max(now, day * DAY)
    return left


def _weekday(day: int) -> int:
    return (day + _FIRST_WEEKDAY) % WEEK


def _by_weekday(today: int) -> list[int]:
    """For each weekday, Monday first, how many days back it was last, from 1 (yesterday) to 7."""
    return [(_weekday(today) - weekday - 1) % WEEK + 1 for weekday in range(WEEK)]


def _pace_of(recent: list[int], back: int) -> _Pace:
    """The pace of one weekday: of its recent days the mean, and the means of the lower and upper half."""
    same = recent[-back::-WEEK]
    return _Pace(lower_half(same), Fraction(sum(same), len(same)), upper_half(same))


def _pace_of_days(recent: list[int]) -> _Pace:
    """The pace of all known days.

    In the first week, the weekdays not seen yet are taken for idle in the low, and for twice as busy as the
    busiest day in the high.
    """
    unseen = max(WEEK - len(recent), 0)
    low, high = lower_half(recent), upper_half(recent)
    seen = len(recent) if unseen else WEEK
    busy = max(0, *recent, 0)
    return _Pace(
        Fraction(seen, WEEK) * low,
        Fraction(sum(recent), len(recent)),
        Fraction(seen, WEEK) * high + Fraction(unseen, WEEK) * 2 * busy,
    )


def _pace_of_hours(used: int, elapsed: int) -> _Pace:
    """The pace before any whole day is known: a few hours are not taken for the pace of a day.

    Expected is what was used as if that had been the whole first day, high four times as much in its first
    half and twice as much from its end on, low is that nothing more comes.
    """
    return _Pace(
        Fraction(0), Fraction(used * DAY, max(elapsed, DAY)), Fraction(2 * used * DAY, max(elapsed, DAY // 2))
    )


def lower_half(counts: Sequence[int]) -> Fraction:
    """Return the mean of the lower half of some counts; the middle one belongs to both halves."""
    half = sorted(counts)[: (len(counts) + 1) // 2]
    return Fraction(sum(half), len(half))


def upper_half(counts: Sequence[int]) -> Fraction:
    """Return the mean of the upper half of some counts; the middle one belongs to both halves."""
    half = sorted(counts)[len(counts) // 2 :]
    return Fraction(sum(half), len(half))


def _to_come(seconds: list[int], paces: list[Fraction]) -> int:
    """The units of the time that is left, to the nearest unit; never less than none."""
    exact = sum((pace * each for pace, each in zip(paces, seconds, strict=True)), Fraction(0))
    return max(0, round_half_up(exact.numerator, exact.denominator * DAY))


def _scattered(to_come: int, sign: int) -> int:
    return to_come + sign * isqrt(to_come)
