"""The catalogue files that come with the package, read once per process."""

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType

from portal.pricing.catalog import INTERVALS, AddOn, Catalog, CreditBand, Credits, Tier, Trial, UsageRate
from portal.pricing.checks import currency_code, one_of, percentage, shown, whole
from portal.pricing.errors import PricingError, inside
from portal.pricing.reading import Fields, UnreadNumber, fields
from portal.pricing.usage import MAX_QUANTITY, bands_from, checked_bands

MAX_PRICE = 10**11
MAX_LITE_SEATS = 10**6
MAX_TRIAL_DAYS = 730  # Stripe's limit for a trial


def catalogs() -> tuple[Catalog, ...]:
    """Return every catalogue that was ever sold, the newest first."""
    return tuple(_files().values())


def current_catalog() -> Catalog:
    """Return the catalogue that new customers buy from: the newest."""
    return catalogs()[0]


def catalog(version: str) -> Catalog:
    """Return the catalogue of that version; raise PricingError (param ``catalog``) if there is none."""
    found = _files().get(version) if isinstance(version, str) else None
    if found is None:
        message = f"No such catalogue: {shown(version)}. There are {', '.join(_files())}."
        raise PricingError(message, "catalog")
    return found


@cache
def _files() -> Mapping[str, Catalog]:
    """Read all files. Imported late: a page that never prices anything need not pay for the parsers."""
    import tomllib
    from importlib.resources import files

    sources = files("portal.pricing").joinpath("catalogs").iterdir()
    texts = [source.read_text("utf-8") for source in sources if source.name.endswith(".toml")]
    contents = [tomllib.loads(text, parse_float=UnreadNumber) for text in texts]
    read = sorted(map(catalog_from, contents), key=lambda each: each.version, reverse=True)
    return MappingProxyType({each.version: each for each in read})


def catalog_from(content: Mapping[str, object]) -> Catalog:
    """Return the catalogue that a parsed file holds.

    Raises PricingError with the param path of the first fault: an unknown key, a value of another type, an
    interval that one thing is sold by and another is not, a reference to something that is not there.
    """
    top = fields(content, "", "version", "currency", "tiers", "add_ons", "usage", "credits", "trial")
    tiers = {key: _tier(key, value) for key, value in top.objects("tiers").values.items()}
    add_ons = {key: _add_on(key, value) for key, value in top.objects("add_ons").values.items()}
    included = {key: units for add_on in add_ons.values() for key, units in add_on.included.items()}
    usage = {key: _usage_rate(key, value, included) for key, value in top.objects("usage").values.items()}
    found = Catalog(
        version=top.text("version"),
        currency=currency_code(top.text("currency"), "currency"),
        tiers=MappingProxyType(tiers),
        add_ons=MappingProxyType(add_ons),
        usage=MappingProxyType(usage),
        credits=_credits(top) if "credits" in top.values else None,
        trial=_trial(top) if "trial" in top.values else None,
    )
    _check_references(found)
    return found


def _tier(key: str, value: object) -> Tier:
    own = fields(value, f"tiers[{key}]", "name", "prices", "lite_seats")
    lite_seats = whole(own.whole("lite_seats"), own.at("lite_seats"), minimum=0, maximum=MAX_LITE_SEATS)
    return Tier(key, own.text("name"), _prices(own), lite_seats)


def _add_on(key: str, value: object) -> AddOn:
    own = fields(value, f"add_ons[{key}]", "name", "per", "prices", "included")
    per = one_of(own.text("per"), own.at("per"), ("seat", "workspace"))
    return AddOn(key, own.text("name"), per, _prices(own), _units(own, "included"))


def _usage_rate(key: str, value: object, included: Mapping[str, int]) -> UsageRate:
    own = fields(value, f"usage[{key}]", "name", "unit_name", "bands", "requires")
    requires = own.text("requires") if "requires" in own.values else None
    bands = bands_from(own)
    with inside(own.param):
        checked_bands(bands)
    return UsageRate(key, own.text("name"), own.text("unit_name"), bands, included.get(key, 0), requires)


def _prices(own: Fields) -> Mapping[str, int]:
    prices = own.fields("prices", *INTERVALS)
    return MappingProxyType(
        {
            interval: whole(prices.whole(interval), prices.at(interval), minimum=0, maximum=MAX_PRICE)
            for interval in INTERVALS
            if interval in prices.values
        }
    )


def _units(own: Fields, key: str) -> Mapping[str, int]:
    counts = own.counts(key)
    for name, units in counts.items():
        whole(units, own.at(f"{key}[{name}]"), minimum=1, maximum=MAX_QUANTITY)
    return MappingProxyType(counts)


def _credits(top: Fields) -> Credits:
    own = top.fields("credits", "usage", "minimum", "bands")
    minimum = whole(own.whole("minimum"), own.at("minimum"), minimum=1, maximum=MAX_QUANTITY)
    bands: list[CreditBand] = []
    for param, item in own.items("bands"):
        band = fields(item, param, "from_units", "percent_off")
        lowest = bands[-1].from_units + 1 if bands else minimum
        from_units = whole(
            band.whole("from_units"), band.at("from_units"), minimum=lowest, maximum=MAX_QUANTITY
        )
        bands.append(CreditBand(from_units, percentage(band.decimal("percent_off"), band.at("percent_off"))))
    return Credits(own.text("usage"), minimum, tuple(bands))


def _trial(top: Fields) -> Trial:
    own = top.fields("trial", "days", "reminder_days", "caps")
    days = whole(own.whole("days"), own.at("days"), minimum=1, maximum=MAX_TRIAL_DAYS)
    reminder_days = whole(own.whole("reminder_days"), own.at("reminder_days"), minimum=1, maximum=days)
    return Trial(days, reminder_days, _units(own, "caps"))


def _check_references(found: Catalog) -> None:
    """Refuse a catalogue whose parts do not fit together."""
    if not found.tiers:
        raise PricingError("A catalogue sells at least one tier.", "tiers")
    for where, prices in _all_prices(found):
        if tuple(prices) != found.intervals or not prices:
            raise PricingError(f"{where} must be sold by {', '.join(found.intervals)}.", f"{where}[prices]")
    for where, key, known in _references(found):
        if key not in known:
            raise PricingError(f"{where} names {shown(key)}, which this catalogue does not sell.", where)


def _all_prices(found: Catalog) -> Iterator[tuple[str, Mapping[str, int]]]:
    for tier in found.tiers.values():
        yield f"tiers[{tier.key}]", tier.prices
    for add_on in found.add_ons.values():
        yield f"add_ons[{add_on.key}]", add_on.prices


def _references(found: Catalog) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Yield every key that points to another part of the catalogue: where, the key, where it must be."""
    for add_on in found.add_ons.values():
        for key in add_on.included:
            yield f"add_ons[{add_on.key}][included]", key, found.usage
    for usage_rate in found.usage.values():
        if usage_rate.requires is not None:
            yield f"usage[{usage_rate.key}][requires]", usage_rate.requires, found.add_ons
    if found.credits:
        yield "credits[usage]", found.credits.usage, found.usage
    if found.trial:
        for key in found.trial.caps:
            yield "trial[caps]", key, found.usage
