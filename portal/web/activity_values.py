"""How single values of the history read: "Seats", "12"; a name that is not here is not shown."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _

from portal.pricing import SEAT, catalogs
from portal.web.activity_limit_words import LIMIT_AMOUNTS, LIMIT_LABELS, LIMIT_STATES, NO, YES
from portal.web.payment_words import method_name
from portal.web.presentation import country, date_text, money, percent

LABELS: dict[str, object] = {
    "tier": _("Tier"),
    "seats": _("Seats"),
    "seat": _("Seat"),
    "role": _("Role"),
    "interval": _("Paid"),
    "status": _("State"),
    "state": _("State"),
    "access": _("Access"),
    "total": _("Total"),
    "amount": _("Amount"),
    "amount_due": _("Amount due"),
    "amount_paid": _("Paid so far"),
    "company_name": _("Company name"),
    "email": _("E-mail"),
    "name": _("Name"),
    "address": _("Address"),
    "country": _("Country"),
    "tax_id_type": _("Kind of tax number"),
    "tax_id_value": _("Tax number"),
    "due_at": _("On"),
    "ends_at": _("On"),
    "at": _("On"),
    "error": _("Reason"),
    "method": _("Payment method"),
    "catalog": _("Price list"),
    "quantity": _("Quantity"),
    "line": _("Line"),
    "percent_off": _("Percent off"),
    "amount_off": _("Amount off"),
    "months": _("Months"),
    "purchase_order": _("Purchase-order number"),
    "reason": _("Reason"),
    "member": _("Member"),
    "owner": _("Owner"),
    "invoice": _("Invoice"),
    "number": _("Number"),
    "stripe_email": _("E-mail at Stripe"),
    **LIMIT_LABELS,
    "prefix": _("Begins with"),
    "scopes": _("Scopes"),
}
ADD_ON = "add_on:"
AMOUNTS = {"total", "amount", "amount_due", "amount_paid", "amount_off", *LIMIT_AMOUNTS}
DATES = {"due_at", "ends_at", "at"}
STATES: dict[str, object] = {
    "active": _("active"),
    "trialing": _("in its trial"),
    "past_due": _("payment overdue"),
    "unpaid": _("unpaid"),
    "canceled": _("ended"),
    "incomplete": _("not paid yet"),
    "incomplete_expired": _("never paid"),
    "paused": _("paused"),
    "payment_pending": _("payment on its way"),
    "limited": _("limited"),
    "ended": _("ended"),
    "none": _("none"),
    "open": _("open"),
    "paid": _("paid"),
    "void": _("void"),
    "uncollectible": _("not collected"),
    "awaiting_payment": _("waits for its payment"),
    "processing": _("payment on its way"),
    "succeeded": _("went through"),
    "refused": _("refused"),
    "abandoned": _("given up"),
    "failed": _("failed"),
    "pending": _("being checked"),
    "verified": _("verified"),
    "unverified": _("not in the register"),
    "unavailable": _("register not reachable"),
    "month": _("by the month"),
    "year": _("by the year"),
    "owner": _("owner"),
    "admin": _("admin"),
    "billing": _("billing"),
    "member": _("member"),
    "full": _("full seat"),
    "lite": _("lite seat"),
    **LIMIT_STATES,
}
# said in words of their own; everything else of that name is said as it is
WORDED = {"status", "state", "access", "interval", "role", "seat", "at_cap"}


def flattened(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both sides with a selection's parts beside the other facts, if both have one to compare."""
    old, new = dict(before or {}), dict(after or {})
    chosen = [side.pop("selection", None) for side in (old, new)]
    if all(isinstance(each, dict) for each in chosen):
        old |= _selection(chosen[0])
        new |= _selection(chosen[1])
    return old, new


def _selection(chosen: Any) -> dict[str, Any]:
    add_ons = {f"{ADD_ON}{key}": count for key, count in (chosen.get("add_ons") or {}).items() if count}
    return {name: chosen.get(name) for name in ("tier", "seats", "interval")} | add_ons


def value_words(
    name: str, before: Any, after: Any, currency: str
) -> tuple[str, str | None, str | None] | None:
    """(label, before, after) of one value that changed; nothing where it tells a reader nothing."""
    label = _add_on(name.removeprefix(ADD_ON)) if name.startswith(ADD_ON) else LABELS.get(name)
    if label is None:
        return None
    say = _reader(name, currency)
    old, new = (None if value in (None, "", {}) else say(value) for value in (before, after))
    return None if old == new else (str(label), old, new)


def position(name: str) -> tuple[int, str]:
    """Where a value stands among the others; jsonb keeps no order."""
    known = list(LABELS)
    return (known.index(name) if name in LABELS else len(known), name)


def _reader(name: str, currency: str) -> Callable[[Any], str | None]:
    if name in AMOUNTS:
        return lambda value: money(value, currency) if isinstance(value, int) else str(value)
    if name in DATES:
        return _date
    if name == "line":
        return lambda value: gettext("Seats") if value == SEAT else _add_on(str(value))
    if name == "percent_off":
        return lambda value: percent(str(value))
    if name == "tier":
        return _tier
    if name in WORDED:
        return lambda value: str(STATES.get(str(value), value))
    if name == "country":
        return lambda value: country(str(value))
    if name == "address":
        return _address
    if name == "method":
        return lambda value: method_name(value) if isinstance(value, dict) else None
    if name == "error":
        return lambda value: (
            str(value.get("message") or "") or None if isinstance(value, dict) else str(value)
        )
    return _plain


def _plain(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(YES if value else NO)
    return None if isinstance(value, (dict, list)) else str(value)


def _add_on(key: str) -> str:
    """The name of the add-on in the newest price list that has it."""
    return next((each.add_ons[key].name for each in catalogs() if key in each.add_ons), key)


def _tier(value: Any) -> str:
    """The name of the tier in the newest price list that has it."""
    for each in catalogs():
        if str(value) in each.tiers:
            return each.tiers[str(value)].name
    return str(value)


def _date(value: Any) -> str:
    try:
        return date_text(datetime.fromisoformat(str(value)))
    except ValueError:
        return gettext("an unknown day")


def _address(value: Any) -> str | None:
    if not isinstance(value, dict):
        return str(value)
    parts = [value.get(part) for part in ("line1", "line2", "postal_code", "city", "state")]
    home = value.get("country")
    return ", ".join(str(part) for part in [*parts, country(str(home)) if home else None] if part) or None
