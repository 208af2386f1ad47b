"""Apple Pay and Google Pay: cards that a wallet keeps, and what its sheet hands over, good for one payment.

A page never learns the card: the sheet names it here, and the confirmation only says which Elements it was.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from portal.sandbox import cards, forms, methods
from portal.sandbox.errors import StripeError, invalid
from portal.sandbox.state import Sandbox, sandbox
from portal.sandbox.store import Document

HANDED_OVER = "_wallet_payment"
MAX_SESSION_ID = 64
NAMES = {"apple_pay": "Apple Pay", "google_pay": "Google Pay"}
# what a wallet here keeps: one card that pays, another brand, and two that a bank refuses
KEPT = {
    "4242424242424242": "pays",
    "5555555555554444": "pays",
    "4000000000000002": "is declined",
    "4000000000009995": "has insufficient funds",
}

blueprint = Blueprint("wallets", __name__, url_prefix="/elements/wallets")


def method_from(current: Sandbox, session: Any) -> Document:
    """The card of the sheet that these Elements opened; 400 when it was not paid with, or used before."""
    given = current.store.get(HANDED_OVER, str(session)[:MAX_SESSION_ID])
    if not given:
        raise invalid("Pay in the wallet's sheet before confirming.", "wallet")
    current.store.delete(HANDED_OVER, given["id"])
    card = cards.BY_NUMBER[given["card"]]
    details = {"billing_details": given["billing_details"]}
    method = methods.from_card(current, card, cards.TOKEN_EXPIRY, details)
    # docs.stripe.com/api/payment_methods/object: what a wallet hands over is a card of another number
    type = given["wallet"]
    method["card"]["wallet"] = {"dynamic_last4": card.last4, "type": type, type: {}}
    current.store.put(methods.KIND, method)
    return method


@blueprint.before_request
def same_origin_only() -> tuple[Response, int] | None:
    if request.headers.get("Origin", request.host_url.rstrip("/")) != request.host_url.rstrip("/"):
        return jsonify(error={"message": "Only the frames of this sandbox may ask that."}), 403
    return None


@blueprint.errorhandler(StripeError)
def refusal(error: StripeError) -> tuple[Response, int]:
    return jsonify(error=error.body()), error.status


@blueprint.get("/cards")
def kept() -> Response:
    """The cards of whoever sits here, with what becomes of a payment."""
    found = [(cards.BY_NUMBER[number], then) for number, then in KEPT.items()]
    return jsonify(
        cards=[
            {"last4": card.last4, "brand": card.brand, "exp_month": 12, "exp_year": 2034, "then": then}
            for card, then in found
        ]
    )


@blueprint.post("/authorize")
def authorize() -> Response:
    """One payment of these Elements may take this card."""
    sent = forms.decode(request.get_data(as_text=True))
    session, wallet, last4 = (str(sent.get(name) or "") for name in ("session", "wallet", "last4"))
    number = next((each for each in KEPT if each[-4:] == last4), None)
    if not session or wallet not in NAMES or number is None:
        raise invalid("Choose one of the wallet's cards.", "last4")
    billing = sent.get("billing_details")
    with sandbox().work():
        _hand_over(session, wallet, number, billing if isinstance(billing, dict) else None)
    return jsonify(ok=True)


def _hand_over(session: str, wallet: str, number: str, billing: Document | None) -> None:
    handed_over = {
        "id": session[:MAX_SESSION_ID],
        "wallet": wallet,
        "card": number,
        "billing_details": methods.billing_details(billing),
    }
    sandbox().store.put(HANDED_OVER, handed_over)
