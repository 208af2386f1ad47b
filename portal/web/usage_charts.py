"""The chart of a period day by day: where its bars are, what a day says, what is still expected."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction

from portal.services.usage import Count, Metered, Period

# every bar has a column of ten units, on a plot of a hundred in height
COLUMN, BAR, HEIGHT = 10, 7, 100
LABELLED_DAYS = 5
# the ends of a scale whose half is a round number too: up to ten units, and in tenths beyond
SMALL = (2, 4, 6, 8, 10)
NICE = (12, 16, 20, 24, 30, 40, 50, 60, 80, 100)


@dataclass(frozen=True)
class Rect:
    """A part of a bar, in units of the plot; numbers as SVG writes them."""

    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True)
class Column:
    """One day. ``count`` is None while it has not come; ``expected`` are units, low to high.

    ``first`` is the lower part of its bar and ``second`` the upper; ``back`` what was reversed; ``ahead`` and
    ``reach`` are the dashed bar of a day to come and its range.
    """

    day: date
    labelled: bool
    count: Count | None
    expected: tuple[int, int, int] | None
    first: Rect | None = None
    second: Rect | None = None
    back: Rect | None = None
    ahead: Rect | None = None
    reach: Rect | None = None


@dataclass(frozen=True)
class Chart:
    """All of it. ``ticks`` from the top to 0; ``most_back`` is the height of the strip of reversals."""

    columns: Sequence[Column]
    ticks: Sequence[int]
    most_back: int
    width: int

    @property
    def foreseen(self) -> bool:
        """Whether days to come are drawn."""
        return any(column.ahead for column in self.columns)


def chart(found: Metered, period: Period, now: datetime) -> Chart:
    """The chart of one kind of usage; bars of resolutions are made of confirmed and assumed ones."""
    paces = dict(_paces(found, period, now))
    counts = list(found.days.values())
    highest = max([*map(_up, counts), *(high for _, _, high in paces.values()), 1])
    top = _nice(highest)
    back = max([count.reversed for count in counts], default=0)
    days = period.days
    every = max(1, -(-len(days) // LABELLED_DAYS))
    columns = [
        _column(n, day, found.days.get(day), paces.get(day), top, back, labelled=n % every == 0)
        for n, day in enumerate(days)
    ]
    return Chart(columns, (top, top // 2, 0), back, COLUMN * len(days))


def _up(count: Count) -> int:
    """What a bar shows of a day."""
    became = count.confirmed + count.assumed
    return became or max(count.quantity, 0)


def _nice(highest: int) -> int:
    """The end of the scale: even, a round number, and no less than the highest bar."""
    power = 1
    while 100 * power < highest:
        power *= 10
    steps = SMALL if highest <= SMALL[-1] else NICE
    return next(step * power for step in steps if step * power >= highest)


def _column(
    number: int,
    day: date,
    count: Count | None,
    expected: tuple[int, int, int] | None,
    top: int,
    back: int,
    *,
    labelled: bool,
) -> Column:
    x = number * COLUMN
    parts: dict[str, Rect | None] = {}
    if count is not None:
        lower = count.confirmed if count.confirmed or count.assumed else max(count.quantity, 0)
        parts["first"] = _rect(x, 0, lower, top)
        parts["second"] = _rect(x, lower, count.assumed, top)
        parts["back"] = _hanging(x, count.reversed, back)
    if expected is not None:
        base = _up(count) if count else 0
        low, middle, high = expected
        parts["ahead"] = _rect(x, base, middle - base, top)
        parts["reach"] = _rect(x, low, high - low, top)
    return Column(day, labelled, count, expected, **parts)


def _rect(x: int, start: int, units: int, top: int) -> Rect | None:
    """A part of a bar that stands on ``start`` units."""
    if units <= 0 or top <= 0:
        return None
    height = Fraction(HEIGHT * units, top)
    y = HEIGHT - Fraction(HEIGHT * start, top) - height
    return Rect(_text(x + Fraction(COLUMN - BAR, 2)), _text(y), _text(BAR), _text(height))


def _hanging(x: int, units: int, most: int) -> Rect | None:
    if units <= 0:
        return None
    height = Fraction(HEIGHT * units, most)
    return Rect(_text(x + Fraction(COLUMN - BAR, 2)), "0", _text(BAR), _text(height))


def _text(value: Fraction | int) -> str:
    return f"{Decimal(round(Fraction(value) * 100)) / 100:f}"


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
        low, middle, high = (round(Fraction(each * seconds, left)) for each in to_come)
        yield day, (low, middle, high)
