"""Stripe's published test cards: numbers, token names and what happens when they are used.

Source: docs.stripe.com/testing and docs.stripe.com/billing/testing. Any other number is refused, so that no
real
card can be stored here.
"""

from __future__ import annotations

from dataclasses import dataclass

NEVER, ON_SESSION, UNLESS_SET_UP, ALWAYS = "never", "on_session", "unless_set_up", "always"
TOKEN_EXPIRY = (12, 2034)


@dataclass(frozen=True)
class Card:
    """One test card.

    `decline` is a key of `declines.DECLINES` met at every use, `decline_charge` one met when a customer is
    charged
    although the card was accepted before, `decline_authenticated` one met after 3-D Secure was passed.
    `authentication` says which payments need 3-D Secure: NEVER, ON_SESSION (the customer is there),
    UNLESS_SET_UP
    (also off session, unless the card was set up for that), ALWAYS (also off session, whatever was set up).
    """

    number: str
    names: tuple[str, ...]
    brand: str = "visa"
    country: str = "US"
    funding: str = "credit"
    decline: str | None = None
    decline_charge: str | None = None
    decline_authenticated: str | None = None
    authentication: str = NEVER
    cvc_check: str = "pass"
    disputed: bool = False
    refund_fails: bool = False

    @property
    def last4(self) -> str:
        return self.number[-4:]

    @property
    def supports_three_d_secure(self) -> bool:
        return self.brand in ("visa", "mastercard", "amex", "discover")


CARDS = (
    Card("4242424242424242", ("visa", "us")),
    Card("4000056655665556", ("visa_debit",), funding="debit"),
    Card("5555555555554444", ("mastercard",), brand="mastercard"),
    Card("2223003122003222", ("mastercard_2series",), brand="mastercard"),
    Card("5200828282828210", ("mastercard_debit",), brand="mastercard", funding="debit"),
    Card("5105105105105100", ("mastercard_prepaid",), brand="mastercard", funding="prepaid"),
    Card("378282246310005", ("amex",), brand="amex"),
    Card("6011111111111117", ("discover",), brand="discover"),
    Card("3056930009020004", ("diners",), brand="diners"),
    Card("3566002020360505", ("jcb",), brand="jcb"),
    Card("6200000000000005", ("unionpay",), brand="unionpay"),
    Card("4000002760000016", ("de_nl", "nl"), country="NL"),
    Card("4000002760003184", ("authenticationRequired",), authentication=ALWAYS),
    Card("4000002500003155", ("authenticationRequiredOnSetup",), authentication=UNLESS_SET_UP),
    Card("4000003800000446", ("authenticationRequiredSetupForOffSession",), authentication=ON_SESSION),
    Card(
        "4000008260003178",
        ("authenticationRequiredChargeDeclinedInsufficientFunds",),
        authentication=ON_SESSION,
        decline_authenticated="insufficient_funds",
    ),
    Card("4000000000003220", ("threeDSecure2Required",), authentication=ALWAYS),
    Card("4000000000003063", ("threeDSecureRequired",), authentication=ALWAYS),
    Card("4000000000003055", ("threeDSecureOptional",)),
    Card(
        "4000008400001629",
        ("threeDSecureRequiredChargeDeclined",),
        authentication=ALWAYS,
        decline_authenticated="generic_decline",
    ),
    Card("4000000000000002", ("visa_chargeDeclined", "chargeDeclined"), decline="generic_decline"),
    Card(
        "4000000000009995",
        ("visa_chargeDeclinedInsufficientFunds", "chargeDeclinedInsufficientFunds"),
        decline="insufficient_funds",
    ),
    Card("4000000000009987", ("visa_chargeDeclinedLostCard",), decline="lost_card"),
    Card("4000000000009979", ("visa_chargeDeclinedStolenCard",), decline="stolen_card"),
    Card("4000000000000069", ("chargeDeclinedExpiredCard",), decline="expired_card"),
    Card("4000000000000127", ("chargeDeclinedIncorrectCvc",), decline="incorrect_cvc", cvc_check="fail"),
    Card("4000000000000119", ("chargeDeclinedProcessingError",), decline="processing_error"),
    Card("4000000000006975", ("visa_chargeDeclinedVelocityLimitExceeded",), decline="card_velocity_exceeded"),
    Card("4100000000000019", ("radarBlock",), decline="fraudulent"),
    Card(
        "4000000000000341",
        ("chargeCustomerFail", "visa_chargeCustomerFail"),
        decline_charge="generic_decline",
    ),
    Card("4000000000000101", ("cvcCheckFail",), cvc_check="fail"),
    Card("4000000000000259", ("createDispute",), disputed=True),
    Card("4000000000005126", ("refundFail",), refund_fails=True),
)
BY_NUMBER = {card.number: card for card in CARDS}
BY_NAME = {name: card for card in CARDS for name in card.names}


def from_token(token: str) -> Card | None:
    """The card of a published token or payment method id: `tok_visa`, `pm_card_visa`."""
    for prefix in ("pm_card_", "tok_"):
        if token.startswith(prefix):
            return BY_NAME.get(token.removeprefix(prefix))
    return None


def passes_checksum(number: str) -> bool:
    """The Luhn checksum that every card number carries."""
    digits = [int(digit) for digit in reversed(number)]
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
