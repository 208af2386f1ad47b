"""Credit the unused time of what was paid, charge the remaining time of what comes: as Stripe does it."""

from dataclasses import dataclass
from decimal import Decimal

from portal.pricing.checks import rate as checked_rate
from portal.pricing.checks import whole
from portal.pricing.errors import PricingError
from portal.pricing.money import round_half_down
from portal.pricing.trace import RATE, SECONDS, UNITS, Input, Reason, explained

# Unix seconds of the last moment of the year 9999.
MAX_TIME = 253_402_300_799
MAX_ITEM_QUANTITY = 10**9


@dataclass(frozen=True, slots=True)
class BilledItem:
    """What one side of a change costs for a whole period: ``quantity × unit_amount`` (Decimal minor units).

    ``period_start`` and ``period_end`` (unix seconds) are given when this side has another period than the
    change as a whole: a month becomes a year, and the year counts from the same anchor.
    Raises PricingError (params ``unit_amount``, ``quantity``, ``period_start``, ``period_end``).
    """

    unit_amount: Decimal
    quantity: int
    period_start: int | None = None
    period_end: int | None = None

    def __post_init__(self) -> None:
        checked_rate(self.unit_amount, "unit_amount")
        whole(self.quantity, "quantity", minimum=0, maximum=MAX_ITEM_QUANTITY)
        if self.period_start is None and self.period_end is None:
            return
        if self.period_start is None or self.period_end is None:
            missing = "period_start" if self.period_start is None else "period_end"
            raise PricingError("period_start and period_end come together.", missing)
        _check_period(self.period_start, self.period_end)


@dataclass(frozen=True, slots=True)
class ProrationLine:
    """One line of a change: ``amount`` in integer minor units, a credit negative, for a span of time."""

    amount: int
    quantity: int
    period_start: int
    period_end: int
    trace: tuple[Reason, ...]

    def as_dict(self, *, explain: bool = False) -> dict[str, object]:
        """Return the line for JSON; ``explain`` adds the trace."""
        shape: dict[str, object] = {
            "amount": self.amount,
            "quantity": self.quantity,
            "period_start": self.period_start,
            "period_end": self.period_end,
        }
        return shape | explained(self.trace, explain)


@dataclass(frozen=True, slots=True)
class Proration:
    """The lines of a change, credit first, and their sum in integer minor units."""

    lines: tuple[ProrationLine, ...]
    total: int

    def as_dict(self, *, explain: bool = False) -> dict[str, object]:
        """Return the proration for JSON; ``explain`` adds a trace to every line."""
        return {"lines": [line.as_dict(explain=explain) for line in self.lines], "total": self.total}


def prorate(
    before: BilledItem | None, after: BilledItem | None, *, period_start: int, period_end: int, at: int
) -> Proration:
    """Return what changing ``before`` into ``after`` at the moment ``at`` credits and charges.

    The whole old item is credited and the whole new one charged, never the difference, each for its share
    of the period in seconds, exact, each line rounded alone with ties toward minus infinity. None is a side
    that is not there: an item added or removed. All times are unix seconds and ``at`` lies in the period,
    its ends included.
    Raises PricingError (params ``period_start``, ``period_end``, ``at``, ``before…``, ``after…``).
    Source: recorded Stripe invoices: 1000 becomes 1800 with 1/400 of the period left: -3 and 4; quantity 1
    to 3: -3 and 7; a month of 2500 becomes a year of 25000 three seconds in: -2500 and 25000.
    """
    _check_period(period_start, period_end)
    whole(at, "at", minimum=0, maximum=MAX_TIME)
    if before is None and after is None:
        raise PricingError("before and after may not both be null: nothing changes.", "before")
    lines = []
    for param, item, sign in (("before", before, -1), ("after", after, 1)):
        if item is None:
            continue
        start = period_start if item.period_start is None else item.period_start
        end = period_end if item.period_end is None else item.period_end
        if not start <= at <= end:
            message = f"at must lie in the period of {param}, from {start} to {end}, not {at}."
            raise PricingError(message, "at")
        lines.append(_line(item, sign, start=start, end=end, at=at))
    return Proration(tuple(lines), sum(line.amount for line in lines))


def _check_period(period_start: int, period_end: int) -> None:
    whole(period_start, "period_start", minimum=0, maximum=MAX_TIME)
    whole(period_end, "period_end", minimum=0, maximum=MAX_TIME)
    if period_end <= period_start:
        raise PricingError(
            f"period_end must be after period_start ({period_start}), not {period_end}.", "period_end"
        )


def _line(item: BilledItem, sign: int, *, start: int, end: int, at: int) -> ProrationLine:
    numerator, denominator = item.unit_amount.as_integer_ratio()
    amount = round_half_down(sign * numerator * item.quantity * (end - at), denominator * (end - start))
    inputs = (
        Input("quantity", item.quantity, UNITS),
        Input("unit_amount", item.unit_amount, RATE),
        Input("seconds_left", end - at, SECONDS),
        Input("seconds_in_period", end - start, SECONDS),
    )
    formula = "quantity × unit_amount × seconds_left ÷ seconds_in_period"
    rule = "proration_debit" if sign > 0 else "proration_credit"
    reason = Reason(rule, formula if sign > 0 else f"-({formula})", inputs, amount)
    return ProrationLine(amount, item.quantity, at, end, (reason,))
