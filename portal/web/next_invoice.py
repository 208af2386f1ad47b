"""/billing/invoices/next: what the next invoice will say, certain and estimated, beside Stripe's preview."""

from typing import Any

from flask import render_template
from flask_babel import gettext

from portal import pricing
from portal.db import unit_of_work
from portal.services import changes, next_invoice, usage_prices
from portal.services.next_invoice import Outlook, Preview
from portal.web import current_user_id, current_workspace_id, gateways, usage_words, workspace_required
from portal.web.billing_words import item_lines
from portal.web.holding_words import held_lines, planned_words
from portal.web.line_words import explained
from portal.web.presentation import date_text, money
from portal.web.starting import start


@workspace_required()
def upcoming() -> str:
    """The next invoice."""
    found = next_invoice.foresee(gateways(), current_workspace_id())
    if isinstance(found, str):
        with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
            return render_template("invoices/no_next.html", why=found, start=start(session))
    return render_template("invoices/next.html", **_facts(found))


def _facts(outlook: Outlook) -> dict[str, Any]:
    subscription, preview = outlook.subscription, outlook.preview
    sold = _catalog(subscription.catalog)
    lines = item_lines(outlook.due, outlook.tier, sold)
    rates = usage_prices.rates(subscription)
    return {
        "outlook": outlook,
        "currency": subscription.currency,
        "lines": lines,
        "usage": [rates[key] for key in outlook.metered if key in rates] if sold else [],
        "used": _used(outlook),
        "preview": preview,
        "tax": _tax(preview) if preview else None,
        "at_stripe": {line["key"]: preview.amount_of(line["key"]) if preview else None for line in lines},
        "agreed": preview is not None and not outlook.disagreeing,
        "explained": lambda line: explained(line, subscription.currency),
        "later": None if outlook.due else _later(outlook),
    }


def _later(outlook: Outlook) -> str | None:
    """What comes when the seats' own period ends, where the next invoice is for usage alone."""
    subscription = outlook.subscription
    if subscription.renews_at is None or subscription.cancel_at is not None or outlook.planned:
        return None
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        holding = changes.holding(session, subscription)
    if holding is None:
        return None
    day, planned = date_text(subscription.renews_at), planned_words(holding)
    if planned is not None:
        return gettext(
            "Seats and add-ons are paid until %(day)s. Then %(price)s before tax, with what you have"
            " planned.",
            day=day,
            price=planned.price,
        )
    amount = held_lines(holding, subscription.renews_at).total
    return gettext(
        "Seats and add-ons are paid until %(day)s. Then %(amount)s before tax.",
        day=day,
        amount=money(amount, subscription.currency),
    )


def _used(outlook: Outlook) -> list[dict[str, Any]]:
    """What was counted so far: by our ledger, with what Stripe has of it where that differs."""
    if outlook.used is None:
        return []
    found = []
    for each in outlook.used.metered:
        at_stripe = outlook.preview.amount_of(each.key) if outlook.preview else None
        if each.amount or at_stripe:
            found.append(
                {
                    "name": usage_words.unit_name(each.key),
                    "amount": each.amount,
                    "at_stripe": at_stripe if at_stripe != each.amount else None,
                    "why": usage_words.why_amount(each, outlook.used.period, outlook.used.currency),
                }
            )
    return found


def _tax(preview: Preview) -> str:
    """What there is to say of the tax."""
    match preview.tax_status["state"]:
        case "charged":
            return gettext("As of today; it is reckoned anew when the invoice is made.")
        case "reverse_charge":
            return gettext("No tax: your company accounts for it itself (reverse charge).")
        case "exempt":
            return gettext("No tax: your company is exempt.")
        case "not_collecting":
            return gettext("No tax is collected at your address.")
        case _:
            return gettext("No tax at your address as of today.")


def _catalog(version: str | None) -> pricing.Catalog | None:
    try:
        return pricing.catalog(version) if version else None
    except pricing.PricingError:
        return None
