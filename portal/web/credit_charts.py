"""The chart of credits month by month: what was left at the end of each, and what is expected to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from portal.services.credit_outlook import Month
from portal.web.usage_charts import BAR, COLUMN, bar, coordinate, scale_end

LABELLED = 6


@dataclass(frozen=True)
class MonthColumn:
    """One month, as ``macros/charts.html`` wants a column; ``count`` or ``expected`` is None."""

    day: date
    labelled: bool
    count: Month | None
    expected: Month | None


@dataclass(frozen=True)
class MonthChart:
    """All of it, as ``web.usage_charts.Chart``."""

    columns: Sequence[MonthColumn]
    ticks: Sequence[int]
    width: int
    paths: Mapping[str, str]
    most_back: int = 0


def chart(months: Sequence[Month]) -> MonthChart:
    """The chart of what is left, a bar for each month."""
    top = scale_end(max([1, *(month.left for month in months)]))
    every = max(1, -(-len(months) // LABELLED))
    columns = [
        MonthColumn(
            month.starts_at.date(),
            # on a phone a name is wider than a bar: the last one's would stand out beside the card
            number % every == 0 and (number < len(months) - 1 or number == 0),
            None if month.expected else month,
            month if month.expected else None,
        )
        for number, month in enumerate(months)
    ]
    paths = {"reach": "", "assumed": ""} | {
        kind: "".join(
            bar(coordinate(2 * number * COLUMN + COLUMN - BAR, 2), 0, month.left, top)
            for number, month in enumerate(months)
            if month.expected == expected
        )
        for kind, expected in (("confirmed", False), ("ahead", True))
    }
    return MonthChart(columns, (top, top // 2, 0), COLUMN * len(months), paths)
