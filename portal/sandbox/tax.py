"""Which taxes a customer's place and tax ids lead to: a small stand-in for the tables behind automatic tax.

The seller is a company in the United States, registered in the jurisdictions below, that sells software
to businesses. Rates are the standard ones of late 2026, one per jurisdiction; elsewhere nothing is collected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

SELLER_COUNTRY = "US"

EU_VAT = {
    "AT": "20", "BE": "21", "BG": "20", "CY": "19", "CZ": "21", "DE": "19", "DK": "25",
    "EE": "24", "ES": "21", "FI": "25.5", "FR": "20", "GR": "24", "HR": "25", "HU": "27",
    "IE": "23", "IT": "22", "LT": "21", "LU": "17", "LV": "21", "MT": "18", "NL": "21",
    "PL": "23", "PT": "23", "RO": "21", "SE": "25", "SI": "22", "SK": "23",
}  # fmt: skip
# country: kind, name, percentage, types of tax id with which the customer accounts for the tax itself
OTHER_COUNTRIES = {
    "AU": ("gst", "GST", "10", {"au_abn"}),
    "CH": ("vat", "VAT", "8.1", {"ch_vat", "ch_uid"}),
    "GB": ("vat", "VAT", "20", {"gb_vat"}),
    "NO": ("vat", "VAT", "25", {"no_vat"}),
    "NZ": ("gst", "GST", "15", {"nz_gst"}),
    "SG": ("gst", "GST", "9", {"sg_gst"}),
}
CANADIAN_PROVINCES = {
    "AB": [("gst", "5")],
    "BC": [("gst", "5"), ("pst", "7")],
    "MB": [("gst", "5")],
    "NB": [("hst", "15")],
    "NL": [("hst", "15")],
    "NS": [("hst", "14")],
    "NT": [("gst", "5")],
    "NU": [("gst", "5")],
    "ON": [("hst", "13")],
    "PE": [("hst", "15")],
    "QC": [("gst", "5"), ("qst", "9.975")],
    "SK": [("gst", "5"), ("pst", "6")],
    "YT": [("gst", "5")],
}
US_STATES = {"MA": "6.25", "NY": "8.875", "PA": "6", "WA": "10.35"}
US_STATES_WITHOUT_TAX_ON_SOFTWARE = {"CA"}
# the first three digits of a postal code, for an address without a state
ZIP_AREAS = [
    (5, 5, "NY"), (10, 27, "MA"), (63, 63, "NY"), (100, 149, "NY"), (150, 196, "PA"),
    (900, 961, "CA"), (980, 994, "WA"),
]  # fmt: skip
CANADIAN_AREAS = {
    "A": "NL", "B": "NS", "C": "PE", "E": "NB", "G": "QC", "H": "QC", "J": "QC", "K": "ON", "L": "ON",
    "M": "ON", "N": "ON", "P": "ON", "R": "MB", "S": "SK", "T": "AB", "V": "BC", "X": "NT", "Y": "YT",
}  # fmt: skip
PROVINCE_NAMES = {
    "ALBERTA": "AB", "BRITISH COLUMBIA": "BC", "MANITOBA": "MB", "NEW BRUNSWICK": "NB",
    "NEWFOUNDLAND AND LABRADOR": "NL", "NORTHWEST TERRITORIES": "NT", "NOVA SCOTIA": "NS", "NUNAVUT": "NU",
    "ONTARIO": "ON", "PRINCE EDWARD ISLAND": "PE", "QUEBEC": "QC", "QUÉBEC": "QC", "SASKATCHEWAN": "SK",
    "YUKON": "YT",
}  # fmt: skip
STATE_NAMES = {
    "CALIFORNIA": "CA",
    "MASSACHUSETTS": "MA",
    "NEW YORK": "NY",
    "PENNSYLVANIA": "PA",
    "WASHINGTON": "WA",
}
GREECE_IN_VAT_NUMBERS = "EL"

_ZIP = re.compile(r"\d{5}(-?\d{4})?")
_CANADIAN_POSTAL_CODE = re.compile(r"[A-Z]\d[A-Z] ?\d[A-Z]\d")


class LocationUnknown(Exception):
    """The address does not say where the customer is taxed."""


@dataclass(frozen=True)
class Tax:
    """One tax on one place: a percentage of the taxable amount, or a reason why it is zero."""

    kind: str | None
    name: str
    percentage: Decimal
    country: str
    state: str | None
    reason: str

    @property
    def charged(self) -> bool:
        return self.reason == "standard_rated"


def taxes_for(address: dict | None, tax_ids: Iterable[tuple[str, str]], exempt: str) -> list[Tax]:
    """The taxes on a sale to this customer; tax ids are (type, value) of valid format.

    `exempt` is the customer's `none`, `exempt` or `reverse`. Raises LocationUnknown.
    """
    country = ((address or {}).get("country") or "").upper()
    if not address or not re.fullmatch("[A-Z]{2}", country):
        raise LocationUnknown
    found = _of_place(country, address)
    if exempt == "exempt":
        return [_zero(tax, "customer_exempt") for tax in found]
    if country != SELLER_COUNTRY and (exempt == "reverse" or _accounts_for_itself(country, tax_ids)):
        return [_zero(tax, "reverse_charge") if tax.charged else tax for tax in found]
    return found


def amount(taxable: int, tax: Tax, behavior: str) -> int:
    """The tax on `taxable` minor units, rounded half up; an inclusive amount already contains it."""
    whole = Decimal(100) + tax.percentage if behavior == "inclusive" else Decimal(100)
    share = Decimal(taxable) * tax.percentage / whole
    return int(share.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _of_place(country: str, address: dict) -> list[Tax]:
    if country == "US":
        return [_in_the_us(address)]
    if country == "CA":
        return _in_canada(address)
    if country in EU_VAT:
        return [Tax("vat", "VAT", Decimal(EU_VAT[country]), country, None, "standard_rated")]
    if country in OTHER_COUNTRIES:
        kind, name, percentage, _ = OTHER_COUNTRIES[country]
        return [Tax(kind, name, Decimal(percentage), country, None, "standard_rated")]
    return [Tax(None, "Tax", Decimal(0), country, None, "not_collecting")]


def _in_the_us(address: dict) -> Tax:
    postal_code = (address.get("postal_code") or "").strip()
    if not _ZIP.fullmatch(postal_code):
        raise LocationUnknown
    area = int(postal_code[:3])
    by_zip = next((state for first, last, state in ZIP_AREAS if first <= area <= last), None)
    given = (address.get("state") or "").strip().upper()
    state = STATE_NAMES.get(given, given) or by_zip
    if state in US_STATES:
        return Tax("sales_tax", "Sales tax", Decimal(US_STATES[state]), "US", state, "standard_rated")
    reason = "product_exempt" if state in US_STATES_WITHOUT_TAX_ON_SOFTWARE else "not_collecting"
    return Tax("sales_tax", "Sales tax", Decimal(0), "US", state, reason)


def _in_canada(address: dict) -> list[Tax]:
    given = (address.get("state") or "").strip().upper()
    postal_code = (address.get("postal_code") or "").strip().upper()
    province = PROVINCE_NAMES.get(given, given)
    if not province and _CANADIAN_POSTAL_CODE.fullmatch(postal_code):
        province = CANADIAN_AREAS.get(postal_code[0], "")
    if province not in CANADIAN_PROVINCES:
        raise LocationUnknown
    return [
        Tax(kind, kind.upper(), Decimal(rate), "CA", province, "standard_rated")
        for kind, rate in CANADIAN_PROVINCES[province]
    ]


def _accounts_for_itself(country: str, tax_ids: Iterable[tuple[str, str]]) -> bool:
    if country in EU_VAT:
        prefixes = {value.replace(" ", "").upper()[:2] for kind, value in tax_ids if kind == "eu_vat"}
        return bool(prefixes & ({GREECE_IN_VAT_NUMBERS} | EU_VAT.keys()))
    if country in OTHER_COUNTRIES:
        return any(kind in OTHER_COUNTRIES[country][3] for kind, _ in tax_ids)
    return False


def _zero(tax: Tax, reason: str) -> Tax:
    return Tax(tax.kind, tax.name, Decimal(0), tax.country, tax.state, reason)
