"""The words of the overview and the invoices: what was bought, how it is paid, why a line is what it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import gettext

from portal.models import Invoice, Subscription
from portal.pricing import Catalog
from portal.pricing.catalog import SEAT
from portal.pricing.money import line_amount
from portal.services.usage_so_far import SoFar
from portal.web.holding_words import PlannedWords
from portal.web.language import translated
from portal.web.presentation import country, money, percent, sentence

YEAR_LINE_DAYS = 32

CARD_BRANDS = {
    "amex": "American Express",
    "diners": "Diners Club",
    "discover": "Discover",
    "jcb": "JCB",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}


def payment_method(method: Mapping[str, Any] | None) -> str:
    """A payment method as people know it: "Visa ending in 4242, valid until 12/2030"."""
    if not method:
        return gettext("None yet")
    kind, last4 = method.get("type"), method.get("last4")
    if kind == "card":
        brand = CARD_BRANDS.get(str(method.get("brand")), gettext("Card"))
        if not method.get("exp_year"):
            return gettext("%(brand)s ending in %(last4)s", brand=brand, last4=last4)
        until = f"{int(method['exp_month'] or 0):02d}/{method['exp_year']}"
        return gettext(
            "%(brand)s ending in %(last4)s, valid until %(until)s", brand=brand, last4=last4, until=until
        )
    if kind == "link":
        return gettext("Link (%(email)s)", email=method["email"]) if method.get("email") else "Link"
    if kind in ("us_bank_account", "sepa_debit", "bacs_debit", "au_becs_debit", "acss_debit") and last4:
        return gettext("Bank account ending in %(last4)s", last4=last4)
    return str(kind).replace("_", " ").capitalize()


def bought_lines(subscription: Subscription, catalog: Catalog | None) -> list[dict[str, Any]]:
    """Seats and add-ons at the prices that this customer pays, in the shape of a quote's lines."""
    return item_lines(subscription.items, subscription.tier, catalog)


def item_lines(
    items: Sequence[Mapping[str, Any]], tier: str | None, catalog: Catalog | None
) -> list[dict[str, Any]]:
    """A subscription's licensed items, in the shape of a quote's lines."""
    lines = []
    for item in items:
        if item.get("quantity") is None or item.get("unit_amount") is None:
            continue
        quantity, unit_amount = int(str(item["quantity"])), str(item["unit_amount"])
        amount = line_amount(Decimal(unit_amount), quantity)
        lines.append(
            {
                "key": item["key"],
                "description": _name(str(item["key"]), tier, catalog),
                "quantity": quantity,
                "unit_amount": unit_amount,
                "interval": item["interval"],
                "amount": amount,
                "discounts": [],
                "trace": [_price_step(quantity, unit_amount, amount)],
            }
        )
    return lines


def _price_step(quantity: int, unit_amount: str, amount: int) -> dict[str, Any]:
    return {
        "rule": "price",
        "inputs": {"quantity": quantity, "unit_amount": unit_amount},
        "result": amount,
    }


def _name(key: str, tier: str | None, catalog: Catalog | None) -> str:
    if catalog is None:
        return key
    if key == SEAT and tier in catalog.tiers:
        return gettext("%(tier)s seat", tier=catalog.tiers[str(tier)].name)
    return catalog.add_ons[key].name if key in catalog.add_ons else key


@dataclass(frozen=True)
class Charge:
    """A charge to come: the day, what for, and how much in minor units before tax (None: as used)."""

    on: datetime
    words: str
    amount: int | None


def next_charges(
    subscription: Subscription,
    amount: int,
    planned: PlannedWords | None = None,
    used: SoFar | None = None,
) -> list[Charge]:
    """The charges to come, nearest first: seats and add-ons for ``amount``, and usage; none once it ends.

    A ``planned`` change makes the renewal's amount another one; ``used`` is the usage so far.
    """
    if subscription.access == "ended" or subscription.cancel_at or subscription.ended_at:
        return []
    found = []
    renews = subscription.renews_at
    if subscription.status == "trialing":
        renews = subscription.trial_end
    yearly = subscription.interval == "year"
    if renews:
        if planned is not None:
            yearly, amount = planned.interval == "year", planned.amount
        found.append(
            Charge(renews, _renewal_words(subscription, yearly, planned=planned is not None), amount)
        )
    if subscription.usage_period_end and (yearly or subscription.usage_period_end != renews):
        words = gettext("Usage of the month, so far") if used else gettext("Usage of the month")
        found.append(Charge(subscription.usage_period_end, words, used.to_pay if used else None))
    return sorted(found, key=lambda charge: charge.on)


def _renewal_words(subscription: Subscription, yearly: bool, *, planned: bool) -> str:
    if planned and yearly:
        return gettext("Seats and add-ons for the year, after the planned change, before tax")
    if planned:
        return gettext(
            "Seats and add-ons for the month, after the planned change, before tax, with the usage before"
        )
    if yearly:
        return gettext("Seats and add-ons for the year, before tax")
    return gettext("Seats and add-ons for the month, before tax, with the usage before")


def tax_rates(invoice: Invoice) -> list[str]:
    """The rates behind the tax of an invoice: "VAT 19%, Germany"; with its amount where there are several."""
    parts: Sequence[Mapping[str, Any]] = [
        part for part in invoice.billing.get("tax_rates") or () if part["amount"]
    ]
    rates = [_rate_words(part) for part in parts]
    if len(parts) < 2:
        return rates
    return [
        gettext("%(rate)s: %(amount)s", rate=rate, amount=money(part["amount"], invoice.currency))
        for rate, part in zip(rates, parts, strict=True)
    ]


def _rate_words(part: Mapping[str, Any]) -> str:
    name = str(part.get("name") or gettext("Tax"))
    if part.get("percentage") is None:
        return name
    rate = percent(str(part["percentage"]))
    if not part.get("country"):
        return gettext("%(tax)s %(rate)s", tax=name, rate=rate)
    return gettext(
        "%(tax)s %(rate)s, %(country)s", tax=name, rate=rate, country=country(str(part["country"]))
    )


def invoice_reason(invoice: Invoice) -> str:
    """What an invoice is for."""
    if invoice.billing.get("corrects"):
        return gettext("Correction of an invoice")
    match invoice.billing_reason:
        case "subscription_create":
            return gettext("First invoice")
        case "subscription_cycle":
            return gettext("Renewal and usage")
        case "subscription_update":
            return gettext("Change of the subscription")
        case _:
            return gettext("One-off")


def invoice_status(invoice: Invoice) -> tuple[str, str]:
    """The state of an invoice, as (kind of badge, word)."""
    payment_state = (invoice.payment or {}).get("state")
    match invoice.status:
        case "paid":
            return "positive", gettext("Paid")
        case "open" if payment_state == "processing":
            return "caution", gettext("Payment on its way")
        case "open":
            return "caution", gettext("Open")
        case "void":
            return "", gettext("Void")
        case _:
            return "negative", gettext("Not paid")


def difference_words(difference: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], currency: str) -> str:
    """One difference between a quote and its invoice: what, both values, and why."""
    key, _, part = str(difference["what"]).rpartition(".")
    name = next((str(line["description"]) for line in lines if line.get("key") == key), key)
    parts = {
        "amount": gettext("amount"),
        "quantity": gettext("quantity"),
        "discount": gettext("discount"),
        "tax": gettext("tax"),
        "total": gettext("total"),
        "amount_due": gettext("amount due"),
        "currency": gettext("currency"),
    }
    what = ", ".join(text for text in (name, parts.get(part, part)) if text)
    quoted, invoiced = (
        gettext("nothing")
        if value is None
        else money(value, currency)
        if isinstance(value, int) and part != "quantity"
        else str(value)
        for value in (difference.get("quoted"), difference.get("invoiced"))
    )
    return gettext(
        "%(what)s: %(quoted)s quoted, %(invoiced)s invoiced. %(reason)s",
        what=sentence(what),
        quoted=quoted,
        invoiced=invoiced,
        reason=translated(difference.get("reason", "")),
    )
