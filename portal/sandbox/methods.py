"""Payment methods as documents: made from cards, test tokens, bank accounts, Link and Amazon Pay."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from stripe.params import PaymentMethodCreateParams

from portal.sandbox import banks, cards, contract
from portal.sandbox.banks import BankAccount
from portal.sandbox.cards import Card
from portal.sandbox.declines import TEST_MODE_LIVE_CARD, invalid_card
from portal.sandbox.errors import StripeError, invalid, missing, missing_param, unsupported
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "payment_method"
# In the order in which the Payment Element shows them.
TYPES = ("card", "link", "us_bank_account", "amazon_pay")
TYPES_BY_CURRENCY = {
    "usd": TYPES,
    "eur": ("card", "link", "amazon_pay"),
    "gbp": ("card", "link", "amazon_pay"),
}
OTHER_TYPES = ("card", "link")
# They take the customer to a page of somebody else and back.
REDIRECTING = ("amazon_pay",)
ADDRESS_FIELDS = ("city", "country", "line1", "line2", "postal_code", "state")


def types_for(currency: str) -> list[str]:
    """The payment method types offered for a currency, best first."""
    return list(TYPES_BY_CURRENCY.get(currency, OTHER_TYPES))


def taken(types: Sequence[str], automatic: Document) -> list[str]:
    """Those of the types that an intent takes which says so in its `automatic_payment_methods`."""
    leaves = automatic["allow_redirects"] == "always"
    return [type for type in types if leaves or type not in REDIRECTING]


def check_taken(intent: Document, method: Document) -> None:
    """Refuse a method of a type that the intent does not take."""
    types = intent["payment_method_types"]
    if method["type"] not in types:
        kind = "PaymentIntent" if intent["object"] == "payment_intent" else "SetupIntent"
        raise invalid(
            f"The PaymentMethod provided ({method['type']}) is not allowed for this {kind}. Please attach a "
            f"PaymentMethod of one of the following types: {', '.join(types)}.",
            "payment_method",
        )


def automatic(params: Document) -> Document:
    """An intent's `automatic_payment_methods`: on, and with redirects, unless told otherwise."""
    given = params.get("automatic_payment_methods") or {}
    return {"allow_redirects": given.get("allow_redirects", "always"), "enabled": given.get("enabled", True)}


def billing_details(given: Document | None) -> Document:
    """Billing details with every field present, as Stripe answers them."""
    given = given or {}
    address = given.get("address") or {}
    return {
        "address": {field: address.get(field) or None for field in ADDRESS_FIELDS},
        "email": given.get("email") or None,
        "name": given.get("name") or None,
        "phone": given.get("phone") or None,
        "tax_id": given.get("tax_id") or None,
    }


def fingerprint(text: str) -> str:
    """The same sixteen characters for the same card or account, so that repeats can be recognised."""
    return hashlib.sha256(f"fingerprint {text}".encode()).hexdigest()[:16]


def test_card(method: Document) -> Card | None:
    """The test card that decides how this method behaves; Link's is the card behind it."""
    return cards.BY_NUMBER.get(method.get("_card", ""))


def test_account(method: Document) -> BankAccount | None:
    """The test bank account behind a `us_bank_account` method."""
    return banks.BY_NUMBER.get(method.get("_account", ""))


def create(
    sandbox: Sandbox, type: str, details: Document, given: Document | None = None, **private: Any
) -> Document:
    """Store a new payment method of one type; `given` holds billing details, metadata and allow_redisplay."""
    given = given or {}
    method = {
        "id": sandbox.new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": given.get("allow_redisplay", "unspecified"),
        "billing_details": billing_details(given.get("billing_details")),
        "created": sandbox.now(),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": given.get("metadata") or {},
        "type": type,
        type: details,
        **private,
    }
    sandbox.store.put(KIND, method)
    return method


def from_card(
    sandbox: Sandbox, card: Card, expiry: tuple[int, int], given: Document | None = None
) -> Document:
    """A card method; the security code counts as given but not checked until it is attached or charged."""
    postal_code = ((given or {}).get("billing_details") or {}).get("address", {}).get("postal_code")
    details = {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": "unchecked" if postal_code else None,
            "cvc_check": "unchecked",
        },
        "country": card.country,
        "display_brand": card.brand,
        "exp_month": expiry[0],
        "exp_year": expiry[1],
        "fingerprint": fingerprint(card.number),
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": card.supports_three_d_secure},
        "wallet": None,
    }
    return create(sandbox, "card", details, given, _card=card.number)


def from_account(
    sandbox: Sandbox, account: BankAccount, data: Document, given: Document | None = None
) -> Document:
    """A bank account method, ready to be debited."""
    details = {
        "account_holder_type": data.get("account_holder_type", "company"),
        "account_type": data.get("account_type", "checking"),
        "bank_name": banks.BANK_NAME,
        "financial_connections_account": None,
        "fingerprint": fingerprint(account.number),
        "last4": account.last4,
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": data.get("routing_number", banks.TEST_ROUTING_NUMBER),
        "status_details": {},
    }
    return create(sandbox, "us_bank_account", details, given, _account=account.number)


def from_token(sandbox: Sandbox, token: str) -> Document | None:
    """A new method of a published test id (`pm_card_visa`, `pm_usBankAccount_success`), None for other
    ids.
    """
    if card := cards.from_token(token):
        return from_card(sandbox, card, cards.TOKEN_EXPIRY)
    if account := banks.BY_TOKEN.get(token):
        return from_account(sandbox, account, {})
    return None


def from_data(sandbox: Sandbox, data: Document, param: str = "") -> Document:
    """A method from `payment_method_data` (or the parameters of `POST /v1/payment_methods`).

    `param` is the name under which the data was sent. Raises Stripe's errors for data that cannot be used.
    """
    type = data.get("type")
    at = f"{param}[{{}}]" if param else "{}"
    if not type:
        raise missing_param(at.format("type"))
    if type == "card":
        return _card_from_data(sandbox, data, at)
    if type == "us_bank_account":
        return _account_from_data(sandbox, data, at)
    if type == "amazon_pay":
        return create(sandbox, "amazon_pay", {}, data)
    # A Link method exists only after somebody signed in to Link: see link.py.
    raise unsupported(at.format(type))


def typed(raw: Any) -> Document:
    """What a browser sent as `payment_method_data`, checked and read like an API request's parameters.

    Browsers may send card numbers, which the SDK's types have on `POST /v1/payment_methods` only.
    """
    try:
        return contract.reader_of(PaymentMethodCreateParams)(raw, ["payment_method_data"])
    except StripeError as error:
        error.stored = False
        raise


def _card_from_data(sandbox: Sandbox, data: Document, at: str) -> Document:
    card = data.get("card")
    if not card:
        raise missing_param(at.format("card"))
    if token := card.get("token"):
        known = cards.from_token(token)
        if not known:
            raise missing("token", token, at.format("card") + "[token]", 400)
        return from_card(sandbox, known, cards.TOKEN_EXPIRY, data)
    for name in ("number", "exp_month", "exp_year"):
        if card.get(name) in (None, ""):
            raise missing_param(at.format("card") + f"[{name}]")
    known = checked_card(sandbox, card)
    return from_card(sandbox, known, (card["exp_month"], full_year(card["exp_year"])), data)


def checked_card(sandbox: Sandbox, card: Document) -> Card:
    """The test card behind a number, its expiry checked; 402 naming the field that cannot be right."""
    number = card["number"].replace(" ", "")
    if not (number.isascii() and number.isdigit() and len(number) >= 12 and cards.passes_checksum(number)):
        raise invalid_card("Your card number is incorrect.", "incorrect_number", "number")
    if not 1 <= card["exp_month"] <= 12:
        raise invalid_card("Your card's expiration month is invalid.", "invalid_expiry_month", "exp_month")
    today = datetime.fromtimestamp(sandbox.now(), UTC)
    year = full_year(card["exp_year"])
    if year < today.year or year > today.year + 50:
        raise invalid_card("Your card's expiration year is invalid.", "invalid_expiry_year", "exp_year")
    if year == today.year and card["exp_month"] < today.month:
        raise invalid_card("Your card's expiration month is invalid.", "invalid_expiry_month", "exp_month")
    if number not in cards.BY_NUMBER:
        raise StripeError(
            402,
            "card_error",
            TEST_MODE_LIVE_CARD,
            "card_declined",
            "number",
            decline_code="test_mode_live_card",
        )
    return cards.BY_NUMBER[number]


def full_year(year: int) -> int:
    """Two digits mean this century."""
    return year + 2000 if year < 100 else year


def _account_from_data(sandbox: Sandbox, data: Document, at: str) -> Document:
    given = data.get("us_bank_account") or {}
    at_account = at.format("us_bank_account")
    for name in ("account_number", "routing_number"):
        if not given.get(name):
            raise missing_param(f"{at_account}[{name}]")
    if not (data.get("billing_details") or {}).get("name"):
        raise missing_param(at.format("billing_details") + "[name]")
    if not banks.valid_routing_number(given["routing_number"]):
        raise invalid(
            "Invalid US routing number. The number must be nine digits with a valid checksum.",
            f"{at_account}[routing_number]",
            "routing_number_invalid",
        )
    account = banks.BY_NUMBER.get(given["account_number"])
    if not account:
        raise invalid(
            "You must use a test bank account number in test mode. Try 000123456789 or see more options at "
            "https://stripe.com/docs/payments/ach-direct-debit/accept-a-payment#test-account-numbers.",
            f"{at_account}[account_number]",
            "account_number_invalid",
        )
    return from_account(sandbox, account, given, data)
