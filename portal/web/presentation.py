"""How values become text: the only place where money and dates are formatted.

Filters and functions of every template. The locale is the request's (Flask-Babel's).
"""

import unicodedata
from collections.abc import Iterable, Mapping
from copy import copy
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.dates import format_date, format_datetime, format_skeleton
from babel.numbers import (
    format_currency,
    format_decimal,
    format_percent,
    get_currency_precision,
    get_currency_symbol,
    parse_decimal,
)
from flask import Blueprint
from flask.blueprints import BlueprintSetupState
from markupsafe import Markup

from portal.web import language
from portal.web.language import page_locale

blueprint = Blueprint("presentation", __name__)

MINUS = "\N{MINUS SIGN}"

# "3 March 2027": English dates are written so that no reader takes the day for the month
ENGLISH_DATE = "d MMMM y"
ENGLISH_DATETIME = "d MMMM y, HH:mm 'UTC'"

# a rate may be a fraction of the minor unit ($0.0035); no catalogue has finer steps than this
RATE_DIGITS = 6
KEPT_TEXTS = 4096
# "New York, NY 10001"; and "London", "SW1A 1AA" below it; elsewhere "10119 Berlin"
STATE_BEFORE_CODE = {"US", "CA", "AU"}
CODE_ON_ITS_OWN = {"GB"}
# groupings and placeholders among CLDR's two-letter territories
NO_COUNTRIES = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}


def _real_minus(text: str) -> str:
    return text.replace("-", MINUS)


def _major(minor: int | Decimal | str, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-get_currency_precision(currency.upper()))


@blueprint.record_once
def _install(state: BlueprintSetupState) -> None:
    language.install(state.app)


@blueprint.app_context_processor
def locale() -> dict[str, object]:
    """``locale`` for every template: language and direction of the page."""
    return {"locale": page_locale()}


@blueprint.app_template_filter("money")
def money(minor: int, currency: str = "usd") -> str:
    """Write an amount with currency and every minor unit: "$13,980.00".

    ``minor`` is an integer number of minor units of ``currency``; anything else raises TypeError.
    """
    if isinstance(minor, bool) or not isinstance(minor, int):
        raise TypeError("an amount is an integer number of minor units")
    return _money(minor, currency, page_locale())


def money_typed(minor: int, currency: str) -> str:
    """Write an amount as a person types it into a form, without its currency: "13980.00"."""
    digits = get_currency_precision(currency.upper())
    pattern = "0." + "0" * digits if digits else "0"
    return format_decimal(_major(minor, currency), format=pattern, locale=page_locale())


def read_money(text: str, currency: str) -> int:
    """Read what a person typed ("13,980", "13980.5") as minor units, by the locale's own signs.

    Raises ValueError where it is no amount of ``currency``, or has more digits than it has.
    """
    plain = "".join(text.split()).removeprefix(get_currency_symbol(currency.upper(), locale=page_locale()))
    minor = parse_decimal(plain, locale=page_locale(), strict=True).scaleb(
        get_currency_precision(currency.upper())
    )
    if not minor.is_finite() or minor != minor.to_integral_value():
        raise ValueError("an amount has no parts of its minor unit")
    return int(minor)


@blueprint.app_template_filter("rate")
def rate(unit_amount: Decimal | int | str, currency: str = "usd") -> str:
    """Write a price per unit without cutting digits: "$0.0035".

    ``unit_amount`` is in minor units and may be a fraction: a Decimal or its text; a float raises TypeError.
    """
    if isinstance(unit_amount, float):
        raise TypeError("a rate is a Decimal, never a float")
    return _rate(Decimal(unit_amount), currency, page_locale())


@blueprint.app_template_filter("number")
def number(value: int | Decimal) -> str:
    """Write a count with the locale's grouping: "1,200"."""
    return _number(value, page_locale())


# the same few amounts stand on every page of a catalogue; Babel takes tens of microseconds for each
@lru_cache(KEPT_TEXTS)
def _money(minor: int, currency: str, locale: Locale) -> str:
    return _real_minus(format_currency(_major(minor, currency), currency.upper(), locale=locale))


@lru_cache(KEPT_TEXTS)
def _rate(unit_amount: Decimal, currency: str, locale: Locale) -> str:
    amount = _major(unit_amount, currency).normalize()
    fraction = min(-int(amount.as_tuple().exponent), RATE_DIGITS)
    digits = max(get_currency_precision(currency.upper()), fraction)
    pattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    return _real_minus(pattern.apply(amount, locale, currency=currency.upper(), currency_digits=False))


@lru_cache(KEPT_TEXTS)
def _number(value: int | Decimal, locale: Locale) -> str:
    return _real_minus(format_decimal(value, locale=locale))


@lru_cache(KEPT_TEXTS)
def _date(value: date, locale: Locale) -> str:
    return format_date(value, format=ENGLISH_DATE if locale.language == "en" else "long", locale=locale)


@lru_cache(KEPT_TEXTS)
def _day(value: date, locale: Locale) -> str:
    if locale.language == "en":
        return format_date(value, format="d MMM", locale=locale)
    return format_skeleton("MMMd", value, locale=locale)


@blueprint.app_template_filter("percent")
def percent(value: Decimal | int | str) -> str:
    """Write a percentage given in hundredths ("19" or Decimal("8.875")) as "19%" or "8.875%"."""
    return _real_minus(format_percent(Decimal(value) / 100, locale=page_locale(), decimal_quantization=False))


@blueprint.app_template_filter("date")
def date_text(value: date | datetime) -> str:
    """Write a day in words, in UTC: "3 March 2027"."""
    day = value.astimezone(UTC).date() if isinstance(value, datetime) else value
    return _date(day, page_locale())


@blueprint.app_template_filter("month")
def month_text(value: date) -> str:
    """Write a month in words: "May 2023"."""
    return format_skeleton("yMMMM", value, locale=page_locale())


@blueprint.app_template_filter("day_month")
def day_text(value: date) -> str:
    """Write a day without its year, where that is known: "3 Mar"."""
    return _day(value, page_locale())


@blueprint.app_template_filter("datetime")
def datetime_text(value: datetime) -> str:
    """Write an instant with its zone, in UTC: "3 March 2027, 14:05 UTC"."""
    instant = value.astimezone(UTC)
    english = page_locale().language == "en"
    return format_datetime(instant, format=ENGLISH_DATETIME if english else "long", locale=page_locale())


@blueprint.app_template_filter("isotime")
def isotime(value: date | datetime) -> str:
    """Write ``value`` for the ``datetime`` attribute of ``<time>``."""
    return value.isoformat()


@blueprint.app_template_filter("sentence")
def sentence(text: str) -> str:
    """Begin ``text`` with a capital letter, and leave the rest as it is."""
    return text[:1].upper() + text[1:]


def territories(codes: Iterable[str]) -> list[tuple[str, str]]:
    """The countries ``codes`` (ISO 3166-1 alpha-2) as (code, name), by name in the page's language."""
    names = page_locale().territories
    found = [(code, names[code]) for code in codes if code in names and code not in NO_COUNTRIES]
    return sorted(found, key=lambda each: _sorting_key(each[1]))


def _sorting_key(name: str) -> str:
    return unicodedata.normalize("NFKD", name).casefold()


@blueprint.app_template_filter("country")
def country(code: str) -> str:
    """The country's name in the page's language."""
    return page_locale().territories.get(code, code)


@blueprint.app_template_filter("address")
def address_lines(address: Mapping[str, str]) -> Markup:
    """A billing address as lines of text, in its country's order; the country in the page's language."""
    parts = [address.get("line1"), address.get("line2"), *_town_lines(address)]
    if address.get("country"):
        parts.append(country(address["country"]))
    return Markup("<br>").join(part for part in parts if part)


def _town_lines(address: Mapping[str, str]) -> list[str]:
    """Town, state and postal code as the post of that country wants them (Universal Postal Union, S42)."""
    town, state, code = (address.get(name, "") for name in ("city", "state", "postal_code"))
    home = address.get("country")
    if home in STATE_BEFORE_CODE:
        return [_joined(", ", town, _joined(" ", state, code))]
    if home in CODE_ON_ITS_OWN:
        return [_joined(", ", town, state), code]
    return [_joined(", ", _joined(" ", code, town), state)]


def _joined(between: str, *parts: str) -> str:
    return between.join(part for part in parts if part)
