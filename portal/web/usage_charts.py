"""The chart of a period day by day: where its bars are, what a day says, what is still expected."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from portal.services.usage import Metered, Period
from portal.services.usage_rollup import Count

# every bar has a column of ten units, on a plot of a hundred in height
COLUMN, BAR, HEIGHT = 10, 7, 100
LABELLED_DAYS = 5
# the ends of a scale whose half is a round number too: up to ten units, and in tenths beyond
SMALL = (2, 4, 6, 8, 10)
NICE = (12, 16, 20, 24, 30, 40, 50, 60, 80, 100)


@dataclass(frozen=True)
class Column:
    """One day. ``count`` is None while it has not come; ``expected`` are units: low, expected, high."""

    day: date
    labelled: bool
    count: Count | None
    expected: tuple[int, int, int] | None


@dataclass(frozen=True)
class Chart:
    """All of it. ``ticks`` from the top to 0; ``most_back`` is the height of the strip of reversals.

    ``paths``: what is drawn of all days together, as SVG writes it: ``confirmed`` and ``assumed`` on it,
    ``back`` what was reversed, ``ahead`` and ``reach`` the bars of days to come and their range.
    """

    columns: Sequence[Column]
    ticks: Sequence[int]
    most_back: int
    width: int
    paths: Mapping[str, str]


def chart(found: Metered, period: Period, now: datetime) -> Chart:
    """The chart of one kind of usage; bars of resolutions are made of confirmed and assumed ones."""
    paces = dict(_paces(found, period, now))
    counts = list(found.days.values())
    highest = max([*map(_up, counts), *(high for _, _, high in paces.values()), 1])
    back = max([count.reversed for count in counts], default=0)
    days = period.days
    every = max(1, -(-len(days) // LABELLED_DAYS))
    columns = [
        Column(day, number % every == 0, found.days.get(day), paces.get(day))
        for number, day in enumerate(days)
    ]
    top = scale_end(highest)
    return Chart(columns, (top, top // 2, 0), back, COLUMN * len(days), _paths(columns, top, back))


def _up(count: Count) -> int:
    """What a bar shows of a day."""
    became = count.confirmed + count.assumed
    return became or max(count.quantity, 0)


def scale_end(highest: int) -> int:
    """The end of the scale: even, a round number, and no less than the highest bar."""
    power = 1
    while 100 * power < highest:
        power *= 10
    steps = SMALL if highest <= SMALL[-1] else NICE
    return next(step * power for step in steps if step * power >= highest)


def _paths(columns: Sequence[Column], top: int, back: int) -> dict[str, str]:
    parts: dict[str, list[str]] = {"confirmed": [], "assumed": [], "back": [], "ahead": [], "reach": []}
    for number, column in enumerate(columns):
        x = coordinate(2 * number * COLUMN + COLUMN - BAR, 2)
        if column.count is not None:
            lower = _up(column.count) - column.count.assumed
            parts["confirmed"].append(bar(x, 0, lower, top))
            parts["assumed"].append(bar(x, lower, column.count.assumed, top))
            parts["back"].append(_hanging(x, column.count.reversed, back))
        if column.expected is not None:
            low, middle, high = column.expected
            parts["ahead"].append(bar(x, 0, middle, top))
            parts["reach"].append(bar(x, low, high - low, top))
    return {kind: "".join(bars) for kind, bars in parts.items()}


def bar(x: str, start: int, units: int, top: int) -> str:
    """A part of a bar that stands on ``start`` units; nothing for none."""
    if units <= 0:
        return ""
    upper, tall = coordinate(HEIGHT * (top - start - units), top), coordinate(HEIGHT * units, top)
    return f"M{x} {upper}h{BAR}v{tall}h-{BAR}z"


def _hanging(x: str, units: int, most: int) -> str:
    return f"M{x} 0h{BAR}v{coordinate(HEIGHT * units, most)}h-{BAR}z" if units > 0 else ""


def coordinate(numerator: int, denominator: int) -> str:
    """A quotient to two places, without zeros at its end."""
    whole, hundredths = divmod((200 * numerator + denominator) // (2 * denominator), 100)
    return f"{whole}.{hundredths:02d}".rstrip("0").rstrip(".")


def _paces(found: Metered, period: Period, now: datetime) -> Iterator[tuple[date, tuple[int, int, int]]]:
    """What each day to come is expected to have: the forecast's units spread over the time that is left."""
    if found.forecast is None or now >= period.ends_at:
        return
    left = int((period.ends_at - now).total_seconds())
    units = found.forecast.units
    to_come = [max(0, each - found.forecast.used) for each in (units.low, units.expected, units.high)]
    if not to_come[2] or left <= 0:
        return
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    for day in period.days:
        if day < tomorrow:
            continue
        start = datetime.combine(day, time(), UTC)
        seconds = int((min(start + timedelta(days=1), period.ends_at) - start).total_seconds())
        low, middle, high = ((2 * each * seconds + left) // (2 * left) for each in to_come)
        yield day, (low, middle, high)
