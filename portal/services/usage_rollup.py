"""A period's sums of units by day and channel, from a few rows a day whatever the ledger holds."""

from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

SUMS = text("""
SELECT key, day, channel, sum(quantity), sum(charged), sum(confirmed), sum(assumed), sum(reversed)
FROM usage_day WHERE workspace_id = :workspace AND period_start = :period
GROUP BY GROUPING SETS ((key, day), (key, channel), (key))
""")


@dataclass(frozen=True)
class Count:
    """Units of one day, channel or period.

    ``quantity`` = all that was counted less what was taken back, ``charged`` = that part of it which is
    billed: not what is free in a trial or over the cap. Of resolutions, ``confirmed`` + ``assumed`` became
    billable and ``reversed`` (≥ 0) were taken back: each is the length of a list (``services.resolutions``).
    """

    quantity: int = 0
    charged: int = 0
    confirmed: int = 0
    assumed: int = 0
    reversed: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.quantity + other.quantity,
            self.charged + other.charged,
            self.confirmed + other.confirmed,
            self.assumed + other.assumed,
            self.reversed + other.reversed,
        )

    @property
    def carried(self) -> int:
        """Of resolutions: what Stripe had billed before it was corrected, or gives back of such."""
        return self.quantity - (self.confirmed + self.assumed - self.reversed)

    @property
    def free(self) -> int:
        """What was counted and is not billed."""
        return self.quantity - self.charged


@dataclass
class Counted:
    """A period's sums by key: in all, by day, by channel."""

    total: dict[str, Count] = field(default_factory=dict)
    days: dict[str, dict[date, Count]] = field(default_factory=dict)
    channels: dict[str, list[tuple[str, Count]]] = field(default_factory=dict)


def read(session: Session, period_start: datetime) -> Counted:
    """The sums of the period that begins then."""
    found = Counted()
    where = {"workspace": session.info["workspace_id"], "period": period_start}
    for key, day, channel, *sums in session.execute(SUMS, where):
        count = Count(*map(int, sums))
        if day is not None:
            found.days.setdefault(key, {})[day] = count
        elif channel is not None:
            found.channels.setdefault(key, []).append((channel, count))
        else:
            found.total[key] = count
    return found
