"""What a refused card answers: codes and messages as real Stripe words them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portal.sandbox.errors import StripeError

TRY_LATER, DO_NOT_TRY, CHECK_DATA = "try_again_later", "do_not_try_again", "confirm_card_data"


@dataclass(frozen=True)
class Decline:
    """One reason: `code` and `decline_code` of the error, its message, and the network's own figures."""

    decline_code: str
    message: str = "Your card was declined."
    code: str = "card_declined"
    advice: str | None = TRY_LATER
    network: str | None = "05"
    seller_message: str = "The bank did not return any further details with this decline."
    outcome: str = "issuer_declined"


# The figures of `generic_decline` are recorded; the others follow docs.stripe.com/declines/codes.
DECLINES = {
    decline.decline_code: decline
    for decline in (
        Decline("generic_decline", network="01"),
        Decline("insufficient_funds", "Your card has insufficient funds.", network="51"),
        Decline("lost_card", advice=DO_NOT_TRY, network="41"),
        Decline("stolen_card", advice=DO_NOT_TRY, network="43"),
        Decline("expired_card", "Your card has expired.", "expired_card", CHECK_DATA, "54"),
        Decline(
            "incorrect_cvc", "Your card's security code is incorrect.", "incorrect_cvc", CHECK_DATA, "N7"
        ),
        Decline(
            "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
            "processing_error",
            network="06",
        ),
        Decline(
            "card_velocity_exceeded",
            "Your card was declined for making repeated attempts too frequently or exceeding its amount "
            "limit.",
            network="65",
        ),
        Decline(
            "fraudulent",
            advice=None,
            network=None,
            seller_message="Stripe blocked this payment as too risky.",
            outcome="blocked",
        ),
        Decline(
            "authentication_required",
            "Your card was declined. This transaction requires authentication.",
            "authentication_required",
            advice=None,
            network="1A",
        ),
    )
}
TEST_MODE_LIVE_CARD = (
    "Your card was declined. Your request was in test mode, but used a non test (live) card. "
    "For a list of valid test cards, visit: https://stripe.com/docs/testing."
)


def card_error(decline_code: str, param: str | None = None, **extra: Any) -> StripeError:
    """The 402 that a decline answers; its writes are kept, since the failed charge stays on record."""
    decline = DECLINES[decline_code]
    members: dict[str, Any] = {"decline_code": decline.decline_code}
    if decline.advice:
        members["advice_code"] = decline.advice
    if decline.network:
        members["network_decline_code"] = decline.network
    return StripeError(402, "card_error", decline.message, decline.code, param, keep=True, **members, **extra)


def invalid_card(message: str, code: str, param: str) -> StripeError:
    """Card data that cannot be a card: 402 `card_error` naming the field."""
    return StripeError(402, "card_error", message, code, param)
