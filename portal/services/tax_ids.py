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


# the types of Stripe's that are the only business number of one country, with its examples
# (docs.stripe.com/billing/customer/tax-ids); without a checker the form is Stripe's to check
OTHERS = (
    Kind("au_abn", N_("ABN"), "51824753556", "AU", "abn"),
    Kind("ca_bn", N_("BN"), "123456782", "CA", "bn"),
    Kind("ch_vat", N_("VAT number"), "CHE-107.787.577 MWST", "CH", "vat"),
    Kind("gb_vat", N_("VAT number"), "GB980780684", "GB", "vat"),
    Kind("no_vat", N_("VAT number"), "NO995525828MVA", "NO", "mva"),
    Kind("nz_gst", N_("GST number"), "49091850", "NZ", "ird"),
    Kind("sg_gst", N_("GST number"), "M12345678X", "SG", ""),
    Kind("us_ein", N_("EIN"), "91-1144442", "US", "ein"),
    Kind("ae_trn", N_("TRN"), "123456789012345", "AE", ""),
    Kind("ar_cuit", N_("CUIT"), "12-3456789-01", "AR", ""),
    Kind("bh_vat", N_("VAT number"), "123456789012345", "BH", ""),
    Kind("br_cnpj", N_("CNPJ"), "11.222.333/0001-81", "BR", ""),
    Kind("cl_tin", N_("RUT"), "12.345.678-K", "CL", ""),
    Kind("cn_tin", N_("TIN"), "123456789012345678", "CN", ""),
    Kind("co_nit", N_("NIT"), "123.456.789-0", "CO", ""),
    Kind("cr_tin", N_("TIN"), "1-234-567890", "CR", ""),
    Kind("do_rcn", N_("RNC"), "123-4567890-1", "DO", ""),
    Kind("ec_ruc", N_("RUC"), "1234567890001", "EC", ""),
    Kind("eg_tin", N_("TIN"), "123456789", "EG", ""),
    Kind("ge_vat", N_("VAT number"), "123456789", "GE", ""),
    Kind("hk_br", N_("BR"), "12345678", "HK", ""),
    Kind("id_npwp", N_("NPWP"), "012.345.678.9-012.000", "ID", ""),
    Kind("il_vat", N_("VAT number"), "000012345", "IL", ""),
    Kind("in_gst", N_("GST number"), "12ABCDE3456FGZH", "IN", ""),
    Kind("is_vat", N_("VAT number"), "123456", "IS", ""),
    Kind("jp_trn", N_("TRN"), "T1234567891234", "JP", ""),
    Kind("ke_pin", N_("PIN"), "P000111111A", "KE", ""),
    Kind("kr_brn", N_("BRN"), "116-82-00276", "KR", ""),
    Kind("kz_bin", N_("BIN"), "123456789012", "KZ", ""),
    Kind("li_vat", N_("VAT number"), "12345", "LI", ""),
    Kind("ma_vat", N_("VAT number"), "12345678", "MA", ""),
    Kind("md_vat", N_("VAT number"), "1234567", "MD", ""),
    Kind("mx_rfc", N_("RFC"), "GODE561231GR8", "MX", ""),
    Kind("ng_tin", N_("TIN"), "12345678-0001", "NG", ""),
    Kind("om_vat", N_("VAT number"), "OM1234567890", "OM", ""),
    Kind("pe_ruc", N_("RUC"), "12345678901", "PE", ""),
    Kind("ph_tin", N_("TIN"), "123456789012", "PH", ""),
    Kind("rs_pib", N_("PIB"), "123456789", "RS", ""),
    Kind("ru_inn", N_("INN"), "1234567891", "RU", ""),
    Kind("sa_vat", N_("VAT number"), "123456789012345", "SA", ""),
    Kind("sv_nit", N_("NIT"), "1234-567890-123-4", "SV", ""),
    Kind("th_vat", N_("VAT number"), "1234567891234", "TH", ""),
    Kind("tr_tin", N_("TIN"), "4540536920", "TR", ""),
    Kind("tw_vat", N_("VAT number"), "12345678", "TW", ""),
    Kind("ua_vat", N_("VAT number"), "123456789", "UA", ""),
    Kind("uy_ruc", N_("RUC"), "123456789012", "UY", ""),
    Kind("uz_vat", N_("VAT number"), "123456789012", "UZ", ""),
    Kind("ve_rif", N_("RIF"), "A-12345678-9", "VE", ""),
    Kind("vn_tin", N_("TIN"), "1234567890", "VN", ""),
    Kind("za_vat", N_("VAT number"), "4123456789", "ZA", ""),
    Kind("zw_tin", N_("TIN"), "1234567890", "ZW", ""),
)
EU_EXAMPLES = {"DE": "DE136695976", "FR": "FR40303265045", "NL": "NL004495445B01", "AT": "ATU13585627"}


# written in parts, as the example is: what stands between them is the customer's to keep
WITH_PARTS = frozenset(kind.type for kind in OTHERS if not kind.example.isalnum())


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
    return kept if type in WITH_PARTS else "".join(each for each in kept if each.isalnum())


def problem(country: str, type: str, value: str) -> str | None:
    """What is wrong with the number, or nothing: the kind must fit the country, the number its own rules.

    Check digits and whether it is registered are for the registry to say, through Stripe.
    """
    known = kinds(country)
    if not known:
        return N_("We cannot check tax numbers of this country yet. Leave this empty and write to support.")
    fitting = [kind for kind in known if kind.type == type]
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
