"""Which tax numbers a company may give, by country, and how they look."""

from dataclasses import dataclass

from stdnum.exceptions import InvalidFormat, InvalidLength, ValidationError
from stdnum.util import get_cc_module

from portal.errors import N_

EU_COUNTRIES = (
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
    "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """One kind of tax number: Stripe's type, what people call it, an example, and who checks its format."""

    type: str
    name: str
    example: str
    country: str
    checker: str


OTHERS = (
    Kind("au_abn", N_("ABN"), "51824753556", "AU", "abn"),
    Kind("ca_bn", N_("BN"), "123456782", "CA", "bn"),
    Kind("ch_vat", N_("VAT number"), "CHE-107.787.577 MWST", "CH", "vat"),
    Kind("gb_vat", N_("VAT number"), "GB980780684", "GB", "vat"),
    Kind("no_vat", N_("VAT number"), "NO995525828MVA", "NO", "mva"),
    Kind("nz_gst", N_("GST number"), "49091850", "NZ", "ird"),
    Kind("sg_gst", N_("GST number"), "M12345678X", "SG", ""),
    Kind("us_ein", N_("EIN"), "91-1144442", "US", "ein"),
)
EU_EXAMPLES = {"DE": "DE136695976", "FR": "FR40303265045", "NL": "NL004495445B01", "AT": "ATU13585627"}


def kinds(country: str | None = None) -> list[Kind]:
    """The kinds of tax number for a company in ``country`` (two letters), or all of them."""
    found = [
        Kind("eu_vat", N_("VAT number"), EU_EXAMPLES.get(each, f"{each}123456789"), each, "vat")
        for each in EU_COUNTRIES
        if country in (None, each)
    ]
    return found + [kind for kind in OTHERS if country in (None, kind.country)]


def normal(type: str, value: str) -> str:
    """The number without the spaces, dots and dashes that people put between its parts."""
    kept = value.strip().upper()
    return kept if type in ("us_ein", "ch_vat") else "".join(each for each in kept if each.isalnum())


def problem(country: str, type: str, value: str) -> str | None:
    """What is wrong with the number, or nothing: the kind must fit the country, the number its own rules.

    Check digits and whether it is registered are for the registry to say, through Stripe.
    """
    fitting = [kind for kind in kinds(country) if kind.type == type]
    if not fitting:
        return N_("This kind of tax number is not used in that country.")
    kind = fitting[0]
    if type == "eu_vat" and not value.startswith("EL" if country == "GR" else country):
        return N_("The number starts with the country's letters, as in %(example)s.", example=kind.example)
    module = get_cc_module(kind.country.lower(), kind.checker) if kind.checker else None
    if module is None:
        return None
    try:
        module.validate(value)
    except (InvalidFormat, InvalidLength):
        return N_(
            "This is not how a tax number of that country looks. %(name)s: as in %(example)s.",
            name=kind.name,
            example=kind.example,
        )
    except ValidationError:
        return None
    return None
