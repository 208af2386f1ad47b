"""What is sold and at which price: one immutable catalogue per version.

Catalogues are read once and never made twice, so they and their parts are compared and hashed by identity.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from portal.pricing.usage import Band

INTERVALS = ("month", "year")
SEAT = "seat"


@dataclass(frozen=True, slots=True, eq=False)
class Tier:
    """What the customer picks.

    ``prices``: integer minor units per seat, by interval; a year's is charged at once.
    """

    key: str
    name: str
    prices: Mapping[str, int]
    lite_seats: int


@dataclass(frozen=True, slots=True, eq=False)
class AddOn:
    """An option beside the seats, sold ``per`` ``seat`` (0 … seats of them) or per ``workspace`` (0 or 1).

    ``prices``: integer minor units by interval. ``included``: units a month that come with it, by usage key.
    """

    key: str
    name: str
    per: str
    prices: Mapping[str, int]
    included: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class UsageRate:
    """What one kind of usage costs a month, in arrears.

    The ``bands`` are graduated and count from the first unit after the ``included`` ones.
    ``requires`` names the add-on that sells it, None if every subscription has it.
    """

    key: str
    name: str
    unit_name: str
    bands: tuple[Band, ...]
    included: int
    requires: str | None


@dataclass(frozen=True, slots=True, eq=False)
class CreditBand:
    """A purchase of at least ``from_units`` units is ``percent_off`` (Decimal) cheaper, all of it."""

    from_units: int
    percent_off: Decimal


@dataclass(frozen=True, slots=True, eq=False)
class Credits:
    """A year of ``usage`` bought in advance, at least ``minimum`` units; the last band reached counts."""

    usage: str
    minimum: int
    bands: tuple[CreditBand, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """``days`` before the first charge; ``caps`` names usage that is free meanwhile, up to so many units."""

    days: int
    reminder_days: int
    caps: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Price:
    """One sellable price, with all that a push to Stripe needs.

    ``product`` is the same in every catalogue, so that coupons and names follow the thing sold, not its
    price. Either ``unit_amount`` (Decimal minor units) or ``bands`` (graduated) is set. Stripe knows no
    allowance, so included units are a zero band here and the later bounds count from the first unit of all.
    ``usage_type`` is ``licensed`` or ``metered``; ``meter`` is the event name of the meter of a metered
    price.
    """

    lookup_key: str
    key: str
    tier: str | None
    interval: str
    currency: str
    unit_amount: Decimal | None
    bands: tuple[Band, ...]
    product: str
    product_name: str
    unit_label: str | None
    usage_type: str
    meter: str | None

    def as_dict(self) -> dict[str, object]:
        """Return the price for JSON: decimals as Decimal, left to the writer to spell."""
        return {
            "lookup_key": self.lookup_key,
            "key": self.key,
            "tier": self.tier,
            "interval": self.interval,
            "currency": self.currency,
            "unit_amount": self.unit_amount,
            "bands": [_band_as_dict(band) for band in self.bands] or None,
            "product": self.product,
            "product_name": self.product_name,
            "unit_label": self.unit_label,
            "usage_type": self.usage_type,
            "meter": self.meter,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Catalog:
    """All prices of one version, in one currency.

    ``credits`` and ``trial`` are None where they are not offered.
    """

    version: str
    currency: str
    tiers: Mapping[str, Tier]
    add_ons: Mapping[str, AddOn]
    usage: Mapping[str, UsageRate]
    credits: Credits | None
    trial: Trial | None

    @property
    def intervals(self) -> tuple[str, ...]:
        """The intervals that every tier and add-on of this catalogue is sold by, shortest first."""
        return tuple(next(iter(self.tiers.values())).prices)

    def lookup_keys(self) -> Iterator[Price]:
        """Yield every price in the order of the catalogue: tiers, add-ons, usage.

        Lookup keys carry the version, ``2026-11:seat:advanced:month``, so that an old price is never taken
        for a new one.
        """
        for tier in self.tiers.values():
            for interval, amount in tier.prices.items():
                yield self._licensed(
                    interval, amount, key=SEAT, tier=tier.key, name=tier.name, unit_label=SEAT
                )
        for add_on in self.add_ons.values():
            label = SEAT if add_on.per == "seat" else None
            for interval, amount in add_on.prices.items():
                yield self._licensed(
                    interval, amount, key=add_on.key, tier=None, name=add_on.name, unit_label=label
                )
        for usage_rate in self.usage.values():
            yield self._metered(usage_rate)

    def _licensed(
        self, interval: str, amount: int, *, key: str, tier: str | None, name: str, unit_label: str | None
    ) -> Price:
        product = f"{key}:{tier}" if tier else key
        return Price(
            lookup_key=f"{self.version}:{product}:{interval}",
            key=key,
            tier=tier,
            interval=interval,
            currency=self.currency,
            unit_amount=Decimal(amount),
            bands=(),
            product=product,
            product_name=name,
            unit_label=unit_label,
            usage_type="licensed",
            meter=None,
        )

    def _metered(self, usage_rate: UsageRate) -> Price:
        bands = _with_zero_band(usage_rate.bands, usage_rate.included)
        one_rate = bands[0].unit_amount if len(bands) == 1 and not bands[0].flat_amount else None
        return Price(
            lookup_key=f"{self.version}:{usage_rate.key}:month",
            key=usage_rate.key,
            tier=None,
            interval="month",
            currency=self.currency,
            unit_amount=one_rate,
            bands=bands if one_rate is None else (),
            product=usage_rate.key,
            product_name=usage_rate.name,
            unit_label=usage_rate.unit_name,
            usage_type="metered",
            meter=usage_rate.key,
        )

    def as_dict(self) -> dict[str, object]:
        """Return the catalogue for JSON: prices as Decimal unit amounts, counts as integers."""
        return {
            "version": self.version,
            "currency": self.currency,
            "tiers": {each.key: _tier_as_dict(each) for each in self.tiers.values()},
            "add_ons": {each.key: _add_on_as_dict(each) for each in self.add_ons.values()},
            "usage": {each.key: _usage_as_dict(each) for each in self.usage.values()},
            "credits": _credits_as_dict(self.credits) if self.credits else None,
            "trial": _trial_as_dict(self.trial) if self.trial else None,
            "prices": [price.as_dict() for price in self.lookup_keys()],
        }


def _with_zero_band(bands: tuple[Band, ...], included: int) -> tuple[Band, ...]:
    if not included:
        return bands
    shifted = (
        Band(None if band.up_to is None else band.up_to + included, band.unit_amount, band.flat_amount)
        for band in bands
    )
    return (Band(included, Decimal(0)), *shifted)


def _prices(prices: Mapping[str, int]) -> dict[str, object]:
    return {interval: Decimal(amount) for interval, amount in prices.items()}


def _band_as_dict(band: Band) -> dict[str, object]:
    return {"up_to": band.up_to, "unit_amount": band.unit_amount, "flat_amount": band.flat_amount}


def _tier_as_dict(tier: Tier) -> dict[str, object]:
    return {"name": tier.name, "prices": _prices(tier.prices), "lite_seats": tier.lite_seats}


def _add_on_as_dict(add_on: AddOn) -> dict[str, object]:
    return {
        "name": add_on.name,
        "per": add_on.per,
        "prices": _prices(add_on.prices),
        "included": dict(add_on.included),
    }


def _usage_as_dict(usage_rate: UsageRate) -> dict[str, object]:
    return {
        "name": usage_rate.name,
        "unit_name": usage_rate.unit_name,
        "mode": "graduated",
        "bands": [_band_as_dict(band) for band in usage_rate.bands],
        "included": usage_rate.included,
        "requires": usage_rate.requires,
    }


def _credits_as_dict(credits: Credits) -> dict[str, object]:
    bands = [{"from_units": band.from_units, "percent_off": band.percent_off} for band in credits.bands]
    return {"usage": credits.usage, "minimum": credits.minimum, "bands": bands}


def _trial_as_dict(trial: Trial) -> dict[str, object]:
    return {"days": trial.days, "reminder_days": trial.reminder_days, "caps": dict(trial.caps)}
