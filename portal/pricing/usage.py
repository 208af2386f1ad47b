"""Usage priced by bands: graduated or volume, with included units and flat amounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from portal.pricing.checks import MAX_DECIMAL_PLACES, one_of, whole
from portal.pricing.checks import rate as checked_rate
from portal.pricing.errors import PricingError, inside
from portal.pricing.money import decimal_text, round_half_up
from portal.pricing.reading import Fields, fields
from portal.pricing.trace import MONEY, RATE, UNITS, Input, Reason, explained

MODES = ("graduated", "volume")
# No counter of ours reaches a trillion in a month.
MAX_QUANTITY: int = 10**12
MAX_FLAT_AMOUNT: int = 10**11
MAX_BANDS = 100

# Rates are summed as integers of this many parts of a minor unit, so that nothing is lost on the way.
_PARTS: int = 10**MAX_DECIMAL_PLACES
_FREE = Decimal(0)


@dataclass(frozen=True, slots=True)
class Band:
    """One step of a rate: units up to and including ``up_to``, or all further ones if it is None.

    ``unit_amount`` is Decimal minor units for each; ``flat_amount`` is integer minor units, charged once if
    a unit falls into the band. Bounds count billable units, that is units after the included ones. Stripe's
    ``tiers[]``.
    Raises PricingError (params ``up_to``, ``unit_amount``, ``flat_amount``).
    """

    up_to: int | None
    unit_amount: Decimal
    flat_amount: int = 0

    def __post_init__(self) -> None:
        if self.up_to is not None:
            whole(self.up_to, "up_to", minimum=1, maximum=MAX_QUANTITY)
        checked_rate(self.unit_amount, "unit_amount")
        whole(self.flat_amount, "flat_amount", minimum=0, maximum=MAX_FLAT_AMOUNT)

    def parts(self, quantity: int) -> int:
        """Return what ``quantity`` units in this band cost, exactly, in 10**-12 of a minor unit."""
        numerator, denominator = self.unit_amount.as_integer_ratio()
        return quantity * numerator * (_PARTS // denominator) + self.flat_amount * _PARTS


@dataclass(frozen=True, slots=True)
class Step:
    """What one band, or the allowance, took: ``quantity`` units for ``amount`` integer minor units."""

    quantity: int
    unit_amount: Decimal
    flat_amount: int
    amount: int


@dataclass(frozen=True, slots=True)
class Rating:
    """The price of a quantity: ``amount`` in integer minor units, and the steps that add up to it.

    The amount is rounded once. A step's amount is the difference between the rounded running totals after
    and before it, so the steps sum to ``amount`` and their quantities to ``quantity``; a single step may
    therefore differ by less than one minor unit from its own exact price.
    """

    mode: str
    quantity: int
    included: int
    amount: int
    steps: tuple[Step, ...]

    @property
    def trace(self) -> tuple[Reason, ...]:
        """Why the amount is what it is: a reason for each step."""
        return reasons_for(self.steps, mode=self.mode, included=self.included)

    def as_dict(self, *, explain: bool = False) -> dict[str, object]:
        """Return amount and steps for JSON; ``explain`` adds the trace."""
        steps = [
            {"quantity": step.quantity, "unit_amount": decimal_text(step.unit_amount), "amount": step.amount}
            for step in self.steps
        ]
        return {"amount": self.amount, "steps": steps} | explained(self.trace, explain)


def bands_from(own: Fields) -> tuple[Band, ...]:
    """Return the bands at the field ``bands``; no ``up_to`` is an open end, no ``flat_amount`` is 0."""
    bands = []
    for param, item in own.items("bands"):
        band = fields(item, param, "up_to", "unit_amount", "flat_amount")
        up_to = band.whole("up_to") if band.has("up_to") else None
        flat_amount = band.whole("flat_amount") if "flat_amount" in band.values else 0
        unit_amount = band.decimal("unit_amount")
        with inside(param):
            bands.append(Band(up_to, unit_amount, flat_amount))
    return tuple(bands)


def checked_bands(bands: Sequence[Band]) -> tuple[Band, ...]:
    """Return the bands if they rise and only the last is open; else ``bands[i][up_to]`` is to blame."""
    whole(len(bands), "bands", minimum=1, maximum=MAX_BANDS)
    lower = 0
    for position, band in enumerate(bands):
        param = f"bands[{position}][up_to]"
        last = position == len(bands) - 1
        if last and band.up_to is not None:
            raise PricingError(f"{param} must be null: the last band is open.", param)
        if not last and band.up_to is None:
            raise PricingError(f"{param} must be a number: only the last band is open.", param)
        if band.up_to is not None:
            if band.up_to <= lower:
                raise PricingError(f"{param} must be above {lower}, the band before it.", param)
            lower = band.up_to
    return tuple(bands)


def rate(quantity: int, bands: Sequence[Band], *, mode: str = "graduated", included: int = 0) -> Rating:
    """Return what ``quantity`` units cost after the first ``included`` ones.

    ``graduated``: each unit at the price of the band it falls into. ``volume``: all billable units at the
    price of the band that the last one falls into. Bands count from the first unit after the included ones.
    Amounts are integer minor units, rounded once, a tie upward. Without a billable unit no band is used and
    no flat amount due.
    Raises PricingError (params ``quantity``, ``included``, ``mode``, ``bands…``).
    Source: Stripe's tiered prices (docs: products-prices/pricing-models); an allowance is a zero band
    there.
    """
    whole(quantity, "quantity", minimum=0, maximum=MAX_QUANTITY)
    whole(included, "included", minimum=0, maximum=MAX_QUANTITY)
    one_of(mode, "mode", MODES)
    return rate_checked(quantity, checked_bands(bands), mode=mode, included=included)


def rate_checked(quantity: int, bands: tuple[Band, ...], *, mode: str, included: int) -> Rating:
    """Rate like ``rate()``, for arguments that were checked before, such as a catalogue's bands."""
    steps = []
    free = min(quantity, included)
    if free:
        steps.append(Step(free, _FREE, 0, 0))
    exact = charged = 0
    for taken, band in _taken(quantity - free, bands, mode):
        exact += band.parts(taken)
        amount = round_half_up(exact, _PARTS) - charged
        charged += amount
        steps.append(Step(taken, band.unit_amount, band.flat_amount, amount))
    return Rating(mode, quantity, included, charged, tuple(steps))


def instalment(
    before: int, more: int, bands: Sequence[Band], *, mode: str = "graduated", included: int = 0
) -> int:
    """Return what ``more`` units add after ``before`` were rated in the same period, in integer minor units.

    Rated from the running total, so instalments always sum to the price of the whole, whatever was rounded
    on the way. A volume rate may make an instalment negative: the lower price then counts for the earlier
    units too.
    Raises PricingError like ``rate()``.
    """
    whole(more, "more", minimum=0, maximum=MAX_QUANTITY)
    after = rate(before + more, bands, mode=mode, included=included)
    return after.amount - rate(before, bands, mode=mode, included=included).amount


def _taken(billable: int, bands: tuple[Band, ...], mode: str) -> list[tuple[int, Band]]:
    """Return the bands in use with the units that each takes."""
    taken: list[tuple[int, Band]] = []
    lower = 0
    for band in bands:
        upper = billable if band.up_to is None else min(billable, band.up_to)
        if upper > lower:
            taken.append((upper - lower, band))
            lower = upper
    if mode == "volume" and taken:
        return [(billable, taken[-1][1])]
    return taken


def reasons_for(steps: tuple[Step, ...], *, mode: str, included: int) -> tuple[Reason, ...]:
    """Return a reason for each step of a rating; with an allowance the first step is what it took."""
    allowance = steps[: bool(included)]
    return (
        *(_included_reason(step.quantity, included) for step in allowance),
        *(_band_reason(mode, step) for step in steps[len(allowance) :]),
    )


def _included_reason(quantity: int, included: int) -> Reason:
    inputs = (Input("quantity", quantity, UNITS), Input("included", included, UNITS))
    return Reason("included", "quantity × 0", inputs, 0)


def _band_reason(mode: str, step: Step) -> Reason:
    quantity, unit_amount = (
        Input("quantity", step.quantity, UNITS),
        Input("unit_amount", step.unit_amount, RATE),
    )
    if not step.flat_amount:
        return Reason(mode, "quantity × unit_amount", (quantity, unit_amount), step.amount)
    flat_amount = Input("flat_amount", step.flat_amount, MONEY)
    formula = "quantity × unit_amount + flat_amount"
    return Reason(mode, formula, (quantity, unit_amount, flat_amount), step.amount)
