"""Which pack of annual credits suits a workspace, if any: its own months, played once more with each pack.

The method, which anyone can redo by hand. The coming year is like the past one. With fewer than twelve months
known, each month is their mean; low takes the lower half of them and the months of the year that were never
seen for idle, high the upper half and those for twice as busy as the busiest. With twelve, each month is the
same one of the past year, a quarter fewer or more to either side. From fifteen months on that is multiplied
by the growth: the latest months, up to twelve, against the same ones a year before. Low and high then take
the lower and the upper half of these comparisons, where low never counts on growth and high never on decline,
and keep the quarter for months that have none. All is widened by the square root of the year's units, the
scatter of chance. A pack is recommended only if it does not cost more than paying by use even in a low year.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import isqrt

from portal.pricing.affordable import units_within
from portal.pricing.catalog import Catalog
from portal.pricing.checks import whole
from portal.pricing.errors import PricingError
from portal.pricing.forecast import Range, lower_half, upper_half
from portal.pricing.money import MAX_AMOUNT, line_amount, round_half_up
from portal.pricing.packs import Pack, offer, price_list
from portal.pricing.usage import Band

YEAR = 12
# With fewer months known nothing is recommended, and with fewer to compare no growth is seen.
MIN_MONTHS = 3
# Ten years; the last two of them are looked at.
MAX_MONTHS = 120
RECENT_MONTHS = 2 * YEAR
MAX_MONTHLY_UNITS = 10**9
# How far the next year may be from the only one that is known.
UNSURE = Fraction(1, 4)
SAME = Fraction(1)
# No year is expected to have less than half or more than twice the units of the one before.
LEAST_GROWTH, MOST_GROWTH = Fraction(1, 2), Fraction(2)

FEW_MONTHS, ONE_YEAR, TWO_YEARS = "few_months", "one_year", "two_years"
SAFE, NONE_SAVES, NONE_IS_SAFE, TOO_SHORT = "safe", "none_saves", "none_is_safe", "too_short"
# Each code of ``because`` with its sentence; pages translate the code.
BECAUSE = {
    SAFE: (
        "Of the packs that cost no more than paying by use even in a low year, this one saves most in the"
        " expected year."
    ),
    NONE_SAVES: "No pack costs less than paying by use in the expected year.",
    NONE_IS_SAFE: "A pack would save in the expected year, but cost more than paying by use in a low one.",
    TOO_SHORT: f"Fewer than {MIN_MONTHS} months are known, which is too short to advise on a year.",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A year with an option: ``units`` used, its ``cost``, and the units ``wasted``, left at the end.

    ``cost`` is the pack and what is paid by use beyond it, ``saving`` what that is less than paying all by
    use, negative if it is more: integer minor units before tax. ``runs_out`` is the month, from 1, in which
    the pack does not last, None if it lasts for the year.
    """

    units: int
    cost: int
    wasted: int
    saving: int
    runs_out: int | None


@dataclass(frozen=True, slots=True)
class Option:
    """Paying by use (``pack`` is None), or a pack: the year with it if that turns out low, as expected, high.

    ``break_even`` is how many units a year must have so that the pack costs no more than paying by use.
    ``past`` is the outcome with the last twelve months as they were, None if fewer are known.
    """

    pack: Pack | None
    break_even: int
    low: Outcome
    expected: Outcome
    high: Outcome
    past: Outcome | None


@dataclass(frozen=True, slots=True)
class Expectation:
    """The coming twelve months, each list in their order, and what they come to in ``year``.

    ``basis`` says what it rests on: ``few_months``, ``one_year`` or ``two_years``. ``growth_percent`` is what
    the year is expected to have more than the past one, rounded; None where no growth can be seen.
    """

    basis: str
    year: Range
    growth_percent: int | None
    low: tuple[int, ...]
    expected: tuple[int, ...]
    high: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """Units that were paid for before, and pay for what is used in so many ``months``, ≥ 0, from now on."""

    units: int
    months: Fraction


@dataclass(frozen=True, slots=True)
class Advice:
    """What ``months`` known months say: the expected year, the options, and one of them recommended.

    ``options`` begin with paying by use, then packs from small to large. ``recommended`` is one of them,
    also paying by use. Where history is too short, it and ``expectation`` are None and there are no options.
    ``because`` is a code of BECAUSE. The first ``held`` units of the expected year were paid for before, and
    options are about the rest.
    """

    months: int
    expectation: Expectation | None
    options: tuple[Option, ...]
    recommended: Option | None
    because: str
    held: int = 0


def advise(
    history: Sequence[int],
    *,
    catalog: Catalog,
    unit_amount: Decimal | None = None,
    held: Sequence[Left] = (),
) -> Advice:
    """Return what a year costs by use and with each pack that is worth a look, and which is recommended.

    ``history`` are the units of whole months, the oldest first and the last month last; the last
    RECENT_MONTHS count, but for those before the first use. Packs are those of the price list that cost less
    than paying by use, and those for the year as expected, low and high. Recommended is what saves most in
    the expected year among the packs that cost no more than paying by use in a low one, the smaller of equal
    ones; paying by use, if there is none.
    ``unit_amount`` is as in ``pack()``; ``held`` is what is left of packs that pay before a new one, as far
    as it is used before they end.
    Raises PricingError (params ``history``, ``history[i]``, ``catalog``, ``unit_amount``, ``held[i]``).
    """
    whole(len(history), "history", minimum=0, maximum=MAX_MONTHS)
    for position, each in enumerate(held):
        whole(each.units, f"held[{position}]", minimum=0, maximum=YEAR * MAX_MONTHLY_UNITS)
        if each.months < 0:
            raise PricingError("held must end at some time to come.", f"held[{position}]")
    known = since_first_use(history)
    listed = price_list(catalog=catalog, unit_amount=unit_amount)
    if len(known) < MIN_MONTHS:
        return Advice(len(known), None, (), None, TOO_SHORT)
    expectation = expect(known)
    rest = _beyond(expectation, held)
    by_use = _option(None, listed[0].unit_amount, rest, known)
    packs = _packs(listed, rest.year, catalog)
    options = [_option(each, each.unit_amount, rest, known) for each in packs]
    recommended, because = _best(by_use, options)
    paid = _paid(expectation.expected, held)
    return Advice(len(known), expectation, (by_use, *options), recommended, because, paid)


def _beyond(expectation: Expectation, held: Sequence[Left]) -> Expectation:
    """The same years without what is paid for."""
    low, expected, high = (
        _without(months, held) for months in (expectation.low, expectation.expected, expectation.high)
    )
    year = Range(sum(low), sum(expected), sum(high))
    return replace(expectation, year=year, low=low, expected=expected, high=high)


def _paid(months: Sequence[int], held: Sequence[Left]) -> int:
    """How many of a year's first units are paid for: what ends first pays first, and until it ends."""
    paid = 0
    for each in sorted(held, key=lambda each: each.months):
        begun = min(int(each.months), len(months))
        part = int(months[begun] * (each.months - begun)) if begun < len(months) else 0
        paid = min(paid + each.units, sum(months[:begun]) + part)
    return paid


def _without(months: Sequence[int], held: Sequence[Left]) -> tuple[int, ...]:
    rest, left = [], _paid(months, held)
    for units in months:
        paid = min(units, left)
        left -= paid
        rest.append(units - paid)
    return tuple(rest)


def since_first_use(history: Sequence[int]) -> list[int]:
    """Return the latest RECENT_MONTHS, checked, without those before the first that has a use."""
    months = [
        whole(units, f"history[{position}]", minimum=0, maximum=MAX_MONTHLY_UNITS)
        for position, units in enumerate(history)
    ][-RECENT_MONTHS:]
    first = next((position for position, units in enumerate(months) if units), 0)
    return months[first:]


def expect(known: Sequence[int]) -> Expectation:
    """Return the coming year by the module's method; ``known`` are at least MIN_MONTHS checked months."""
    past, before = known[-YEAR:], known[-RECENT_MONTHS:-YEAR]
    if len(past) < YEAR:
        seen, unseen = len(past), YEAR - len(past)
        low, expected = seen * lower_half(past), Fraction(YEAR * sum(past), seen)
        high = seen * upper_half(past) + unseen * 2 * max(past)
        return _expectation(FEW_MONTHS, [1] * YEAR, (low, expected, high))
    compared = len(before) if len(before) >= MIN_MONTHS else 0
    growth = _growth(past[YEAR - compared :], before[:compared])
    percent = round_half_up(100 * growth.expected.numerator, growth.expected.denominator) - 100
    factors = (growth.low_year(compared), growth.expected, growth.high_year(compared))
    low, expected, high = (factor * sum(past) for factor in factors)
    basis, seen_growth = (TWO_YEARS, percent) if compared else (ONE_YEAR, None)
    return _expectation(basis, past, (low, expected, high), seen_growth)


@dataclass(frozen=True, slots=True)
class _Growth:
    """What a year has of the one before: by the lower half of comparisons, by all, by the upper half."""

    low: Fraction
    expected: Fraction
    high: Fraction

    def low_year(self, compared: int) -> Fraction:
        """Return what a low year has of the past one, if so many of its months could be compared."""
        rest = min(self.expected, SAME) * (1 - UNSURE)
        return Fraction(compared * min(self.low, SAME) + (YEAR - compared) * rest, YEAR)

    def high_year(self, compared: int) -> Fraction:
        """Return what a high year has of the past one, if so many of its months could be compared."""
        rest = max(self.expected, SAME) * (1 + UNSURE)
        return Fraction(compared * max(self.high, SAME) + (YEAR - compared) * rest, YEAR)


def _growth(recent: Sequence[int], before: Sequence[int]) -> _Growth:
    """The growth from some months to the same ones of the next year; two months without use say nothing."""
    pairs = [(now, then) for now, then in zip(recent, before, strict=True) if now or then]
    # from the least growth to the most; what came from nothing grew most of all
    pairs.sort(key=lambda pair: (not pair[1], Fraction(pair[0], pair[1] or 1)))
    lower, upper = pairs[: (len(pairs) + 1) // 2], pairs[len(pairs) // 2 :]
    return _Growth(_ratio(lower), _ratio(pairs), _ratio(upper))


def _ratio(pairs: Sequence[tuple[int, int]]) -> Fraction:
    now, then = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    if not pairs:
        return SAME
    return min(max(Fraction(now, then), LEAST_GROWTH), MOST_GROWTH) if then else MOST_GROWTH


def _expectation(
    basis: str,
    weights: Sequence[int],
    years: tuple[Fraction, Fraction, Fraction],
    growth_percent: int | None = None,
) -> Expectation:
    low, expected, high = (round_half_up(year.numerator, year.denominator) for year in years)
    year = Range(low - isqrt(low), expected, high + isqrt(high))
    months = (_spread(total, weights) for total in (year.low, year.expected, year.high))
    return Expectation(basis, year, growth_percent, *months)


def _spread(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Share a year's units out to its months, by differences of rounded running totals: so they add up."""
    whole_sum = sum(weights)
    shared, reached = [0], 0
    for weight in weights:
        reached += weight
        shared.append(round_half_up(total * reached, whole_sum) if whole_sum else 0)
    return tuple(after - before for before, after in pairwise(shared))


def _packs(listed: tuple[Pack, ...], year: Range, catalog: Catalog) -> list[Pack]:
    """The packs to look at, from small to large; none that a larger one undercuts."""
    unit_amount, least = listed[0].unit_amount, listed[0].units
    most = units_within(MAX_AMOUNT, (Band(None, unit_amount),))
    expected = (min(max(units, least), most) for units in (year.low, year.expected, year.high))
    sizes = [*(each.units for each in listed if each.discount), *expected]
    packs = (offer(size, catalog=catalog, unit_amount=unit_amount).pack for size in sizes)
    return [each for _, each in sorted({each.units: each for each in packs}.items())]


def _option(
    pack: Pack | None, unit_amount: Decimal, expectation: Expectation, known: Sequence[int]
) -> Option:
    break_even = 0
    if pack is not None and pack.total:
        break_even = units_within(pack.total - 1, (Band(None, unit_amount),)) + 1
    return Option(
        pack,
        break_even,
        _outcome(expectation.low, pack, unit_amount),
        _outcome(expectation.expected, pack, unit_amount),
        _outcome(expectation.high, pack, unit_amount),
        _outcome(known[-YEAR:], pack, unit_amount) if len(known) >= YEAR else None,
    )


def _outcome(months: Sequence[int], pack: Pack | None, unit_amount: Decimal) -> Outcome:
    by_use = sum(line_amount(unit_amount, used) for used in months)
    if pack is None:
        return Outcome(sum(months), by_use, 0, 0, None)
    left, cost, runs_out = pack.units, pack.total, None
    for month, used in enumerate(months, start=1):
        covered = min(left, used)
        left -= covered
        cost += line_amount(unit_amount, used - covered)
        if covered < used and runs_out is None:
            runs_out = month
    return Outcome(sum(months), cost, left, by_use - cost, runs_out)


def _best(by_use: Option, options: Sequence[Option]) -> tuple[Option, str]:
    saving = [each for each in options if each.expected.saving > 0]
    safe = [each for each in saving if each.low.saving >= 0]
    if safe:
        # of equal ones max() takes the first, which is the smallest
        return max(safe, key=lambda each: each.expected.saving), SAFE
    return by_use, NONE_IS_SAFE if saving else NONE_SAVES
