"""Why an amount is what it is, in words: the trace of a pricing line, written for the person who pays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from babel import Locale
from flask import Blueprint
from flask_babel import gettext, ngettext

from portal.pricing import Reason, UsageRate
from portal.web.language import page_locale
from portal.web.presentation import KEPT_TEXTS, date_text, money, number, percent, rate

blueprint = Blueprint("explanations", __name__)

MONTHS_IN_A_YEAR = 12
SECONDS_A_DAY, SECONDS_AN_HOUR = 24 * 3600, 3600
# a twelfth of a year's price is shown to a hundredth of a cent at most
MONTHLY_STEP = Decimal("0.01")
PER_SEAT = ("seat", "copilot")
COUNTED = (*PER_SEAT, "resolution", "proactive_message", "sms", "whatsapp", "phone_minute", "bulk_email")
DISCOUNT_RULES = ("line_percent", "order_percent", "line_amount", "order_amount")


@blueprint.app_template_filter("units")
def units(count: int, key: str) -> str:
    """Count what ``key`` sells: "12 seats", "1,200 SMS segments". Unknown keys are counted without a noun."""
    text = number(count)
    match key:
        case "seat" | "copilot":
            return ngettext("%(count)s seat", "%(count)s seats", count, count=text)
        case "resolution":
            return ngettext("%(count)s resolution", "%(count)s resolutions", count, count=text)
        case "proactive_message":
            return ngettext("%(count)s message", "%(count)s messages", count, count=text)
        case "sms":
            return ngettext("%(count)s SMS segment", "%(count)s SMS segments", count, count=text)
        case "whatsapp":
            return ngettext("%(count)s conversation", "%(count)s conversations", count, count=text)
        case "phone_minute":
            return ngettext("%(count)s minute", "%(count)s minutes", count, count=text)
        case "bulk_email":
            return ngettext("%(count)s e-mail", "%(count)s e-mails", count, count=text)
        case _:
            return text


@blueprint.app_template_filter("per_unit")
def per_unit(text: str, key: str) -> str:
    """Say that ``text`` is the price of one: "$0.99 per resolution"."""
    match key:
        case "resolution":
            return gettext("%(price)s per resolution", price=text)
        case "proactive_message":
            return gettext("%(price)s per message", price=text)
        case "sms":
            return gettext("%(price)s per segment", price=text)
        case "whatsapp":
            return gettext("%(price)s per conversation", price=text)
        case "phone_minute":
            return gettext("%(price)s per minute, each call rounded up", price=text)
        case "bulk_email":
            return gettext("%(price)s per e-mail", price=text)
        case _:
            return gettext("%(price)s each", price=text)


@blueprint.app_template_filter("usage_price")
def usage_price(usage: UsageRate, currency: str = "usd") -> list[str]:
    """The price of one kind of usage, a sentence for each band, what is included first."""
    return _usage_price(usage, currency, page_locale())


@lru_cache(KEPT_TEXTS)
def _usage_price(usage: UsageRate, currency: str, _locale: Locale) -> list[str]:
    sentences = []
    if usage.included:
        sentences.append(gettext("%(units)s a month are included", units=units(usage.included, usage.key)))
    if len(usage.bands) == 1:
        return [*sentences, per_unit(rate(usage.bands[0].unit_amount, currency), usage.key)]
    for position, band in enumerate(usage.bands):
        price = rate(band.unit_amount, currency)
        if band.up_to is None:
            sentences.append(gettext("above that %(price)s", price=price))
        elif position:
            sentences.append(gettext("to %(upper)s at %(price)s", upper=number(band.up_to), price=price))
        elif not band.unit_amount:
            sentences.append(gettext("the first %(upper)s are free", upper=number(band.up_to)))
        elif usage.included:
            sentences.append(
                gettext("the next %(upper)s at %(price)s", upper=number(band.up_to), price=price)
            )
        else:
            sentences.append(
                gettext("the first %(upper)s at %(price)s", upper=number(band.up_to), price=price)
            )
    return sentences


def price_each(unit_amount: Decimal | str, interval: str, currency: str) -> str:
    """A price with its interval: "$99.00 a month", "$1,020.00 a year ($85.00 a month)"."""
    text = rate(unit_amount, currency)
    if interval == "month":
        return gettext("%(price)s a month", price=text)
    monthly, rest = divmod(Decimal(unit_amount), MONTHS_IN_A_YEAR)
    if rest:
        return gettext("%(price)s a year", price=text)
    return gettext("%(price)s a year (%(monthly)s a month)", price=text, monthly=rate(monthly, currency))


@dataclass(frozen=True)
class _Step:
    """A pricing.Reason, whether it comes from pricing or was stored with a quote."""

    rule: str
    inputs: Mapping[str, Any]
    result: int


def _steps(trace: Sequence[Reason | Mapping[str, Any]]) -> list[_Step]:
    steps = []
    for reason in trace:
        if isinstance(reason, Reason):
            steps.append(_Step(reason.rule, {each.name: each.value for each in reason.inputs}, reason.result))
        else:
            steps.append(_Step(reason["rule"], reason["inputs"], reason["result"]))
    return steps


def _read(line: object, name: str, default: object = None) -> Any:
    return line.get(name, default) if isinstance(line, Mapping) else getattr(line, name, default)


@blueprint.app_template_filter("explain")
def explain(line: object, currency: str = "usd") -> list[str]:
    """Say how the amount of ``line`` before discounts came about, a sentence for each step.

    ``line`` is a pricing Line or UsageLine, or one stored with a quote (its dict with ``trace``). A line
    without a trace explains nothing: an empty list.
    """
    key, interval = _read(line, "key", ""), _read(line, "interval", "month")
    steps = _steps(_read(line, "trace") or ())
    if _read(line, "side"):  # a line of a change has its discounts in its own amount
        return [_changed(step, line, currency) for step in steps]
    return [_sentence(step, key, interval, currency) for step in steps if step.rule not in DISCOUNT_RULES]


def _changed(step: _Step, line: object, currency: str) -> str:
    if step.rule in DISCOUNT_RULES:
        return _discount(step, currency)
    if step.rule == "proration_credit":
        return _unused(step, line, currency)
    if step.rule == "proration_debit":
        return _share(step, currency)
    return _sentence(step, _read(line, "key", ""), _read(line, "interval", "month"), currency)


def _unused(step: _Step, line: object, currency: str) -> str:
    """What was billed, and the share of it that is not used any more."""
    end = datetime.fromtimestamp(_read(line, "period_end"), UTC)
    start = end - timedelta(seconds=step.inputs["seconds_in_period"])
    billed = gettext(
        "Billed for %(start)s to %(end)s: %(amount)s.",
        start=date_text(start),
        end=date_text(end),
        amount=money(step.inputs["amount"], currency),
    )
    return billed + " " + _share(step, currency)


def _share(step: _Step, currency: str) -> str:
    """The share of a period that is left: in days for people, in seconds for whoever reckons it again."""
    left, whole = step.inputs["seconds_left"], step.inputs["seconds_in_period"]
    if left == whole:
        return gettext("For the whole period: %(amount)s", amount=money(step.result, currency))
    return gettext(
        "%(left)s of %(whole)s are left: %(amount)s × %(seconds)s ÷ %(all)s seconds = %(result)s",
        left=duration(left),
        whole=duration(whole),
        amount=money(step.inputs["amount"], currency),
        seconds=number(left),
        all=number(whole),
        result=money(step.result, currency),
    )


def duration(seconds: int) -> str:
    """A time as people say it: "20 days 14 hours", "3 hours 5 minutes"."""
    days, rest = divmod(seconds, SECONDS_A_DAY)
    hours, rest = divmod(rest, SECONDS_AN_HOUR)
    minutes = rest // 60
    parts = [
        ngettext("%(num)s day", "%(num)s days", days) if days else "",
        ngettext("%(num)s hour", "%(num)s hours", hours) if hours else "",
        ngettext("%(num)s minute", "%(num)s minutes", minutes) if minutes and not days else "",
    ]
    return " ".join(part for part in parts if part) or gettext("less than a minute")


def _sentence(step: _Step, key: str, interval: str, currency: str) -> str:
    inputs, result = step.inputs, money(step.result, currency)
    match step.rule:
        case "price":
            each = price_each(inputs["unit_amount"], interval, currency)
            return _product(inputs["quantity"], key, each, result)
        case "graduated" | "volume":
            return _band(step, key, currency)
        case "pack_price":
            each = rate(inputs["unit_amount"], currency)
            return _product(inputs["units"], "resolution", each, result)
        case "pack_percent":
            return gettext(
                "%(percent)s off for a pack of this size: −%(amount)s",
                percent=percent(inputs["percent_off"]),
                amount=result,
            )
        case "included":
            return gettext(
                "%(units)s are included, %(amount)s",
                units=units(min(inputs["quantity"], inputs["included"]), key),
                amount=result,
            )
        case "month_of_year" | "part":
            return _of_month(step, key, interval, currency)
        case _:
            return result


def _of_month(step: _Step, key: str, interval: str, currency: str) -> str:
    """What a year's price, or a part of the time, comes to in a month."""
    counted = units(step.inputs["quantity"], key)
    price = price_each(step.inputs["unit_amount"], interval, currency)
    amount = money(step.result, currency)
    if step.rule == "month_of_year":
        return gettext(
            "%(units)s × %(price)s, a twelfth of it = %(amount)s", units=counted, price=price, amount=amount
        )
    time = {
        "long": duration(abs(step.inputs["seconds"])),
        "whole": duration(step.inputs["seconds_in_period"]),
    }
    if step.result < 0:
        return gettext(
            "%(units)s × %(price)s, given back for %(long)s of %(whole)s = %(amount)s",
            units=counted,
            price=price,
            amount=amount,
            **time,
        )
    return gettext(
        "%(units)s × %(price)s, for %(long)s of %(whole)s = %(amount)s",
        units=counted,
        price=price,
        amount=amount,
        **time,
    )


def _product(quantity: int, key: str, price: str, amount: str) -> str:
    if key not in COUNTED and quantity == 1:
        return gettext("%(price)s for the whole workspace = %(amount)s", price=price, amount=amount)
    counted = units(quantity, key)
    return gettext("%(units)s × %(price)s = %(amount)s", units=counted, price=price, amount=amount)


def _band(step: _Step, key: str, currency: str) -> str:
    price = rate(step.inputs["unit_amount"], currency)
    amount = money(step.result, currency)
    if "flat_amount" not in step.inputs:
        return _product(step.inputs["quantity"], key, price, amount)
    return gettext(
        "%(units)s × %(price)s + %(flat)s = %(amount)s",
        units=units(step.inputs["quantity"], key),
        price=price,
        flat=money(step.inputs["flat_amount"], currency),
        amount=amount,
    )


def _discount(step: _Step, currency: str) -> str:
    inputs, off = step.inputs, money(-step.result, currency)
    base = money(inputs["amount"], currency)
    if step.rule.endswith("_percent"):
        return gettext(
            "Discount: %(percent)s of %(base)s = %(off)s",
            percent=percent(inputs["percent_off"]),
            base=base,
            off=off,
        )
    amount_off = money(inputs["amount_off"], currency)
    if step.rule == "line_amount":
        return gettext("Discount of %(amount)s on %(base)s = %(off)s", amount=amount_off, base=base, off=off)
    return gettext(
        "Discount of %(amount)s on the order of %(order)s, in proportion to this line's %(base)s = %(off)s",
        amount=amount_off,
        order=money(inputs["order"], currency),
        base=base,
        off=off,
    )


@blueprint.app_template_filter("discounts")
def discounts(lines: Sequence[object], currency: str = "usd") -> list[str]:
    """Say how the discount of a whole quote came about: its share of each line."""
    return [
        gettext("%(line)s: %(why)s", line=line_title(line), why=_discount(step, currency))
        for line in lines
        for step in _steps(_read(line, "trace") or ())
        if step.rule in DISCOUNT_RULES and step.result
    ]


@blueprint.app_template_filter("reductions")
def reductions(line: object, currency: str = "usd") -> list[str]:
    """The discounts that a line of a change has in its amount, each in a few words."""
    steps = [each for each in _steps(_read(line, "trace") or ()) if each.rule in DISCOUNT_RULES]
    return [
        gettext("With your discount of %(percent)s", percent=percent(step.inputs["percent_off"]))
        if step.rule.endswith("_percent")
        else gettext("With your discount of %(amount)s", amount=money(step.inputs["amount_off"], currency))
        for step in steps
        if step.result
    ]


@blueprint.app_template_filter("line_title")
def line_title(line: object) -> str:
    """What a line is for, with its quantity: "Advanced seat × 12"; what is sold once has no quantity."""
    description, quantity = str(_read(line, "description")), _read(line, "quantity")
    if quantity is None or (quantity == 1 and _read(line, "key") not in PER_SEAT):
        return description
    return gettext("%(what)s × %(count)s", what=description, count=number(quantity))


@blueprint.app_template_filter("monthly")
def monthly(year_price: int, currency: str = "usd") -> str:
    """A year's price (minor units) as a month's: "$85.00", with further digits where it does not divide."""
    return rate((Decimal(year_price) / MONTHS_IN_A_YEAR).quantize(MONTHLY_STEP), currency)
