"""What would have been paid under another catalogue: the months that were billed, priced once more.

What was had in a month stays as it was: seats, add-ons, the days of changes, usage, discounts that last.
Only the prices are another catalogue's. Where that does not sell what was had, the answer says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from portal.pricing.catalog import INTERVALS, SEAT, Catalog
from portal.pricing.checks import one_of, text, whole
from portal.pricing.discount import Discount, deduct
from portal.pricing.money import MAX_AMOUNT, round_half_down
from portal.pricing.periods import MONTHS
from portal.pricing.proration import MAX_TIME
from portal.pricing.quote import USAGE_MODE, Line, UsageLine
from portal.pricing.reading import fields
from portal.pricing.selection import MAX_SEATS
from portal.pricing.trace import RATE, SECONDS, UNITS, Input, Reason
from portal.pricing.usage import MAX_QUANTITY, rate_checked

# Ten years; more than anybody looks at.
MAX_MONTHS = 120
MAX_CHANGES = 1_000


@dataclass(frozen=True, slots=True)
class Part:
    """So many units for a part of the month: ``seconds`` of its ``of``, negative where they were given back.

    ``key`` is ``seat`` (of ``tier``) or an add-on's.
    Raises PricingError (params ``key``, ``quantity``, ``of``, ``seconds``).
    """

    key: str
    quantity: int
    seconds: int
    of: int
    tier: str | None = None

    def __post_init__(self) -> None:
        text(self.key, "key")
        whole(self.quantity, "quantity", minimum=0, maximum=MAX_SEATS)
        whole(self.of, "of", minimum=1, maximum=MAX_TIME)
        whole(self.seconds, "seconds", minimum=-self.of, maximum=self.of)


@dataclass(frozen=True, slots=True)
class Month:
    """What was had and paid in a month: ``period`` names it.

    ``seats`` of ``tier`` and ``add_ons`` (quantities by key) were had for the whole month; ``changes`` are
    the parts that came or went within it. ``usage``: units by key. ``paid`` for seats and add-ons and
    ``usage_paid`` are minor units before tax, discounts taken off; a year paid in advance counts a twelfth
    each month. ``discounts`` are those that a move would keep.
    Raises PricingError with the param of the fault.
    """

    period: str
    seats: int
    tier: str
    interval: str
    add_ons: Mapping[str, int]
    usage: Mapping[str, int]
    paid: int
    usage_paid: int
    changes: tuple[Part, ...] = ()
    discounts: tuple[Discount, ...] = ()

    def __post_init__(self) -> None:
        text(self.period, "period")
        whole(self.seats, "seats", minimum=0, maximum=MAX_SEATS)
        text(self.tier, "tier")
        one_of(self.interval, "interval", INTERVALS)
        for name, maximum in (("add_ons", MAX_SEATS), ("usage", MAX_QUANTITY)):
            own = fields(getattr(self, name), name)
            for key, count in own.values.items():
                whole(count, own.at(key), minimum=0, maximum=maximum)
        for name in ("paid", "usage_paid"):
            whole(getattr(self, name), name, minimum=-MAX_AMOUNT, maximum=MAX_AMOUNT)
        whole(len(self.changes), "changes", minimum=0, maximum=MAX_CHANGES)

    @property
    def own(self) -> int:
        """What the month cost, in minor units before tax."""
        return self.paid + self.usage_paid

    def parts(self) -> Iterator[Part]:
        """Everything that is billed ahead: what was had for the whole month, then its changes."""
        if self.seats:
            yield Part(SEAT, self.seats, 1, 1, self.tier)
        for key, quantity in self.add_ons.items():
            if quantity:
                yield Part(key, quantity, 1, 1)
        yield from self.changes


@dataclass(frozen=True, slots=True)
class ReplayedMonth:
    """A month under the other catalogue: its ``lines`` and ``usage`` add up to ``cost``, in minor units.

    A line's quantity is what was had for the whole month; its trace tells the parts too. ``tiers``: each own
    tier of the month with the one that stands for it. ``not_sold`` are add-ons and usage that were had and
    that the catalogue does not sell so; nothing is reckoned for them.
    """

    month: Month
    tiers: Mapping[str, str]
    interval: str
    lines: tuple[Line, ...]
    usage: tuple[UsageLine, ...]
    not_sold: tuple[str, ...]

    @property
    def own(self) -> int:
        """What was paid."""
        return self.month.own

    @property
    def cost(self) -> int:
        """What would have been paid."""
        return sum(line.total for line in self.lines) + sum(line.amount for line in self.usage)

    @property
    def difference(self) -> int:
        """How much more would have been paid; negative: less."""
        return self.cost - self.own

    def as_dict(self, *, explain: bool = False) -> dict[str, object]:
        """Return the month for JSON; ``explain`` adds a trace to every line."""
        return {
            "period": self.month.period,
            "own": self.own,
            "cost": self.cost,
            "difference": self.difference,
            "tiers": dict(self.tiers),
            "interval": self.interval,
            "lines": [line.as_dict(explain=explain) for line in self.lines],
            "usage": [line.as_dict(explain=explain) for line in self.usage],
            "not_sold": list(self.not_sold),
        }


@dataclass(frozen=True, slots=True)
class Replay:
    """The months in their order, and what they come to.

    ``replaced`` are own tiers that the catalogue does not sell, with the tier that stands for them: the
    chosen one, else the cheapest that holds what is used.
    """

    catalog: str
    months: tuple[ReplayedMonth, ...]
    replaced: Mapping[str, str]

    @property
    def own(self) -> int:
        """What was paid in all months."""
        return sum(month.own for month in self.months)

    @property
    def cost(self) -> int:
        """What would have been paid in all months."""
        return sum(month.cost for month in self.months)

    @property
    def difference(self) -> int:
        """How much more would have been paid; negative: less."""
        return self.cost - self.own

    @property
    def best(self) -> ReplayedMonth | None:
        """The month in which the other catalogue does best, the earliest of equals; None without months."""
        return min(self.months, key=lambda month: month.difference, default=None)

    @property
    def worst(self) -> ReplayedMonth | None:
        """The month in which the other catalogue does worst, the earliest of equals; None without months."""
        return max(self.months, key=lambda month: month.difference, default=None)

    def as_dict(self, *, explain: bool = False) -> dict[str, object]:
        """Return the replay for JSON; ``explain`` adds a trace to every line."""
        return {
            "catalog": self.catalog,
            "months": [month.as_dict(explain=explain) for month in self.months],
            "replaced": dict(self.replaced),
            "own": self.own,
            "cost": self.cost,
            "difference": self.difference,
            "best": self.best.month.period if self.best else None,
            "worst": self.worst.month.period if self.worst else None,
        }


def replay(
    months: Sequence[Month],
    *,
    catalog: Catalog,
    tier: str | None = None,
    interval: str | None = None,
    lite_seats: int = 0,
) -> Replay:
    """Return what the ``months`` would have cost under ``catalog``.

    ``tier`` is taken instead of every own tier; None keeps the own ones, and for those that the catalogue
    does not sell takes ``cheapest_tier()``. ``interval`` is how seats and add-ons are paid, a twelfth of a
    year's price each month; None keeps the own one where that is sold. Each whole line is rounded once, each
    part of a month alone as prorations are.
    Raises PricingError (params ``months``, ``tier``, ``interval``, ``lite_seats``).
    """
    whole(len(months), "months", minimum=0, maximum=MAX_MONTHS)
    if tier is not None:
        one_of(tier, "tier", tuple(catalog.tiers))
    if interval is not None:
        one_of(interval, "interval", catalog.intervals)
    cheapest = cheapest_tier(catalog, lite_seats=lite_seats)
    replayed = tuple(_month(month, catalog, tier, interval, cheapest) for month in months)
    tiers = {own: taken for each in replayed for own, taken in each.tiers.items()}
    replaced = {own: taken for own, taken in tiers.items() if own not in catalog.tiers}
    return Replay(catalog.version, replayed, MappingProxyType(replaced))


def cheapest_tier(catalog: Catalog, *, lite_seats: int = 0) -> str:
    """Return the cheapest tier that includes so many lite seats, by the price of its shortest interval.

    If none includes as many, the cheapest of those with the most.
    Raises PricingError (param ``lite_seats``).
    """
    whole(lite_seats, "lite_seats", minimum=0, maximum=MAX_SEATS)
    enough = min(lite_seats, max(each.lite_seats for each in catalog.tiers.values()))
    holding = [each for each in catalog.tiers.values() if each.lite_seats >= enough]
    return min(holding, key=lambda each: each.prices[catalog.intervals[0]]).key


def _month(
    month: Month, catalog: Catalog, tier: str | None, interval: str | None, cheapest: str
) -> ReplayedMonth:
    own_interval = month.interval if month.interval in catalog.intervals else catalog.intervals[0]
    taken_interval = interval or own_interval
    tiers: dict[str, str] = {}
    bought: dict[tuple[str, str], list[Part]] = {}
    not_sold: list[str] = []
    for part in month.parts():
        taken = ""
        if part.key == SEAT:
            own = part.tier or month.tier
            taken = tiers[own] = tier or (own if own in catalog.tiers else cheapest)
        elif part.key not in catalog.add_ons:
            not_sold.append(part.key)
            continue
        bought.setdefault((part.key, taken), []).append(part)
    usage, unsold_usage = _usage(month, catalog, {key for key, _ in bought})
    return ReplayedMonth(
        month=month,
        tiers=MappingProxyType(tiers),
        interval=taken_interval,
        lines=_lines(bought, catalog, taken_interval, month.discounts),
        usage=usage,
        not_sold=tuple(dict.fromkeys([*not_sold, *unsold_usage])),
    )


def _lines(
    bought: Mapping[tuple[str, str], list[Part]],
    catalog: Catalog,
    interval: str,
    discounts: Sequence[Discount],
) -> tuple[Line, ...]:
    traces = {
        thing: tuple(_reason(part, _price(thing, catalog, interval), interval) for part in parts)
        for thing, parts in bought.items()
    }
    gross: dict[str, int] = {}
    for (key, _), trace in traces.items():
        gross[key] = gross.get(key, 0) + sum(reason.result for reason in trace)
    # what was given back on balance has no discount of its own
    amounts = {key: amount for key, amount in gross.items() if amount > 0}
    on = [each for each in discounts if each.line is None or each.line in amounts]
    deductions = deduct(amounts, on)
    lines = []
    for thing, trace in traces.items():
        # a key with two tiers in one month has its discount on its first line, once
        lines.append(_line(thing, bought[thing], catalog, interval, trace, deductions.pop(thing[0], ())))
    return tuple(lines)


def _price(thing: tuple[str, str], catalog: Catalog, interval: str) -> int:
    key, tier = thing
    return (catalog.tiers[tier] if key == SEAT else catalog.add_ons[key]).prices[interval]


def _reason(part: Part, price: int, interval: str) -> Reason:
    """A part at its price: for the whole month, or for its seconds; of a year's price a twelfth."""
    months = MONTHS[interval]
    amount = round_half_down(price * part.quantity * part.seconds, part.of * months)
    inputs = (Input("quantity", part.quantity, UNITS), Input("unit_amount", Decimal(price), RATE))
    rule, formula = "price", "quantity × unit_amount"
    if months > 1:
        rule, formula = "month_of_year", f"{formula} ÷ {months}"
    if part.seconds != part.of:
        share = (Input("seconds", part.seconds, SECONDS), Input("seconds_in_period", part.of, SECONDS))
        return Reason("part", f"{formula} × seconds ÷ seconds_in_period", (*inputs, *share), amount)
    return Reason(rule, formula, inputs, amount)


def _line(
    thing: tuple[str, str],
    parts: list[Part],
    catalog: Catalog,
    interval: str,
    trace: tuple[Reason, ...],
    deductions: tuple[Reason, ...],
) -> Line:
    key, tier = thing
    amount = sum(reason.result for reason in trace)
    discount = sum(reason.result for reason in deductions)
    return Line(
        key=key,
        description=f"{catalog.tiers[tier].name} seat" if key == SEAT else catalog.add_ons[key].name,
        quantity=sum(part.quantity for part in parts if part.seconds == part.of),
        unit_amount=Decimal(_price(thing, catalog, interval)),
        amount=amount,
        discount=discount,
        total=amount - discount,
        interval=interval,
        trace=(*trace, *deductions),
    )


def _usage(month: Month, catalog: Catalog, held: set[str]) -> tuple[tuple[UsageLine, ...], list[str]]:
    """The lines of what was used, and the keys that the catalogue does not sell to who has no more."""
    lines, not_sold = [], []
    for key, quantity in month.usage.items():
        rates = catalog.usage.get(key)
        if not quantity:
            continue
        if rates is None or (rates.requires is not None and rates.requires not in held):
            not_sold.append(key)
            continue
        rating = rate_checked(quantity, rates.bands, mode=USAGE_MODE, included=rates.included)
        lines.append(UsageLine(key, rates.name, quantity, rates.included, rating.amount, rating.steps))
    return tuple(lines), not_sold
