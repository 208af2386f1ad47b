"""Why a payment failed and what to do about it, in plain words; and how a way to pay is called."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import Blueprint
from flask_babel import gettext

from portal.services.payment_methods import Shown
from portal.web.billing_words import payment_method
from portal.web.presentation import date_text

blueprint = Blueprint("payment_words", __name__)

# Stripe's codes (docs.stripe.com/declines/codes); lost and stolen cards are not called that to their bearer
SAME_AS = {
    "withdrawal_count_limit_exceeded": "card_velocity_exceeded",
    "invalid_expiry_year": "expired_card",
    "invalid_expiry_month": "expired_card",
    "invalid_cvc": "incorrect_cvc",
    "payment_intent_authentication_failure": "authentication_required",
    "setup_intent_authentication_failure": "authentication_required",
    "invoice_payment_intent_requires_action": "authentication_required",
    "try_again_later": "processing_error",
    "issuer_not_available": "processing_error",
    "incorrect_number": "invalid_number",
    "invalid_account": "no_account",
    "account_closed": "no_account",
    "bank_account_unusable": "no_account",
    "debit_not_authorized": "debit_refused",
    "debit_disputed": "debit_refused",
    "resource_missing": "no_method",
}


@blueprint.app_template_filter("decline_reason")
def decline_reason(error: Mapping[str, Any] | None) -> str:
    """Why a payment failed: one sentence."""
    match _code(error):
        case "insufficient_funds":
            return gettext("There was not enough money on the account.")
        case "card_velocity_exceeded":
            return gettext("The card's limit is reached.")
        case "expired_card":
            return gettext("The card has expired.")
        case "incorrect_cvc":
            return gettext("The card's security code was wrong.")
        case "invalid_number":
            return gettext("The card number was wrong.")
        case "authentication_required":
            return gettext("The bank wants you to confirm the payment.")
        case "processing_error":
            return gettext("The bank could not be reached.")
        case "no_account":
            return gettext("The bank account is closed or was not found.")
        case "debit_refused":
            return gettext("The bank was told not to allow the debit.")
        case "no_method":
            return gettext("There was no way to pay on file.")
        case "card_not_supported" | "currency_not_supported" | "transaction_not_allowed":
            return gettext("The card cannot be used for this payment.")
        case _:
            return gettext("The bank said no and gave no reason.")


@blueprint.app_template_filter("decline_advice")
def decline_advice(error: Mapping[str, Any] | None) -> str:
    """What to do about a payment that failed: one sentence."""
    match _code(error):
        case "insufficient_funds":
            return gettext("Pay with another card or account, or again once there is money on it.")
        case "card_velocity_exceeded":
            return gettext("Pay with another card, or ask your bank to raise the limit.")
        case "expired_card":
            return gettext("Add the new card and pay with it.")
        case "incorrect_cvc" | "invalid_number":
            return gettext("Type the card in anew, or use another one.")
        case "authentication_required":
            return gettext("Pay here; your bank asks you on the page.")
        case "processing_error":
            return gettext("Pay again in a few minutes.")
        case "no_account" | "debit_refused" | "no_method":
            return gettext("Pay with a card or another account.")
        case _:
            return gettext("Pay with another card or account, or ask your bank why.")


def _code(error: Mapping[str, Any] | None) -> str:
    found = error or {"code": "resource_missing"}
    code = str(found.get("decline_code") or found.get("code") or "")
    return SAME_AS.get(code, code)


@blueprint.app_template_filter("method_name")
def method_name(method: Shown | Mapping[str, Any]) -> str:
    """A way to pay by its name: "Visa ending in 4242"; until when it works is said apart."""
    facts = dict(method.as_dict() if isinstance(method, Shown) else method)
    return payment_method(facts | {"exp_year": None})


def expiry(method: Shown, today: date) -> tuple[str, str] | None:
    """Until when a card works, as (kind of badge, words); nothing for what does not end."""
    last = method.last_day
    if last is None:
        return None
    if last < today:
        return "negative", gettext("Expired on %(date)s", date=date_text(last))
    if (last - today).days <= 30:
        return "caution", gettext("Expires on %(date)s", date=date_text(last))
    return "", gettext("Works until %(date)s", date=date_text(last))
