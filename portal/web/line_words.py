"""An invoice's lines, explained: period, formula, what a credit gives back, discounts, taxes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import url_for
from flask_babel import gettext
from markupsafe import Markup, escape

from portal.services import line_traces
from portal.services.line_traces import Earlier
from portal.web.billing_words import YEAR_LINE_DAYS
from portal.web.explanations import SECONDS_A_DAY, duration, explain
from portal.web.presentation import country, date_text, money, percent

Line = Mapping[str, Any]


def explained(line: Line, currency: str, earlier: Mapping[str, Earlier] | None = None) -> list[str]:
    """Why an invoice's line is what it is, a sentence for each cause.

    ``earlier``: the lines of earlier invoices that its credits name.
    """
    sentences = [*_period(line), *_formula(line, currency, earlier or {})]
    sentences += [_given_back(each) for each in line_traces.credited_by(line, earlier or {})]
    return sentences + _discounts(line, currency) + _taxes(line, currency)


@dataclass(frozen=True)
class AgreedDiscount:
    """A discount that was agreed with the customer, at its line: in words, and what it takes off."""

    words: str
    amount: int  # minor units, negative


def agreed_discounts(line: Line, currency: str) -> list[AgreedDiscount]:
    """The line's own discounts; one that a promotion code brought is the whole invoice's."""
    return [
        AgreedDiscount(_agreed(part, currency), -part["amount"])
        for part in line.get("discounts") or []
        if part.get("agreed")
    ]


def _agreed(part: Mapping[str, Any], currency: str) -> str:
    if part.get("percent_off"):
        return gettext("Agreed with you: %(off)s off", off=percent(str(part["percent_off"])))
    if part.get("amount_off"):
        return gettext("Agreed with you: %(off)s off", off=money(part["amount_off"], currency))
    return gettext("Agreed with you")


def _period(line: Line) -> list[str]:
    start, end = line.get("period_start"), line.get("period_end")
    if not start or not end or end <= start:
        return []
    dates = {
        "start": date_text(datetime.fromtimestamp(start, UTC)),
        "end": date_text(datetime.fromtimestamp(end, UTC)),
    }
    if line.get("proration"):
        return [
            gettext(
                "A part of a period: %(start)s to %(end)s, %(long)s.", long=duration(end - start), **dates
            )
        ]
    return [gettext("For %(start)s to %(end)s.", **dates)]


def _formula(line: Line, currency: str, earlier: Mapping[str, Earlier]) -> list[str]:
    trace = line_traces.trace(line, earlier)
    if not trace:
        return []
    start, end = line.get("period_start") or 0, line.get("period_end") or 0
    year = (end - start) > YEAR_LINE_DAYS * SECONDS_A_DAY
    shown = dict(line, interval=line.get("interval") or ("year" if year else "month"), trace=trace)
    if line.get("proration"):
        shown["side"] = "credit" if line["amount"] < 0 else "debit"
    return explain(shown, currency)


def _given_back(earlier: Earlier) -> str:
    """Which earlier line a credit is for, with a link to its invoice."""
    number = earlier.invoice.number or earlier.invoice.stripe_id
    address = url_for("invoices.page", stripe_id=earlier.invoice.stripe_id)
    link = Markup('<a href="{}">{}</a>').format(address, number)
    words = gettext("It gives back unused time of “%(line)s” on invoice %(invoice)s.")
    return escape(words) % {"line": earlier.line["description"], "invoice": link}


def _discounts(line: Line, currency: str) -> list[str]:
    if not line.get("discount"):
        return []
    parts = line.get("discounts") or []
    named = [part for part in parts if part.get("name") or part.get("percent_off") or part.get("amount_off")]
    if len(named) != len(parts) or not parts:
        return [gettext("Discount on this line: %(off)s.", off=money(-line["discount"], currency))]
    return [_discount(part, currency) for part in parts]


def _discount(part: Mapping[str, Any], currency: str) -> str:
    off = money(-part["amount"], currency)
    name = gettext("Agreed with you") if part.get("agreed") else part.get("name") or gettext("Promotion")
    if part.get("percent_off"):
        return gettext(
            "Discount “%(name)s”, %(percent)s off: %(off)s.",
            name=name,
            percent=percent(str(part["percent_off"])),
            off=off,
        )
    return gettext("Discount “%(name)s”, this line's share: %(off)s.", name=name, off=off)


def _taxes(line: Line, currency: str) -> list[str]:
    parts = [part for part in line.get("taxes") or () if part["amount"]]
    if parts:
        return [_tax(part, currency) for part in parts]
    if line.get("tax"):
        return [gettext("Tax on this line: %(tax)s.", tax=money(line["tax"], currency))]
    reasons = {part.get("reason") for part in line.get("taxes") or ()}
    if "reverse_charge" in reasons:
        return [gettext("No tax: your company accounts for it itself (reverse charge).")]
    if "customer_exempt" in reasons:
        return [gettext("No tax: your company is exempt.")]
    return []


def _tax(part: Mapping[str, Any], currency: str) -> str:
    name = str(part.get("name") or gettext("Tax"))
    amount = money(part["amount"], currency)
    if part.get("percentage") is None or part.get("taxable") is None:
        return gettext("%(name)s on this line: %(tax)s.", name=name, tax=amount)
    facts = {
        "name": name,
        "percent": percent(str(part["percentage"])),
        "base": money(part["taxable"], currency),
        "tax": amount,
    }
    if part.get("country"):
        return gettext(
            "%(name)s %(percent)s, %(country)s, on %(base)s: %(tax)s.",
            country=country(str(part["country"])),
            **facts,
        )
    return gettext("%(name)s %(percent)s on %(base)s: %(tax)s.", **facts)
