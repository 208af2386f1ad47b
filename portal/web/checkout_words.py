"""The sentences of the checkout: tax and why, renewal and when, what changed between two quotes."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _

from portal.models import BillingDetails, Quote
from portal.services.quotes import Change
from portal.web.explanations import line_title
from portal.web.presentation import date_text, money, percent

MONTHS = {"month": 1, "year": 12}
BILLING_WORDS = {
    "company_name": _("The company name was changed."),
    "email": _("The e-mail address was changed."),
    "address": _("The billing address was changed."),
    "tax_id_type": _("The tax number was changed."),
    "tax_id_value": _("The tax number was changed."),
}


@dataclass(frozen=True)
class TaxWords:
    """One row about tax: its label, its amount in minor units, and why."""

    label: str
    amount: int
    reasons: list[str]


def tax_words(quote: Quote) -> TaxWords:
    """Say how much tax there is, and why: the rates, or the reason that there is none."""
    status = quote.tax_status
    match status.get("state"):
        case "charged":
            return TaxWords(
                gettext("Tax"), quote.tax, [_part(part, quote.currency) for part in _parts(status)]
            )
        case "reverse_charge":
            reason = gettext(
                "Reverse charge: your company accounts for the VAT itself, because you gave the VAT number"
                " %(number)s.",
                number=quote.billing.get("tax_id_value"),
            )
            return TaxWords(gettext("Tax: none, reverse charge"), quote.tax, [reason])
        case "exempt":
            return TaxWords(
                gettext("Tax: none, exempt"), quote.tax, [gettext("Your company is exempt from tax.")]
            )
        case "not_collecting":
            return TaxWords(
                gettext("Tax: none"), quote.tax, [gettext("We do not collect tax where you are.")]
            )
        case "off":
            return TaxWords(gettext("Tax: none"), quote.tax, [gettext("We do not charge tax.")])
        case _:
            return TaxWords(
                gettext("Tax: none"), quote.tax, [gettext("No tax is due on this where you are.")]
            )


def _parts(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [part for part in status.get("parts", []) if part.get("amount")]


def _part(part: Mapping[str, Any], currency: str) -> str:
    name = " ".join(text for text in (part.get("jurisdiction"), part.get("name")) if text) or gettext("Tax")
    if part.get("percentage") is None or part.get("taxable_amount") is None:
        return gettext("%(name)s: %(amount)s", name=name, amount=money(part["amount"], currency))
    return gettext(
        "%(name)s: %(rate)s of %(base)s = %(amount)s",
        name=name,
        rate=percent(part["percentage"]),
        base=money(part["taxable_amount"], currency),
        amount=money(part["amount"], currency),
    )


def tax_id_words(details: BillingDetails) -> tuple[str, str] | None:
    """What became of the tax number, as (kind of notice, sentence); None when none was given."""
    if not details.tax_id_value:
        return None
    number = details.tax_id_value
    match details.tax_id_status:
        case "verified":
            return "positive", gettext(
                "Tax number %(number)s: found in the official register.", number=number
            )
        case "unverified":
            return "caution", gettext(
                "Tax number %(number)s: the official register does not know it. It stands on your invoice as"
                " you gave it; if it is mistyped, correct it in your details.",
                number=number,
            )
        case "pending":
            return "info", gettext(
                "Tax number %(number)s: its format is right, and the official register is being asked. You"
                " can pay meanwhile, and the price below stands. If the register refuses it we write to you.",
                number=number,
            )
        case _:
            return "info", gettext(
                "Tax number %(number)s: its format is right. There is no register for it that we could ask.",
                number=number,
            )


def after(start: datetime, interval: str) -> datetime:
    """The instant one ``interval`` (month, year) after ``start``; a day that a month lacks is its last."""
    month = start.month - 1 + MONTHS[interval]
    year, month = start.year + month // 12, month % 12 + 1
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))


def what_comes_next(quote: Quote, now: datetime) -> list[str]:
    """What is charged after today, when, and how much, if the quote is confirmed ``now``."""
    interval = str(quote.selection["interval"])
    begins = now + timedelta(days=quote.trial_days)
    renewal = date_text(after(begins, interval))
    sentences = []
    if quote.trial_days:
        first = gettext(
            "On %(date)s the trial ends and %(amount)s is charged, unless you cancel before.",
            date=date_text(begins),
            amount=money(quote.total, quote.currency),
        )
        sentences.append(first)
    sentences.append(_renewal(quote, renewal, interval))
    if interval == "year":
        sentences.append(
            gettext(
                "Usage is charged every month, for the first time on %(date)s.",
                date=date_text(after(begins, "month")),
            )
        )
    else:
        sentences.append(gettext("The usage of the month is on the same invoice."))
    return sentences


def _renewal(quote: Quote, date: str, interval: str) -> str:
    promotion = quote.promotion or {}
    if promotion.get("duration") == "once":
        full = money(quote.subtotal, quote.currency)
        if interval == "year":
            return gettext(
                "Renews on %(date)s, and then every year, for %(amount)s before tax, without the promotion.",
                date=date,
                amount=full,
            )
        return gettext(
            "Renews on %(date)s, and then every month, for %(amount)s before tax, without the promotion.",
            date=date,
            amount=full,
        )
    if quote.tax:
        amount = gettext("%(amount)s with tax", amount=money(quote.total, quote.currency))
    else:
        amount = money(quote.total, quote.currency)
    words = (
        gettext("Renews on %(date)s, and then every year, for %(amount)s.", date=date, amount=amount)
        if interval == "year"
        else gettext("Renews on %(date)s, and then every month, for %(amount)s.", date=date, amount=amount)
    )
    months = promotion.get("duration_in_months")
    if isinstance(months, int):
        words += " " + ngettext(
            "The promotion lasts %(num)s month.", "The promotion lasts %(num)s months.", months
        )
    return words


def changes_between(old: Quote, new: Quote) -> list[str]:
    """What differs in the price or in what it was reckoned from, a sentence each; empty when nothing does."""
    sentences = []
    if old.catalog != new.catalog:
        sentences.append(gettext("Our prices changed."))
    for name, words in BILLING_WORDS.items():
        if old.billing.get(name) != new.billing.get(name) and str(words) not in sentences:
            sentences.append(str(words))
    before = {line["key"]: line for line in old.lines}
    for line in new.lines:
        was = before.pop(line["key"], None)
        if was is None or was["amount"] != line["amount"]:
            sentences.append(_amounts(line_title(line), was and was["amount"], line["amount"], new.currency))
    sentences += [
        gettext("%(what)s: no longer part of it.", what=line_title(line)) for line in before.values()
    ]
    for what, was_amount, amount in (
        (gettext("Discount"), -old.discount, -new.discount),
        (gettext("Tax"), old.tax, new.tax),
        (gettext("Charged today"), old.amount_due, new.amount_due),
    ):
        if was_amount != amount:
            sentences.append(_amounts(what, was_amount, amount, new.currency))
    return sentences


def _amounts(what: str, was: object, now: object, currency: str) -> str:
    if not isinstance(was, int):
        return gettext("%(what)s: new, %(now)s.", what=what, now=money(int(str(now)), currency))
    return gettext(
        "%(what)s: %(was)s before, %(now)s now.",
        what=what,
        was=money(was, currency),
        now=money(int(str(now)), currency),
    )


def change_words(changes: Sequence[Change]) -> list[str]:
    """Why a quote no longer holds, a sentence each; causes that a person cannot act on are put together."""
    known = {
        "quote": gettext("A newer price replaced this one, perhaps in another tab."),
        "catalog": gettext("Our prices changed."),
        "promotion": gettext("The promotion code is no longer valid."),
        "amount_due": gettext("The balance of your account changed."),
        "tax": gettext("The tax changed."),
        "invoice": gettext("The invoice would have differed from this quote, so we did not sell."),
    } | {name: str(words) for name, words in BILLING_WORDS.items()}
    return list(
        dict.fromkeys(known.get(each.what, gettext("The price was reckoned anew.")) for each in changes)
    )


@dataclass(frozen=True)
class PaymentWords:
    """What stands round the payment form: the page's heading, a sentence above, the button, one under it."""

    heading: str
    above: str
    button: str
    under: str


def payment_words(quote: Quote) -> PaymentWords:
    """Say what the button does, to the cent, and what happens to the payment method."""
    return PaymentWords(_heading(quote), _above(quote), _button(quote), _under(quote))


def _heading(quote: Quote) -> str:
    if quote.trial_days:
        return gettext("Check the price, and start the trial")
    return gettext("Check the price, and pay")


def _above(quote: Quote) -> str:
    if quote.trial_days:
        return gettext(
            "Nothing is charged today. Your payment method is kept at Stripe for the end of the trial."
        )
    if quote.amount_due == 0:
        return gettext(
            "Nothing is charged today. Your payment method is kept at Stripe for usage and renewals."
        )
    return gettext("Your details go straight to Stripe; we never see your card number.")


def _button(quote: Quote) -> str:
    if quote.trial_days:
        return gettext("Start trial – pay nothing today")
    if quote.amount_due == 0:
        return gettext("Start – pay nothing today")
    return gettext("Pay %(amount)s now", amount=money(quote.amount_due, quote.currency))


def _under(quote: Quote) -> str:
    if quote.selection["interval"] == "year":
        return gettext(
            "The payment method is kept for renewals every year and for usage every month, until you cancel."
        )
    return gettext("The payment method is kept for renewals and usage every month, until you cancel.")
