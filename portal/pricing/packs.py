"""What annual credits cost: units bought together, a percentage off the customer's own price for them all."""

from dataclasses import dataclass
from decimal import Decimal

from portal.pricing.catalog import Catalog, Credits
from portal.pricing.checks import MAX_DECIMAL_PLACES, whole
from portal.pricing.checks import rate as checked_rate
from portal.pricing.errors import PricingError
from portal.pricing.money import MAX_AMOUNT, decimal_text, line_amount, round_half_up
from portal.pricing.trace import MONEY, PERCENT, RATE, UNITS, Input, Reason, explained
from portal.pricing.usage import MAX_QUANTITY

COSTS_LESS, COSTS_THE_SAME = "costs_less", "costs_the_same"
# Each code of an offer's ``because`` with the sentence that the program answers; pages translate the code.
BECAUSE = {
    COSTS_LESS: "This larger pack costs less.",
    COSTS_THE_SAME: "This larger pack costs the same.",
}
_NOTHING_OFF = Decimal(0)


@dataclass(frozen=True, slots=True)
class Pack:
    """The price of ``units`` annual credits for a customer who pays ``unit_amount`` by use.

    ``amount - discount`` is ``total``, what the pack costs before tax; ``grant`` is what its units are worth
    on invoices: all in integer minor units. ``unit_amount`` and ``unit_price``, what a unit costs in the
    pack, are Decimal minor units; ``percent_off`` is 0 below the first band. ``catalog`` is the version of
    the catalogue, ``usage`` the key of what is bought.
    """

    usage: str
    currency: str
    units: int
    unit_amount: Decimal
    percent_off: Decimal
    amount: int
    discount: int
    total: int
    unit_price: Decimal
    grant: int
    catalog: str
    trace: tuple[Reason, ...]

    @property
    def saving(self) -> int:
        """What all units cost by use, less what the pack costs, in minor units."""
        return self.amount - self.total

    def as_dict(self, *, explain: bool = False) -> dict[str, object]:
        """Return the pack for JSON; ``explain`` adds the trace."""
        shape: dict[str, object] = {
            "usage": self.usage,
            "currency": self.currency,
            "units": self.units,
            "unit_amount": decimal_text(self.unit_amount),
            "percent_off": decimal_text(self.percent_off),
            "amount": self.amount,
            "discount": self.discount,
            "total": self.total,
            "saving": self.saving,
            "unit_price": decimal_text(self.unit_price),
            "grant": self.grant,
            "catalog": self.catalog,
        }
        return shape | explained(self.trace, explain)


@dataclass(frozen=True, slots=True)
class Offer:
    """The pack to sell to who ``asked`` for another: a larger one that costs no more, or the very same.

    ``because`` is a code of BECAUSE, None where what was asked is the best.
    """

    asked: Pack
    pack: Pack

    @property
    def because(self) -> str | None:
        """Why it is another pack than the one that was asked for."""
        if self.pack.units == self.asked.units:
            return None
        return COSTS_LESS if self.costs_less_by else COSTS_THE_SAME

    @property
    def costs_less_by(self) -> int:
        """What the offered pack costs less than the one that was asked for, in minor units ≥ 0."""
        return self.asked.total - self.pack.total

    def as_dict(self, *, explain: bool = False) -> dict[str, object]:
        """Return the pack that was asked for, with the better one as its ``offer``, or null."""
        better = None
        if self.because is not None:
            better = self.pack.as_dict(explain=explain)
            better |= {"costs_less_by": self.costs_less_by, "because": BECAUSE[self.because]}
        return self.asked.as_dict(explain=explain) | {"offer": better}


def pack(units: int, *, catalog: Catalog, unit_amount: Decimal | None = None) -> Pack:
    """Return the price of so many annual credits, whether or not a larger pack costs less.

    ``unit_amount`` is the customer's own price of a unit by use, Decimal minor units; None is the
    catalogue's. The last band of the catalogue that ``units`` reach counts for all of them. Amount and
    discount are rounded once each, a tie upward; the grant is rounded up, so that it pays for every unit.
    Raises PricingError (params ``catalog``: it sells none; ``units``: below its minimum or too many;
    ``unit_amount``: a price of nothing, or none that is the same for every unit).
    """
    return _terms(units, catalog, unit_amount).pack(units)


def offer(units: int, *, catalog: Catalog, unit_amount: Decimal | None = None) -> Offer:
    """Return the pack to sell to who asks for ``units``: never one that a larger pack undercuts or equals.

    Of all packs of at least so many units it is the one that costs least, and of equal ones the largest: 599
    units become 600. What is offered is never bettered again, and who asks for more never pays less.
    Raises PricingError like ``pack()``.
    """
    terms = _terms(units, catalog, unit_amount)
    return Offer(terms.pack(units), terms.pack(terms.best(units)))


def price_list(*, catalog: Catalog, unit_amount: Decimal | None = None) -> tuple[Pack, ...]:
    """Return the packs of a price list, from small to large: the smallest, and the first of each band.

    Raises PricingError like ``pack()``.
    """
    least = catalog.credits.minimum if catalog.credits else 0
    terms = _terms(least, catalog, unit_amount)
    sizes = [least, *(band.from_units for band in terms.credits.bands if band.from_units > least)]
    return tuple(terms.pack(size) for size in sizes if line_amount(terms.unit_amount, size) <= MAX_AMOUNT)


@dataclass(frozen=True, slots=True)
class _Terms:
    """What the price of a pack depends on beside its size."""

    catalog: Catalog
    credits: Credits
    unit_amount: Decimal

    def percent_off(self, units: int) -> Decimal:
        """Return the percentage of the last band that so many units reach."""
        reached = [band.percent_off for band in self.credits.bands if band.from_units <= units]
        return reached[-1] if reached else _NOTHING_OFF

    def amounts(self, units: int) -> tuple[int, int]:
        """Return amount and discount of so many units."""
        amount = line_amount(self.unit_amount, units)
        numerator, denominator = self.percent_off(units).as_integer_ratio()
        return amount, round_half_up(amount * numerator, 100 * denominator)

    def total(self, units: int) -> int:
        """Return what so many units cost together."""
        amount, discount = self.amounts(units)
        return amount - discount

    def best(self, units: int) -> int:
        """Return how many units, at least so many, cost least; of equal ones the most."""
        # within a band more units never cost less, so that only its first ones can undercut
        larger = [band.from_units for band in self.credits.bands if band.from_units > units]
        best = min([units, *larger], key=lambda each: (self.total(each), -each))
        # where a unit costs less than a minor unit, several sizes of a band have one price
        equal, dearer = best, min((each for each in larger if each > best), default=MAX_QUANTITY + 1)
        while dearer - equal > 1:
            middle = (equal + dearer) // 2
            if self.total(middle) <= self.total(best):
                equal = middle
            else:
                dearer = middle
        return equal

    def pack(self, units: int) -> Pack:
        """Return the pack of so many units."""
        amount, discount = self.amounts(units)
        numerator, denominator = self.unit_amount.as_integer_ratio()
        grant = -(-numerator * units // denominator)
        return Pack(
            usage=self.credits.usage,
            currency=self.catalog.currency,
            units=units,
            unit_amount=self.unit_amount,
            percent_off=self.percent_off(units),
            amount=amount,
            discount=discount,
            total=amount - discount,
            unit_price=_less(self.unit_amount, self.percent_off(units)),
            grant=grant,
            catalog=self.catalog.version,
            trace=_trace(units, self.unit_amount, self.percent_off(units), (amount, discount, grant)),
        )


def _terms(units: int, catalog: Catalog, unit_amount: Decimal | None) -> _Terms:
    """Check all arguments, and return what the price depends on."""
    if catalog.credits is None:
        raise PricingError(f"Catalogue {catalog.version} sells no annual credits.", "catalog")
    own = checked_rate(
        _listed(catalog, catalog.credits) if unit_amount is None else unit_amount, "unit_amount"
    )
    if not own:
        raise PricingError("unit_amount must be above 0: what costs nothing is not bought.", "unit_amount")
    whole(units, "units", minimum=catalog.credits.minimum, maximum=MAX_QUANTITY)
    if line_amount(own, units) > MAX_AMOUNT:
        message = f"units must cost at most {MAX_AMOUNT}; {units} at {decimal_text(own)} cost more."
        raise PricingError(message, "units")
    return _Terms(catalog, catalog.credits, own)


def _listed(catalog: Catalog, credits: Credits) -> Decimal:
    """The catalogue's own price of a unit, if there is one for all."""
    (listed,) = [price.unit_amount for price in catalog.lookup_keys() if price.meter == credits.usage]
    if listed is None:
        message = f"Give unit_amount: catalogue {catalog.version} has no one price for every {credits.usage}."
        raise PricingError(message, "unit_amount")
    return listed


def _less(unit_amount: Decimal, percent_off: Decimal) -> Decimal:
    """The unit amount less the percentage, to the MAX_DECIMAL_PLACES that a rate may have, a tie upward."""
    numerator, denominator = unit_amount.as_integer_ratio()
    off, of = percent_off.as_integer_ratio()
    places = 10**MAX_DECIMAL_PLACES
    parts = round_half_up(numerator * (100 * of - off) * places, denominator * 100 * of)
    # spelt out, since Decimal arithmetic would depend on the thread's context
    return Decimal(decimal_text(Decimal(f"{parts}E-{MAX_DECIMAL_PLACES}")))


def _trace(
    units: int, unit_amount: Decimal, percent_off: Decimal, results: tuple[int, int, int]
) -> tuple[Reason, ...]:
    amount, discount, grant = results
    inputs = (Input("units", units, UNITS), Input("unit_amount", unit_amount, RATE))
    off = (Input("amount", amount, MONEY), Input("percent_off", percent_off, PERCENT))
    percent = Reason("pack_percent", "amount × percent_off ÷ 100", off, discount)
    return (
        Reason("price", "units × unit_amount", inputs, amount),
        *((percent,) if percent_off else ()),
        Reason("grant", "units × unit_amount, rounded up", inputs, grant),
    )
