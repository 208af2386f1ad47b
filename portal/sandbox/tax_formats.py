"""What a tax id of each type looks like.

A wrong check digit is not a wrong format: Stripe accepts such a number and the registry does not know it.
The national rules come from python-stdnum; a few types that it lacks have their form here.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass

from stdnum.exceptions import InvalidChecksum, ValidationError

# Stripe's test numbers, documented for EU VAT and ABN; they also work behind a country code.
MAGIC_VERIFIED, MAGIC_UNVERIFIED, MAGIC_PENDING = "000000000", "111111111", "222222222"
MAGIC = {MAGIC_VERIFIED: "verified", MAGIC_UNVERIFIED: "unverified", MAGIC_PENDING: "pending"}
# Types that Stripe looks up in a government registry; for all others verification is "unavailable".
VERIFIED_TYPES = ("au_abn", "eu_vat", "gb_vat")

LIBRARY = {
    "au_abn": "stdnum.au.abn",
    "br_cnpj": "stdnum.br.cnpj",
    "br_cpf": "stdnum.br.cpf",
    "ca_bn": "stdnum.ca.bn",
    "ch_vat": "stdnum.ch.vat",
    "es_cif": "stdnum.es.cif",
    "eu_vat": "stdnum.eu.vat",
    "gb_vat": "stdnum.gb.vat",
    "is_vat": "stdnum.is_.vsk",
    "jp_cn": "stdnum.jp.cn",
    "kr_brn": "stdnum.kr.brn",
    "mx_rfc": "stdnum.mx.rfc",
    "no_vat": "stdnum.no.mva",
    "nz_gst": "stdnum.nz.ird",
    "sg_uen": "stdnum.sg.uen",
    "tr_tin": "stdnum.tr.vkn",
    "us_ein": "stdnum.us.ein",
}
FORMS = {
    "ca_gst_hst": re.compile(r"\d{9}RT\d{4}"),
    "ca_pst_bc": re.compile(r"PST-\d{4}-\d{4}"),
    "ca_qst": re.compile(r"\d{10}TQ\d{4}"),
    "ch_uid": re.compile(r"CHE-?\d{3}\.?\d{3}\.?\d{3}(HR|MWST|TVA|IVA)?"),
    "il_vat": re.compile(r"\d{9}"),
    "in_gst": re.compile(r"\d{2}[A-Z]{5}\d{4}[A-Z][A-Z\d]Z[A-Z\d]"),
    "sg_gst": re.compile(r"(M\d{8}[A-Z]|\d{8,9}[A-Z]|M[A-Z]?\d{7,8}[A-Z])"),
    "za_vat": re.compile(r"4\d{9}"),
    # by the examples of docs.stripe.com/billing/customer/tax-ids, with or without their separators
    "ae_trn": re.compile(r"\d{15}"),
    "ar_cuit": re.compile(r"\d{2}-?\d{8}-?\d|\d{2}-?\d{7}-?\d{2}"),
    "bh_vat": re.compile(r"\d{15}"),
    "cl_tin": re.compile(r"\d{1,2}\.?\d{3}\.?\d{3}-?[\dK]"),
    "cn_tin": re.compile(r"[A-Z\d]{15,20}"),
    "co_nit": re.compile(r"\d{3}\.?\d{3}\.?\d{3}-?\d"),
    "cr_tin": re.compile(r"\d-?\d{3}-?\d{5,6}"),
    "do_rcn": re.compile(r"\d{3}-?\d{7}-?\d"),
    "ec_ruc": re.compile(r"\d{13}"),
    "eg_tin": re.compile(r"\d{9}"),
    "ge_vat": re.compile(r"\d{9}"),
    "hk_br": re.compile(r"\d{8}"),
    "id_npwp": re.compile(r"\d{2,3}\.?\d{3}\.?\d{3}\.?\d-?\d{3}\.?\d{3}"),
    "jp_trn": re.compile(r"T\d{13}"),
    "ke_pin": re.compile(r"[AP]\d{9}[A-Z]"),
    "kz_bin": re.compile(r"\d{12}"),
    "li_vat": re.compile(r"\d{5}"),
    "ma_vat": re.compile(r"\d{8}"),
    "md_vat": re.compile(r"\d{7}"),
    "ng_tin": re.compile(r"\d{8}-?\d{4}"),
    "om_vat": re.compile(r"OM\d{10}"),
    "pe_ruc": re.compile(r"\d{11}"),
    "ph_tin": re.compile(r"\d{9}(\d{3})?"),
    "rs_pib": re.compile(r"\d{9}"),
    "ru_inn": re.compile(r"\d{10}(\d{2})?"),
    "sa_vat": re.compile(r"\d{15}"),
    "sv_nit": re.compile(r"\d{4}-?\d{6}-?\d{3}-?\d"),
    "th_vat": re.compile(r"\d{13}"),
    "tw_vat": re.compile(r"\d{8}"),
    "ua_vat": re.compile(r"\d{9}"),
    "uy_ruc": re.compile(r"\d{12}"),
    "uz_vat": re.compile(r"\d{12}"),
    "ve_rif": re.compile(r"[A-Z]-?\d{8}-?\d"),
    "vn_tin": re.compile(r"\d{10}(-?\d{3})?"),
    "zw_tin": re.compile(r"\d{7,10}"),
}
COUNTRY_IN_VAT_NUMBERS = {"EL": "GR", "XI": "GB"}


@dataclass(frozen=True)
class TaxNumber:
    """A number of valid form: its country and what its registry will say (None: there is no registry)."""

    country: str | None
    verification: str | None


def known(type: str) -> bool:
    """Whether the form of this type is known here."""
    return type in LIBRARY or type in FORMS


def read(type: str, value: str) -> TaxNumber | None:
    """What the number says, or None when its form is wrong for the type."""
    number = value.replace(" ", "").upper()
    country = _country(type, number)
    magic = (
        MAGIC.get(number[-9:])
        if type in VERIFIED_TYPES and re.fullmatch(r"([A-Z]{2})?\d{9}", number)
        else None
    )
    if magic:
        return TaxNumber(country, magic)
    if type in FORMS:
        return TaxNumber(country, None) if FORMS[type].fullmatch(number) else None
    try:
        importlib.import_module(LIBRARY[type]).validate(number)
    except InvalidChecksum:
        return TaxNumber(country, "unverified" if type in VERIFIED_TYPES else None)
    except ValidationError:
        return None
    return TaxNumber(country, "verified" if type in VERIFIED_TYPES else None)


def with_country(value: str, country: str | None) -> str:
    """The number with the country in front, which Stripe's test numbers lack."""
    return value if value[:2].isalpha() else f"{country or ''}{value}"


def _country(type: str, number: str) -> str | None:
    if type != "eu_vat":
        return type[:2].upper()
    prefix = number[:2]
    return COUNTRY_IN_VAT_NUMBERS.get(prefix, prefix) if prefix.isalpha() else None
